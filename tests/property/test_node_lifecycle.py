"""Whatever is asked of a node, in whichever order, it never leaves its table."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import given

import workbench as wb
from tests.node_fakes import Watcher, make_node, run
from workbench.runtime.lifecycle import NODE_TRANSITIONS

# A stop or disposal that would have to wait inside the loop nests it, and patches asyncio:
# tests/integration/test_node_nesting.py. Here the waiting is awaited.
STEPS = ["build", "run", "request_stop", "stop_async", "dispose", "a turn", "some turns"]
NEXT = {(before.value, after.value): None for (before, _), after in NODE_TRANSITIONS.items()}


async def take(node: wb.TradingNode, step: str) -> None:
    if step == "a turn":
        await asyncio.sleep(0)
    elif step == "some turns":
        await asyncio.sleep(0.01)
    elif step == "stop_async":
        await node.stop_async()
    elif step == "dispose" and node.state == "STOPPING":
        await node.stop_async()
        node.dispose()
    else:
        getattr(node, step)()


@given(st.lists(st.sampled_from(STEPS), max_size=12))
def test_no_sequence_of_steps_leaves_the_table(steps: list[str]) -> None:
    async def main() -> None:
        strategy = Watcher()
        node = make_node(strategy)
        states = [node.state.value]
        refusals: list[bool] = []
        node.on_change(lambda n: states.append(n.state.value))
        for step in steps:
            before = node.state
            allowed = node.allowed
            try:
                await take(node, step)
            except wb.LifecycleError as error:
                word = step.removeprefix("request_").removesuffix("_async")
                listed = ", ".join(allowed) or "nothing"
                refusals.append(
                    str(error) == f"cannot {word} a {before} node; allowed now: {listed}"
                    and word not in allowed
                    and node.state is before
                )
        if node.state in ("RUNNING", "STOPPING"):
            await node.stop_async()
        node.dispose()
        assert node.fault is None
        assert all(refusals)
        passed = [s for s, after in zip(states, [*states[1:], ""], strict=True) if s != after]
        assert all(pair in NEXT for pair in pairwise(passed))
        assert passed[0] == "CREATED"
        assert passed[-1] == "DISPOSED"

    run(main(), collects=False)
