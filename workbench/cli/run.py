"""`workbench run`: a standalone node with simulated fills, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from workbench.cli import tables
from workbench.cli.subparsers import Subparsers
from workbench.model.errors import ConfigError, StrategyError, WorkbenchError
from workbench.model.instruments import Instrument
from workbench.node import NodePhase, Replay, Synthetic, TradingNode, sandbox
from workbench.research import options
from workbench.research.strategy_names import make_strategy
from workbench.runtime.lifecycle import NodeState


def add(subparsers: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "run",
        help="run a node with simulated fills until it is told to stop",
        description="Run a strategy in a standalone node with simulated fills. SIGINT (Ctrl-C) or"
        " SIGTERM stops it gracefully; a second one ends it at once.",
        epilog="Example: workbench run ema.py:EmaCross --synthetic --instrument BTC/USDT.SIM"
        " --tick 0.01 --for 60",
        parents=[common],
    )
    options.add_strategy(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--synthetic", action="store_true", help="a made-up market on the live clock"
    )
    options.add_data(source, required=False)
    options.add_instrument(parser)
    options.add_market(parser)
    options.add_data_format(parser)
    options.add_venue(parser)
    parser.add_argument(
        "--for", dest="for_s", type=float, metavar="SECONDS", help="stop after so long by itself"
    )
    parser.add_argument(
        "--status",
        dest="status_s",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="how often to print a status line on stderr, 0 for never; default: 5",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="write orders, fills, positions, account as CSV"
    )
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Run it; return 0, or 1 if the node failed."""
    _check_times(arguments)
    strategy = make_strategy(arguments.strategy, arguments.parameter)
    instruments = options.instruments_of(arguments)
    node = sandbox(
        strategy,
        data=_market(arguments, instruments),
        instrument=instruments,
        venue=options.venues_of(arguments, instruments),
    )
    folder = None if arguments.out is None else tables.make_folder(arguments.out)
    with StopOnSignals(node) as signals:
        node.build()
        fault = asyncio.run(_drive(node, signals, arguments.for_s, arguments.status_s))
        _report(node)
        if folder is not None:
            frames = {
                "orders": node.orders(),
                "fills": node.fills(),
                "positions": node.positions(),
                "account": node.accounts(),
            }
            tables.write(folder, frames)
        node.dispose()
    if fault is None:
        return 0
    sys.stdout.flush()
    _show_fault(fault, arguments.debug)
    return 1


def _check_times(arguments: argparse.Namespace) -> None:
    if arguments.for_s is not None and not arguments.for_s > 0:
        raise ConfigError(f"--for takes seconds above 0; got {arguments.for_s:g}")
    if not arguments.status_s >= 0:
        raise ConfigError(f"--status takes seconds, 0 for never; got {arguments.status_s:g}")


def _market(arguments: argparse.Namespace, instruments: Sequence[Instrument]) -> Synthetic | Replay:
    """Return the factory of the data client that the options describe."""
    options.check_market(arguments, arguments.synthetic, ("--synthetic", "--data"))
    if arguments.synthetic:
        return options.synthetic_call(arguments, instruments).make()
    return Replay(
        options.data_of(arguments, instruments),
        instruments,
        speed=arguments.speed,
        start=arguments.start,
        end=arguments.end,
    )


async def _drive(
    node: TradingNode, signals: StopOnSignals, for_s: float | None, status_s: float
) -> BaseException | None:
    """Run the node to its end, with a status line now and then; return what went wrong."""
    began = time.monotonic()
    running = asyncio.create_task(node.run_async())
    await asyncio.sleep(0)  # from here on the node is RUNNING and can be asked to stop
    signals.pass_on()
    end = None if for_s is None else asyncio.get_running_loop().call_later(for_s, node.request_stop)
    while not running.done():
        await asyncio.wait([running], timeout=status_s or None)
        if status_s and not running.done():
            print(status_line(node, time.monotonic() - began), file=sys.stderr, flush=True)
    if end is not None:
        end.cancel()
    return running.exception()


def status_line(node: TradingNode, elapsed_s: float) -> str:
    """Return state, phase, orders, fills and profit in one line."""
    orders = node.core.cache.orders()
    fills = sum(len(order.trade_ids) for order in orders)
    profits = node.core.portfolio.total_pnl()
    profit = ", ".join(f"{tables.amount(value)} {code}" for code, value in profits.items())
    phase = "" if node.phase is NodePhase.IDLE else f" ({node.phase.value})"
    return (
        f"{elapsed_s:6.0f} s  {node.state.value}{phase}  orders {len(orders):,}  fills {fills:,}"
        f"  pnl {profit or '0'}"
    )


def _report(node: TradingNode) -> None:
    tables.show("orders", node.orders(), tables.ORDERS)
    tables.show("fills", node.fills(), tables.FILLS)
    print(f"\nleft open: {len(node.left_open) or 'nothing'}")
    for line in node.left_open:
        print(f"  {line}")
    print("\nfinal account:")
    accounts = node.accounts()[list(tables.ACCOUNT)]
    print(accounts.map(tables.as_text).to_string(index=False) if len(accounts) else "  none")


def _show_fault(fault: BaseException, debug: bool) -> None:
    if debug or isinstance(fault, StrategyError) or not isinstance(fault, WorkbenchError):
        traceback.print_exception(fault)
    print(f"workbench: the node failed: {fault}", file=sys.stderr)


class StopOnSignals:
    """Makes the first SIGINT or SIGTERM a graceful stop, and lets a second one end the process.

    The second one works even while a strategy computes for ever: its default action is restored
    and it is sent again.

    Args:
        node: What is stopped.
    """

    def __init__(self, node: TradingNode) -> None:
        self._node = node
        self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopOnSignals:
        """Take the two signals over."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _: Any) -> None:
        name = signal.Signals(number).name
        # os.write: a print that this signal interrupted must not be entered again.
        if self._asked:
            os.write(2, f"workbench: {name} again; ending at once\n".encode())
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._asked = True
        os.write(2, f"workbench: stopping on {name}; once more ends it at once\n".encode())
        self.pass_on()

    def pass_on(self) -> None:
        """Ask the node to stop if a signal came, now or before the node ran."""
        if self._asked and self._node.state is NodeState.RUNNING:
            self._node.request_stop()
