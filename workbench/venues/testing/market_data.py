"""The conformance suite: instruments, market data and their history."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from workbench.model.commands import DataKind, RequestData
from workbench.model.data import Bar, Quote, Trade
from workbench.model.identifiers import ComponentId
from workbench.venues.testing.session import VenueSession
from workbench.venues.testing.steps import stir, try_out, until_data
from workbench.venues.testing.trial import VenueTrial

_SECOND = 1_000_000_000


class MarketDataConformance:
    """Data is what was asked for, in time order; no test needs an account."""

    def test_instruments_are_sent(self, trial: VenueTrial) -> None:
        """The instrument is known, with a grid, before anything else."""

        async def test(session: VenueSession) -> None:
            instrument = session.cache.require_instrument(trial.instrument_id)
            assert instrument.price_increment > 0
            assert instrument.quantity_increment > 0
            assert instrument.venue == session.data.datad.venue

        try_out(trial, test, has_orders=False)

    def test_an_unknown_instrument_is_left_out(self, trial: VenueTrial) -> None:
        """What the venue does not list is not made up."""

        async def test(session: VenueSession) -> None:
            name: Any = f"NO/SUCH.{session.data.datad.venue}"
            assert await session.data.datad.load_instruments([name]) == []

        try_out(trial, test, has_orders=False)

    @pytest.mark.parametrize("kind", [DataKind.QUOTES, DataKind.TRADES, DataKind.BARS])
    def test_data_of_each_kind_comes(self, trial: VenueTrial, kind: DataKind) -> None:
        """A subscription brings data of its kind, in time order, and ends."""

        async def test(session: VenueSession) -> None:
            if not session.data.serves(kind, trial.instrument_id):
                pytest.skip(f"it has no {kind.value}")
            subscribe = getattr(session.desk, f"subscribe_{kind.value}")
            subscribe(trial.instrument_id)
            await until_data(trial, session, count=3, is_trade=kind is DataKind.TRADES)
            times = [one.ts_event for one in session.desk.data]
            assert times == sorted(times)
            wanted = Trade if kind is DataKind.TRADES else Quote
            assert all(isinstance(one, wanted) for one in session.desk.data)
            getattr(session.desk, f"unsubscribe_{kind.value}")(trial.instrument_id)
            await asyncio.sleep(0.5)
            came = session.core.dispatcher.data_handled
            await stir(trial, is_trade=kind is DataKind.TRADES)
            await asyncio.sleep(0.5)
            assert session.core.dispatcher.data_handled == came, "it goes on sending"

        if kind is DataKind.BARS:
            pytest.skip("bars come too slowly for a test; their history is tried")
        try_out(trial, test, has_orders=False)

    def test_history_is_as_it_was_asked_for(self, trial: VenueTrial) -> None:
        """History is in time order, within its bounds, the newest so many."""

        async def test(session: VenueSession) -> None:
            if "request_history" in session.data.unsupported:
                pytest.skip("it has no history")
            for _ in range(5):
                await stir(trial, is_trade=True)
            end = trial.clock.timestamp_ns() + 3600 * _SECOND
            command = RequestData(
                component_id=ComponentId("X"),
                kind=DataKind.TRADES,
                instrument_id=trial.instrument_id,
                request_id=1,
                end=end,
                limit=3,
                ts_init=0,
            )
            found: list[Any] = []
            send, session.data._send = session.data._send, found.append  # pyright: ignore[reportPrivateUsage]
            session.data.request(command)
            await session.until(lambda: found, "an answer")
            session.data._send = send  # pyright: ignore[reportPrivateUsage]
            (response,) = found
            assert not response.error, response.error
            assert 0 < len(response.data) <= 3
            times = [one.ts_event for one in response.data]
            assert times == sorted(times)
            assert times[-1] < end
            assert all(isinstance(one, (Trade, Quote, Bar)) for one in response.data)

        try_out(trial, test, has_orders=False)

    def test_symbols_are_found(self, trial: VenueTrial) -> None:
        """A search finds the instrument by its symbol."""

        async def test(session: VenueSession) -> None:
            if "search_symbols" in session.data.unsupported:
                pytest.skip("it has no search")
            text = trial.instrument_id.partition(".")[0]
            found = await session.data.datad.search_symbols(text, 5)
            assert trial.instrument_id in [match.instrument_id for match in found]
            assert len(found) <= 5

        try_out(trial, test, has_orders=False)
