"""Promotion: a strategy's orders go to a real account from one message to the next.

The node stays, with its clock, its data and the strategy object. The account's client has been
connected and reconciled since the node started; nothing of a strategy goes to it without a route.
That there is one is in the journal before it is set, so that a node that dies in between goes on
as promoted. A node that starts sets the routes its journal tells of, and refuses to where the code
is another by now.
"""

from __future__ import annotations

import asyncio
import getpass
import logging
import platform
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from workbench.engines.clients import ExecutionClient
from workbench.model.errors import ConfigError, LifecycleError
from workbench.model.identifiers import AccountId, parse_instrument_id, venue_of
from workbench.node.builder import Built
from workbench.node.choosing import chosen_actor
from workbench.node.config import TradingNodeConfig
from workbench.node.journal import JournalError, JournalKind, Promotion
from workbench.node.phases import NodePhase
from workbench.node.promotion import points
from workbench.node.promotion.accounts import Accounts
from workbench.node.promotion.auditions import Auditions, strategies_of
from workbench.node.promotion.certificate import Certificate
from workbench.node.promotion.checklist import Checklist
from workbench.node.promotion.errors import PromotionError
from workbench.node.promotion.moving import Moved, Mover
from workbench.node.promotion.records import (
    DEMOTED,
    PROMOTED,
    REFUSED,
    certificate_of,
    standing,
)
from workbench.node.promotion.reports import DemotionReport, PromotionReport
from workbench.node.promotion.rules import PromotionRules
from workbench.node.required_limits import missing_limits
from workbench.node.session import Session
from workbench.trading.actor import Actor
from workbench.trading.code_identity import changes_since, identify
from workbench.trading.strategy import Strategy
from workbench.venues.execution_client import VenueExecutionClient

_log = logging.getLogger(__name__)
_PAUSE_S = 0.005
_ROUNDS = 3
_SETTLE_S = 5.0
POSITIONS = ("close", "open")
LEFT = ("leave", "close")


