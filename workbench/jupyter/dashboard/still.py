"""A snapshot as text and as HTML that stands still: where no widget can be shown."""

from __future__ import annotations

import html
from collections.abc import Iterable

from workbench.jupyter.dashboard import tables
from workbench.jupyter.dashboard.amounts import count, moment
from workbench.jupyter.dashboard.heads import notices, tiles, ways
from workbench.node.snapshots import NodeSnapshot
from workbench.runtime.lifecycle import NodeState

_LEFT = ("text", "long")


def to_text(snapshot: NodeSnapshot) -> str:
    """Return state, notices, main figures and the channels as lines of text."""
    phase = f" ({snapshot.phase})" if snapshot.state in ("RUNNING", "STOPPING") else ""
    at = f", {moment(snapshot.ts)} UTC" if snapshot.ts else ""
    figures = "  ".join(f"{label} {value}" for _, label, value, _ in tiles(snapshot, 0.0)[:4])
    orders = "".join(f", {text}" for text, _, _ in ways(snapshot))
    lines = [f"{snapshot.trader_id}: {snapshot.state}{phase}{orders}{at}", figures]
    lines += [text for _, _, text in notices(snapshot)]
    lines += [
        f"{one.name.replace('_', ' '):<18}{count(one.depth):>10} waiting"
        f"{count(one.count_out):>14} handled{count(one.drops):>8} dropped"
        for one in snapshot.channels
    ]
    return "\n".join(lines)


def to_html(snapshot: NodeSnapshot) -> str:
    """Return lifecycle, notices, main figures and tables, without styles of a page."""
    steps = " → ".join(
        f"<b>{state.value}</b>" if state.value == snapshot.state else state.value
        for state in NodeState
    )
    # A rate needs two snapshots.
    shown = [one for one in tiles(snapshot, 0.0) if one[0] != "messages"]
    figures = " · ".join(f"{label} <b>{html.escape(value)}</b>" for _, label, value, _ in shown)
    at = f" · {moment(snapshot.ts)} UTC" if snapshot.ts else ""
    orders = "".join(f" · <b>{html.escape(text)}</b>" for text, _, _ in ways(snapshot))
    parts = [
        f"<div><b>{html.escape(snapshot.trader_id)}</b>{orders}{at}</div>",
        f"<div>{steps}</div>",
        *(f"<div>{html.escape(text)}</div>" for _, _, text in notices(snapshot)),
        f"<div>{figures}</div>",
        _table("channels", tables.channel_rows(snapshot, {})),
        _table("positions", tables.position_rows(snapshot.positions)),
        _table("accounts", tables.account_rows(snapshot.accounts)),
        _table("open_orders", tables.open_order_rows(snapshot.orders)),
    ]
    return f"<div>{''.join(parts)}</div>"


def _table(name: str, rows: Iterable[tables.Row]) -> str:
    columns = tables.COLUMNS[name]
    kept = [
        index
        for index, (title, kind, _) in enumerate(columns)
        if kind != "spark" and not title.endswith("/s")
    ]
    body = "".join(
        "<tr>" + "".join(_cell("td", columns[i], cells[i]) for i in kept) + "</tr>"
        for _, _, cells in rows
    )
    if not body:
        return ""
    heads = "".join(_cell("th", columns[i], columns[i][0]) for i in kept)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _cell(tag: str, column: tables.Column, text: str) -> str:
    side = "left" if column[1] in _LEFT else "right"
    return f"<{tag} style='text-align:{side}'>{html.escape(text)}</{tag}>"
