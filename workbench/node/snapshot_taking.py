"""Taking snapshots: on the node's thread what belongs to it, and from any thread the rest.

What does not change any more (orders that ended, fills, closed positions, accounts' states) is made
into rows once: a snapshot costs what has changed since the one before.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from decimal import Decimal, localcontext
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.market import Market
from workbench.model.enums import OrderSide
from workbench.model.error_display import report
from workbench.model.events import AccountState, OrderFilled
from workbench.model.identifiers import AccountId, ClientOrderId, InstrumentId, PositionId
from workbench.model.money import MONEY_CONTEXT, ZERO
from workbench.model.orders import Order
from workbench.model.positions import Position
from workbench.node.destinations import destinations, real_accounts
from workbench.node.faults import describe
from workbench.node.left_open import working_orders
from workbench.node.log_tail import LogTail
from workbench.node.snapshots import (
    AccountRow,
    BalanceRow,
    Counts,
    FillRow,
    MarginRow,
    NodeSnapshot,
    OrderRow,
    PositionRow,
    PriceRow,
    ProfitRow,
    StallRow,
    StrategyRow,
)
from workbench.runtime.clock import LiveClock
from workbench.runtime.eventlog import EventLog
from workbench.runtime.lifecycle import NodeState
from workbench.trading.core import TradingCore

if TYPE_CHECKING:
    from workbench.node.hosting import Host
    from workbench.node.node import TradingNode
    from workbench.node.session import Session

ENDED_ORDERS = 50
CLOSED_POSITIONS = 20
FILLS = 200
STALLS = 100


class Snapshots:
    """The snapshots of one node.

    Args:
        node: Whose.
        lock: Held while the node moves along its lifecycle.

    Attributes:
        tail: The log's tail.
    """

    def __init__(self, node: TradingNode, lock: threading.RLock) -> None:
        self.tail = LogTail(node.serial)
        self._node = node
        self._lock = lock
        self._core: TradingCore | None = None
        self._session: Session | None = None
        self._host: Host | None = None
        self._tables: _Tables | None = None
        self._asked_ns = 0
        self._asking = threading.Lock()
        self._faults: tuple[str, ...] = ()
        self._stalls: tuple[StallRow, ...] = ()
        self._taken = self._bare()

    def begin(self, core: TradingCore, session: Session, host: Host) -> None:
        """Begin to show what was built."""
        self._core, self._session, self._host = core, session, host
        self._tables = _Tables(core)
        self.tail.attach()
        # Of a node that nobody disposes of no handler may be left.
        weakref.finalize(self._node, self.tail.detach).atexit = False

    @staticmethod
    def see(node: TradingNode) -> None:
        """Take one at a change of the node; a listener."""
        node.snapshot()

    def end(self) -> None:
        """Take no more lines of the log."""
        self.tail.detach()

    # Asking

    def snapshot(self) -> NodeSnapshot:
        """Return a new one where this thread may look, else the last one with what is known now."""
        if self._may_look():
            # Whoever would start the node meanwhile waits for this.
            with self._lock:
                if self._may_look():
                    self._take()
        return self._with_present(self._taken)

    def request(self) -> None:
        """Let the node's loop take a new one; returns at once."""
        session = self._session
        loop = None if session is None else session.loop
        if loop is None or self._may_look():
            return  # the next `snapshot` looks by itself
        with self._asking:
            if self._asked_ns:
                return
            self._asked_ns = time.monotonic_ns()
        try:
            loop.call_soon_threadsafe(self._answer)
        except RuntimeError:
            self._asked_ns = 0  # the loop is closed: it changes nothing any more

    def _answer(self) -> None:
        try:
            # It may have stopped since: then any thread may be taking one.
            with self._lock:
                self._take()
        finally:
            self._asked_ns = 0

    def _may_look(self) -> bool:
        if self._node.state not in (NodeState.RUNNING, NodeState.STOPPING):
            return True
        return self._session is not None and self._session.thread == threading.get_ident()

    # Taking

    def _bare(self) -> NodeSnapshot:
        node = self._node
        return NodeSnapshot(
            trader_id=str(node.config.trader_id),
            serial=node.serial,
            taken_ns=time.monotonic_ns(),
            state=node.state.value,
            phase="",
            allowed=(),
            trading_state="",
        )

    def _take(self) -> None:
        tables, core = self._tables, self._core
        if tables is None:
            self._taken = self._bare()
            return
        with localcontext(MONEY_CONTEXT):
            fields = tables.fields()
        self._taken = msgspec.structs.replace(
            self._taken,
            taken_ns=time.monotonic_ns(),
            strategies=tuple(
                StrategyRow(
                    component_id=str(actor.component_id),
                    text=repr(actor),
                    state=actor.state.value,
                    destinations=() if core is None else destinations(core, actor),
                )
                for actor in self._node.strategies
            ),
            stale_instruments=tuple(self._node.stale_instruments),
            **fields,
        )

    def _with_present(self, taken: NodeSnapshot) -> NodeSnapshot:
        """Return a snapshot with what can be seen from any thread as it is now."""
        node, core, session = self._node, self._core, self._session
        present: dict[str, Any] = {
            "state": node.state.value,
            "phase": node.phase.value,
            "allowed": tuple(node.allowed),
            "trading_state": node.trading_state.value,
            "kill": node.kill_report,
            "log": self.tail.lines(),
            "log_count": self.tail.count,
        }
        if core is not None and session is not None:
            asked_ns = self._asked_ns
            present |= {
                "channels": tuple(core.dispatcher.channels.statistics()),
                "lanes": tuple(core.lanes.statistics()),
                "is_live": node.is_live,
                "has_live_clock": isinstance(core.clock, LiveClock),
                "has_thread": self._host is not None and self._host.has_thread,
                "waiting_ns": time.monotonic_ns() - asked_ns if asked_ns else 0,
                "stalls": self._stall_rows(session),
                "stall_count": len(session.stalls),
                "exceptions": self._fault_texts(session),
                "left_open": tuple(session.left_open),
                "disconnect_failures": tuple(session.disconnect_failures),
            }
            present["is_stalled"] = self._is_stalled(session, present["waiting_ns"])
            if session.faults:
                present["fault"] = describe(session.faults[0])
        return msgspec.structs.replace(taken, **present)

    def _is_stalled(self, session: Session, waiting_ns: int) -> bool:
        if session.loop is not None and not session.loop.is_closed():
            waiting_ns = max(waiting_ns, session.stalled_for_ns)
        return waiting_ns >= self._node.config.stall_threshold_s * 1e9

    def _stall_rows(self, session: Session) -> tuple[StallRow, ...]:
        stalls = session.stalls[-STALLS:]
        if stalls and (not self._stalls or self._stalls[-1].ts != stalls[-1].ts_event):
            self._stalls = tuple(
                StallRow(ts=stall.ts_event, duration_ns=stall.duration_ns) for stall in stalls
            )
        return self._stalls

    def _fault_texts(self, session: Session) -> tuple[str, ...]:
        known = self._faults
        if len(known) < len(session.faults):
            more = session.faults[len(known) :]
            self._faults = known = (*known, *(report(error).rstrip() for error in more))
        return known


