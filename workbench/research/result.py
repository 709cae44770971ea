"""What a backtest gives back: frames, a summary, and a look at both."""

# pandas' stubs leave parts of these calls unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.engines.cache import Cache
from workbench.engines.rates import Rates
from workbench.model.display import fitted, format_ns, pairs_html, shown
from workbench.model.enums import AccountType, OrderStatus
from workbench.model.errors import StrategyError
from workbench.model.events import AccountState, OrderFilled, PositionEvent
from workbench.model.identifiers import AccountId
from workbench.model.instruments import Number
from workbench.model.money import MONEY_CONTEXT, ZERO, Money
from workbench.model.orders import Order
from workbench.model.positions import Position
from workbench.node import frames
from workbench.research.equity import Curves
from workbench.research.sparklines import curves_html
from workbench.research.statistics import interval_ns
from workbench.research.statistics_groups import Grouping, interval_ends, statistics_by
from workbench.runtime.eventlog import EventLog, RecordKind
from workbench.sim import BacktestEngine

if TYPE_CHECKING:
    import pandas as pd

_SHOWN_WARNINGS = 10
_SHOWN_CHARACTERS = 300  # of one strategy or reason: a parameter may be a whole table


class BacktestResult:
    """The outcome of one backtest.

    Frames are made when first asked for. Amounts are `Decimal` (object columns, exact), times
    `datetime64[ns, UTC]`; `equity` and `profit` are float64, for plotting.

    Attributes:
        strategies: The strategy objects, with the state they ended in.
        is_complete: Whether all data was handled and no strategy raised.
        ended: Why it ended early; empty if it did not.
        error: What a strategy raised, or None.
        warnings: What to look at, such as subscriptions without data.
        events: How many data events were handled.
        seconds: How long the run took, without loading.
    """

    def __init__(self, engine: BacktestEngine, seconds: float) -> None:
        self._engine = engine
        self.strategies = list(engine.core.actors)
        self.ended = engine.ended
        self.error: StrategyError | None = engine.error
        self.is_complete = self.error is None and engine.events_handled == engine.timeline.total
        self.warnings = list(engine.data_client.warnings)
        self.warnings += [reason for _, reason in engine.core.execution.refused_events]
        self.warnings += _order_warnings(engine.core.cache.orders())
        self.warnings += _leverage_warnings(engine.core.cache)
        self.warnings += _debt_warnings(engine.core.cache)
        self.events = engine.events_handled
        self.seconds = seconds

    @property
    def log(self) -> EventLog:
        """Return the event log: every command and event, in order."""
        return self._engine.core.log

    @cached_property
    def orders(self) -> pd.DataFrame:
        """All orders, oldest first."""
        return frames.orders_frame(self._engine.core.cache.orders())

    @cached_property
    def order_events(self) -> pd.DataFrame:
        """The life of every order: each event a row, oldest first, denials with code and reason."""
        return frames.order_events_frame(self.log)

    @cached_property
    def fills(self) -> pd.DataFrame:
        """All fills, oldest first."""
        return frames.fills_frame(self.log)

    @cached_property
    def positions(self) -> pd.DataFrame:
        """All positions, open and closed, oldest first; `quantity` is signed."""
        return frames.positions_frame(self._engine.core.cache.positions())

    @cached_property
    def account(self) -> pd.DataFrame:
        """The accounts' balances after each change."""
        return frames.accounts_frame(self._account_states)

    @cached_property
    def equity(self) -> pd.DataFrame:
        """What all accounts together were worth over time, one float64 column for each currency.

        A currency's column is its balance and, in it, the unrealised profit of a margin account's
        positions and the value of a cash account's shares; nothing is converted. A cash account
        that buys BTC/USDT therefore has less in `USDT` and more in `BTC`: `profit` shows how it
        did. Sampled: some thousand points, among them the first and last event and, unless there
        are very many, each change of an account.
        """
        return self._curves.equity()

    @cached_property
    def profit(self) -> pd.DataFrame:
        """Realised and unrealised profit over time, commissions included, sampled like `equity`.

        One float64 column for each settlement currency that was traded in. Open positions count
        with what closing them would bring.
        """
        return self._curves.profit()

    def equity_in(
        self, currency: str, rates: Mapping[str, Number] | None = None
    ) -> pd.Series[float]:
        """Return `equity` as one sum of a currency over time.

        Each currency is converted at the middle prices that the data's pairs had at each time, over
        as few pairs as possible, or at a fixed rate; NaN while a rate was not known yet.

        Args:
            currency: The currency's code, such as `"USD"`.
            rates: Fixed rates, which go before prices, such as `{"USDT/USD": 1}`; in addition to
                those that a strategy fixed in its `portfolio.rates`.

        Raises:
            PriceError: If a rate that is needed was never known; all such are named.
            ConfigError: If a rate is not positive, or its name is not `FROM/TO`.
        """
        return self._curves.equity_in(currency, self._fixed(rates))

    def profit_in(
        self, currency: str, rates: Mapping[str, Number] | None = None
    ) -> pd.Series[float]:
        """Return `profit` as one sum of a currency over time, converted as by `equity_in`."""
        return self._curves.profit_in(currency, self._fixed(rates))

    def _fixed(self, rates: Mapping[str, Number] | None) -> dict[str, Decimal]:
        core = self._engine.core
        given = Rates(core.cache, rates).fixed  # its names and values are checked
        return Rates(core.cache, {**core.portfolio.rates.fixed, **given}).fixed

    @cached_property
    def balances(self) -> dict[str, Decimal]:
        """The final total by currency, all accounts together."""
        return _totals(self._engine.core.cache.accounts())

    @cached_property
    def summary(self) -> pd.Series[Any]:
        """The run in a few lines: period, counts, and money by currency.

        `total pnl` is realised (commissions included) and unrealised profit; `return %` is that of
        the starting balance; `max drawdown %` is the deepest fall below an earlier peak of starting
        balance and profit, as `profit` samples it.
        """
        import pandas as pd

        with localcontext(MONEY_CONTEXT):
            rows = {**self._run_rows(), **self._money_rows()}
            missing = self._engine.core.portfolio.missing_prices()
        if missing:
            rows["missing prices"] = ", ".join(missing)
        return pd.Series(rows, dtype=object, name="backtest")

    def statistics(
        self,
        by: Grouping | None = None,
        benchmark: pd.Series[float] | None = None,
        *,
        periods_per_year: float = 252,
        interval: str = "1D",
    ) -> pd.DataFrame:
        """Return statistics of closed positions and of returns, by currency and group.

        Amounts are `Decimal`, ratios float; what is not defined, such as a Sharpe ratio of one day,
        is NaN. What each row means is said in `workbench.research.statistics_profits` and
        `workbench.research.statistics_returns`.

        Returns are simple ones of starting balance and profit together, open positions valued at
        each interval's end. An interval without data has none. `max drawdown` is that of these
        returns; the summary's looks also between them.

        Args:
            by: `"strategy"`, `"instrument"` or `"account"`; None for all together.
            benchmark: Prices, each at the time it was known (a day's close at the day's end), with
                a `DatetimeIndex` that has a zone; adds rows that compare with it.
            periods_per_year: How many intervals a year has: with days 252, or 365 for a market that
                never closes.
            interval: The length of the intervals.

        Returns:
            A row for each statistic, a column for each settlement currency, or with `by` for each
            pair of group and currency.

        Raises:
            ConfigError: If `by` or `interval` is not known.
            DataError: If the benchmark has a price that is not positive, or times without a zone.
        """
        step, until = interval_ns(interval), self._engine.core.clock.timestamp_ns()
        timeline = self._engine.timeline
        instruments = self._engine.core.cache.instruments()
        ends = interval_ends(timeline, until, step)
        return statistics_by(
            by,
            events=(event for event in self._happened if isinstance(event, PositionEvent)),
            balances={name: _totals([s]) for name, s in self._first_states.items()},
            currencies=dict.fromkeys(i.settlement_currency.code for i in instruments),
            profit=lambda moved: Curves(timeline, instruments, (), moved, until, ends).profit(),
            benchmark=benchmark,
            interval=interval,
            periods_per_year=periods_per_year,
        )

    def _run_rows(self) -> dict[str, Any]:
        core = self._engine.core
        return {
            "strategies": _fitted(", ".join(map(repr, self.strategies))),
            "start": format_ns(self._engine.timeline.first_ts),
            "end": format_ns(core.clock.timestamp_ns()),
            "events": self.events,
            "complete": "yes" if self.is_complete else f"no: {_fitted(self.ended)}",
            "orders": len(core.cache.orders()),
            "orders denied": sum(o.status is OrderStatus.DENIED for o in core.cache.orders()),
            "fills": len(self._filled),
            "positions": len(core.cache.positions()),
            "positions open": len(core.cache.positions_open()),
        }

    def _money_rows(self) -> dict[str, Any]:
        portfolio = self._engine.core.portfolio
        realized, unrealized = portfolio.realized_pnl(), portfolio.unrealized_pnl()
        commissions: dict[str, Decimal] = {}
        for fill in self._filled:
            code = fill.commission_currency.code
            commissions[code] = commissions.get(code, ZERO) + fill.commission
        instruments = self._engine.core.cache.instruments()
        traded = {instrument.settlement_currency.code for instrument in instruments}
        started = self._starting_balances
        rows: dict[str, Any] = {}
        for code, balance in self.balances.items():
            rows[f"balance {code}"] = balance
            if code in traded:
                total = realized.get(code, ZERO) + unrealized.get(code, ZERO)
                rows[f"realized pnl {code}"] = realized.get(code, ZERO)
                rows[f"unrealized pnl {code}"] = unrealized.get(code, ZERO)
                rows[f"total pnl {code}"] = total
                if started.get(code):
                    rows[f"return % {code}"] = float(100 * total / started[code])
                    rows[f"max drawdown % {code}"] = self._drawdown(code, started[code])
            if code in traded or code in commissions:
                rows[f"commissions {code}"] = commissions.get(code, ZERO)
        return rows

    def _drawdown(self, code: str, started: Decimal) -> float:
        """Return the deepest fall below an earlier peak, in percent of that peak."""
        if code not in self.profit:
            return 0.0
        worth = float(started) + self.profit[code].dropna()
        peak = worth.cummax().clip(lower=float(started))
        return float((100 * (peak - worth) / peak).max()) if len(worth) else 0.0

    @cached_property
    def _happened(self) -> list[Any]:
        """Return every event of the log, read once: a long run has millions."""
        kinds = (RecordKind.EVENT, RecordKind.DERIVED)
        return [record.message for record in self.log if record.kind in kinds]

    @cached_property
    def _filled(self) -> list[OrderFilled]:
        return [event for event in self._happened if isinstance(event, OrderFilled)]

    @cached_property
    def _account_states(self) -> list[AccountState]:
        return [event for event in self._happened if isinstance(event, AccountState)]

    @cached_property
    def _first_states(self) -> dict[AccountId, AccountState]:
        first: dict[AccountId, AccountState] = {}
        for state in self._account_states:
            first.setdefault(state.account_id, state)
        return first

    @cached_property
    def _starting_balances(self) -> dict[str, Decimal]:
        return _totals(self._first_states.values())

    @cached_property
    def _curves(self) -> Curves:
        return Curves(
            self._engine.timeline,
            self._engine.core.cache.instruments(),
            self._account_states,
            (event for event in self._happened if isinstance(event, PositionEvent)),
            self._engine.core.clock.timestamp_ns(),
        )

    def __repr__(self) -> str:
        """Return the summary as text."""
        lines = [f"{name:<24} {shown(value)}" for name, value in self.summary.items()]
        return "\n".join(["BacktestResult", *lines, *(f"warning: {w}" for w in self._notes())])

    def _repr_html_(self) -> str:
        table = pairs_html(
            ((str(name), shown(value)) for name, value in self.summary.items()), "Backtest"
        )
        notes = "".join(f"<p><b>warning:</b> {html.escape(text)}</p>" for text in self._notes())
        curves = curves_html("equity", self.equity)
        return f"<div>{table}{curves}{notes}</div>"

    def _notes(self) -> list[str]:
        """Return the warnings that are shown."""
        notes = [_fitted(text) for text in self.warnings[:_SHOWN_WARNINGS]]
        more = len(self.warnings) - len(notes)
        return [*notes, f"and {more:,} more: see `warnings`"] if more else notes


