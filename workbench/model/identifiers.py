"""Identifiers: plain strings with a type of their own, checked where they enter.

An instrument id is `SYMBOL.VENUE`, split at the last dot (`BTC/USDT.BINANCE`, `BRK.B.NYSE`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import NewType

from workbench.model.errors import ConfigError

TraderId = NewType("TraderId", str)
StrategyId = NewType("StrategyId", str)
ComponentId = NewType("ComponentId", str)
Symbol = NewType("Symbol", str)
Venue = NewType("Venue", str)
InstrumentId = NewType("InstrumentId", str)
ClientId = NewType("ClientId", str)
AccountId = NewType("AccountId", str)
ClientOrderId = NewType("ClientOrderId", str)
VenueOrderId = NewType("VenueOrderId", str)
OrderListId = NewType("OrderListId", str)
PositionId = NewType("PositionId", str)
TradeId = NewType("TradeId", str)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_CLIENT_ORDER_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")


def parse_instrument_id(text: str) -> InstrumentId:
    """Check `SYMBOL.VENUE` and return it as an instrument id.

    Raises:
        ConfigError: If there is no symbol, no venue, or white space.

    >>> parse_instrument_id("BTC/USDT.BINANCE")
    'BTC/USDT.BINANCE'
    """
    symbol, dot, venue = text.rpartition(".")
    if not (dot and symbol and _NAME.fullmatch(venue)) or any(c.isspace() for c in text):
        raise ConfigError(
            f"an instrument id is SYMBOL.VENUE, such as 'BTC/USDT.BINANCE'; got {text!r}"
        )
    return InstrumentId(text)


def symbol_of(instrument_id: str) -> Symbol:
    """Return the part of an instrument id before its last dot."""
    return Symbol(instrument_id.rpartition(".")[0])


@lru_cache(maxsize=4096)
def venue_of(instrument_id: str) -> Venue:
    """Return the part of an instrument id after its last dot."""
    return Venue(instrument_id.rpartition(".")[2])


def parse_name(text: str, what: str) -> str:
    """Check a trader, strategy or client name: letters, digits, `_` and `-`.

    Raises:
        ConfigError: Naming `what` is wrong.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"{what} is text; got {text!r}")
    if not _NAME.fullmatch(text):
        raise ConfigError(
            f"{what} must start with a letter or digit and hold only letters, digits, '_' and '-';"
            f" got {text!r}"
        )
    return text


def run_tag(start_ns: int, trader_id: str) -> str:
    """Return the part of client order ids that tells one run of a trader from another.

    Args:
        start_ns: When the run starts, on its own clock.
        trader_id: Its last three characters are used.

    >>> run_tag(1_600_000_000_123_456_789, "TRADER-001")
    '200913122640123-001'
    """
    seconds, rest = divmod(start_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%y%m%d%H%M%S}{rest // 1_000_000:03d}-{trader_id[-3:]}"


class ClientOrderIds:
    """Counts out client order ids `O-<run>-<owner>-<n>` that never repeat.

    Args:
        run: A tag that differs between runs of one trader (made by the composition root).
        owner: A tag that differs between the strategies of one run.

    >>> ids = ClientOrderIds("20260101T000000", "1")
    >>> ids.next(), ids.next()
    ('O-20260101T000000-1-1', 'O-20260101T000000-1-2')
    """

    def __init__(self, run: str, owner: str) -> None:
        self._prefix = f"O-{run}-{owner}-"
        self._count = 0
        longest = f"{self._prefix}{10**8}"
        if not _CLIENT_ORDER_ID.fullmatch(longest):
            raise ConfigError(
                "venues take client order ids of at most 36 characters out of A-Z a-z 0-9 . : / _ -"
                f"; {longest!r} would not do: shorten the run or owner tag"
            )

    @property
    def count(self) -> int:
        """Return how many there were."""
        return self._count

    def skip_to(self, count: int) -> None:
        """Leave ids out, until there were so many."""
        self._count = max(self._count, count)

    def next(self) -> ClientOrderId:
        """Return the next id."""
        self._count += 1
        return ClientOrderId(f"{self._prefix}{self._count}")

    def next_list(self) -> OrderListId:
        """Return the next id of an order list."""
        self._count += 1
        return OrderListId(f"L{self._prefix[1:]}{self._count}")
