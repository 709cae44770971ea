"""Any number of nodes in one kernel: one after another without a leak, two at once uncrossed."""

from __future__ import annotations

from tests.notebooks.kernels import Kernel

CYCLES = 20
OBJECTS_A_CYCLE = 20  # a kernel keeps a little of each cell it runs
BYTES_A_CYCLE = 20_000

MEASURE = """
import gc, threading, tracemalloc
from workbench.runtime import senders

def measure():
    gc.collect(); gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": sorted(t.name for t in threading.enumerate()),
        "bound": senders.current() is not None,
        "nodes": len(wb.nodes()),
        "objects": len(gc.get_objects()),
        "bytes": tracemalloc.get_traced_memory()[0],
    }

tracemalloc.start()
"""
CYCLE = """
%node build
%node run
await until(lambda: node.phase == "running" and len(node.core.cache.orders()) > 3)
%node stop
%node dispose
assert node.state == "DISPOSED" and node.fault is None
"""


def test_twenty_nodes_one_after_another_leave_nothing_behind(kernel: Kernel) -> None:
    kernel.run(MEASURE).ok()

    def cycle() -> None:
        kernel.run("node = make(Ticker(every=2), rate=2000)").ok()
        kernel.run(CYCLE).ok()
        # The output history holds what cells showed: that is the shell's, not ours.
        kernel.run("del node\nget_ipython().run_line_magic('reset', '-f out')").ok()

    for _ in range(3):  # what is imported and cached on first use
        cycle()
    before = kernel.value("measure()")
    for _ in range(CYCLES):
        cycle()
    after = kernel.value("measure()")
    print(before, after)
    assert after["tasks"] == before["tasks"]
    assert after["threads"] == before["threads"]
    assert not after["bound"]
    assert after["nodes"] == before["nodes"] <= 1
    assert after["objects"] - before["objects"] <= CYCLES * OBJECTS_A_CYCLE
    assert after["bytes"] - before["bytes"] <= CYCLES * BYTES_A_CYCLE
    kernel.run("tracemalloc.stop()").ok()


def test_two_nodes_at_once_never_cross(kernel: Kernel) -> None:
    kernel.run(
        "OTHER = wb.CurrencyPair.define('ETH/USDT.ELSE', price_increment='0.01',"
        " quantity_increment='0.001')\n"
        "def of(pair, name, seed):\n"
        "    return wb.sandbox(Ticker(every=3), data=wb.Synthetic(pair, rate=500, seed=seed),\n"
        "        instrument=pair, config=wb.TradingNodeConfig(trader_id=name))\n"
        "left, right = of(PAIR, 'LEFT', 1), of(OTHER, 'RIGHT', 2)\n"
        "left.build(); right.build(); right.run(); left.run()\n"
        "await until(lambda: all(len(n.core.cache.orders()) > 20 for n in (left, right)))\n"
    ).ok()
    # Orders from one cell, in turns.
    kernel.run(
        "for _ in range(10):\n"
        "    for node, pair in ((left, PAIR), (right, OTHER)):\n"
        "        strategy = node.strategies[0]\n"
        "        strategy.submit_order(strategy.orders.market(pair.id, 'sell', 0.25))\n"
        "await asyncio.sleep(0.05)"
    ).ok()
    kernel.run("%node stop left").ok()
    kernel.run("seen = right.strategies[0].count").ok()
    kernel.wait_until("right.strategies[0].count > seen + 10")
    kernel.run("%node stop right").ok()
    for name, instrument in (("left", "BTC/USDT.SIM"), ("right", "ETH/USDT.ELSE")):
        found = kernel.value(
            f"[sorted(set({name}.orders().instrument_id)), sorted(set({name}.fills()"
            f".instrument_id)), len({name}.orders()), int(({name}.orders().side == 'sell').sum())]"
        )
        assert found[0] == found[1] == [instrument]
        assert found[2] > 30
        assert found[3] == 10
    kernel.run(
        "ids = [set(n.orders().client_order_id) for n in (left, right)]\n"
        "assert not ids[0] & ids[1]\n"
        "left.dispose(); right.dispose()"
    ).ok()
