"""What a snapshot of a node holds: plain values, which any thread may keep, compare and encode.

Amounts are `Decimal`, market data `float`, times nanoseconds since the Unix epoch unless a name
says otherwise. `msgspec.json.encode(snapshot)` gives it as JSON.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from workbench.runtime.channels import ChannelStatistics
from workbench.runtime.lanes import LaneStatistics


class KillReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a `node.kill()` so far.

    Attributes:
        ts: When it was asked for, on the node's clock.
        halted: Whether risk lets nothing new through; True from the start.
        queued: How many cancels wait until the node's loop handles them, before anything else.
        withdrawn: How many orders had not left yet, and were denied instead.
        sent: How many cancels were sent on; a second round to one order counts again.
        not_cancelled: Why what is queued is not sent yet, or what is left was not cancelled; empty
            where there is nothing to say.
        left: What still works, a sentence each; known once the cancels were sent.
        broke_off: The callback that was broken off since it did not return; empty if none was.
        is_settled: Whether it is over: nothing works any more, or nothing more is tried.
    """

    ts: int
    halted: bool = True
    queued: int = 0
    sent: int = 0
    withdrawn: int = 0
    not_cancelled: str = ""
    left: tuple[str, ...] = ()
    broke_off: str = ""
    is_settled: bool = False

    @property
    def text(self) -> str:
        """Return it as a sentence, such as `HALTED; 3 cancels queued`."""
        parts = ["HALTED"] if self.halted else ["resumed"]
        if self.queued:
            parts.append(f"{_cancels(self.queued)} queued")
        if self.sent or not self.queued:
            parts.append(f"{_cancels(self.sent)} sent")
        if self.withdrawn:
            parts.append(f"{self.withdrawn} not sent and withdrawn")
        if self.broke_off:
            parts.append(f"broke off {self.broke_off}")
        if self.not_cancelled:
            parts.append(f"not cancelled: {self.not_cancelled}")
        if self.left:
            parts.append(f"{len(self.left)} left open")
        return "; ".join(parts)

    def __repr__(self) -> str:
        """Return it as a sentence; the fields are there to be asked."""
        return f"KillReport({self.text})"


def _cancels(count: int) -> str:
    return f"{count} cancel{'' if count == 1 else 's'}"


