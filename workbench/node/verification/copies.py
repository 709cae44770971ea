"""Fresh copies of strategies, in a core of their own that is where the run's was."""

from __future__ import annotations

import platform
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

from workbench.model.errors import ConfigError
from workbench.model.identifiers import ComponentId
from workbench.node.journal import JournalKind, JournalRecord
from workbench.node.journal.circumstances import StrategyStarted
from workbench.node.journal.folding import FOLDED, JournalState, starts_of
from workbench.node.journal.taking_over import take_over_books
from workbench.node.verification.plan import Plan
from workbench.node.verification.surroundings import (
    Cause,
    FollowedClock,
    FollowedExecutionClient,
    GivenChannel,
    as_channels,
    given_channels,
)
from workbench.runtime.channels import ChannelName
from workbench.runtime.senders import Senders
from workbench.trading.actor import Actor
from workbench.trading.code_identity import changed_parts, code_parts, is_comparable
from workbench.trading.core import TradingCore
from workbench.trading.strategy import Strategy

Made = tuple[type[Actor], Mapping[str, Any]]
"""A strategy as it is made: its class and its parameters."""


class Copy:
    """A core with copies of strategies, to which nothing happens but what it is told.

    Args:
        plan: The run it is a copy of.
        made: The strategies, in the order they were added.
        stood_in: Those in whose place something stands that does nothing.
        cause: Tells what is handled.

    Attributes:
        core: The core.
        clock: Its clock.
        channels: What it put into its channels.
        actors: The copies, by name.
    """

    def __init__(
        self,
        plan: Plan,
        made: Sequence[Made],
        stood_in: Container[str],
        cause: Callable[[], Cause],
    ) -> None:
        self.clock = FollowedClock()
        self.channels: dict[ChannelName, GivenChannel] = given_channels(cause)
        channels = as_channels(self.channels)
        began, config = plan.entry.began, plan.config
        self.core = TradingCore(
            self.clock,
            channels,
            Senders(channels, "verification"),
            run_tag=began.run_tag,
            limits=config.limits,
            allow_overfills=began.allow_overfills,
            align_positions=began.align_positions,
            log_limit=1,
            history_timeout_ns=round(config.timeout_history_s * 10**9),
        )
        self.core.on_shutdown(_ignore)
        for traded in began.accounts:
            self.core.execution.add_client(FollowedExecutionClient(traded))
        self.clock.now_ns = plan.entry.started.ts
        if plan.is_live:
            self._take_over(plan)
        self.actors: dict[ComponentId, Actor] = {}
        for (kind, parameters), started in zip(made, plan.started, strict=True):
            is_stood_in = started.strategy_id in stood_in
            actor = _stand_in(started) if is_stood_in else kind(**parameters)
            if isinstance(actor, Strategy):
                actor.external_order_claims = [
                    instrument_id
                    for instrument_id, owner in began.claims.items()
                    if owner == started.strategy_id
                ]
            name = self.core.add_actor(actor)
            if name != started.strategy_id:
                raise ConfigError(
                    f"the run's strategies are {', '.join(plan.names())}; the copy of"
                    f" {started.strategy_id} would be {name}: pass strategies of the same classes,"
                    " in the order they were added"
                )
            self.actors[name] = actor

    def _take_over(self, plan: Plan) -> None:
        """Bring the books to where the runs before left them."""
        run = plan.entry.run

        def before(*kinds: JournalKind) -> Iterator[JournalRecord]:
            for record in plan.view.messages(kinds):
                if record.run >= run:
                    return
                yield record

        state = JournalState(starts_of(before(JournalKind.RUN)))
        state.fold(before(*FOLDED))
        began = plan.entry.began
        take_over_books(
            self.core,
            state,
            before(*FOLDED),
            allow_overfills=began.allow_overfills,
            align_positions=began.align_positions,
        )


def differences(made: Made, started: StrategyStarted, python: str) -> Iterator[str]:
    """Yield what of a copy is another than what ran, a sentence each.

    Args:
        made: The copy.
        started: What ran.
        python: The version of Python that it ran on.
    """
    kind, parameters = made
    unknown = "whether its code is the one that started cannot be told: "
    if not started.parts:
        yield f"{unknown}the run was recorded by an older workbench"
    elif not is_comparable(python):
        yield f"{unknown}it ran on Python {python}, this is {platform.python_version()}"
    elif changed := changed_parts(started.parts, code_parts(kind)):
        yield f"its code is another than the one that started: {'; '.join(changed)}"
    now = {name: repr(value) for name, value in parameters.items()}
    for name in sorted({*now, *started.parameters}):
        before, after = started.parameters.get(name, "absent"), now.get(name, "absent")
        if before != after:
            yield f"its parameter {name} was {before}, the copy's is {after}"


def _stand_in(started: StrategyStarted) -> Actor:
    root: type[Actor] = Strategy if started.trades else Actor
    kind: Any = type(started.class_name, (root,), {})
    return kind()


def _ignore(_: object) -> None: ...
