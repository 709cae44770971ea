"""The dashboard's tables: what their columns are called, and each row as text.

A row is `(key, tone, cells)`: the key tells it from others, the tone is `""`, `dim` or `warn`. A
column is `(title, kind, help)`; its kind says how it is shown:

    text    to the left
    long    to the left, cut where it is too long, whole on hover
    number  to the right
    signed  to the right, green or red by its sign
    spark   a line of the last minutes; the cell is the number of its series
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workbench.jupyter.dashboard.amounts import amount, count, duration, money, rate, time_of_day
from workbench.node.snapshots import (
    AccountRow,
    FillRow,
    NodeSnapshot,
    OrderRow,
    PositionRow,
)

Row = tuple[str, str, tuple[str, ...]]
Column = tuple[str, str, str]

_SHOWN_FILLS = 50
_DIGITS = 9  # of what is computed, averages say: it would have 28
_ACCOUNT: Column = ("Account", "text", "whose it is; simulated ones are called PAPER")
_ORDER: tuple[Column, ...] = (
    ("Time", "text", "of its latest change, UTC"),
    ("Order", "text", "the client order id"),
    ("Strategy", "text", ""),
    _ACCOUNT,
    ("Instrument", "text", ""),
    ("Side", "text", ""),
    ("Type", "text", ""),
    ("Quantity", "number", ""),
    ("Filled", "number", "how much of it is filled"),
)
_PRICE: Column = ("Price", "number", "the limit price")
_STATUS: Column = ("Status", "text", "")
_RATE: Column = ("Rate", "spark", "messages out, the last two minutes; each line has its scale")

COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "channels": (
        ("Channel", "text", "the five queues to and from the node's loop, the most urgent first"),
        ("Waiting", "number", "messages that wait now"),
        ("Depth", "spark", "messages that waited, the last two minutes; each line has its scale"),
        ("In /s", "number", "messages put a second"),
        ("Out /s", "number", "messages handled a second"),
        _RATE,
        ("Most", "number", "high-water mark: the most that ever waited"),
        ("Oldest", "number", "how long the oldest one that waits has waited"),
        ("Hop p50", "number", "from put to handled: half of all messages took less"),
        ("Hop p99", "number", "from put to handled: 99 of 100 messages took less"),
        ("Drops", "number", "messages dropped unhandled"),
    ),
    "lanes": (
        ("Lane", "text", "the eight entrances of the engines"),
        ("Waiting", "number", "messages that wait now"),
        ("In /s", "number", "messages put a second"),
        ("Out /s", "number", "messages handled a second"),
        _RATE,
        ("Most", "number", "high-water mark: the most that ever waited"),
        ("Handled", "number", "messages handled so far"),
    ),
    "open_orders": (
        *_ORDER,
        _PRICE,
        ("Trigger", "number", "the price at which it becomes active"),
        _STATUS,
    ),
    "ended_orders": (
        *_ORDER,
        _PRICE,
        _STATUS,
        ("Reason", "long", "why it was denied, rejected or cancelled"),
    ),
    "fills": (
        ("Time", "text", "UTC"),
        ("Order", "text", "the client order id"),
        ("Strategy", "text", ""),
        _ACCOUNT,
        ("Instrument", "text", ""),
        ("Side", "text", ""),
        ("Quantity", "number", ""),
        ("Price", "number", ""),
        ("Commission", "number", ""),
    ),
    "positions": (
        ("Instrument", "text", ""),
        ("Strategy", "text", ""),
        _ACCOUNT,
        ("Side", "text", ""),
        ("Quantity", "number", "held; of a closed one the most that was held"),
        ("Average open", "number", "average price it was opened at"),
        ("Average close", "number", "average price it was closed at"),
        ("Unrealised", "signed", "profit if it were closed at the present price"),
        ("Realised", "signed", "profit of what was closed, commissions included"),
    ),
    "accounts": (
        _ACCOUNT,
        ("Kind", "text", "LIVE at a real venue, paper at a simulated exchange"),
        ("", "text", ""),
        ("Total", "number", ""),
        ("Locked", "number", "kept for open orders and positions"),
        ("Free", "number", "what can be traded with"),
    ),
}
"""The columns of each table."""

EMPTY: Mapping[str, str] = {
    "channels": "The channels are made when the node is built.",
    "lanes": "The lanes are made when the node is built.",
    "open_orders": "No order is open.",
    "ended_orders": "No order has ended yet.",
    "fills": "No fills yet.",
    "positions": "No positions yet.",
    "accounts": "No account is known yet.",
}
"""What stands in each table while it has no rows."""

SERIES_OF_LANES = 10
"""The first series of the lanes; before it are depth and rate of each of the five channels."""


def channel_rows(snapshot: NodeSnapshot, rates: Mapping[str, tuple[float, float]]) -> list[Row]:
    """Return the channels; `rates` are messages in and out a second, by name."""
    rows: list[Row] = []
    for index, one in enumerate(snapshot.channels):
        rate_in, rate_out = rates.get(one.name, (0.0, 0.0))
        is_behind = (one.oldest_age_ns or 0) > 1_000_000_000
        cells = (
            *(one.name.replace("_", " "), count(one.depth), str(2 * index)),
            *(rate(rate_in), rate(rate_out), str(2 * index + 1), count(one.high_water)),
            *(duration(one.oldest_age_ns), duration(one.hop_p50_ns), duration(one.hop_p99_ns)),
            count(one.drops),
        )
        rows.append((one.name, "warn" if is_behind or one.drops else "", cells))
    return rows


def lane_rows(snapshot: NodeSnapshot, rates: Mapping[str, tuple[float, float]]) -> list[Row]:
    """Return the lanes; `rates` are messages in and out a second, by name."""
    rows: list[Row] = []
    for index, one in enumerate(snapshot.lanes):
        rate_in, rate_out = rates.get(one.name, (0.0, 0.0))
        cells = (
            *(one.name.replace("_", " "), count(one.depth), rate(rate_in), rate(rate_out)),
            *(str(SERIES_OF_LANES + index), count(one.high_water), count(one.count_out)),
        )
        rows.append((one.name, "dim" if one.is_closed else "", cells))
    return rows


def open_order_rows(orders: Iterable[OrderRow]) -> list[Row]:
    """Return the orders that are open."""
    return [
        (
            one.client_order_id,
            "",
            (*_order(one), amount(one.price), amount(one.trigger_price), _status(one)),
        )
        for one in orders
        if one.is_open
    ]


def ended_order_rows(orders: Iterable[OrderRow]) -> list[Row]:
    """Return the orders that have ended, each with the reason if it has one."""
    return [
        (
            one.client_order_id,
            "warn" if one.status in ("denied", "rejected") else "",
            (*_order(one), amount(one.price), _status(one), one.reason),
        )
        for one in orders
        if not one.is_open
    ]


def _order(one: OrderRow) -> tuple[str, ...]:
    return (
        *(time_of_day(one.ts), one.client_order_id, one.strategy_id, one.account_id),
        *(one.instrument_id, one.side),
        *(one.order_type.replace("_", " "), amount(one.quantity), amount(one.filled_quantity)),
    )


def _status(one: OrderRow) -> str:
    return one.status.replace("_", " ")


def fill_rows(fills: tuple[FillRow, ...]) -> list[Row]:
    """Return the latest fills, the newest first."""
    return [
        (
            f"{one.trade_id} {one.client_order_id}",
            "",
            (
                *(time_of_day(one.ts), one.client_order_id, one.strategy_id, one.account_id),
                *(one.instrument_id, one.side, amount(one.quantity), amount(one.price)),
                f"{amount(one.commission)} {one.commission_currency}",
            ),
        )
        for one in reversed(fills[-_SHOWN_FILLS:])
    ]


def position_rows(positions: Iterable[PositionRow]) -> list[Row]:
    """Return the positions, those closed dimmed."""
    return [
        (
            # Of a netting account's position there may be several lives under one id.
            f"{one.position_id} {one.opened}",
            "" if one.is_open else "dim",
            (
                *(one.instrument_id, one.strategy_id, one.account_id),
                one.side if one.is_open else "closed",
                amount(one.quantity if one.is_open else one.peak_quantity),
                *(amount(one.average_open, _DIGITS), amount(one.average_close, _DIGITS)),
                money(one.unrealized_pnl) if one.is_open else "",
                f"{money(one.realized_pnl)} {one.currency}",
            ),
        )
        for one in positions
    ]


def account_rows(accounts: Iterable[AccountRow]) -> list[Row]:
    """Return each currency of each account, then the margins that instruments tie up."""
    rows: list[Row] = []
    for account in accounts:
        name, kind = account.account_id, "LIVE" if account.is_live else "paper"
        for one in account.balances:
            held = (amount(value, _DIGITS) for value in (one.total, one.locked, one.free))
            cells = (name, kind, one.currency, *held)
            rows.append((f"{name} {one.currency}", "", cells))
        for margin in account.margins:
            locked = f"{amount(margin.initial, _DIGITS)} {margin.currency}"
            cells = ("", "", f"margin of {margin.instrument_id}", "", locked, "")
            rows.append((f"{name} margin {margin.instrument_id}", "dim", cells))
    return rows
