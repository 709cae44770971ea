"""Cells that define a strategy, and hot-swap its code when they are run again.

A cell is run in the user's namespace as any other. If it, or the exchange of code that follows,
fails, the namespace is as it was before: the class that goes on is also the one that its name
stands for.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import CodeType
from typing import Any

from workbench.jupyter.making import check_name
from workbench.model.error_display import render
from workbench.model.errors import ConfigError
from workbench.node import SwapReport, TradingNode, nodes
from workbench.node.swapping import check
from workbench.runtime.lifecycle import ComponentState, NodeState
from workbench.trading import Actor
from workbench.trading.code_swap import CodeSwap

Namespace = dict[str, Any]
_MISSING: Any = object()
_OVER = (ComponentState.STOPPED, ComponentState.FAULTED, ComponentState.DISPOSED)


class CellReport:
    """What became of a strategy cell.

    Attributes:
        name: The object's variable.
        strategy: The object.
        swaps: What was exchanged in nodes, one for each strategy; empty where none had the code.
        parameters: Which parameters of the object are others now, where it is in no node.
    """

    def __init__(
        self, name: str, strategy: Actor, swaps: list[SwapReport], parameters: tuple[str, ...]
    ) -> None:
        self.name = name
        self.strategy = strategy
        self.swaps = swaps
        self.parameters = parameters

    def __repr__(self) -> str:
        """Return the object, then what was exchanged, a line each."""
        told = [*self.parameters, *(f"{one.trader_id}: {one}" for one in self.swaps)]
        return "\n".join([f"{self.name} = {self.strategy!r}", *told])


class StrategyCell:
    """Runs one cell.

    Args:
        shell: The running IPython shell.
        line: The magic's line, as it was written.
        cell: The code below it.
    """

    def __init__(self, shell: Any, line: str, cell: str) -> None:
        self._shell = shell
        self._namespace: Namespace = shell.user_ns
        self._source = f"%%strategy {line}\n{cell}"
        self._cell = cell

    def run(self, name: str, only_in: TradingNode | None) -> CellReport:
        """Run it, then make the object or exchange its code.

        Args:
            name: The object's variable.
            only_in: The only node to exchange code in; by default all that have it.

        Raises:
            ConfigError: If it does not define exactly one strategy class, or that class cannot
                take over.
            LifecycleError: If a node that has the code is live.
        """
        check_name(name, self._namespace, Actor)
        code = self._compiled()
        before = dict(self._namespace)
        try:
            self._execute(code)
            kind = self._defined(before)
            if kind.__name__ == name:
                raise ConfigError(
                    f"the object needs another name than its class: %%strategy {name.lower()}"
                    if name.lower() != name
                    else f"the object needs another name than its class {name}"
                )
            held = before.get(name)
            if held is None:
                strategy = _made(kind)
                old: type[Actor] | None = None
            else:
                strategy, old = held, type(held)
            report = _exchanged(name, strategy, old, kind, only_in)
        except BaseException:
            _restore(self._namespace, before)
            raise
        self._namespace[name] = strategy
        return report

    def _compiled(self) -> CodeType:
        shell = self._shell
        try:
            transformed = shell.transform_cell(self._cell)
        except SyntaxError:
            transformed = self._cell  # to be refused below, with the line that the user sees
        # A line above, as the magic's own: tracebacks name the lines that the user sees.
        source = f"\n{transformed}"
        name = shell.compile.cache(source, shell.execution_count, raw_code=self._source)
        try:
            flags = shell.compile.flags
            return compile(ast.parse(source, name), name, "exec", flags=flags, dont_inherit=True)
        except SyntaxError as error:
            # As it is, IPython would show it with the magic's own lines.
            text = (error.text or "").strip()
            raise ConfigError(
                f"the cell has a syntax error in line {error.lineno}, {text!r}: {error.msg}"
            ) from None
        except ValueError as error:  # characters that no source may have
            raise ConfigError(f"the cell cannot be compiled: {error}") from None

    def _execute(self, code: CodeType) -> None:
        try:
            exec(code, self._namespace)
        except Exception as error:
            raise _shown(error) from None

    def _defined(self, before: Namespace) -> type[Actor]:
        """Return the one strategy class that the cell defined."""
        module = self._namespace.get("__name__")
        found = [
            value
            for name, value in self._namespace.items()
            if before.get(name, _MISSING) is not value
            and isinstance(value, type)
            and issubclass(value, Actor)
            and value.__module__ == module
        ]
        found = list(dict.fromkeys(found))
        if len(found) == 1:
            return found[0]
        names = ", ".join(one.__name__ for one in found)
        raise ConfigError(
            "a %%strategy cell defines exactly one subclass of wb.Strategy;"
            f" this one defines {names or 'none'}"
        )


def _exchanged(
    name: str,
    strategy: Actor,
    old: type[Actor] | None,
    kind: type[Actor],
    only_in: TradingNode | None,
) -> CellReport:
    """Let the object, and its like in nodes, go on with a class: all of them or none."""
    everywhere = _targets(strategy, old, kind, nodes())
    targets = [one for one in everywhere if only_in in (None, one[0])]
    if any(actor is strategy for _, actor in everywhere) and not any(
        actor is strategy for _, actor in targets
    ):
        raise ConfigError(f"{name} is part of another node than that one; leave --node out")
    for node, actor in targets:
        check(node, actor)
        CodeSwap(actor, kind)
    own = None
    if old is not None and not any(actor is strategy for _, actor in targets):
        own = CodeSwap(strategy, kind, begins_anew=strategy.state in _OVER)
        own.do()
    done: list[tuple[TradingNode, Actor, type[Actor]]] = []
    reports: list[SwapReport] = []
    try:
        for node, actor in targets:
            was = type(actor)
            reports.append(node.swap_strategy(actor, kind))
            done.append((node, actor, was))
    except BaseException:
        # Noted in their logs as what it is: one exchange, and another one back.
        for node, actor, was in done:
            node.swap_strategy(actor, was)
        if own is not None:
            own.undo()
        raise
    return CellReport(name, strategy, reports, () if own is None else own.changes)


def _targets(
    strategy: Actor, old: type[Actor] | None, kind: type[Actor], among: list[TradingNode]
) -> list[tuple[TradingNode, Actor]]:
    """Return the strategies in nodes, whose run is not over, that have the code to exchange."""

    def has_it(actor: Actor) -> bool:
        of = type(actor)
        is_like = (of.__name__, of.__module__) == (kind.__name__, kind.__module__)
        return actor is strategy or of is old or is_like

    found: list[tuple[TradingNode, Actor]] = []
    for node in among:
        if node.state in (NodeState.STOPPED, NodeState.DISPOSED):
            continue
        for actor in node.strategies:
            # One that has gone on to another node is exchanged there.
            is_here = node.state is NodeState.CREATED or actor.core is node.core
            if has_it(actor) and is_here and all(actor is not one for _, one in found):
                found.append((node, actor))
    return found


def _made(kind: type[Actor]) -> Actor:
    try:
        return kind()
    except Exception as error:
        raise _shown(error) from None


def _restore(namespace: Namespace, before: Namespace) -> None:
    """Bind names as they were bound before."""
    for name in list(namespace):
        if name not in before:
            del namespace[name]
        elif namespace[name] is not before[name]:
            namespace[name] = before[name]
    for name, value in before.items():
        namespace.setdefault(name, value)


def _shown(error: BaseException) -> BaseException:
    """Let IPython show the user's own lines, not the magic's."""
    lines: Callable[[], list[str]] = lambda: render(error, with_cause=True)  # noqa: E731
    if not hasattr(error, "_render_traceback_"):
        error._render_traceback_ = lines  # type: ignore[attr-defined]
    return error
