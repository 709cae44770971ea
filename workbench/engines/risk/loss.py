"""The loss of a day: realised and unrealised profit since 00:00 UTC, against its limit."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from workbench.engines.portfolio import Portfolio
from workbench.engines.risk.limits import RiskLimits
from workbench.engines.risk.refusals import Refusal
from workbench.model.errors import PriceError
from workbench.model.events import TimeEvent
from workbench.model.identifiers import AccountId
from workbench.model.money import Money, round_to_digits
from workbench.model.risk_events import LossLimitReached
from workbench.runtime.clock import Clock

DAY_NS = 86_400_000_000_000
_TIMER = "risk:day"


class _Limit:
    """One limit and how its day goes."""

    __slots__ = ("account_id", "most", "reached", "start")

    def __init__(self, account_id: str | None, most: Money) -> None:
        self.account_id = account_id
        self.most = most
        self.start: Decimal | None = None
        self.reached: LossLimitReached | None = None


class _Profit(NamedTuple):
    """Profit in the limit's currency, or what is missing to tell it."""

    amount: Decimal | None
    missing: str = ""


class DayLoss:
    """Watches what was lost since the day began; looked at with every order and fill.

    The day is that of the clock, in UTC, and its first value is that at 00:00 or, on the first day,
    the one it is first asked at. A limit that was reached stays so for the day, whatever the market
    does next.

    Args:
        limits: With `max_loss_per_day`.
        portfolio: For profits, in each limit's currency.
        clock: Whose day.
        on_reached: Told once a day for each limit.
    """

    def __init__(
        self,
        limits: RiskLimits,
        portfolio: Portfolio,
        clock: Clock,
        on_reached: Callable[[LossLimitReached], None],
    ) -> None:
        given = limits.max_loss_per_day
        by_account = given if isinstance(given, dict) else {}
        self._by_account = {
            AccountId(name): _Limit(name, Money.parse(text)) for name, text in by_account.items()
        }
        self._of_all = _Limit(None, Money.parse(given)) if isinstance(given, str) else None
        self._portfolio = portfolio
        self._clock = clock
        self._on_reached = on_reached
        self._has_timer = True
        self._day = -1

    def look(self, account_id: AccountId) -> Refusal | None:
        """Return why nothing may grow in an account now; tell of a limit when it is reached."""
        limit = self._of_all or self._by_account.get(account_id)
        if limit is None:
            return None
        self._turn_day()
        if limit.reached is None:
            profit = self._profit(limit)
            if profit.amount is None:
                return Refusal("LOSS_UNKNOWN", f"the day's loss cannot be told: {profit.missing}")
            self._compare(limit, profit.amount)
        reached = limit.reached
        if reached is None:
            return None
        whose = f" of {reached.account_id}" if reached.account_id else ""
        return Refusal(
            "MAX_LOSS_PER_DAY",
            f"the day's loss{whose} came to {reached.loss} {reached.currency}, at its"
            f" limit of {reached.limit}; nothing may grow until 00:00 UTC",
        )

    def _limits(self) -> list[_Limit]:
        return [self._of_all] if self._of_all is not None else list(self._by_account.values())

    def _compare(self, limit: _Limit, profit: Decimal) -> None:
        if limit.start is None:
            limit.start = profit
        # An average price has 28 digits: what it lost in the last of them must not save a limit.
        loss = round(limit.start - profit, limit.most.currency.digits + 6)
        if loss < limit.most.amount:
            return
        now = self._clock.timestamp_ns()
        limit.reached = LossLimitReached(
            account_id=limit.account_id or "",
            loss=round_to_digits(loss, limit.most.currency),
            limit=limit.most.amount,
            currency=limit.most.currency,
            ts_event=now,
            ts_init=now,
        )
        self._on_reached(limit.reached)

    def _profit(self, limit: _Limit) -> _Profit:
        unit = limit.most.currency
        try:
            profit = self._portfolio.total_pnl(account_id=limit.account_id, currency=unit)
        except PriceError as error:
            return _Profit(None, str(error))
        return _Profit(profit[unit.code])

    def stop(self) -> None:
        """Set no more timers: the run is over."""
        self._has_timer = False
        self._clock.cancel_timer(_TIMER)

    # Days

    def _turn_day(self) -> None:
        day = self._clock.timestamp_ns() // DAY_NS
        if day == self._day:
            return
        self._day = day
        for limit in self._limits():
            limit.reached = None
            # Where a price is missing now, the first value of the day is the first that is known.
            limit.start = self._profit(limit).amount
        if self._has_timer:
            self._clock.cancel_timer(_TIMER)
            self._clock.set_alert(_TIMER, (day + 1) * DAY_NS, self._on_midnight)

    def _on_midnight(self, _: TimeEvent) -> None:
        self._turn_day()
