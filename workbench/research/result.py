"""What a backtest gives back: frames, a summary, and a look at both."""

# pandas' stubs leave parts of these calls unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import html
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.history import format_ns
from workbench.model.errors import StrategyError
from workbench.model.events import OrderFilled, PositionEvent
from workbench.model.money import ZERO
from workbench.node import frames
from workbench.research.equity import equity_curve
from workbench.runtime.eventlog import EventLog, RecordKind
from workbench.sim import BacktestEngine

if TYPE_CHECKING:
    import pandas as pd


class BacktestResult:
    """The outcome of one backtest.

    Frames are made when first asked for. Amounts are `Decimal` (object columns, exact), times
    `datetime64[ns, UTC]`; `equity` is float64, for plotting.

    Attributes:
        strategies: The strategy objects, with the state they ended in.
        is_complete: Whether all data was handled.
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
        self.is_complete = engine.events_handled == engine.timeline.total
        self.error: StrategyError | None = engine.error
        self.warnings = list(engine.data_client.warnings)
        self.warnings += [reason for _, reason in engine.core.execution.refused_events]
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
        return frames.accounts_frame(frames.account_history(self.log))

    @cached_property
    def equity(self) -> pd.DataFrame:
        """Balance and open profit over time, one float64 column for each currency."""
        derived = (r.message for r in self.log.records([RecordKind.DERIVED]))
        return equity_curve(
            self._engine.timeline,
            self._engine.core.cache.instruments(),
            frames.account_history(self.log),
            [event for event in derived if isinstance(event, PositionEvent)],
            self._engine.core.clock.timestamp_ns(),
        )

    @cached_property
    def balances(self) -> dict[str, Decimal]:
        """The final total by currency, all accounts together."""
        total: dict[str, Decimal] = {}
        for state in self._engine.core.cache.accounts():
            for balance in state.balances:
                code = balance.currency.code
                total[code] = total.get(code, ZERO) + balance.total
        return total

    @cached_property
    def summary(self) -> pd.Series[Any]:
        """The run in a few lines: period, counts, and money by currency."""
        import pandas as pd

        core = self._engine.core
        timeline = self._engine.timeline
        rows: dict[str, Any] = {
            "strategies": ", ".join(map(repr, self.strategies)),
            "start": format_ns(timeline.first_ts),
            "end": format_ns(core.clock.timestamp_ns()),
            "events": self.events,
            "complete": "yes" if self.is_complete else f"no: {self.ended}",
            "orders": len(core.cache.orders()),
            "fills": sum(isinstance(r.message, OrderFilled) for r in self.log),
            "positions": len(core.cache.positions()),
            "positions open": len(core.cache.positions_open()),
        }
        commissions: dict[str, Decimal] = {}
        for position in core.cache.positions():
            code = position.instrument.settlement_currency.code
            commissions[code] = commissions.get(code, ZERO) + position.commission
        realized, unrealized = core.portfolio.realized_pnl(), core.portfolio.unrealized_pnl()
        for code, balance in self.balances.items():
            rows[f"balance {code}"] = balance
            rows[f"realized pnl {code}"] = realized.get(code, ZERO)
            rows[f"unrealized pnl {code}"] = unrealized.get(code, ZERO)
            rows[f"commissions {code}"] = commissions.get(code, ZERO)
        missing = core.portfolio.missing_prices()
        if missing:
            rows["missing prices"] = ", ".join(missing)
        return pd.Series(rows, dtype=object, name="backtest")

    def __repr__(self) -> str:
        """Return the summary as text."""
        lines = [f"{name:<24} {_show(value)}" for name, value in self.summary.items()]
        return "\n".join(["BacktestResult", *lines, *(f"warning: {w}" for w in self.warnings)])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(str(name))}</th>"
            f"<td style='text-align:left'>{html.escape(_show(value))}</td></tr>"
            for name, value in self.summary.items()
        )
        notes = "".join(f"<p><b>warning:</b> {html.escape(text)}</p>" for text in self.warnings)
        return f"<div><b>Backtest</b><table>{cells}</table>{_curves(self.equity)}{notes}</div>"


def _show(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{round(value, 8).normalize() + 0:,f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _curves(equity: pd.DataFrame, width: int = 640, height: int = 120) -> str:
    """Return each currency's equity as a small SVG line, with its lowest and highest value."""
    drawn: list[str] = []
    for code in equity.columns:
        series = equity[code].dropna()
        if len(series) < 2:
            continue
        step = max(1, len(series) // width)
        values = [float(v) for v in series.to_numpy()[::step]]
        low, high = min(values), max(values)
        scale = (height - 8) / (high - low) if high > low else 0.0
        across = width / max(1, len(values) - 1)
        points = " ".join(
            f"{i * across:.1f},{height - 4 - (v - low) * scale:.1f}" for i, v in enumerate(values)
        )
        drawn.append(
            f"<figure style='margin:8px 0'><figcaption>equity, {html.escape(str(code))}:"
            f" {low:,.2f} to {high:,.2f}</figcaption>"
            f"<svg width='{width}' height='{height}' role='img'><polyline points='{points}'"
            " fill='none' stroke='#1f77b4' stroke-width='1.5'/></svg></figure>"
        )
    return "".join(drawn)