class _Tables:
    """What belongs to the node's thread, as rows.

    Args:
        core: Whose.
    """

    def __init__(self, core: TradingCore) -> None:
        self._core = core
        self._ended: dict[ClientOrderId, tuple[tuple[Any, ...], OrderRow]] = {}
        self._closed: dict[PositionId, tuple[tuple[Any, ...], PositionRow]] = {}
        self._accounts: dict[AccountId, tuple[AccountState, AccountRow]] = {}
        self._instruments: tuple[str, ...] = ()
        self._fills = _Fills(core.log)

    def fields(self) -> dict[str, Any]:
        """Return the fields of a snapshot that are tables, and the counts."""
        core = self._core
        cache = core.cache
        working = working_orders(cache)
        held = cache.positions_open()
        unrealized, missing = self._values(held)
        positions = tuple(_position_row(p, v) for p, v in zip(held, unrealized, strict=True))
        instruments = cache.instruments()
        if len(instruments) != len(self._instruments):
            self._instruments = tuple(sorted(instrument.id for instrument in instruments))
        self._fills.read()
        return {
            "ts": core.clock.timestamp_ns(),
            "instruments": self._instruments,
            "prices": tuple(_price_rows(cache)),
            "orders": (*map(_order_row, working), *self._ended_orders()),
            "fills": tuple(self._fills.rows),
            "positions": (*positions, *self._closed_positions()),
            "accounts": self._account_rows(),
            "profit": self._profit(held, unrealized),
            "missing_prices": missing,
            "counts": Counts(
                messages=core.dispatcher.number,
                orders_open=len(working),
                orders_ended=cache.closed_count,
                fills=self._fills.count,
                positions_open=len(held),
                positions_closed=cache.closed_position_count,
                refused_events=len(core.execution.refused_events),
                waiting_for_rate=core.risk.waiting,
            ),
        }

    def _ended_orders(self) -> list[OrderRow]:
        known, self._ended = self._ended, {}
        rows: list[OrderRow] = []
        for order in self._core.cache.latest_closed(ENDED_ORDERS):
            key, mark = order.client_order_id, (order.ts_last, order.status, order.filled_quantity)
            kept = known.get(key)
            if kept is None or kept[0] != mark:
                kept = mark, _order_row(order)
            self._ended[key] = kept
            rows.append(kept[1])
        return rows

    def _closed_positions(self) -> list[PositionRow]:
        known, self._closed = self._closed, {}
        rows: list[PositionRow] = []
        for position in self._core.cache.latest_closed_positions(CLOSED_POSITIONS):
            key, mark = position.position_id, (position.ts_last, position.fill_count)
            kept = known.get(key)
            if kept is None or kept[0] != mark:
                kept = mark, _position_row(position, ZERO)
            self._closed[key] = kept
            rows.append(kept[1])
        return rows

    def _account_rows(self) -> tuple[AccountRow, ...]:
        real = real_accounts(self._core)
        for state in self._core.cache.accounts():
            kept = self._accounts.get(state.account_id)
            if kept is None or kept[0] is not state:
                row = _account_row(state, is_live=state.account_id in real)
                self._accounts[state.account_id] = state, row
        return tuple(row for _, row in self._accounts.values())

    def _values(self, held: list[Position]) -> tuple[list[Decimal | None], tuple[str, ...]]:
        """Return what closing each position now would bring, and the instruments without price."""
        closing_price = self._core.portfolio.closing_price
        values: list[Decimal | None] = []
        missing: set[str] = set()
        for position in held:
            side = OrderSide.SELL if position.signed_quantity > 0 else OrderSide.BUY
            price = closing_price(position.instrument_id, side)
            if price is None:
                values.append(None)
                missing.add(position.instrument_id)
            else:
                values.append(position.unrealized_pnl(position.instrument.price(price)))
        return values, tuple(sorted(missing))

    def _profit(
        self, held: list[Position], unrealized: list[Decimal | None]
    ) -> tuple[ProfitRow, ...]:
        realized = self._core.portfolio.realized_pnl()
        present: dict[str, Decimal] = {}
        for position, value in zip(held, unrealized, strict=True):
            unit = position.instrument.settlement_currency.code
            present[unit] = present.get(unit, ZERO) + (value or ZERO)
        return tuple(
            ProfitRow(
                currency=code,
                realized=realized.get(code, ZERO),
                unrealized=present.get(code, ZERO),
                total=realized.get(code, ZERO) + present.get(code, ZERO),
            )
            for code in sorted({*realized, *present})
        )


