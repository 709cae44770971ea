"""Exchanging a strategy's code while its node runs: checked, at once, and noted in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from workbench.model.errors import LifecycleError
from workbench.model.events import StrategySwapped
from workbench.node.choosing import chosen_actor
from workbench.runtime.eventlog import RecordKind
from workbench.runtime.lifecycle import NodeState
from workbench.trading.actor import Actor
from workbench.trading.code_swap import CodeSwap

if TYPE_CHECKING:
    from workbench.node.node import TradingNode

_log = logging.getLogger(__name__)


class SwapReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was exchanged.

    Attributes:
        trader_id: Whose node.
        strategy_id: Whose code; empty before the node is built.
        class_name: The class it is of now.
        old: The fingerprint of its code before.
        new: The fingerprint of its code now.
        parameters: Which parameters are others now, a sentence each.
        ts_ns: When, on the node's clock, nanoseconds; 0 before the node is built.
    """

    trader_id: str
    strategy_id: str
    class_name: str
    old: str
    new: str
    parameters: tuple[str, ...]
    ts_ns: int

    @property
    def is_changed(self) -> bool:
        """Return whether the code of the class is another."""
        return self.old != self.new

    def __str__(self) -> str:
        """Return it as a sentence."""
        code = f"code {self.old} → {self.new}" if self.is_changed else f"the same code {self.new}"
        told = "".join(f"; {one}" for one in self.parameters)
        return f"{self.strategy_id or self.class_name} goes on with {code}{told}"

    def __repr__(self) -> str:
        """Return it as a sentence."""
        return f"SwapReport({self})"


def swap_strategy(node: TradingNode, which: Actor | str, kind: type[Actor]) -> SwapReport:
    """Exchange a strategy's code; see `TradingNode.swap_strategy`."""
    actor = chosen_actor(node.strategies, which)
    check(node, actor)

    def swapped() -> SwapReport:
        swap = CodeSwap(actor, kind)
        try:
            swap.do()
        except BaseException:
            swap.undo()
            raise
        return _noted(node, swap)

    return node.call(swapped)


def check(node: TradingNode, actor: Actor) -> None:
    """Refuse what cannot be exchanged now.

    Raises:
        LifecycleError: If the node trades at a real venue or is disposed of, the strategy is part
            of another one by now, or one of the node's own callbacks asks.
    """
    name = actor.component_id or type(actor).__name__
    if node.is_live and node.state is not NodeState.STOPPED:
        raise LifecycleError(
            f"{name} trades live: its code cannot be exchanged while it does. Try the new code in"
            " a sandbox, then stop this node and make another"
        )
    if node.state is NodeState.DISPOSED:
        raise LifecycleError(
            "a DISPOSED node's strategies have no code to exchange; make another node"
        )
    if node.is_inside:
        raise LifecycleError(
            "one of the node's own callbacks cannot exchange code that is running; do it in a cell"
        )
    if node.state is not NodeState.CREATED and actor.core is not node.core:
        raise LifecycleError(
            f"{actor!r} has become part of another node or backtest; exchange its code there"
        )


def _noted(node: TradingNode, swap: CodeSwap) -> SwapReport:
    """Put an exchange into the event log and the log."""
    actor, ts_ns = swap.actor, 0
    if node.state is not NodeState.CREATED:
        core = node.core
        ts_ns = core.clock.timestamp_ns()
        event = StrategySwapped(
            strategy_id=actor.component_id,
            class_name=swap.kind.__name__,
            old=swap.old,
            new=swap.new,
            parameters=swap.changes,
            ts_event=ts_ns,
            ts_init=ts_ns,
        )
        core.log.add(core.dispatcher.number, RecordKind.SWAP, event)
    report = SwapReport(
        trader_id=node.config.trader_id,
        strategy_id=actor.component_id,
        class_name=swap.kind.__name__,
        old=swap.old,
        new=swap.new,
        parameters=swap.changes,
        ts_ns=ts_ns,
    )
    _log.info("%s", report)
    return report
