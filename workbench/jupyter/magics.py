"""The magics: each parses its words, makes one public call, and returns what that returned."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Coroutine
from typing import Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from workbench.jupyter.arguments import backtest_parser, strategy_parser
from workbench.jupyter.awaiting import AWAITED
from workbench.jupyter.making import backtest_call, check_name, sandbox_call
from workbench.jupyter.strategy_cells import CellReport, StrategyCell
from workbench.jupyter.words import ALL, NEW, RESET, WORDS, names_of_nodes, parser_of
from workbench.model.errors import ConfigError, LifecycleError
from workbench.node import PromotionRules, TradingNode, nodes
from workbench.research import BacktestResult
from workbench.runtime.lifecycle import NodeState
from workbench.trading import Actor

_EXAMPLE = "make one first: node = wb.sandbox(strategy, instrument=instrument), then %node build"


def _point_to_running(error: LifecycleError, node: TradingNode) -> None:
    """Say which other nodes run, where the one that was meant may be one of them."""
    for index, other in enumerate(nodes()):
        if other is not node and other.state in (NodeState.RUNNING, NodeState.STOPPING):
            error.add_note(
                f"Another node is {other.state.value}: {other!r}. Reach it as wb.nodes()[{index}],"
                f" for example `await wb.nodes()[{index}].stop_async()`."
            )


@magics_class
class NodeMagics(Magics):
    """The magics that `%load_ext workbench` adds."""

    @property
    def _namespace(self) -> dict[str, Any]:
        return getattr(self.shell, "user_ns", {})

    @line_magic
    def node(self, line: str) -> Any | Coroutine[Any, Any, Any]:
        """Make a trading node, step it through its lifecycle, and look at it.

        %node WORD [NAME] [OPTIONS]

            WORD        does                                    in Python
            new         makes a node with simulated fills       node = wb.sandbox(...)
            build       makes engines and clients               node.build()
            run         starts it on the kernel's loop,         node.run()
                          or on a thread: --thread              node.run(thread=True)
            status      shows where it is                       node
            watch       shows it live: --hz N                   node.dashboard(hz=5)
            orders      shows all orders                        node.orders()
            fills       shows all fills                         node.fills()
            positions   shows all positions                     node.positions()
            channels    shows channels and lanes                node.channels(), node.lanes()
            log         shows its log: -n N                     node.log(20)
            journal     shows what is kept: -n N, --runs,       node.journal()
                          --orders, --fills
            shadow      shows how far the venue is from         node.shadow()
                          its simulation
            verify      feeds the run's record to fresh         await node.verify_async()
                          copies, and compares
            checklist   shows what a promotion asks for:
                          await node.checklist_async(strategy, account)
            promote     lets a strategy trade a real account: --account A --confirm A --dry-run
                          await node.promote_async(strategy, account, confirm=account)
            demote      lets it trade the simulation again: --position leave|close
                          await node.demote_async(strategy)
            halt        lets no new orders through              node.set_trading_state("halted")
            resume      lets orders through again               node.set_trading_state("active")
            kill        halts, and cancels every order          node.kill()
            stop        stops it gracefully and waits           await node.stop_async()
            dispose     lets go of everything                   node.dispose()
            reset       stops, disposes, makes an equal one     node = await node.reset_async()

        NAME is the variable that holds the node; by default the node constructed last.
        `%node WORD?` shows a word's options. `stop` raises what went wrong during the run, if
        anything did.

            %node new node --strategy EmaCross -p fast=5 --instrument BTC/USDT.SIM
            %node build
            %node run
            %node stop
        """
        word, _, rest = line.strip().partition(" ")
        words = rest.split()
        awaited = AWAITED in words
        if awaited:
            rest = " ".join(one for one in words if one != AWAITED)
        if word not in ALL:
            got = f"got {word!r}" if word else "got nothing"
            meant = difflib.get_close_matches(word, ALL, n=1)
            example = f"Did you mean %node {meant[0]}?" if meant else "Example: %node status"
            raise ConfigError(f"%node is followed by one of {', '.join(ALL)}; {got}. {example}")
        given = parser_of(word).parse(rest)
        if given is None:
            return _nothing() if awaited else None
        if word == NEW:
            return self._new(given)
        node = self._find(given.name)
        self._resolve(given)
        if awaited:
            return self._awaited(word, node, given)
        try:
            return self._bound(word, node, WORDS[word].call(node, given))
        except LifecycleError as error:
            _point_to_running(error, node)
            raise

    def _resolve(self, given: argparse.Namespace) -> None:
        """Put objects in the place of the variables' names that stand for them."""
        strategy = self._namespace.get(getattr(given, "strategy", None) or "")
        if isinstance(strategy, Actor):
            given.strategy = strategy
        rules = getattr(given, "rules", None)
        if rules is not None:
            given.rules = self._namespace.get(rules)
            if not isinstance(given.rules, PromotionRules):
                raise ConfigError(
                    f"--rules is a variable that holds a wb.PromotionRules(...); got {rules!r}"
                )

    async def _awaited(self, word: str, node: TradingNode, given: argparse.Namespace) -> Any:
        call = WORDS[word].awaited
        assert call is not None
        try:
            return self._bound(word, node, await call(node, given))
        except LifecycleError as error:
            _point_to_running(error, node)
            raise
        except Exception as error:
            if word == RESET and node.state is NodeState.STOPPED:
                error.add_note(
                    "This went wrong during the run; the node is not reset yet. Do it once more:"
                    " %node reset"
                )
            raise

    def _bound(self, word: str, node: TradingNode, result: Any) -> Any:
        """Bind the names of a node that was reset to the new one; return the result."""
        if word == RESET:
            for name in names_of_nodes(self._namespace):
                if self._namespace[name] is node:
                    self._namespace[name] = result
        return result

    def _find(self, name: str | None) -> TradingNode:
        if name is None:
            known = nodes()
            if not known:
                raise ConfigError(f"there is no node yet; {_EXAMPLE}")
            return known[-1]
        namespace = self._namespace
        found = namespace.get(name)
        if not isinstance(found, TradingNode):
            names = names_of_nodes(namespace)
            kind = f"of type {type(found).__name__}, not a node"
            held = kind if name in namespace else "not defined"
            example = f"; {_EXAMPLE}" if not names else ""
            raise ConfigError(f"{name!r} is {held}; nodes: {', '.join(names) or 'none'}{example}")
        return found

    def _new(self, given: argparse.Namespace) -> TradingNode:
        check_name(given.name, self._namespace, TradingNode)
        call = sandbox_call(given, self._namespace)
        node = call.make()
        print(call.to_python(given.name))
        self._namespace[given.name] = node
        return node

    @line_magic
    def backtest(self, line: str) -> BacktestResult | None:
        """Run a strategy over history and return the result.

        %backtest STRATEGY DATA [DATA ...] [OPTIONS]

        STRATEGY is a variable (an object, or a class whose parameters are given as -p NAME=VALUE)
        or path/to/file.py:ClassName. DATA is a variable or a file. `--instrument` names what is
        traded, by default the variable `instrument`; `--name result` binds the result.
        `%backtest?` shows this, `%backtest --help` all options.

            %backtest EmaCross bars.csv -p fast=5 --instrument BTC/USDT.SIM --name result

        In Python:

            result = wb.backtest(EmaCross(fast=5), wb.bars("bars.csv"), instrument=instrument)
        """
        given = backtest_parser().parse(line)
        if given is None:
            return None
        if given.name is not None:
            check_name(given.name, self._namespace, BacktestResult)
        call = backtest_call(given, self._namespace)
        print(call.to_python(given.name or ""))
        result = call.make()
        if given.name is not None:
            self._namespace[given.name] = result
        return result

    @cell_magic
    def strategy(self, line: str, cell: str) -> CellReport | None:
        """Define a strategy in a cell, and go on with its new code when the cell is run again.

        %%strategy NAME [--node NODE]

        The cell defines exactly one strategy class. NAME becomes an object of it. When the cell is
        run again, NAME stays the same object and goes on with the new code, in the middle of a run
        too: attributes, indicators, position, open orders, timers and subscriptions stay, and
        `on_start` does not run again. So do all strategies in nodes that have the old class, or
        only those in NODE. If the new class cannot take over, nothing changes. A live node refuses.

            %%strategy cross
            class EmaCross(wb.Strategy):
                fast: int = 10

        In Python:

            class EmaCross(wb.Strategy): ...
            cross = EmaCross()                         # the first time
            node.swap_strategy(cross, EmaCross)        # when it is run again
        """
        given = strategy_parser().parse(line)
        if given is None:
            return None
        only_in = None if given.node is None else self._find(given.node)
        return StrategyCell(self.shell, line, cell).run(given.name, only_in)


async def _nothing() -> None:
    """Be what an awaited `--help` returns."""
