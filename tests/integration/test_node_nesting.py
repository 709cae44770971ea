"""Waiting from a synchronous cell; in processes of their own: a nested run patches asyncio."""

from __future__ import annotations

import pytest

from tests.node_fakes import in_another_process

HEAD = """
import asyncio, gc, sys, threading
import pytest
import workbench as wb
from tests.node_fakes import *
from tests.waiting import until, until_running

"""
TAIL = """

asyncio.Runner().run(main())
print("done")
"""


def done(script: str) -> str:
    from textwrap import dedent

    said = in_another_process(HEAD + dedent(script) + TAIL)
    assert said.endswith("done\n")
    return said


def test_importing_or_awaiting_patches_nothing() -> None:
    done(
        """
        async def main():
            node = make_node(Watcher())
            node.build(); node.run()
            await until_running(node)
            node.orders(); node.call(len, ())
            await node.stop_async()
            node.dispose()
            assert not hasattr(asyncio, "_nest_patched")
        """
    )


def test_stop_in_a_running_loop_waits_while_the_node_s_tasks_go_on() -> None:
    done(
        """
        async def main():
            async def slowly():
                for _ in range(5):
                    await asyncio.sleep(0.01)
                ticks.append(1)
            ticks = []
            strategy = Watcher()
            node = make_node(strategy, feed=Feed(disconnect=slowly))
            node.build(); node.run()
            await until_running(node)
            node.stop()
            assert node.state == "STOPPED" and ticks == [1]
            assert strategy.seen == ["on_start", "on_stop"]
            node.dispose()
            await asyncio.sleep(0.01)
            assert asyncio.all_tasks() == {asyncio.current_task()}
        """
    )


def test_stop_before_the_session_has_begun_to_run() -> None:
    done(
        """
        async def main():
            log = []
            node = make_node(Watcher(), log=log)
            node.build(); node.run(); node.stop()
            assert node.state == "STOPPED"
            assert "FEED connects" not in log
            node.dispose()
        """
    )


def test_stop_raises_the_fault_once() -> None:
    done(
        """
        class Broken(Watcher):
            def on_quote(self, quote):
                raise ValueError("bad quote")

        async def main():
            feed = Feed()
            node = make_node(Broken(), feed=feed)
            node.build(); node.run()
            await until_running(node)
            feed.client.quote()
            await until(lambda: feed.client.quote() or node.state != "RUNNING")
            with pytest.raises(wb.StrategyError, match="bad quote"):
                node.stop()
            assert node.state == "STOPPED"
            node.stop()
            node.dispose()
        """
    )


def test_stop_gives_up_after_its_timeout_and_the_node_goes_on_stopping() -> None:
    done(
        """
        async def main():
            may_end = asyncio.Event()
            node = make_node(feed=Feed(disconnect=may_end.wait), timeout_disconnection_s=60)
            node.build(); node.run()
            await until_running(node)
            with pytest.raises(wb.WorkbenchError, match="did not stop within 0.5 s .phase: disco"):
                node.stop(timeout_s=0.5)
            assert node.state == "STOPPING"
            may_end.set()
            await node.stop_async()
            node.dispose()
        """
    )


def test_dispose_while_it_stops_waits_for_the_stop() -> None:
    done(
        """
        async def main():
            async def slowly():
                await asyncio.sleep(0.1)
            node = make_node(feed=Feed(disconnect=slowly))
            node.build(); node.run()
            await until_running(node)
            node.request_stop()
            node.dispose()
            assert node.state == "DISPOSED"
        """
    )


def test_dispose_gives_up_after_its_limit_and_can_be_tried_again() -> None:
    done(
        """
        async def main():
            async def slowly():
                await asyncio.sleep(0.01)
            market, feed = Market(answers="hold"), Feed(disconnect=slowly)
            node = make_node(
                Trader(), feed=feed, market=market,
                delay_post_stop_s=0.5, timeout_disconnection_s=0.05,
            )
            node.build(); node.run()
            await until_running(node)
            feed.client.quote()
            await until(lambda: node.core.cache.orders_in_flight())
            node.request_stop()
            with pytest.raises(wb.WorkbenchError, match="did not stop within 0.05 s"):
                node.dispose()
            assert node.state == "STOPPING"
            await node.stop_async()
            node.dispose()
            assert node.state == "DISPOSED"
        """
    )


def test_two_nodes_are_stopped_one_after_the_other_from_one_cell() -> None:
    done(
        """
        async def main():
            nodes = [make_node(Watcher()) for _ in range(2)]
            for node in nodes:
                node.build(); node.run()
            for node in nodes:
                await until_running(node)
            for node in nodes:
                node.stop()
            assert [n.state for n in nodes] == ["STOPPED", "STOPPED"]
            for node in nodes:
                node.dispose()
        """
    )


def test_a_standalone_node_closes_its_loop_where_asyncio_is_patched() -> None:
    in_another_process(
        HEAD
        + """
import nest_asyncio2
nest_asyncio2.apply(asyncio.new_event_loop())

class Short(Watcher):
    def on_start(self):
        self.shutdown_system("enough")

node = make_node(Short())
node.build(); node.run()
assert node.state == "STOPPED"
assert node._session.loop.is_closed()
node.dispose()
"""
    )


def test_a_node_whose_loop_was_closed_under_it_can_be_disposed_of() -> None:
    said = in_another_process(
        HEAD
        + """
import os
node = make_node(Watcher())
node.build()
loop = asyncio.new_event_loop()

async def main():
    node.run()
    await until_running(node)

loop.run_until_complete(main())
tasks = asyncio.all_tasks(loop)
loop.close()
with pytest.raises(wb.WorkbenchError, match="closed before the node had stopped"):
    node.stop()
assert node.state == "STOPPED"
assert "closed before the node" in str(node.fault)
node.orders()
node.dispose()
print("disposed", flush=True)
os._exit(0)
"""
    )
    assert said == "disposed\n"


@pytest.mark.parametrize("wait", ["node.stop()", "node.dispose()", "node.call(len, ())"])
def test_another_loop_on_the_node_s_thread_is_not_mixed_up_with_the_node_s(wait: str) -> None:
    in_another_process(
        HEAD
        + f"""
node = make_node(Watcher(), timeout_disconnection_s=0.2)
node.build()
loop = asyncio.new_event_loop()

async def begin():
    node.run()
    await until_running(node)

async def elsewhere():
    if "dispose" in {wait!r}:
        node.request_stop()
    if "call" in {wait!r}:
        {wait}
    else:
        with pytest.raises(wb.LifecycleError, match="stands still while another one runs"):
            {wait}

loop.run_until_complete(begin())
asyncio.Runner().run(elsewhere())
loop.run_until_complete(node.stop_async())
node.dispose()
loop.close()
"""
    )
