"""How a node looks: as text, and in a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from workbench.model.enums import TradingState
from workbench.node.phases import NodePhase
from workbench.runtime.lifecycle import NodeState

if TYPE_CHECKING:
    from workbench.node.node import TradingNode


def to_text(node: TradingNode) -> str:
    """Return trader, state, phase, what is allowed now, and what went wrong."""
    phase = "" if node.phase is NodePhase.IDLE else f" ({node.phase.value})"
    fault = "" if node.fault is None else f"; fault: {node.fault}"
    refused = f"; refused events: {count}" if (count := len(node.refused_events)) else ""
    state = _trading_state(node)
    trading = f"; trading: {state}" if state else ""
    return (
        f"TradingNode({node.config.trader_id}): {node.state.value}{phase};"
        f" allowed now: {_allowed(node)}{trading}{refused}{fault}"
    )


def to_html(node: TradingNode) -> str:
    """Return the lifecycle as a line, and a table below it."""
    state = node.state
    steps = " → ".join(
        f"<b style='border-bottom:3px solid currentColor'>{s.value}</b>"
        if s is state
        else f"<span style='opacity:.5'>{s.value}</span>"
        for s in NodeState
    )
    rows = [
        ("trader", str(node.config.trader_id)),
        ("phase", node.phase.value),
        ("allowed now", _allowed(node)),
        ("strategies", ", ".join(map(repr, node.strategies)) or "none"),
    ]
    if trading := _trading_state(node):
        rows.append(("trading", trading))
    if refused := node.refused_events:
        # Which order, and why: what to look into first at the venue.
        rows.append(("refused events", f"{len(refused)}; the last: {refused[-1][1]}"))
    if node.fault is not None:
        rows.append(("fault", str(node.fault)))
    rows += [("left open", line) for line in node.left_open]
    rows += [("not disconnected", line) for line in node.disconnect_failures]
    cells = "".join(
        f"<tr><th style='text-align:left'>{name}</th>"
        f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<div>{steps}<table>{cells}</table></div>"


def _trading_state(node: TradingNode) -> str:
    """Return the trading state where it keeps orders back, else nothing."""
    state = node.trading_state
    return "" if state is TradingState.ACTIVE else state.value


def _allowed(node: TradingNode) -> str:
    return ", ".join(node.allowed) or "nothing"
