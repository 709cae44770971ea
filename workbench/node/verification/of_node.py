"""Verifying a run of a node, its present one too: in a thread, while the node goes on."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.node.choosing import chosen_actor
from workbench.node.verification.copies import Made
from workbench.node.verification.plan import plan
from workbench.node.verification.results import Verification
from workbench.node.verification.verifying import Progress, verify_made
from workbench.node.waiting import is_loop_running, wait_for
from workbench.trading.actor import Actor

if TYPE_CHECKING:
    from workbench.node.circumstances import Circumstances
    from workbench.node.facts import NodeFacts

LONGEST_S = 3600.0


def verification_of(
    node: NodeFacts,
    circumstances: Circumstances | None,
    strategy: Actor | str | None,
    run: int | None,
    progress: Progress | None,
) -> Callable[[], Verification]:
    """Return what verifies a run of a node; to be called in any thread.

    Raises:
        ConfigError: If the node keeps no journal, or there is no such strategy.
    """
    wanted = _name(node, strategy)
    actors = node.strategies
    present = None if circumstances is None else circumstances.made
    made: list[Made] = [(type(one), dict(one.parameters)) for one in actors]
    codes = {} if circumstances is None else dict(circumstances.codes)
    own_run = node.journal_run

    def work() -> Verification:
        chosen = (-1 if own_run is None else own_run) if run is None else run
        followed = plan(node.journal(), chosen)
        is_own = followed.entry.run == own_run
        given = present if is_own and present is not None else made
        return verify_made(followed, copy.copy(given), codes, strategy=wanted, progress=progress)

    return work


def wait_for_verification(
    work: Callable[[], Verification], loop: asyncio.AbstractEventLoop | None
) -> Verification:
    """Return what work finds; done in a thread where the node's loop runs in this one.

    Args:
        work: What to do.
        loop: The node's loop, if it runs in this thread.
    """
    if loop is None or not loop.is_running() or not is_loop_running():
        return work()
    return wait_for(lambda: asyncio.to_thread(work), loop, LONGEST_S)


def _name(node: NodeFacts, strategy: Actor | str | None) -> str | None:
    if not isinstance(strategy, Actor):
        return strategy  # one of the run that is verified, which may be another
    return chosen_actor(node.strategies, strategy).component_id
