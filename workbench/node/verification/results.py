"""What a verification found, and how it looks."""

from __future__ import annotations

import html
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from workbench.model.display import fitted, format_ns, given, grid_html, pairs_html, shown, told
from workbench.model.identifiers import ComponentId, TraderId

_WIDE = 200


class FieldDifference(msgspec.Struct, frozen=True):
    """A field that differs: its path (`order.quantity`), and both sides as text."""

    name: str
    recorded: str
    given: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Where the run and the copy part.

    Attributes:
        strategy_id: Whose command it is; empty where it is of none.
        number: The number of the message at which they parted.
        ts: Its time, nanoseconds.
        what: What is different, as a sentence.
        recorded: What the run did; None for nothing.
        given: What the copy did; None for nothing.
        fields: The fields that differ, where both sides are alike.
        answering: What the strategy was answering: a message, or a sentence; None if not known.
        answering_number: The number of that message.
        caveat: Why it need not be the strategy's doing; empty where nothing speaks for that.
        traceback: What the copy raised, whole.
    """

    strategy_id: ComponentId
    number: int
    ts: int
    what: str
    recorded: Any = None
    given: Any = None
    fields: tuple[FieldDifference, ...] = ()
    answering: Any = None
    answering_number: int = 0
    caveat: str = ""
    traceback: str = ""

    def __str__(self) -> str:
        """Return it as text, one thing a line."""
        return "\n".join(f"{name}: {text}" for name, text in self._lines())

    def _lines(self) -> Iterator[tuple[str, str]]:
        yield "difference", self.what
        yield "message", f"{self.number:,} at {format_ns(self.ts)}"
        if self.answering is not None:
            number = f" (message {self.answering_number:,})" if self.answering_number else ""
            yield "answering", _side(self.answering) + number
        yield "the run", _side(self.recorded)
        yield "the copy", _side(self.given)
        for field in self.fields:
            yield field.name, f"{field.recorded} in the run, {field.given} in the copy"
        if self.caveat:
            yield "but", self.caveat
        if self.traceback:
            yield "raised", f"\n{self.traceback}"

    def __repr__(self) -> str:
        """Return it as text."""
        return str(self)

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """Return it as tables."""
        rows = [(n, t) for n, t in self._lines() if n not in {f.name for f in self.fields}]
        shown_rows = pairs_html([row for row in rows if row[0] != "raised"])
        if self.fields:
            columns = ("field", "the run", "the copy")
            shown_rows += grid_html(columns, ((f.name, f.recorded, f.given) for f in self.fields))
        if self.traceback:
            shown_rows += f"<pre>{html.escape(self.traceback)}</pre>"
        return shown_rows


class StrategyVerification(msgspec.Struct, frozen=True, kw_only=True):
    """How a strategy was found.

    Attributes:
        strategy_id: Which.
        commands: How many of its commands were compared and equal.
        difference: The first difference; None for none.
        notes: What is to be known besides, a sentence each.
    """

    strategy_id: ComponentId
    commands: int = 0
    difference: Difference | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_identical(self) -> bool:
        """Return whether no difference was found."""
        return self.difference is None

    def __repr__(self) -> str:
        """Return it as a sentence."""
        if self.difference is None:
            return f"<{self.strategy_id}: {self.commands:,} commands, identical>"
        return f"<{self.strategy_id}: differs at message {self.difference.number:,}>"


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What became of feeding a run's record to a fresh copy of its strategies.

    Attributes:
        trader_id: Whose run.
        run: Its number in the journal.
        messages: How many messages were fed.
        commands: How many commands were compared and equal: orders, changes and cancels, those that
            risk denied, subscriptions, requests, and what was published.
        last_number: The number of the message that was fed last.
        strategies: How each strategy was found.
        stopped: Why it was not followed to its end; empty if it was.
        not_covered: What else was not compared, or not followed, a sentence each.
        unattributed: The first difference, where it is of no strategy.
        seconds: How long it took.
    """

    trader_id: TraderId
    run: int
    messages: int
    commands: int
    last_number: int
    strategies: tuple[StrategyVerification, ...]
    stopped: str = ""
    not_covered: tuple[str, ...] = ()
    unattributed: Difference | None = None
    seconds: float = 0.0

    @property
    def difference(self) -> Difference | None:
        """Return the first difference, None if there is none."""
        found = [one.difference for one in self.strategies if one.difference is not None]
        if self.unattributed is not None:
            found.append(self.unattributed)
        return min(found, key=lambda one: one.number, default=None)

    @property
    def is_identical(self) -> bool:
        """Return whether no difference was found, as far as the run was followed."""
        return self.difference is None

    @property
    def is_complete(self) -> bool:
        """Return whether the run was followed to its end."""
        return not self.stopped

    def __str__(self) -> str:
        """Return it as text."""
        lines = [self._headline()]
        if self.difference is not None:
            lines.append(str(self.difference))
        if self.stopped:
            lines.append(f"verified up to message {self.last_number:,}: {self.stopped}")
        lines.extend(self.not_covered)
        lines.extend(f"{one.strategy_id}: {note}" for one in self.strategies for note in one.notes)
        return "\n".join(lines)

    def _headline(self) -> str:
        verdict = "identical" if self.is_identical else "DIFFERENT"
        return (
            f"Verification of run {self.run} of {self.trader_id}: {verdict}; {self.messages:,}"
            f" messages fed, {self.commands:,} commands equal, {self.seconds:.3g} s"
        )

    def __repr__(self) -> str:
        """Return it as text."""
        return str(self)

    def _repr_html_(self) -> str:
        rows = given(
            result="identical" if self.is_identical else "different",
            messages_fed=self.messages,
            commands_equal=self.commands,
            verified_up_to=f"message {self.last_number:,}: {self.stopped}" if self.stopped else "",
            not_covered="; ".join(self.not_covered),
            seconds=self.seconds,
        )
        parts = [pairs_html(rows, f"Verification of run {self.run} of {self.trader_id}")]
        columns = ("strategy", "commands equal", "result", "notes")
        parts.append(
            grid_html(
                columns,
                (
                    (
                        *(one.strategy_id, shown(one.commands)),
                        *("identical" if one.is_identical else "different", "; ".join(one.notes)),
                    )
                    for one in self.strategies
                ),
            )
        )
        if self.difference is not None:
            parts.append(self.difference.to_html())
        return "".join(parts)


def fields_between(recorded: Any, made: Any, path: str = "") -> Iterator[FieldDifference]:
    """Yield the fields in which two messages of one type differ, those of nested ones too."""
    if type(recorded) is not type(made) or not isinstance(recorded, msgspec.Struct):
        if not equal(recorded, made):
            yield FieldDifference(path or "message", _value(recorded), _value(made))
        return
    for name in recorded.__struct_fields__:
        before, after = getattr(recorded, name), getattr(made, name)
        yield from fields_between(before, after, f"{path}.{name}" if path else name)


def equal(recorded: Any, made: Any) -> bool:
    """Return whether two values are the same to the byte."""
    return type(recorded) is type(made) and _encode(recorded) == _encode(made)


_encode = msgspec.msgpack.Encoder().encode


def _value(value: Any) -> str:
    return repr(str(value)) if isinstance(value, str) else _plain(value)


def _plain(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else fitted(told(value), _WIDE)


def _side(message: Any) -> str:
    if message is None:
        return "nothing"
    return message if isinstance(message, str) else fitted(told(message), _WIDE)
