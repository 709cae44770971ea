"""How a node looks: as text, and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.model.display import fitted, pairs_html
from workbench.model.enums import TradingState
from workbench.node.destinations import destinations
from workbench.node.phases import NodePhase
from workbench.node.snapshots import DestinationRow
from workbench.runtime.lifecycle import NodeState

if TYPE_CHECKING:
    from workbench.node.node import TradingNode

_LONGEST = 300  # characters of one value: a fault may quote a whole event
_MOST_LINES = 10
_MOST_LEFT = 3


def to_text(node: TradingNode) -> str:
    """Return trader, state, phase, what is allowed now, and what went wrong."""
    phase = f" ({told})" if (told := _phase(node)) else ""
    fault = "" if node.fault is None else f"; fault: {fitted(str(node.fault), _LONGEST)}"
    refused = f"; refused events: {count}" if (count := len(node.refused_events)) else ""
    state = _trading_state(node)
    trading = f"; trading: {state}" if state else ""
    ways = _ways(node)
    # Where there is no real account there is nothing to be mistaken about.
    orders = f"; orders: {_short(ways)}" if ways and node.real_accounts else ""
    return (
        f"TradingNode({node.config.trader_id}): {node.state.value}{phase};"
        f" allowed now: {_allowed(node)}{orders}{trading}{refused}{fault}"
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
        ("phase", _phase(node) or "none"),
        ("allowed now", _allowed(node)),
        ("strategies", ", ".join(map(repr, node.strategies)) or "none"),
    ]
    rows += [(f"orders of {name}", text) for name, text in _ways(node)]
    if trading := _trading_state(node):
        rows.append(("trading", trading))
    if refused := node.refused_events:
        # Which order, and why: what to look into first at the venue.
        rows.append(("refused events", f"{len(refused)}; the last: {refused[-1][1]}"))
    if node.fault is not None:
        rows.append(("fault", str(node.fault)))
    rows += _first("left open", node.left_open)
    rows += _first("not disconnected", node.disconnect_failures)
    shown = [(name, fitted(value, _LONGEST)) for name, value in rows]
    return f"<div>{steps}{pairs_html(shown)}</div>"


def _ways(node: TradingNode) -> list[tuple[str, str]]:
    """Return each strategy's name and where its orders go; nothing before the node is built."""
    if not node.is_built:
        return []
    found: list[tuple[str, str]] = []
    for actor in node.strategies:
        ways = destinations(node.core, actor)
        if ways:
            found.append((str(actor.component_id), ", ".join(map(_way, ways))))
    return found


def _way(one: DestinationRow) -> str:
    more = f"; and {len(one.left) - _MOST_LEFT} more" if len(one.left) > _MOST_LEFT else ""
    said = f"left open: {'; '.join(one.left[:_MOST_LEFT])}{more}" if one.left else one.refusal
    return f"{one.text} ({said})" if said else one.text


def _short(ways: list[tuple[str, str]]) -> str:
    """Return where orders go, by strategy where they go different ways."""
    if len({text for _, text in ways}) == 1:
        return ways[0][1]
    return ", ".join(f"{name} {text}" for name, text in ways)


def _first(name: str, lines: list[str]) -> list[tuple[str, str]]:
    """Return a row for each of the first lines, and how many more there are."""
    more = len(lines) - _MOST_LINES
    rows = [(name, line) for line in lines[:_MOST_LINES]]
    return [*rows, (name, f"and {more:,} more")] if more > 0 else rows


def _phase(node: TradingNode) -> str:
    """Return where inside RUNNING or STOPPING it is; nothing in other states."""
    if node.phase is not NodePhase.IDLE:
        return node.phase.value
    return "about to connect" if node.state is NodeState.RUNNING else ""


def _trading_state(node: TradingNode) -> str:
    """Return the trading state where it keeps orders back, else nothing."""
    state = node.trading_state
    return "" if state is TradingState.ACTIVE else state.value


def _allowed(node: TradingNode) -> str:
    return ", ".join(node.allowed) or "nothing"
