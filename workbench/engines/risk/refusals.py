"""Refusals: why something may not leave, as a code for programs and a sentence for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple


class Refusal(NamedTuple):
    """Why an order may not leave."""

    code: str
    reason: str


def utc(ts_ns: int) -> str:
    """Return a time for a sentence.

    >>> utc(10_000_000_000)
    '1970-01-01 00:00:10 UTC'
    """
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ts_ns // 1000)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
