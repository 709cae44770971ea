"""Funding at a simulated exchange: the rate told last, paid at the time it was told for."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from workbench.model.data import FundingRate
from workbench.model.identifiers import InstrumentId
from workbench.runtime.clock import Clock
from workbench.sim.order_times import OrderTimes


class Funding:
    """Pays funding when it is due: at once where a rate names no time.

    Args:
        clock: What time it is.
        times: Where alerts are set.
        pay: Moves the account by the funding of an instrument at a rate.
    """

    def __init__(
        self, clock: Clock, times: OrderTimes, pay: Callable[[InstrumentId, Decimal], None]
    ) -> None:
        self._clock = clock
        self._times = times
        self._pay = pay
        self._rates: dict[InstrumentId, Decimal] = {}
        self._due: dict[InstrumentId, tuple[int, str]] = {}

    def see(self, funding: FundingRate) -> None:
        """Take a rate: of a time that was told before it is the better word."""
        instrument_id, due = funding.instrument_id, funding.next_funding_ns
        rate = Decimal(repr(funding.rate))
        if due is None:
            self._pay(instrument_id, rate)
            return
        if due < self._clock.timestamp_ns():
            return  # of a funding that is over
        self._rates[instrument_id] = rate
        before = self._due.get(instrument_id)
        if before is not None:
            if before[0] == due:
                return
            self._times.cancel(before[1])
        alert = self._times.alert("funding", due, lambda _: self._fall_due(instrument_id))
        self._due[instrument_id] = due, alert

    def _fall_due(self, instrument_id: InstrumentId) -> None:
        del self._due[instrument_id]
        self._pay(instrument_id, self._rates.pop(instrument_id))
