"""Orders, fills, positions, accounts and channels as DataFrames.

Amounts stay `Decimal` (object columns, exact to the last digit); times are `datetime64[ns, UTC]`;
counters are `Int64`, empty where nothing was measured. What an order does not have is None; several
tags are one text, `"a, b"`. An empty frame has the same columns.
"""

# pandas' stubs leave parts of these calls unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable
from decimal import localcontext
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.model.events import (
    AccountState,
    OrderEvent,
    OrderFilled,
    OrderInitialized,
    PositionEvent,
)
from workbench.model.money import MONEY_CONTEXT
from workbench.model.orders import Order
from workbench.model.positions import Position
from workbench.node.snapshots import LogLine
from workbench.runtime.channels import ChannelStatistics
from workbench.runtime.eventlog import Record, RecordKind
from workbench.runtime.lanes import LaneStatistics

if TYPE_CHECKING:
    import pandas as pd

ORDER_COLUMNS = (
    *("client_order_id", "strategy_id", "instrument_id", "side", "order_type", "quantity"),
    *("price", "trigger_price", "time_in_force", "status", "filled_quantity", "average_price"),
    *("commission", "reason", "created", "updated", "expires", "post_only", "reduce_only"),
    *("trailing_offset", "contingency", "order_list_id", "parent_order_id", "tags", "account_id"),
)
_TOLD = ("quantity", "price", "trigger_price", "code", "reason")
ORDER_EVENT_COLUMNS = (
    *("time", "event", "client_order_id", "strategy_id", "instrument_id", *_TOLD),
)
FILL_COLUMNS = (
    *("time", "trade_id", "client_order_id", "strategy_id", "instrument_id", "side", "quantity"),
    *("price", "commission", "commission_currency", "liquidity", "account_id", "position_id"),
)
POSITION_COLUMNS = (
    *("position_id", "strategy_id", "instrument_id", "entry", "side", "quantity", "peak_quantity"),
    *("average_open", "average_close", "realized_pnl", "commission", "currency"),
    *("opened", "closed", "account_id"),
)
SWAP_COLUMNS = ("time", "strategy_id", "class_name", "old", "new", "parameters")
LOG_COLUMNS = ("time", "level", "text")
ACCOUNT_COLUMNS = ("time", "account_id", "currency", "total", "locked", "free")
_EVENT_KINDS = (RecordKind.EVENT, RecordKind.DERIVED)


def _frame(
    rows: list[tuple[Any, ...]], columns: tuple[str, ...], times: Iterable[str]
) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    for name in times:
        values = pd.Series(frame[name], dtype="Int64")
        frame[name] = pd.to_datetime(values, unit="ns", utc=True)
    return frame


def orders_frame(orders: Iterable[Order]) -> pd.DataFrame:
    """Return orders, one a row."""
    rows = [
        (
            *(o.client_order_id, o.strategy_id, o.instrument_id, o.side.value, o.order_type.value),
            *(o.quantity, o.price, o.trigger_price, o.time_in_force.value, o.status.value),
            *(o.filled_quantity, o.average_price, o.commission, o.reason, o.ts_init, o.ts_last),
            *(o.expire_ns, o.post_only, o.reduce_only, o.terms.trailing_offset),
            None if o.contingency is None else o.contingency.value,
            *(o.order_list_id, o.parent_order_id, ", ".join(o.terms.tags), o.account_id),
        )
        for o in orders
    ]
    return _frame(rows, ORDER_COLUMNS, ("created", "updated", "expires"))


def order_events_frame(log: Iterable[Record]) -> pd.DataFrame:
    """Return what became of every order in a log, one event a row, in the order handled.

    `event` is the event's name, such as `OrderAccepted`; that it was made is left out. Quantity and
    prices are those the event tells: of an update what the order is now, of a fill the fill's.
    """
    events = (r.message for r in log if r.kind in _EVENT_KINDS)
    rows = [
        (
            *(event.ts_event, type(event).__name__, event.client_order_id, event.strategy_id),
            *(event.instrument_id, *(getattr(event, name, None) for name in _TOLD)),
        )
        for event in events
        if isinstance(event, OrderEvent) and not isinstance(event, OrderInitialized)
    ]
    return _frame(rows, ORDER_EVENT_COLUMNS, ("time",))


