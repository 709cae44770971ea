"""What a strategy has shown in the sandbox: counted while it runs, with its code as it is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from workbench.engines.portfolio import Portfolio
from workbench.model.display import duration, shown
from workbench.model.events import (
    LoopStalled,
    OrderDenied,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
)
from workbench.model.identifiers import AccountId
from workbench.model.money import ZERO
from workbench.runtime.channels import ChannelName
from workbench.trading.core import TradingCore


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one strategy has shown at simulated accounts since it began with this code.

    Attributes:
        since_ns: When it began, on the node's clock, nanoseconds.
        duration_ns: How long ago that was.
        orders: How many of its orders were sent.
        fills: How many fills they had.
        denied: How many orders risk refused.
        rejected: How many the simulated exchange refused.
        profit: Realised and unrealised, by currency code.
        drawdown: How far the profit fell from a height at most, by currency code; looked at every
            few seconds.
        stalls: How many stalls the loop had.
        longest_stall_ns: The longest of them.
        exceptions: What went wrong in the run, a sentence each.
    """

    since_ns: int
    duration_ns: int
    orders: int
    fills: int
    denied: int
    rejected: int
    profit: dict[str, Decimal]
    drawdown: dict[str, Decimal]
    stalls: int
    longest_stall_ns: int
    exceptions: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as a sentence."""
        profit = ", ".join(f"{shown(amount)} {unit}" for unit, amount in self.profit.items())
        return (
            f"{duration(self.duration_ns)}, {self.orders:,} orders, {self.fills:,} fills, profit"
            f" {profit or '0'}"
        )


Counted = OrderSubmitted | OrderFilled | OrderDenied | OrderRejected


class EvidenceKeeper:
    """Counts for one strategy.

    Args:
        strategy_id: Whose.
        portfolio: For its profit.
        accounts: The simulated accounts.
        now_ns: When it begins.
    """

    def __init__(
        self, strategy_id: str, portfolio: Portfolio, accounts: frozenset[AccountId], now_ns: int
    ) -> None:
        self._strategy_id = strategy_id
        self._portfolio = portfolio
        self._accounts = accounts
        self._since_ns = now_ns
        self._counts = dict.fromkeys((OrderSubmitted, OrderFilled, OrderDenied, OrderRejected), 0)
        self._start = self._profit()
        self._highest: dict[str, Decimal] = {}
        self._drawdown: dict[str, Decimal] = {}

    def take(self, event: Counted) -> None:
        """Count an order event."""
        if event.strategy_id != self._strategy_id:
            return
        if isinstance(event, OrderDenied) or event.account_id in self._accounts:
            self._counts[type(event)] += 1

    def look(self) -> None:
        """Look how far the profit is below its highest."""
        for unit, amount in self._gained().items():
            highest = self._highest[unit] = max(self._highest.get(unit, ZERO), amount)
            self._drawdown[unit] = max(self._drawdown.get(unit, ZERO), highest - amount)

    def _profit(self) -> dict[str, Decimal]:
        total: dict[str, Decimal] = {}
        for account_id in self._accounts:
            found = self._portfolio.total_pnl(strategy_id=self._strategy_id, account_id=account_id)
            for unit, amount in found.items():
                total[unit] = total.get(unit, ZERO) + amount
        return total

    def _gained(self) -> dict[str, Decimal]:
        return {unit: now - self._start.get(unit, ZERO) for unit, now in self._profit().items()}

    def evidence(
        self, now_ns: int, stalls: list[LoopStalled], exceptions: tuple[str, ...]
    ) -> Evidence:
        """Return what there is by now.

        Args:
            now_ns: The node's time.
            stalls: Those of the run; the ones since it began are told.
            exceptions: What went wrong in the run.
        """
        self.look()
        mine = [stall.duration_ns for stall in stalls if stall.ts_event >= self._since_ns]
        return Evidence(
            since_ns=self._since_ns,
            duration_ns=now_ns - self._since_ns,
            orders=self._counts[OrderSubmitted],
            fills=self._counts[OrderFilled],
            denied=self._counts[OrderDenied],
            rejected=self._counts[OrderRejected],
            profit=self._gained(),
            drawdown=dict(self._drawdown),
            stalls=len(mine),
            longest_stall_ns=max(mine, default=0),
            exceptions=exceptions,
        )


_COUNTED = frozenset({OrderSubmitted, OrderFilled, OrderDenied, OrderRejected})


class EvidenceTap:
    """Sees the handled execution events of a core, and tells those who count.

    Args:
        core: Whose dispatcher is tapped.
    """

    def __init__(self, core: TradingCore) -> None:
        self.keepers: dict[str, EvidenceKeeper] = {}
        core.dispatcher.taps.append(self._see)

    def _see(self, _: int, channel: ChannelName, message: Any) -> None:
        if channel is ChannelName.EXECUTION_EVENTS and type(message) in _COUNTED:
            keeper = self.keepers.get(message.strategy_id)
            if keeper is not None:
                keeper.take(message)