class Promoting:
    """Promotes and demotes the strategies of one node.

    Args:
        config: The node's settings.
        built: Its core, clients and journal.
        session: Its run.

    Attributes:
        certificates: Of the strategies that are promoted, by their id.
    """

    def __init__(self, config: TradingNodeConfig, built: Built, session: Session) -> None:
        self.certificates: dict[str, Certificate] = {}
        self._config = config
        self._core = built.core
        self._session = session
        self._journaling = built.journaling
        self._accounts = Accounts(config, built.core, session, built.journaling)
        self._auditions: Auditions | None = None
        self._unsettled: dict[str, ExecutionClient] = {}
        self._turn = asyncio.Lock()  # one promotion or demotion at a time
        if built.core.routes.guarded:
            self._auditions = Auditions(built.core, session, self._look)
            session.before_start.append(self._auditions.begin)
        session.after_start.append(self._settle)

    # What holds from earlier runs

    def restore(self) -> None:
        """Set the routes that the journal tells of.

        Raises:
            PromotionError: If a strategy's code is another now, its account is not traded here, or
                limits are missing.
        """
        if self._journaling is None:
            return
        strategies = {str(one.component_id): one for one in strategies_of(self._core)}
        promoted = standing(self._journaling.journal)
        for strategy_id, said in promoted.items():
            strategy = strategies.get(strategy_id)
            if strategy is not None:
                self._restore(strategy, said)
            else:
                self._miss(said, [one for one in strategies if one not in promoted])
        for strategy in strategies.values():
            self._withhold(strategy)

    def _miss(self, said: Promotion, others: Sequence[str]) -> None:
        """Tell of a promoted strategy that is not there; refuse where it has another number now."""
        name, account_id = said.strategy_id, said.account_id
        kind = name.rpartition("-")[0]
        found = ", ".join(one for one in others if one.rpartition("-")[0] == kind)
        demote = f"demote it: node.demote({name!r}) before build()"
        if found:
            raise PromotionError(
                f"{name} is promoted to account {account_id}, and this node has {found} instead: a"
                " strategy's number is its place among the node's strategies. List them as they"
                f" were, or {demote}"
            )
        _log.warning(
            "%s is promoted to account %s and is not part of this node: nobody here sees to what it"
            " has open there. Run it, or %s",
            *(name, account_id, demote),
        )

    def _withhold(self, strategy: Strategy) -> None:
        """Let a strategy claim nothing that others send to an account it may not trade."""
        core, strategy_id = self._core, strategy.strategy_id
        venues = {c.venue for c in core.execution.clients if c.account_id in core.routes.guarded}
        for name in strategy.external_order_claims:
            instrument_id = parse_instrument_id(name)
            venue = venue_of(instrument_id)
            if venue in venues and core.routes.account_of(strategy_id, venue) is None:
                core.execution.external.unclaim(instrument_id, strategy_id)

    def _restore(self, strategy: Strategy, said: Promotion) -> None:
        name, account_id = strategy.component_id, said.account_id
        demote = f"demote it first: node.demote({name!r}) before build()"
        client = self._accounts.client(account_id)
        if client is None:
            raise PromotionError(
                f"{name} is promoted to account {account_id}, which this node does not trade: pass"
                f" account=wb.VenueAccount(...) to wb.sandbox, or make the node with wb.live; or"
                f" {demote}"
            )
        certificate = certificate_of(said)
        problems = ["its certificate cannot be read"]
        if certificate is not None:
            problems = certificate.verify(strategy)
            self.certificates[name] = certificate
        if problems:
            raise PromotionError(
                f"{name} is promoted to account {account_id} and is not what was promoted:"
                f" {'; '.join(problems)}. Put that back, or {demote}"
            )
        missing = missing_limits(self._config.limits)
        if missing:
            raise PromotionError(
                f"{name} is promoted to account {account_id}, and limits are missing: pass"
                f" limits=wb.RiskLimits(...) with {', '.join(missing)}; or {demote}"
            )
        self._core.routes.set(strategy.strategy_id, client.venue, client.account_id)

    def _settle(self) -> None:
        """Finish what a promotion had begun when its node died."""
        for strategy, client in self._promoted():
            if client.account_id in self._core.routes.guarded:
                source = self._accounts.simulated_at(client)
                Mover(self._core, strategy, source, has_left=True).cancel()
                self._unsettled[strategy.component_id] = source
                self._close_left(strategy)

    def _close_left(self, strategy: Strategy) -> None:
        """Close what a promoted strategy holds in the sandbox, as soon as there is a price."""
        source = self._unsettled.get(strategy.component_id)
        if source is not None and self._accounts.check_position(strategy, source).passed:
            del self._unsettled[strategy.component_id]
            Mover(self._core, strategy, source, has_left=True).close()

    def _promoted(self) -> list[tuple[Strategy, VenueExecutionClient]]:
        found: list[tuple[Strategy, VenueExecutionClient]] = []
        for strategy in strategies_of(self._core):
            certificate = self.certificates.get(strategy.component_id)
            client = None if certificate is None else self._accounts.client(certificate.account_id)
            if client is not None:
                found.append((strategy, client))
        return found

    # While it runs

    def _look(self, strategy: Strategy) -> None:
        """Let nothing new leave of a strategy that is not what was promoted any more."""
        certificate = self.certificates.get(strategy.component_id)
        if certificate is None:
            return
        self._close_left(strategy)
        changed = changes_since(certificate.code, strategy)
        mine = [r for key, r in self._core.routes.all().items() if key[0] == strategy.strategy_id]
        if changed and not any(route.code for route in mine):
            reason = f"it is not what was promoted: {'; '.join(changed)}; demote it"
            self._core.routes.refuse(strategy.strategy_id, "STRATEGY_CHANGED", reason)
            if self._journaling is not None and self._journaling.circumstances is not None:
                self._journaling.circumstances.note_routes()
            _log.error("%s sends no new orders: %s", strategy.component_id, reason)
            self._note(REFUSED, strategy, certificate.account_id, None)

    async def checklist(
        self,
        which: Actor | str | None,
        account: object,
        rules: PromotionRules | None,
        confirm: str | None = None,
    ) -> Checklist:
        """Look at every point; see `TradingNode.checklist`."""
        strategy, client = self._chosen(which), self._accounts.chosen(account)
        asked = _rules(rules)
        core, session = self._core, self._session
        assert self._auditions is not None  # else there is no account to choose
        source = self._accounts.simulated_at(client)
        checks = [
            points.running(session.phase, core.risk.trading_state),
            points.market_data(core.data.clients, session.stale),
            *self._auditions.checks(strategy, asked),
            points.limits(self._config.limits),
            *await self._accounts.checks(client, asked),
            self._accounts.check_position(strategy, source),
        ]
        if confirm is not None:
            checks.append(points.confirmed(confirm, client.account_id))
        return Checklist(
            strategy_id=strategy.component_id,
            account_id=client.account_id,
            checks=tuple(checks),
            ts_ns=core.clock.timestamp_ns(),
        )

    def _chosen(self, which: Actor | str | None) -> Strategy:
        return chosen_actor(strategies_of(self._core), which)

    # Promotion

    async def promote(
        self,
        which: Actor | str | None,
        account: object,
        *,
        confirm: str,
        dry_run: bool,
        rules: PromotionRules | None,
        position: str,
    ) -> PromotionReport:
        """Promote; see `TradingNode.promote`."""
        _check_word("position", position, POSITIONS)
        async with self._turn:
            return await self._promote(which, account, confirm, dry_run, rules, position)

    async def _promote(
        self,
        which: Actor | str | None,
        account: object,
        confirm: str,
        dry_run: bool,
        rules: PromotionRules | None,
        position: str,
    ) -> PromotionReport:
        self._must_run()
        strategy, client = self._chosen(which), self._accounts.chosen(account)
        self._refuse_promoted(strategy)
        checklist = await self.checklist(strategy, client, rules, None if dry_run else confirm)
        mover = Mover(self._core, strategy, self._accounts.simulated_at(client))
        if dry_run:
            return PromotionReport(
                strategy_id=strategy.component_id,
                account_id=client.account_id,
                checklist=checklist,
                moved=mover.planned(opens=position == "open"),
                is_dry_run=True,
            )
        if not checklist.passed:
            self._note(REFUSED, strategy, client.account_id, None)
            raise PromotionError(str(checklist), checklist)
        certificate = self._certificate(strategy, client, _rules(rules), checklist, position)
        problem = await self._certify(strategy, client, certificate)
        if problem:
            await self._end(strategy, client.account_id)
            raise PromotionError(f"{strategy.component_id} was not promoted: {problem}", checklist)
        mover.to(client)
        self.certificates[strategy.component_id] = certificate
        try:
            moved = await self._move(mover, opens=position == "open")
        except BaseException:
            left = "; ".join(mover.left()) or "nothing"
            _log.warning("promoted, then broken off: %s; still simulated: %s", certificate, left)
            raise
        _log.warning("promoted: %s", certificate)
        return PromotionReport(
            strategy_id=strategy.component_id,
            account_id=client.account_id,
            checklist=checklist,
            moved=moved,
            certificate=certificate,
        )

    def _must_run(self) -> None:
        if self._session.phase is not NodePhase.RUNNING:
            raise LifecycleError(
                "a strategy is promoted and demoted while its node runs; the node's phase is"
                f" {self._session.phase.value}"
            )

    def _refuse_promoted(self, strategy: Strategy) -> None:
        certificate = self.certificates.get(strategy.component_id)
        if certificate is not None:
            raise PromotionError(
                f"{strategy.component_id} is promoted to account {certificate.account_id} already;"
                f" node.demote({strategy.component_id!r}) comes first"
            )

    def _certificate(
        self,
        strategy: Strategy,
        client: VenueExecutionClient,
        rules: PromotionRules,
        checklist: Checklist,
        position: str,
    ) -> Certificate:
        assert self._auditions is not None  # else there is no account to promote to
        evidence = self._auditions.evidence(strategy)
        assert evidence is not None  # else the checklist had failed
        return Certificate(
            trader_id=self._config.trader_id,
            strategy_id=strategy.component_id,
            class_name=type(strategy).__name__,
            account_id=client.account_id,
            code=identify(strategy),
            evidence=evidence,
            rules=rules,
            limits=msgspec.to_builtins(self._config.limits, str_keys=True),
            checks=checklist.checks,
            position=position,
            by=f"{getpass.getuser()} at {platform.node()}",
            ts_ns=self._core.clock.timestamp_ns(),
        ).signed()

    def _problem_now(
        self, strategy: Strategy, client: VenueExecutionClient, certificate: Certificate
    ) -> str:
        """Return what has changed while the certificate was written down."""
        now = (
            points.running(self._session.phase, self._core.risk.trading_state),
            points.venue(client),
            points.lease(self._accounts.lease(client.account_id)),
            points.code(certificate.verify(strategy), swapped=False),
        )
        return "; ".join(str(check) for check in now if not check.passed)

    async def _certify(
        self, strategy: Strategy, client: VenueExecutionClient, certificate: Certificate
    ) -> str:
        """Write a promotion down; return what has changed meanwhile."""
        try:
            await self._durable(PROMOTED, strategy, client.account_id, certificate)
            return self._problem_now(strategy, client, certificate)
        except BaseException:
            # Broken off, or it is not known whether it was written: the next run must not begin
            # with what did not come to be in this one.
            with suppress(JournalError):
                self._note(DEMOTED, strategy, client.account_id, None)
            raise

    async def _move(self, mover: Mover, *, opens: bool) -> Moved:
        with mover.expedited():
            for _ in range(_ROUNDS):
                mover.cancel()
                mover.close()
                await self._accounts.handled()
                if not mover.left():
                    break
        if opens:
            mover.open()
            await self._accounts.handled()
        return mover.moved()

    # Demotion

    async def demote(self, which: Actor | str | None, *, position: str) -> DemotionReport:
        """Demote; see `TradingNode.demote`."""
        _check_word("position", position, LEFT)
        async with self._turn:
            return await self._demote(which, closes=position == "close")

    async def _demote(self, which: Actor | str | None, *, closes: bool) -> DemotionReport:
        self._must_run()
        strategy, client = self._demoted(which)
        if client.account_id not in self._core.routes.guarded:
            raise PromotionError(
                f"this node has no other account for {strategy.component_id} than"
                f" {client.account_id}: stop it, and demote before the next build()"
            )
        mover = Mover(self._core, strategy, client)
        mover.cancel()
        if closes:
            mover.close()
        mover.back()
        del self.certificates[strategy.component_id]
        self._unsettled.pop(strategy.component_id, None)
        if self._auditions is not None:
            self._auditions.renew(strategy)
        await self._end(strategy, client.account_id)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + _SETTLE_S
        while True:
            if closes:
                mover.close()  # what was filled meanwhile
            if not mover.is_awaited() or loop.time() >= end_s or self._session.faults:
                break
            await asyncio.sleep(_PAUSE_S)
        moved = mover.moved()
        left = "; ".join(moved.left) or "nothing"
        names = strategy.component_id, client.account_id
        _log.warning("demoted: %s from account %s; still open there: %s", *names, left)
        return DemotionReport(
            strategy_id=strategy.component_id, account_id=client.account_id, moved=moved
        )

    def _demoted(self, which: Actor | str | None) -> tuple[Strategy, VenueExecutionClient]:
        promoted = self._promoted()
        strategy = promoted[0][0] if which is None and len(promoted) == 1 else self._chosen(which)
        for one, client in promoted:
            if one is strategy:
                return one, client
        names = ", ".join(self.certificates) or "none"
        raise PromotionError(f"{strategy.component_id} is not promoted; promoted: {names}")

    # The journal

    def _note(
        self, action: str, strategy: Strategy, account_id: str, certificate: Certificate | None
    ) -> int:
        """Write down what became of a promotion; return its sequence."""
        if self._journaling is None:
            raise JournalError("a node without a journal promotes nothing")
        said = Promotion(
            action=action,
            strategy_id=strategy.component_id,
            account_id=AccountId(account_id),
            fingerprint="" if certificate is None else certificate.code.fingerprint,
            certificate={} if certificate is None else certificate.to_dict(),
        )
        return self._journaling.journal.append(JournalKind.PROMOTION, said)

    async def _end(self, strategy: Strategy, account_id: str) -> None:
        """Write down that a strategy is promoted no longer."""
        name = strategy.component_id
        try:
            await self._durable(DEMOTED, strategy, account_id, None)
        except JournalError as error:
            raise JournalError(
                f"{name} does not trade account {account_id} any longer, which could not be written"
                f" down ({error}): the next run would begin promoted; call node.demote({name!r})"
                " before its build()"
            ) from error

    async def _durable(
        self,
        action: str,
        strategy: Strategy,
        account_id: str,
        certificate: Certificate | None,
    ) -> None:
        sequence = self._note(action, strategy, account_id, certificate)
        assert self._journaling is not None
        await self._journaling.journal.durable(sequence)


def _rules(given: object) -> PromotionRules:
    if given is None:
        return PromotionRules()
    if not isinstance(given, PromotionRules):
        raise ConfigError(f"rules is a wb.PromotionRules(...); got {given!r}")
    return given


def _check_word(name: str, value: str, words: Sequence[str]) -> None:
    if value not in words:
        raise ConfigError(f"{name} is {' or '.join(map(repr, words))}; got {value!r}")