def fills_frame(log: Iterable[Record]) -> pd.DataFrame:
    """Return the fills in a log, one a row, in the order they were handled.

    `position_id` names what the fill opened, changed or closed: both positions where it turned one
    around; None where it was refused.
    """
    fills: list[tuple[int, OrderFilled, dict[str, None]]] = []
    for record in log:
        message = record.message
        if isinstance(message, OrderFilled) and record.kind in _EVENT_KINDS:
            fills.append((record.number, message, {}))
        # What is derived from a message has its number.
        elif isinstance(message, PositionEvent) and fills and fills[-1][0] == record.number:
            fills[-1][2][message.position_id] = None
    rows = [
        (
            *(f.ts_event, f.trade_id, f.client_order_id, f.strategy_id, f.instrument_id),
            *(f.side.value, f.quantity, f.price, f.commission, f.commission_currency.code),
            *(f.liquidity.value, f.account_id, ", ".join(moved) or None),
        )
        for _, f, moved in fills
    ]
    return _frame(rows, FILL_COLUMNS, ("time",))


def positions_frame(positions: Iterable[Position]) -> pd.DataFrame:
    """Return positions, open and closed, one a row; `quantity` is signed.

    `entry` is the side that opened it, which `side` no longer tells of one that is closed (flat).
    """
    rows = [
        (
            *(p.position_id, p.strategy_id, p.instrument_id, p.entry.value, p.side.value),
            *(p.signed_quantity, p.peak_quantity, p.average_open, p.average_close),
            *(p.realized_pnl, p.commission),
            *(p.instrument.settlement_currency.code, p.ts_opened),
            *(None if p.is_open else p.ts_closed, p.account_id),
        )
        for p in positions
    ]
    return _frame(rows, POSITION_COLUMNS, ("opened", "closed"))


def accounts_frame(states: Iterable[AccountState]) -> pd.DataFrame:
    """Return account states, one row for each currency."""
    # `free` is a difference: exact whatever the caller's decimal context is.
    with localcontext(MONEY_CONTEXT):
        rows = [
            (s.ts_event, s.account_id, b.currency.code, b.total, b.locked, b.free)
            for s in states
            for b in s.balances
        ]
    return _frame(rows, ACCOUNT_COLUMNS, ("time",))


def swaps_frame(log: Iterable[Record]) -> pd.DataFrame:
    """Return the exchanges of strategies' code in an event log, one a row."""
    noted = [record.message for record in log if record.kind is RecordKind.SWAP]
    rows = [
        (one.ts_event, one.strategy_id, one.class_name, one.old, one.new, "; ".join(one.parameters))
        for one in noted
    ]
    return _frame(rows, SWAP_COLUMNS, ("time",))


def log_frame(lines: Iterable[LogLine], swaps: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Return the newest lines of a log, with the exchanges of code among them, oldest first."""
    rows: list[tuple[Any, ...]] = [(line.ts, line.level, line.text) for line in lines]
    known = {row[-1] for row in rows}
    noted: Any = swaps
    for one in noted.itertuples():
        told = f"; {one.parameters}" if one.parameters else ""
        text = f"{one.strategy_id} goes on with code {one.old} → {one.new}{told}"
        if text not in known:
            rows.append((one.time.value, "INFO", text))
    rows.sort(key=lambda row: row[0])
    return _frame(rows[-limit:], LOG_COLUMNS, ("time",))


def channels_frame(statistics: Iterable[ChannelStatistics]) -> pd.DataFrame:
    """Return the counters of channels, one a row, by name; times in nanoseconds."""
    return _statistics_frame(statistics, ChannelStatistics)


def lanes_frame(statistics: Iterable[LaneStatistics]) -> pd.DataFrame:
    """Return the counters of lanes, one a row, by name."""
    return _statistics_frame(statistics, LaneStatistics)


def _statistics_frame(
    statistics: Iterable[ChannelStatistics] | Iterable[LaneStatistics],
    kind: type[ChannelStatistics] | type[LaneStatistics],
) -> pd.DataFrame:
    import pandas as pd

    columns = list(kind.__struct_fields__)
    rows = [msgspec.structs.astuple(s) for s in statistics]
    frame = pd.DataFrame(rows, columns=columns, dtype=object).set_index("name")
    whole = {name: "Int64" for name in columns if name not in ("name", "is_closed")}
    flags = {name: "bool" for name in columns if name == "is_closed"}
    return frame.astype({**whole, **flags})
