"""What `%load_ext workbench` adds, and that `%unload_ext` takes all of it away."""

from __future__ import annotations

from tests.notebooks.kernels import Kernel

FOOTPRINT = """
def footprint():
    shell = get_ipython()
    from workbench.model.error_display import file_namers
    names = lambda things: sorted(getattr(t, "__qualname__", repr(t)) for t in things)
    return {
        "magics": names(shell.magics_manager.magics["line"].values()),
        "cell magics": names(shell.magics_manager.magics["cell"].values()),
        "registry": sorted(shell.magics_manager.registry),
        "transformers": names(shell.input_transformers_post + shell.input_transformers_cleanup),
        "matchers": names(shell.Completer.custom_matchers),
        "configurables": sorted(type(c).__name__ for c in shell.configurables),
        "events": {k: names(v) for k, v in shell.events.callbacks.items()},
        "shutdown": shell.kernel.do_shutdown.__qualname__,
        "in kernel": sorted(shell.kernel.__dict__),
        "namers": len(file_namers),
    }
"""


def test_unload_takes_away_all_that_load_added_and_nodes_go_on(bare_kernel: Kernel) -> None:
    kernel = bare_kernel
    kernel.run("import workbench as wb, asyncio").ok()
    kernel.run(FOOTPRINT).ok()
    before = kernel.value("footprint()")
    kernel.run("%load_ext workbench").ok()
    loaded = kernel.value("footprint()")
    assert loaded != before
    kernel.run("%load_ext workbench").ok()
    assert kernel.value("footprint()") == loaded
    kernel.run("%reload_ext workbench").ok()
    assert kernel.value("footprint()") == loaded

    kernel.run(
        "pair = wb.CurrencyPair.define('BTC/USDT.SIM', price_increment='0.01')\n"
        "node = wb.sandbox(wb.Strategy(), instrument=pair)\n"
        "%node build\n%node run"
    ).ok()
    kernel.wait_until("node.phase == 'running'")
    kernel.run("%unload_ext workbench").ok()
    assert kernel.value("footprint()") == before
    assert kernel.run("%node status").error_text or kernel.run("%node status").err
    kernel.run("await asyncio.sleep(0.01)").ok()
    assert kernel.value("node.phase") == "running"

    kernel.run("%load_ext workbench").ok()
    assert kernel.value("footprint()") == loaded
    kernel.run("%node stop").ok()
    assert kernel.value("node.state") == "STOPPED"


def test_taking_the_wrapper_of_shutdown_away_leaves_what_others_put_around_it(
    bare_kernel: Kernel,
) -> None:
    bare_kernel.run(
        "%load_ext workbench\n"
        "kernel = get_ipython().kernel\n"
        "inner = kernel.do_shutdown\n"
        "calls = []\n"
        "async def outer(restart):\n"
        "    calls.append(restart)\n"
        "    return await inner(restart)\n"
        "kernel.do_shutdown = outer"
    ).ok()
    bare_kernel.run("%unload_ext workbench").ok()
    assert bare_kernel.value("kernel.do_shutdown is outer")
    bare_kernel.shutdown(restart=True)


def test_importing_and_loading_have_no_side_effects(bare_kernel: Kernel) -> None:
    kernel = bare_kernel
    look = (
        "import asyncio, logging, signal, sys, threading\n"
        "def look():\n"
        "    loop = asyncio.get_event_loop()\n"
        "    return [\n"
        "        sorted(t.name for t in threading.enumerate()),\n"
        "        len(logging.root.handlers), logging.root.level,\n"
        "        repr(signal.getsignal(signal.SIGINT)), repr(signal.getsignal(signal.SIGTERM)),\n"
        "        repr(asyncio.get_event_loop_policy()), asyncio.run.__module__,\n"
        "        loop.run_until_complete.__module__, sys.getswitchinterval(),\n"
        "    ]\n"
    )
    kernel.run(look).ok()
    before = kernel.value("look()")
    kernel.run("import workbench as wb").ok()
    assert kernel.value("look()") == before
    kernel.run("%load_ext workbench").ok()
    assert kernel.value("look()") == before
