"""Data of a user's own: signals (a named number) and custom data (a struct).

>>> class Sentiment(CustomData, frozen=True):
...     score: float
>>> Sentiment(0.5, ts_event=1, ts_init=1).topic()
'Sentiment'
"""

from __future__ import annotations

from typing import Any

import msgspec

from workbench.model.data import NO_INSTRUMENT
from workbench.model.identifiers import ComponentId, InstrumentId


class Signal(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A named number that an actor published; `component_id` is its publisher's."""

    name: str
    value: float
    ts_event: int
    ts_init: int
    component_id: ComponentId = ComponentId("")


TAG_PREFIX = "custom."
"""Begins the tag of every class of a user's own: none is ever taken for a message of ours."""


def _tag(name: str) -> str:
    return TAG_PREFIX + name


class CustomData(msgspec.Struct, frozen=True, kw_only=True, tag=_tag):
    """Subclass it and annotate fields: data of your own, in a backtest, a replay and live.

    It is immutable (`frozen=True` tells type checkers so), and its fields are of types that msgspec
    can encode. Subclasses are told apart by their name: a class defined anew (in a cell that ran
    again) takes the place of the older.

    Attributes:
        instrument_id: Its instrument; empty where it is of none.
        ts_event: When it happened, nanoseconds since the epoch, UTC.
        ts_init: When it was known.
    """

    instrument_id: InstrumentId = NO_INSTRUMENT
    ts_event: int
    ts_init: int

    def __init_subclass__(cls, **more: Any) -> None:
        """Keep the class, so that stored objects of it can be read."""
        super().__init_subclass__(**more)
        CUSTOM_TYPES[cls.__name__] = cls

    @classmethod
    def topic(cls) -> str:
        """Return what subscriptions to it are for: the class's name."""
        return cls.__name__


CUSTOM_TYPES: dict[str, type[CustomData]] = {}
"""The latest subclass of each name."""