def _fitted(text: str) -> str:
    return fitted(text, _SHOWN_CHARACTERS)


def _totals(states: Iterable[AccountState]) -> dict[str, Decimal]:
    """Return the total by currency code, exact whatever the caller's decimal context is."""
    total: dict[str, Decimal] = {}
    with localcontext(MONEY_CONTEXT):
        for state in states:
            for balance in state.balances:
                code = balance.currency.code
                total[code] = total.get(code, ZERO) + balance.total
    return total


def _order_warnings(orders: Iterable[Order]) -> list[str]:
    """Return a sentence for each way in which orders came to nothing: how many, and the first."""
    refused: dict[tuple[OrderStatus, str], list[Order]] = {}
    for order in orders:
        if order.status in (OrderStatus.DENIED, OrderStatus.REJECTED):
            # Reasons differ in their numbers; those of one kind begin alike.
            kind = order.reason.partition(" ")[0]
            refused.setdefault((order.status, kind), []).append(order)
    return [
        f"{_counted(len(group))} {status.value}; the first, {group[0].client_order_id}:"
        f" {group[0].reason}"
        for (status, _), group in refused.items()
    ]


def _counted(orders: int) -> str:
    return "1 order was" if orders == 1 else f"{orders:,} orders were"


def _debt_warnings(cache: Cache) -> list[str]:
    """Warn of accounts that end with less than nothing."""
    return [
        f"{account.account_id} ends with {Money(balance.total, balance.currency)}: it lost or was"
        " charged more than it had; what is in a currency that nothing settles in is part of no"
        " profit"
        for account in cache.accounts()
        for balance in account.balances
        if balance.total < 0
    ]


def _leverage_warnings(cache: Cache) -> list[str]:
    """Warn where positions outgrew a margin account that holds no margin for them."""
    warned: list[str] = []
    margin_accounts = {
        a.account_id: a for a in cache.accounts() if a.account_type is AccountType.MARGIN
    }
    largest: dict[str, tuple[Position, Decimal]] = {}
    with localcontext(MONEY_CONTEXT):
        for position in cache.positions():
            instrument = position.instrument
            if instrument.margin_init or position.account_id not in margin_accounts:
                continue
            worth = instrument.notional(position.peak_quantity, position.average_open)
            if worth > largest.get(instrument.id, (position, ZERO))[1]:
                largest[instrument.id] = position, worth
        for position, worth in largest.values():
            instrument = position.instrument
            unit = instrument.settlement_currency
            balances = margin_accounts[position.account_id].balances
            held = next((b.total for b in balances if b.currency == unit), ZERO)
            if worth > held:
                warned.append(
                    f"positions in {instrument.id} reached {worth:,.2f} {unit.code} with"
                    f" {held:,.2f} {unit.code} in the account: the instrument holds no margin"
                    " (margin_init=0), so no size was refused; define it with margin_init=..., the"
                    " share of notional that an order must cover"
                )
    return warned