class PriceRow(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument's latest market; None where there was none yet. `ts` is of the newest part."""

    instrument_id: str
    ts: int
    bid: float | None
    ask: float | None
    last: float | None


class DestinationRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where a strategy's orders at a venue go, or what it has left at a real account.

    Attributes:
        venue: The venue.
        account_id: The account.
        is_live: Whether that is one at a real venue.
        refusal: Why nothing leaves, if so.
        left: What it still has open there though its orders go elsewhere by now, a sentence each.
    """

    venue: str
    account_id: str
    is_live: bool
    refusal: str = ""
    left: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return it in short: `LIVE BINANCE-001`, or `PAPER BINANCE-PAPER`."""
        return f"{'LIVE' if self.is_live else 'PAPER'} {self.account_id}"


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order; `is_open` until it has ended, `ts` is of its latest change.

    `account_id` is empty while it is not known, as before it was sent.
    """

    client_order_id: str
    strategy_id: str
    instrument_id: str
    side: str
    order_type: str
    quantity: Decimal
    filled_quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    status: str
    reason: str
    ts: int
    is_open: bool
    account_id: str = ""


class FillRow(msgspec.Struct, frozen=True, kw_only=True):
    """A fill."""

    trade_id: str
    client_order_id: str
    strategy_id: str
    instrument_id: str
    ts: int
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    commission_currency: str
    account_id: str = ""


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A position; `quantity` is signed, `unrealized_pnl` None where no price is known.

    `closed` is None while it is open; then `side` and `quantity` are those of what is held.
    """

    position_id: str
    strategy_id: str
    account_id: str
    instrument_id: str
    side: str
    quantity: Decimal
    peak_quantity: Decimal
    average_open: Decimal
    average_close: Decimal | None
    realized_pnl: Decimal
    unrealized_pnl: Decimal | None
    commission: Decimal
    currency: str
    opened: int
    closed: int | None
    is_open: bool


class BalanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One currency of an account."""

    currency: str
    total: Decimal
    locked: Decimal
    free: Decimal


class MarginRow(msgspec.Struct, frozen=True, kw_only=True):
    """The margin one instrument ties up."""

    instrument_id: str
    currency: str
    initial: Decimal
    maintenance: Decimal


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account's newest state; `is_live` where it is one at a real venue."""

    account_id: str
    account_type: str
    ts: int
    balances: tuple[BalanceRow, ...]
    margins: tuple[MarginRow, ...]
    is_live: bool = False


class ProfitRow(msgspec.Struct, frozen=True, kw_only=True):
    """Profit in one currency; what has no price is left out (see `NodeSnapshot.missing_prices`)."""

    currency: str
    realized: Decimal
    unrealized: Decimal
    total: Decimal


class StallRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stall of the node's loop; `ts` is its end."""

    ts: int
    duration_ns: int


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log; `text` may have several lines where it tells of an exception."""

    ts: int
    level: str
    logger: str
    text: str


class StrategyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy or actor: its name in the node, what it is, and where in its lifecycle.

    `destinations` says where its orders go, venue by venue, and then at which real accounts it has
    left something open, as a demotion may; empty for an actor.
    """

    component_id: str
    text: str
    state: str
    destinations: tuple[DestinationRow, ...] = ()


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many of each there are or were; orders and positions as far as they are not forgotten."""

    messages: int = 0
    orders_open: int = 0
    orders_ended: int = 0
    fills: int = 0
    positions_open: int = 0
    positions_closed: int = 0
    refused_events: int = 0
    waiting_for_rate: int = 0


class NodeSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A node at one moment.

    What belongs to the node's thread (`instruments` to `profit`, and `counts`) is of the moment
    `ts` and `taken_ns`; everything else is of the moment this was asked for.

    Attributes:
        trader_id: The trader.
        serial: Which node of this process it is.
        ts: When it was taken, on the node's clock; 0 before the node is built.
        taken_ns: When it was taken, `time.monotonic_ns`.
        waiting_ns: How long a newer one has been waited for; 0 where none was asked for.
        is_stalled: Whether the node's loop does not answer: a cell keeps it busy, say.
        state: Where in its lifecycle it is, such as `RUNNING`.
        phase: Where inside RUNNING or STOPPING.
        allowed: What can be asked for now.
        trading_state: ACTIVE, REDUCING or HALTED.
        has_thread: Whether it runs on a thread of its own.
        is_live: Whether its orders may reach a real venue.
        has_live_clock: Whether its clock is the live one, not a simulated one.
        fault: What went wrong first, as a sentence; empty if nothing did.
        exceptions: All that went wrong, first things first, each as text.
        kill: What became of the latest `kill()`, None if there was none.
        strategies: Its strategies and actors.
        instruments: What it knows, by name.
        stale_instruments: Those without a fresh price since the last stall.
        prices: The latest market of each instrument that has any.
        orders: Those that work, oldest first, then the latest that ended, the newest first.
        fills: The latest, oldest first.
        positions: Those open, oldest first, then the latest closed, the newest first.
        accounts: Balances and margins.
        profit: By currency.
        missing_prices: The instruments held for which no price is known.
        counts: How many of each there are in all.
        channels: The counters of the five channels, in the runner's order.
        lanes: The counters of the eight lanes.
        stalls: The latest stalls of its loop, oldest first.
        stall_count: How many there were in all.
        log: The latest lines of the log, oldest first.
        log_count: How many there were in all.
        left_open: What was open when it stopped, a sentence each.
        disconnect_failures: What went wrong when its clients were disconnected.
    """

    trader_id: str
    serial: int
    ts: int = 0
    taken_ns: int
    waiting_ns: int = 0
    is_stalled: bool = False
    state: str
    phase: str
    allowed: tuple[str, ...]
    trading_state: str
    has_thread: bool = False
    is_live: bool = False
    has_live_clock: bool = True
    fault: str = ""
    exceptions: tuple[str, ...] = ()
    kill: KillReport | None = None
    strategies: tuple[StrategyRow, ...] = ()
    instruments: tuple[str, ...] = ()
    stale_instruments: tuple[str, ...] = ()
    prices: tuple[PriceRow, ...] = ()
    orders: tuple[OrderRow, ...] = ()
    fills: tuple[FillRow, ...] = ()
    positions: tuple[PositionRow, ...] = ()
    accounts: tuple[AccountRow, ...] = ()
    profit: tuple[ProfitRow, ...] = ()
    missing_prices: tuple[str, ...] = ()
    counts: Counts = Counts()
    channels: tuple[ChannelStatistics, ...] = ()
    lanes: tuple[LaneStatistics, ...] = ()
    stalls: tuple[StallRow, ...] = ()
    stall_count: int = 0
    log: tuple[LogLine, ...] = ()
    log_count: int = 0
    left_open: tuple[str, ...] = ()
    disconnect_failures: tuple[str, ...] = ()
