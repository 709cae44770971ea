"""The loss of a day: realised and unrealised profit since 00:00 UTC, against its limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from decimal import Decimal
from typing import NamedTuple

from workbench.engines.cache import Cache
from workbench.engines.portfolio import Portfolio
from workbench.engines.risk.limits import OnLoss, RiskLimits
from workbench.engines.risk.refusals import Refusal
from workbench.model.enums import TradingState
from workbench.model.errors import PriceError
from workbench.model.events import TimeEvent
from workbench.model.identifiers import AccountId
from workbench.model.money import ZERO, Money, round_to_digits
from workbench.model.risk_events import (
    LossDayBegan,
    LossLimitReached,
    RiskEvent,
    TradingStateChanged,
)
from workbench.runtime.clock import Clock

DAY_NS = 86_400_000_000_000
_TIMER = "risk:day"

STATE_ON_LOSS = {
    OnLoss.REDUCING: TradingState.REDUCING,
    OnLoss.HALTED: TradingState.HALTED,
}
"""The trading state that follows from a loss, where one does."""


class Loss(NamedTuple):
    """Why nothing may grow in an account now.

    Attributes:
        refusal: In words.
        sets_state: Whether the trading state follows from it, where it is to.
    """

    refusal: Refusal
    sets_state: bool


class _Limit:
    """One limit and how its day goes."""

    __slots__ = ("account_id", "is_apart", "most", "reached", "starts")

    def __init__(
        self, most: Money, account_id: AccountId | None = None, *, is_apart: bool = False
    ) -> None:
        self.most = most
        self.account_id = account_id
        self.is_apart = is_apart
        self.starts: dict[AccountId, Decimal] = {}
        self.reached: LossLimitReached | None = None


class DayLoss:
    """Watches what was lost since the day began; looked at with every order and fill.

    The day is that of the clock, in UTC, and its first value is that at 00:00 or, on the first day,
    the one it is first asked at. A limit that was reached stays so for the day, whatever the market
    does next. First values and limits that were reached are told as events; `take_over` goes on
    with those of an earlier run.

    One amount for everything counts all accounts together, but for those that count apart: they
    count together too, and neither offsets what the others lose.

    Args:
        limits: With `max_loss_per_day`.
        cache: For the accounts there are.
        portfolio: For profits, in each limit's currency.
        clock: Whose day.
        tell: Told, with this, of the first value of each account's day, and once a day of each
            limit that was reached.

    Attributes:
        apart: The accounts that count apart.
    """

    def __init__(
        self,
        limits: RiskLimits,
        cache: Cache,
        portfolio: Portfolio,
        clock: Clock,
        tell: Callable[[DayLoss, LossDayBegan | LossLimitReached], None],
    ) -> None:
        self.apart: Set[AccountId] = frozenset[AccountId]()
        given = limits.max_loss_per_day
        by_account = given if isinstance(given, dict) else {}
        self._by_account = {
            AccountId(name): _Limit(Money.parse(text), AccountId(name))
            for name, text in by_account.items()
        }
        self._of_all: tuple[_Limit, ...] = ()
        if isinstance(given, str):
            most = Money.parse(given)
            self._of_all = _Limit(most), _Limit(most, is_apart=True)
        self._cache = cache
        self._portfolio = portfolio
        self._clock = clock
        self._tell = tell
        self._has_timer = True
        self._day = -1
        self._earlier: list[RiskEvent] = []

    def look(self, account_id: AccountId) -> Loss | None:
        """Return why nothing may grow in an account now; tell of a limit when it is reached."""
        if self._of_all:
            limit = self._of_all[self.is_mixed and account_id in self.apart]
        else:
            limit = self._by_account.get(account_id)
        if limit is None:
            return None
        self._turn_day()
        if limit.reached is None:
            missing = self._compare(limit)
            if missing:
                reason = f"the day's loss cannot be told: {missing}"
                return Loss(Refusal("LOSS_UNKNOWN", reason), sets_state=False)
        reached = limit.reached
        if reached is None:
            return None
        refusal = Refusal(
            "MAX_LOSS_PER_DAY",
            f"the day's loss{self.whose(reached)} came to {reached.loss} {reached.currency}, at its"
            f" limit of {reached.limit}; nothing may grow until 00:00 UTC",
        )
        return Loss(refusal, self.sets_state(reached))

    @property
    def is_mixed(self) -> bool:
        """Return whether there are both accounts that count apart and others."""
        return self._cache.is_split_by(self.apart)

    def sets_state(self, reached: LossLimitReached) -> bool:
        """Return whether a loss may set the trading state: of accounts apart, only without others.

        The state is one for all, and what is apart must not keep the orders of others back.
        """
        accounts = reached.accounts or (AccountId(reached.account_id),)
        return not self.is_mixed or not all(one in self.apart for one in accounts)

    def whose(self, reached: LossLimitReached) -> str:
        """Return whose loss it is, as part of a sentence; empty for that of all there are."""
        if reached.account_id:
            return f" of {reached.account_id}"
        return f" of {', '.join(reached.accounts)}" if self.is_mixed and reached.accounts else ""

    def _limits(self) -> Sequence[_Limit]:
        return self._of_all or tuple(self._by_account.values())

    def _accounts(self, limit: _Limit) -> list[AccountId]:
        if limit.account_id is not None:
            return [limit.account_id]
        known = self._known()
        if not self.is_mixed:
            return [] if limit.is_apart else known
        return [one for one in known if (one in self.apart) is limit.is_apart]

    def _known(self) -> list[AccountId]:
        states = (state.account_id for state in self._cache.accounts())
        return list(dict.fromkeys((*self._cache.registered_accounts(), *states)))

    def _compare(self, limit: _Limit) -> str:
        """Compare what was lost with its limit; return what is missing to tell it."""
        loss = ZERO
        missing = ""
        for account_id in self._accounts(limit):
            profit = self._profit(limit, account_id)
            if isinstance(profit, PriceError):
                missing = missing or str(profit)
            else:
                loss += self._start(limit, account_id, profit) - profit
        if missing:
            return missing
        # An average price has 28 digits: what it lost in the last of them must not save a limit.
        loss = round(loss, limit.most.currency.digits + 6)
        if loss < limit.most.amount:
            return ""
        now = self._clock.timestamp_ns()
        limit.reached = LossLimitReached(
            account_id=limit.account_id or "",
            accounts=() if limit.account_id else tuple(self._accounts(limit)),
            loss=round_to_digits(loss, limit.most.currency),
            limit=limit.most.amount,
            currency=limit.most.currency,
            ts_event=now,
            ts_init=now,
        )
        self._tell(self, limit.reached)
        return ""

    def _profit(self, limit: _Limit, account_id: AccountId) -> Decimal | PriceError:
        """Return an account's profit in the limit's currency, or what is missing to tell it."""
        unit = limit.most.currency
        try:
            return self._portfolio.total_pnl(account_id=account_id, currency=unit)[unit.code]
        except PriceError as error:
            return error

    def _start(self, limit: _Limit, account_id: AccountId, profit: Decimal) -> Decimal:
        """Return with which profit an account's day began: that of now, where it begins now."""
        start = limit.starts.get(account_id)
        if start is not None:
            return start
        limit.starts[account_id] = profit
        now = self._clock.timestamp_ns()
        self._tell(
            self,
            LossDayBegan(
                account_id=account_id,
                day=self._day,
                profit=profit,
                currency=limit.most.currency,
                ts_event=now,
                ts_init=now,
            ),
        )
        return profit

    def stop(self) -> None:
        """Set no more timers: the run is over."""
        self._has_timer = False
        self._clock.cancel_timer(_TIMER)

    # Earlier runs

    def take_over(self, events: Iterable[RiskEvent]) -> None:
        """Go on with what earlier runs told, oldest first; it counts from `begin` on."""
        self._earlier += events

    def begin(self) -> None:
        """Go on with the day of an earlier run, where there was one.

        A day that began in between begins now, or as soon as its first value can be told.
        """
        if self._earlier:
            self._turn_day()
            self._earlier = []

    def _restore(self) -> None:
        """Let the day go on as earlier runs told of it."""
        for event in self._earlier:
            for limit in self._limits():
                if event.ts_event // DAY_NS == self._day:
                    self._restore_one(limit, event)

    def _restore_one(self, limit: _Limit, event: RiskEvent) -> None:
        if isinstance(event, LossDayBegan):
            is_mine = event.account_id in self._accounts(limit)
            if is_mine and event.currency == limit.most.currency:
                limit.starts.setdefault(event.account_id, event.profit)
        elif isinstance(event, LossLimitReached):
            accounts = self._accounts(limit)
            is_mine = (event.account_id or None) == limit.account_id and (
                not event.accounts or any(one in accounts for one in event.accounts)
            )
            # A limit that was raised since, above what was lost, was not reached.
            is_same = event.currency == limit.most.currency and event.loss >= limit.most.amount
            if is_mine and is_same:
                limit.reached = event

    # Days

    def _turn_day(self) -> None:
        day = self._clock.timestamp_ns() // DAY_NS
        if day == self._day:
            return
        self._day = day
        for limit in self._limits():
            limit.reached = None
            limit.starts = {}
        self._restore()
        for limit in self._limits():
            for account_id in self._accounts(limit):
                profit = self._profit(limit, account_id)
                # Where a price is missing now, the first value is the first that is known.
                if not isinstance(profit, PriceError):
                    self._start(limit, account_id, profit)
        if self._has_timer:
            self._clock.cancel_timer(_TIMER)
            self._clock.set_alert(_TIMER, (day + 1) * DAY_NS, self._on_midnight)

    def _on_midnight(self, _: TimeEvent) -> None:
        self._turn_day()


def state_after(events: Iterable[RiskEvent], on_loss: OnLoss, loss: DayLoss) -> TradingState | None:
    """Return the trading state that a loss set in earlier runs and nobody has changed since."""
    left: TradingState | None = None
    for event in events:
        if isinstance(event, LossLimitReached) and loss.sets_state(event):
            left = STATE_ON_LOSS.get(on_loss)
        elif isinstance(event, TradingStateChanged) and not event.reason and event.state != left:
            left = None  # somebody set another one
    return left