class _Fills:
    """The latest fills in a log, read from where it was read last."""

    def __init__(self, log: EventLog) -> None:
        self.count = 0
        self.rows: deque[FillRow] = deque(maxlen=FILLS)
        self._log = log
        self._read = 0

    def read(self) -> None:
        """Read what was added since."""
        log = self._log
        new = log.count - self._read
        if not new:
            return
        found = [
            record[2]
            for record in islice(log.newest_first(), new)
            if type(record[2]) is OrderFilled
        ]
        self._read += new
        self.count += len(found)
        self.rows.extend(map(_fill_row, reversed(found[:FILLS])))


def _order_row(order: Order) -> OrderRow:
    return OrderRow(
        client_order_id=order.client_order_id,
        strategy_id=order.strategy_id,
        instrument_id=order.instrument_id,
        side=order.side.value,
        order_type=order.order_type.value,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        price=order.price,
        trigger_price=order.trigger_price,
        status=order.status.value,
        reason=order.reason,
        ts=order.ts_last,
        is_open=not order.is_closed,
        account_id=order.account_id or "",
    )


def _fill_row(fill: OrderFilled) -> FillRow:
    return FillRow(
        trade_id=fill.trade_id,
        client_order_id=fill.client_order_id,
        strategy_id=fill.strategy_id,
        instrument_id=fill.instrument_id,
        ts=fill.ts_event,
        side=fill.side.value,
        quantity=fill.quantity,
        price=fill.price,
        commission=fill.commission,
        commission_currency=fill.commission_currency.code,
        account_id=fill.account_id,
    )


def _position_row(position: Position, unrealized: Decimal | None) -> PositionRow:
    return PositionRow(
        position_id=position.position_id,
        strategy_id=position.strategy_id,
        account_id=position.account_id,
        instrument_id=position.instrument_id,
        side=position.side.value,
        quantity=position.signed_quantity,
        peak_quantity=position.peak_quantity,
        average_open=position.average_open,
        average_close=position.average_close,
        realized_pnl=position.realized_pnl,
        unrealized_pnl=unrealized,
        commission=position.commission,
        currency=position.instrument.settlement_currency.code,
        opened=position.ts_opened,
        closed=None if position.is_open else position.ts_closed,
        is_open=position.is_open,
    )


def _account_row(state: AccountState, *, is_live: bool) -> AccountRow:
    return AccountRow(
        account_id=state.account_id,
        account_type=state.account_type.value,
        ts=state.ts_event,
        is_live=is_live,
        balances=tuple(
            BalanceRow(currency=b.currency.code, total=b.total, locked=b.locked, free=b.free)
            for b in state.balances
        ),
        margins=tuple(
            MarginRow(
                instrument_id=m.instrument_id,
                currency=m.currency.code,
                initial=m.initial,
                maintenance=m.maintenance,
            )
            for m in state.margins
        ),
    )


def _price_rows(cache: Cache) -> list[PriceRow]:
    rows = (_price_row(name, market) for name, market in cache.markets())
    return [row for row in rows if row is not None]


def _price_row(name: InstrumentId, market: Market) -> PriceRow | None:
    quote, trade = market.quote, market.trade
    bar = max(market.bars.values(), key=lambda one: one.ts_event) if market.bars else None
    times = [one.ts_event for one in (quote, trade, bar) if one is not None]
    if not times:
        return None
    last = None
    if trade is not None and (bar is None or trade.ts_event >= bar.ts_event):
        last = trade.price
    elif bar is not None:
        last = bar.close
    return PriceRow(
        instrument_id=name,
        ts=max(times),
        bid=None if quote is None else quote.bid,
        ask=None if quote is None else quote.ask,
        last=last,
    )
