"""The stale-instrument guard: after a stall of the loop, prices are old until a fresh one comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.engines.cache import Cache
from workbench.model.data import Bar, BidAskBar, Quote, Trade
from workbench.model.identifiers import InstrumentId


class StaleGuard:
    """Knows which instruments have had no fresh price since the last stall.

    After a stall every instrument is stale until a quote has been handled (a trade or bar where it
    has no quotes) whose `ts_event` is no older than the stall's end less `max_age_ns`. A quiet
    instrument without a stall is not stale.

    Args:
        cache: Where instruments and their latest data are.
        max_age_ns: How old a price may have been at the stall's end.
        skew_ns: The venue's clock less ours.

    Attributes:
        on_fresh: Told of an instrument that is stale no more.
    """

    def __init__(self, cache: Cache, max_age_ns: int, skew_ns: int = 0) -> None:
        self._cache = cache
        self._max_age_ns = max_age_ns
        self._skew_ns = skew_ns
        self.on_fresh: Callable[[InstrumentId], None] = _ignore
        self._fresh_from: dict[InstrumentId, int] = {}

    def stalled(self, end_ns: int) -> None:
        """Note a stall that ended now: every known instrument is stale."""
        threshold = end_ns - self._max_age_ns + self._skew_ns
        for instrument in self._cache.instruments():
            self._fresh_from[instrument.id] = threshold

    def see(self, event: Any) -> None:
        """See a data event before it is handled; a fresh price ends staleness."""
        if not self._fresh_from or not isinstance(event, (Quote, Trade, Bar, BidAskBar)):
            return
        threshold = self._fresh_from.get(event.instrument_id)
        if threshold is None or event.ts_event < threshold:
            return
        if isinstance(event, Quote) or self._cache.quote(event.instrument_id) is None:
            del self._fresh_from[event.instrument_id]
            self.on_fresh(event.instrument_id)

    def is_stale(self, instrument_id: InstrumentId) -> bool:
        """Return whether an instrument's price is too old to trade on."""
        return instrument_id in self._fresh_from

    @property
    def stale(self) -> list[InstrumentId]:
        """Return the stale instruments, sorted."""
        return sorted(self._fresh_from)


def _ignore(_: InstrumentId) -> None: ...
