"""Positions at a venue that are not what the node knows of, told from those that just change."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from workbench.model.identifiers import AccountId, InstrumentId
from workbench.model.money import ZERO
from workbench.model.reports import PositionReport
from workbench.runtime.clock import Clock
from workbench.venues.tracking import Tracking


class PositionDifferences:
    """By how much the positions of one account differed when they were asked for last.

    Args:
        account_id: The account.
        clock: For the reports of what is flat.
        tracking: Has what the node knows.
    """

    def __init__(self, account_id: AccountId, clock: Clock, tracking: Tracking) -> None:
        self._account_id = account_id
        self._clock = clock
        self._tracking = tracking
        self._before: dict[InstrumentId, Decimal] = {}

    def confirmed(
        self, positions: Iterable[PositionReport], instrument_ids: Iterable[InstrumentId]
    ) -> list[PositionReport]:
        """Return the positions that differ, by as much as when they were asked for before.

        Between the questions for fills and for positions there may have been a fill.

        Args:
            positions: What the venue holds now.
            instrument_ids: What was looked at; of what the venue does not tell it holds nothing.
        """
        now = self._clock.timestamp_ns()
        reported = {position.instrument_id: position for position in positions}
        for instrument_id in instrument_ids:
            if instrument_id not in reported:
                reported[instrument_id] = PositionReport(
                    account_id=self._account_id,
                    instrument_id=instrument_id,
                    signed_quantity=ZERO,
                    ts_event=now,
                    ts_init=now,
                )
        differences: dict[InstrumentId, Decimal] = {}
        for instrument_id, position in reported.items():
            here = self._tracking.lookup.net_quantity(instrument_id, account_id=self._account_id)
            if position.signed_quantity != here:
                differences[instrument_id] = position.signed_quantity - here
        before, self._before = self._before, differences
        return [
            position
            for instrument_id, position in reported.items()
            if instrument_id in differences
            and before.get(instrument_id) == differences[instrument_id]
        ]
