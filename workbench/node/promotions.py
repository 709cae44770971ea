"""Promotion as a node's methods: the checklist, the way to a real account, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from decimal import localcontext
from typing import Any, TypeVar

from workbench.model.errors import ConfigError, LifecycleError
from workbench.model.money import MONEY_CONTEXT
from workbench.node.facts import NodeFacts
from workbench.node.hosting import Host
from workbench.node.journaling import OpenJournal
from workbench.node.promotion import (
    Checklist,
    DemotionReport,
    Promoting,
    PromotionReport,
    PromotionRules,
)
from workbench.node.promotion.records import demote_in_journal
from workbench.node.user_data import journal_path
from workbench.runtime.clock import LiveClock
from workbench.runtime.lifecycle import NodeState
from workbench.trading.actor import Actor
from workbench.venues.secrets import redact

_T = TypeVar("_T")
_WITHIN_S = 60.0


class NodePromotions(NodeFacts):
    """What of a node is about promotion."""

    _host: Host | None
    _open_journal: OpenJournal

    def checklist(
        self,
        strategy: Actor | str | None = None,
        account: Any = None,
        *,
        rules: PromotionRules | None = None,
    ) -> Checklist:
        """Return what would have to hold for a promotion, point by point; nothing changes.

        In a cell, `await node.checklist_async(...)` does the same without nesting the loop.

        Args:
            strategy: The strategy, its id or its class's name; the only one by default.
            account: The account, or its id; the only one by default.
            rules: How much evidence is asked for.

        Raises:
            ConfigError: If there is no such strategy or account; says which there are.
            LifecycleError: If the node was never run.
        """
        return self._wait_for(lambda: self.checklist_async(strategy, account, rules=rules))

    async def checklist_async(
        self,
        strategy: Actor | str | None = None,
        account: Any = None,
        *,
        rules: PromotionRules | None = None,
    ) -> Checklist:
        """Do what `checklist` does, awaiting it."""
        promoting, host = self._promotes("check")
        return await host.run_for_async(
            lambda: _exact(promoting.checklist(strategy, account, rules))
        )

    def promote(
        self,
        strategy: Actor | str | None = None,
        account: Any = None,
        *,
        confirm: str = "",
        dry_run: bool = False,
        rules: PromotionRules | None = None,
        position: str = "close",
    ) -> PromotionReport:
        """Let a strategy that runs in this sandbox trade a real account from now on.

        Node, clock, data and strategy object stay. Every point of the checklist must hold; what
        decided it is kept as a certificate in the journal, durably, before anything changes. Then,
        between two messages, the strategy's orders get another way; those at the simulated exchange
        are cancelled and its simulated position is closed, and the strategy hears of it as of
        anything else. `demote` is the way back; `dry_run=True` shows everything and changes
        nothing. What a strategy claims (`external_order_claims`) becomes its own from the next run
        on, which begins promoted.

        In a cell, `await node.promote_async(...)` does the same without nesting the loop.

        Args:
            strategy: The strategy, its id or its class's name; the only one by default.
            account: The account, or its id; the only one by default.
            confirm: The account's id once more: this is real money.
            dry_run: Whether only to show what would be.
            rules: How much evidence is asked for.
            position: What becomes of the simulated position: `"close"` it in the books, or besides
                `"open"` an equal one at the venue, by market orders.

        Raises:
            PromotionError: If a point of the checklist does not hold; names it. Nothing changed.
            ConfigError: If there is no such strategy or account; says which there are.
            LifecycleError: If the node does not run.
            JournalError: If it cannot be written down. Nothing changed.
        """
        return self._wait_for(
            lambda: self.promote_async(
                strategy,
                account,
                confirm=confirm,
                dry_run=dry_run,
                rules=rules,
                position=position,
            )
        )

    async def promote_async(
        self,
        strategy: Actor | str | None = None,
        account: Any = None,
        *,
        confirm: str = "",
        dry_run: bool = False,
        rules: PromotionRules | None = None,
        position: str = "close",
    ) -> PromotionReport:
        """Do what `promote` does, awaiting it."""
        promoting, host = self._promotes("promote in")
        return await host.run_for_async(
            lambda: _exact(
                promoting.promote(
                    strategy,
                    account,
                    confirm=confirm,
                    dry_run=dry_run,
                    rules=rules,
                    position=position,
                )
            )
        )

    def demote(
        self, strategy: Actor | str | None = None, *, position: str = "leave"
    ) -> DemotionReport:
        """Let a promoted strategy trade the simulated exchange again.

        Its orders at the venue are cancelled. Of a position there it may still send what reduces
        it. Before `build()` this only writes down that the strategy is promoted no longer, as where
        its code was changed; what is at the venue stays there.

        In a cell, `await node.demote_async(...)` does the same without nesting the loop.

        Args:
            strategy: The strategy, its id or its class's name; the only promoted one by default.
            position: What becomes of its position at the venue: `"leave"` it there, or `"close"` it
                at the market.

        Raises:
            PromotionError: If it is not promoted.
            ConfigError: If there is no such strategy.
            LifecycleError: If the node is built and does not run.
        """
        if self.state is NodeState.CREATED:
            return self._demote_unbuilt(strategy)
        return self._wait_for(lambda: self.demote_async(strategy, position=position))

    async def demote_async(
        self, strategy: Actor | str | None = None, *, position: str = "leave"
    ) -> DemotionReport:
        """Do what `demote` does, awaiting it."""
        if self.state is NodeState.CREATED:
            return self._demote_unbuilt(strategy)
        promoting, host = self._promotes("demote in")
        return await host.run_for_async(
            lambda: _exact(promoting.demote(strategy, position=position))
        )

    def _demote_unbuilt(self, strategy: Actor | str | None) -> DemotionReport:
        names = {
            str(id(actor)): f"{type(actor).__name__}-{number:03d}"
            for number, actor in enumerate(self._parts.actors, start=1)
        }
        which = names.get(str(id(strategy))) if isinstance(strategy, Actor) else strategy
        path = journal_path(self.config)
        if path is None:
            raise ConfigError("this node keeps no journal, so nothing of it is promoted")
        clock = LiveClock(lambda _: None)
        journal = self._open_journal(path, self.config.trader_id, clock, redact=redact)
        try:
            report = demote_in_journal(journal, which)
            journal.flush()
        finally:
            journal.close()
        return report

    def _promotes(self, what: str) -> tuple[Promoting, Host]:
        if self._promoting is None or self._host is None or self.state is not NodeState.RUNNING:
            raise LifecycleError(
                f"cannot {what} a {self.state.value} node; its strategies must run"
            )
        return self._promoting, self._host

    def _wait_for(self, make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        if self._host is None:
            raise LifecycleError(f"a {self.state.value} node does not run; call build() and run()")
        if self.is_inside:
            raise LifecycleError(
                "one of the node's own callbacks cannot wait for this; call it in a cell"
            )
        try:
            return self._host.run_for(make, _WITHIN_S)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("broken off; node.promoted tells what holds now") from None


async def _exact(work: Coroutine[Any, Any, _T]) -> _T:
    """Await something in the decimal context that the node computes in, whatever the caller's."""
    with localcontext(MONEY_CONTEXT):
        return await work
