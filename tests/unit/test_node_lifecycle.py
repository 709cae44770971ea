"""The node's lifecycle: each step through its public methods, and each refusal's message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import workbench as wb
from tests.node_fakes import Feed, Watcher, make_node, run
from tests.waiting import until, until_running
from workbench.runtime import senders

STATES = ("CREATED", "BUILT", "RUNNING", "STOPPING", "STOPPED", "DISPOSED")
ALLOWED = {
    "CREATED": ["build", "dispose"],
    "BUILT": ["run", "dispose"],
    "RUNNING": ["stop"],
    "STOPPING": [],
    "STOPPED": ["dispose"],
    "DISPOSED": [],
}
STEPS: dict[str, Callable[[wb.TradingNode], object]] = {
    "build": wb.TradingNode.build,
    "run": wb.TradingNode.run,
    "stop": wb.TradingNode.stop,
    "request_stop": wb.TradingNode.request_stop,
    "dispose": wb.TradingNode.dispose,
}
# What a node that is where the step leads to, or on its way there, takes without complaint.
TAKEN = {
    ("STOPPING", "stop"),
    ("STOPPING", "request_stop"),
    ("STOPPING", "dispose"),  # waits: tests/integration/test_node_nesting.py
    ("STOPPED", "stop"),
    ("STOPPED", "request_stop"),
    ("DISPOSED", "dispose"),
}
REFUSED = [
    (state, step)
    for state in STATES
    for step in STEPS
    if step.removeprefix("request_") not in ALLOWED[state] and (state, step) not in TAKEN
]


async def brought_to(state: str) -> wb.TradingNode:
    """Return a node in a state; to stop takes it a while."""

    async def slowly() -> None:
        await asyncio.sleep(0.05)

    node = make_node(feed=Feed(disconnect=slowly))
    if state == "CREATED":
        return node
    node.build()
    if state == "BUILT":
        return node
    node.run()
    await until_running(node)
    if state == "RUNNING":
        return node
    node.request_stop()
    if state == "STOPPING":
        return node
    await node.stop_async()
    if state == "DISPOSED":
        node.dispose()
    return node


async def put_away(node: wb.TradingNode) -> None:
    if node.state in ("RUNNING", "STOPPING"):
        await node.stop_async()
    node.dispose()


@pytest.mark.parametrize(("state", "step"), REFUSED)
def test_a_step_that_is_not_allowed_is_refused_and_says_what_is(state: str, step: str) -> None:
    async def main() -> None:
        node = await brought_to(state)
        assert node.state == state
        allowed = ", ".join(ALLOWED[state]) or "nothing"
        word = step.removeprefix("request_")
        said = f"cannot {word} a {state} node; allowed now: {allowed}"
        with pytest.raises(wb.LifecycleError) as refusal:
            STEPS[step](node)
        assert str(refusal.value) == said
        assert isinstance(refusal.value, wb.WorkbenchError)
        assert isinstance(refusal.value, RuntimeError)
        assert node.state == state
        await put_away(node)

    run(main())


@pytest.mark.parametrize("state", STATES)
def test_a_node_knows_what_is_allowed(state: str) -> None:
    async def main() -> None:
        node = await brought_to(state)
        assert node.allowed == ALLOWED[state]
        assert state in repr(node)
        assert state in node._repr_html_()
        await put_away(node)

    run(main())


@pytest.mark.parametrize("state", ["CREATED", "BUILT", "STOPPED", "DISPOSED"])
def test_run_async_and_stop_async_are_refused_alike(state: str) -> None:
    async def main() -> None:
        node = await brought_to(state)
        if state != "BUILT":
            with pytest.raises(wb.LifecycleError, match=f"cannot run a {state} node"):
                await node.run_async()
        if state != "STOPPED":
            with pytest.raises(wb.LifecycleError, match=f"cannot stop a {state} node"):
                await node.stop_async()
        await put_away(node)

    run(main())


def test_a_build_that_fails_leaves_it_created_and_can_be_repeated() -> None:
    calls: list[int] = []
    feed = Feed()

    def flaky(context: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError("no route")
        return feed(context)  # pyright: ignore

    strategy = Watcher()
    node = make_node(strategy, feed=flaky)
    with pytest.raises(ConnectionError, match="no route"):
        node.build()
    assert node.state == "CREATED"
    assert senders.current() is None
    node.build()
    assert node.state == "BUILT"
    assert strategy.component_id == "Watcher-001"
    with pytest.raises(wb.LifecycleError, match="cannot build a BUILT node"):
        node.build()
    node.dispose()


def test_disposing_twice_does_nothing() -> None:
    node = make_node()
    changes: list[str] = []
    node.on_change(lambda n: changes.append(n.state))
    node.dispose()
    node.dispose()
    assert changes == ["DISPOSED"]


def test_a_strategy_is_free_again_after_its_node() -> None:
    strategy = Watcher()
    node = make_node(strategy)
    node.build()
    node.dispose()
    second = make_node(strategy)
    second.build()
    assert strategy.core is second.core
    second.dispose()


def test_disposing_of_a_node_spares_a_strategy_that_is_part_of_another() -> None:
    async def main() -> None:
        strategy = Watcher()
        first = make_node(strategy)
        first.build()
        second = make_node(strategy)
        second.build()
        first.dispose()
        second.run()
        await until_running(second)
        assert strategy.seen == ["on_start"]
        await second.stop_async()
        second.dispose()

    run(main())


def test_a_node_whose_strategy_went_to_another_does_not_run() -> None:
    strategy = Watcher()
    first = make_node(strategy)
    first.build()
    second = make_node(strategy)
    second.build()
    with pytest.raises(wb.LifecycleError, match="part of another node or backtest"):
        first.run()
    assert first.state == "BUILT"
    first.dispose()
    second.dispose()


def test_an_exception_of_on_dispose_comes_out_and_the_node_is_disposed_of() -> None:
    class Clingy(wb.Strategy):
        def on_dispose(self) -> None:
            raise ValueError("not yet")

    node = make_node(Clingy(), Clingy())
    node.build()
    with pytest.raises(wb.StrategyError, match="Clingy-001 raised ValueError in on_dispose") as one:
        node.dispose()
    assert any("Clingy-002" in note for note in one.value.__notes__)
    assert node.state == "DISPOSED"


def run_and_dispose(node: wb.TradingNode) -> None:
    try:
        node.run(raise_exception=True)
    finally:
        node.dispose()


def test_disposing_never_hides_the_first_error() -> None:
    class Broken(Watcher):
        def on_start(self) -> None:
            raise KeyError("first")

        def on_dispose(self) -> None:
            raise ValueError("second")

    node = make_node(Broken())
    node.build()
    with pytest.raises(wb.StrategyError, match="KeyError in on_start") as error:
        run_and_dispose(node)
    assert any("ValueError in on_dispose" in note for note in error.value.__notes__)
    assert node.state == "DISPOSED"


def test_running_an_unbuilt_node_and_disposing_of_it_shows_the_first_error() -> None:
    node = make_node()
    with pytest.raises(wb.LifecycleError, match="cannot run a CREATED node"):
        run_and_dispose(node)
    assert node.state == "DISPOSED"


def test_changes_of_state_and_phase_are_told_in_order() -> None:
    async def main() -> None:
        told: list[str] = []
        node = make_node(Watcher())
        node.on_change(lambda n: told.append(f"{n.state} {n.phase}"))
        node.build()
        node.run()
        await until_running(node)
        await node.stop_async()
        node.dispose()
        assert list(dict.fromkeys(told)) == [
            "BUILT idle",
            "RUNNING idle",
            "RUNNING connecting",
            "RUNNING flushing",
            "RUNNING reconciling",
            "RUNNING starting strategies",
            "RUNNING running",
            "STOPPING running",
            "STOPPING stopping strategies",
            "STOPPING handling residual events",
            "STOPPING disconnecting",
            "STOPPING idle",
            "STOPPED idle",
            "DISPOSED idle",
        ]

    run(main())


def test_a_listener_that_fails_is_logged_and_not_called_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        told: list[str] = []

        def broken(_: wb.TradingNode) -> None:
            told.append("called")
            raise ValueError("no display")

        node = make_node()
        node.on_change(broken)
        node.build()
        node.run()
        await until_running(node)
        await node.stop_async()
        node.dispose()
        assert told == ["called"]

    run(main())
    assert "is told of no more changes" in caplog.text


def test_a_listener_cannot_wait_for_the_stop() -> None:
    async def main() -> None:
        refused: list[BaseException] = []

        def eager(node: wb.TradingNode) -> None:
            if node.phase == "running" and not refused:
                try:
                    node.stop()
                except wb.LifecycleError as error:
                    refused.append(error)
                    node.request_stop()

        node = make_node()
        node.on_change(eager)
        node.build()
        await node.run_async()
        assert "callbacks cannot wait" in str(refused[0])
        assert node.state == "STOPPED"
        node.dispose()

    run(main())


@pytest.mark.parametrize("made", [1, 3])
def test_a_node_that_is_gone_is_not_listed(made: int) -> None:
    before = {node.serial for node in wb.nodes()}
    kept = [make_node() for _ in range(made)]
    assert [n.serial for n in wb.nodes() if n.serial not in before] == [n.serial for n in kept]
    kept.clear()
    import gc

    gc.collect()
    assert {node.serial for node in wb.nodes()} <= before


def test_the_look_escapes_what_others_wrote() -> None:
    async def main() -> None:
        async def fails() -> None:
            raise ValueError("<script>")

        node = make_node(Watcher(), feed=Feed(connect=fails, disconnect=fails))
        node.build()
        node.run()
        await until(lambda: node.state == "STOPPED")
        look = node._repr_html_()
        assert "<script>" not in look
        assert look.count("&lt;script&gt;") == 2
        assert "not disconnected" in look
        assert "; fault: FEED did not connect: ValueError: <script>" in repr(node)
        node.dispose()

    run(main())
