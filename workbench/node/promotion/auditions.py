"""Auditions: what strategies show while they run in the sandbox, and whether their code stays.

They begin when strategies start, and anew where one goes on with other code.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from workbench.model.events import StrategySwapped, TimeEvent
from workbench.node.promotion import points
from workbench.node.promotion.checklist import Check
from workbench.node.promotion.evidence import Evidence, EvidenceKeeper, EvidenceTap
from workbench.node.promotion.rules import PromotionRules
from workbench.node.session import Session
from workbench.runtime.eventlog import RecordKind
from workbench.trading.code_identity import CodeIdentity, changes_since, identify
from workbench.trading.core import TradingCore
from workbench.trading.strategy import Strategy

_log = logging.getLogger(__name__)
ALERT = "node:promotion"
_LOOK_NS = 5_000_000_000


class Auditions:
    """The auditions of one node's strategies.

    Args:
        core: Whose strategies.
        session: Its run.
        look: Called every few seconds with each strategy.
    """

    def __init__(
        self, core: TradingCore, session: Session, look: Callable[[Strategy], None]
    ) -> None:
        self._core = core
        self._session = session
        self._look_at = look
        self._codes: dict[str, CodeIdentity] = {}
        self._swapped: set[str] = set()
        self._paper = frozenset(
            client.account_id for client in core.execution.clients if client.is_simulated
        )
        self._tap = EvidenceTap(core)
        core.log.followers.append(self._on_record)

    def begin(self) -> None:
        """Begin, before strategies start."""
        for strategy in strategies_of(self._core):
            self.renew(strategy)
        self._arm()

    def renew(self, strategy: Strategy) -> None:
        """Count from now on, for the code that the strategy has now."""
        core, name = self._core, str(strategy.component_id)
        self._codes[name] = identify(strategy)
        self._tap.keepers[name] = EvidenceKeeper(
            name, core.portfolio, self._paper, core.clock.timestamp_ns()
        )

    def _on_record(self, _: int, kind: RecordKind, message: object) -> None:
        if kind is RecordKind.SWAP and isinstance(message, StrategySwapped):
            for strategy in strategies_of(self._core):
                if strategy.component_id == message.strategy_id:
                    self._swapped.add(message.strategy_id)
                    self.renew(strategy)

    def _arm(self) -> None:
        clock = self._core.clock
        clock.set_alert(ALERT, clock.timestamp_ns() + _LOOK_NS, self._look)

    def _look(self, _: TimeEvent) -> None:
        for keeper in self._tap.keepers.values():
            keeper.look()
        for strategy in strategies_of(self._core):
            self._look_at(strategy)
        self._arm()

    def evidence(self, strategy: Strategy) -> Evidence | None:
        """Return what a strategy has shown by now; None before it has started."""
        keeper = self._tap.keepers.get(strategy.component_id)
        if keeper is None:
            return None
        session = self._session
        exceptions = tuple(str(error) for error in (*session.faults, *session.halts))
        return keeper.evidence(self._core.clock.timestamp_ns(), list(session.stalls), exceptions)

    def checks(self, strategy: Strategy, rules: PromotionRules) -> list[Check]:
        """Return the points about what a strategy has shown, and about its code."""
        found = self.evidence(strategy)
        if found is None:
            return [Check(name="evidence", passed=False, found="none", wanted="a running sandbox")]
        name = str(strategy.component_id)
        changed = changes_since(self._codes[name], strategy)
        swapped = name in self._swapped
        return [*points.evidence(found, rules), points.code(changed, swapped=swapped)]


def strategies_of(core: TradingCore) -> list[Strategy]:
    """Return the strategies among a core's actors."""
    return [actor for actor in core.actors if isinstance(actor, Strategy)]
