"""Verifying: pass after pass, until every strategy was followed to its end or first difference."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from workbench.model.errors import ConfigError
from workbench.model.identifiers import ComponentId
from workbench.node.choosing import Candidate, chosen
from workbench.node.journal import JournalView
from workbench.node.verification.copies import Made, differences
from workbench.node.verification.course import CannotFollowError, FoundDifferenceError
from workbench.node.verification.following import Follower
from workbench.node.verification.plan import Plan, plan
from workbench.node.verification.results import Difference, StrategyVerification, Verification
from workbench.trading.actor import Actor
from workbench.trading.code_identity import short_fingerprint

Progress = Callable[[int, int], None]
"""Told how many records were followed, and how many there are."""

_TOLD_EVERY = 256


def verify(
    journal: str | Path | JournalView,
    strategies: Actor | Sequence[Actor],
    *,
    run: int = -1,
    strategy: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Feed a run's record to fresh copies of its strategies, and compare every command.

    Args:
        journal: The journal, or its file; a node may be writing it.
        strategies: Strategies like those that ran, in the order they were added; what is fed is a
            fresh copy of each (its class and parameters).
        run: Which run; -1 is the last.
        strategy: Only this one, by its name (`Cross-001`) or class; by default all.
        progress: Told how many records were followed, and how many there are, instead of a bar
            that shows once it takes a second.

    Raises:
        ConfigError: If the run was not recorded as this needs, or the strategies are not its.
        JournalError: If the journal cannot be read.
    """
    given = [strategies] if isinstance(strategies, Actor) else list(strategies)
    made = [(type(one), dict(one.parameters)) for one in given]
    return verify_made(plan(journal, run), made, {}, strategy=strategy, progress=progress)


def verify_made(
    followed: Plan,
    made: Sequence[Made],
    codes: Mapping[str, type[Actor]],
    *,
    strategy: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Do what `verify` does, with classes and parameters in place of strategies.

    Args:
        followed: The run.
        made: The strategies, in the order they were added.
        codes: Classes that strategies became in the run, by fingerprint.
        strategy: Only this one.
        progress: As for `verify`.
    """
    if len(made) != len(followed.started) and followed.started:
        raise ConfigError(
            f"run {followed.entry.run} had {len(followed.started)} strategies,"
            f" {', '.join(followed.names())}; got {len(made)}"
        )
    known = {short_fingerprint(kind): kind for kind, _ in made} | dict(codes)
    wanted = _wanted(followed, strategy)
    began = time.perf_counter()
    with _telling(followed.entry.records, progress) as tell:
        found = _Passes(followed, made, known, wanted, tell).run()
    return msgspec.structs.replace(found, seconds=time.perf_counter() - began)


class _Passes:
    """Follows a run; again, without those of which a difference was found, for the others' sake."""

    def __init__(
        self,
        followed: Plan,
        made: Sequence[Made],
        codes: Mapping[str, type[Actor]],
        wanted: list[ComponentId],
        tell: Callable[[int], None],
    ) -> None:
        self._plan = followed
        self._made = made if followed.started else ()
        self._codes = codes
        self._wanted = wanted
        self._tell = tell
        self._differences: dict[str, Difference] = {}
        self._commands: dict[str, int] = {}
        self._messages = 0
        self._unattributed: Difference | None = None
        self._stopped = ""

    def run(self) -> Verification:
        follower = self._follow()
        while self._differences and not self._unattributed:
            left = [name for name in self._wanted if name not in self._differences]
            before = len(self._differences)
            if not left:
                break
            follower = self._follow()
            if len(self._differences) == before:
                break
        return self._verification(follower)

    def _follow(self) -> Follower:
        names = self._plan.names()
        stood_in = frozenset(
            name for name in names if name not in self._wanted or name in self._differences
        )
        follower = Follower(self._plan, self._made, stood_in, self._codes)
        self._stopped = ""
        try:
            follower.follow(self._tell)
        except FoundDifferenceError as found:
            difference = found.difference
            if difference.strategy_id in names and difference.strategy_id not in stood_in:
                self._differences[difference.strategy_id] = difference
            else:
                self._unattributed = difference
        except CannotFollowError as error:
            self._stopped = str(error)
        self._messages = max(self._messages, follower.messages)
        counts = follower.course.commands
        self._commands |= {name: counts[name] for name in names if name not in stood_in}
        return follower

    def _verification(self, follower: Follower) -> Verification:
        entry = self._plan.entry
        of_strategy = tuple(self._of_strategies())
        is_at_end = not self._stopped
        not_covered = list(follower.course.unfollowed)
        if is_at_end and not self._plan.is_over:
            not_covered.append(
                f"the run goes on or was killed: what followed message"
                f" {follower.course.last_number + 1:,} is not compared"
            )
        not_covered += [
            f"{name} was not verified: what it gave is given again"
            for name in self._plan.names()
            if name not in self._wanted
        ]
        if not self._plan.started:
            not_covered.append("no strategy was started in this run")
        return Verification(
            trader_id=entry.began.trader_id,
            run=entry.run,
            messages=self._messages,
            commands=sum(one.commands for one in of_strategy),
            last_number=follower.course.last_number,
            strategies=of_strategy,
            stopped=self._stopped,
            not_covered=tuple(not_covered),
            unattributed=self._unattributed,
        )

    def _of_strategies(self) -> Iterator[StrategyVerification]:
        python = self._plan.entry.began.environment.get("python", "")
        for made, started in zip(self._made, self._plan.started, strict=True):
            if started.strategy_id in self._wanted:
                yield StrategyVerification(
                    strategy_id=started.strategy_id,
                    commands=self._commands.get(started.strategy_id, 0),
                    difference=self._differences.get(started.strategy_id),
                    notes=tuple(differences(made, started, python)),
                )


def _wanted(followed: Plan, strategy: str | None) -> list[ComponentId]:
    if strategy is None:
        return followed.names()
    there = [Candidate(s.strategy_id, s.class_name, s.strategy_id) for s in followed.started]
    return [chosen(f"run {followed.entry.run}", there, strategy)]


@contextmanager
def _telling(total: int, progress: Progress | None) -> Generator[Callable[[int], None]]:
    """Yield what is told how many records were followed in a pass."""
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        if done < told or done - told >= _TOLD_EVERY:
            told = done
            move(min(done, total))

    if progress is not None:
        given = progress

        def move(done: int) -> None:
            given(done, total)

        yield tell
        move(total)
        return
    from tqdm import auto

    # Without a monitor: its thread would outlive the bar.
    unwatched: Any = type("Bar", (auto.tqdm,), {"monitor_interval": 0})
    with unwatched(total=total, desc="verify", unit=" records", unit_scale=True, delay=1.0) as bar:

        def move(done: int) -> None:
            bar.update(done - bar.n)

        yield tell
