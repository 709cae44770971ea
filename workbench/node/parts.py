"""What a node is made of: factories of clients, strategies, shadows; all before it is built."""

from __future__ import annotations

from typing import TypeVar

from workbench.model.errors import ConfigError, LifecycleError
from workbench.node.clients import DataClientFactory, ExecClientFactory
from workbench.node.facts import NodeFacts
from workbench.node.hosting import Host, exactly
from workbench.node.shadow import Shadow
from workbench.node.shadow_report import ShadowReport
from workbench.runtime.lifecycle import NodeState
from workbench.sim.venue import SimulatedVenue
from workbench.trading.actor import Actor

_T = TypeVar("_T")
_ANSWER_S = 10.0


class NodeParts(NodeFacts):
    """How a node is put together, and what its shadow has seen."""

    _shadow: Shadow | None
    _host: Host | None

    def add_data_client_factory(self, factory: DataClientFactory) -> None:
        """Add what makes a data client in `build()`.

        Raises:
            LifecycleError: If the node is built.
        """
        self._must_be_created("add a data client factory to")
        self._parts.data_factories.append(_callable(factory, "a data client factory"))

    def add_exec_client_factory(
        self, factory: ExecClientFactory, *, promotable: bool = False
    ) -> None:
        """Add what makes an execution client in `build()`.

        Args:
            factory: Makes it.
            promotable: Whether it is of a real account that strategies may be promoted to: then no
                order of theirs goes there before.

        Raises:
            LifecycleError: If the node is built.
        """
        self._must_be_created("add an execution client factory to")
        self._parts.exec_factories.append(_callable(factory, "an execution client factory"))
        if promotable:
            self._parts.promotable.append(factory)

    def add_shadow(self, venue: SimulatedVenue) -> None:
        """Run a simulated venue beside the real one of its name, on the same data and orders.

        It looks on: nothing of it reaches the strategies or the venue. `node.shadow()` reports.

        Raises:
            LifecycleError: If the node is built.
            ConfigError: If it is no `SimulatedVenue`; without a real venue `build()` refuses it.
        """
        self._must_be_created("add a shadow to")
        if not isinstance(venue, SimulatedVenue):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"a shadow is a wb.SimulatedVenue(name=VENUE); got {venue!r}")
        self._parts.shadows.append(venue)

    def add_strategy(self, strategy: Actor) -> None:
        """Add a strategy or actor; the same object may have been in a backtest before.

        Raises:
            LifecycleError: If the node is built.
            ConfigError: If it is a class, no strategy at all, or added twice.
        """
        self._must_be_created("add a strategy to")
        if isinstance(strategy, type):
            raise ConfigError(f"pass an object, {strategy.__name__}(...), not the class")
        if not isinstance(strategy, Actor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"a strategy is a wb.Strategy or wb.Actor; got {strategy!r}")
        if any(strategy is one for one in self._parts.actors):
            raise ConfigError(
                f"{strategy!r} was added already; make another object for a second one"
            )
        self._parts.actors.append(strategy)

    def _must_be_created(self, what: str) -> None:
        if self.state is not NodeState.CREATED:
            raise self._refusal(what)

    def _refusal(self, what: str) -> LifecycleError:
        allowed = ", ".join(self.allowed) or "nothing"
        return LifecycleError(f"cannot {what} a {self.state.value} node; allowed now: {allowed}")

    def shadow(self) -> ShadowReport:
        """Return how far the venue and its shadow are apart: prices, delays, missed fills.

        `.frame()` has an order a row, `.fills()` a fill, `.summary()` what they add up to.

        Raises:
            ConfigError: If the node has no shadow.
            LifecycleError: If it is not built yet.
            ThreadError: If the node's loop does not answer within ten seconds.
        """
        if not self._parts.shadows:
            raise ConfigError(
                "this node has no shadow; make it with shadow=True, or node.add_shadow(...) before"
                " it is built"
            )
        if self._shadow is None:
            raise LifecycleError(f"a {self.state.value} node casts no shadow; call build() first")
        host, report = self._host, self._shadow.report
        return exactly(report) if host is None else host.call(report, _ANSWER_S)


def _callable(factory: _T, what: str) -> _T:
    if not callable(factory):
        raise ConfigError(
            f"{what} is called with a BuildContext and returns a client; got {factory!r}"
        )
    return factory
