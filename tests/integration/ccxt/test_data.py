"""Market data of the local exchange through ccxt: instruments, streams, history in pages."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

from workbench_exchange import RandomMarket

from tests.waiting import GUARD_S
from workbench.model.commands import DataKind
from workbench.model.data import Bar, BarType, Quote
from workbench.model.identifiers import InstrumentId
from workbench.venues import HistoryRequest, Subscription, VenueRejectedError

D = Decimal
MINUTE_NS = 60_000_000_000


def bars_of(trial: Any) -> BarType:
    return BarType.parse(f"{trial.instrument_id}-1-minute-last")


def test_an_instrument_has_the_exchanges_increments_limits_and_fees(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.data() as (datad, _):
            (pair,) = await datad.load_instruments([])
            assert pair.id == "BTC/USDT.BINANCE"
            assert (pair.price_increment, pair.quantity_increment) == (D("0.01"), D("0.00001"))
            assert (pair.min_quantity, pair.min_notional) == (D("0.00001"), 1)
            assert (pair.maker_fee, pair.taker_fee) == (D("0.001"), D("0.001"))
            assert (pair.base_currency.code, pair.settlement_currency.code) == ("BTC", "USDT")

    local_trial.run(work())


def test_history_of_bars_comes_in_pages_without_holes(make_trial: Callable[..., Any]) -> None:
    trial = make_trial(market=RandomMarket(3, history_minutes=2500))

    async def work() -> None:
        async with trial.data() as (datad, _):
            now = trial.clock.timestamp_ns()
            start = now - 2400 * MINUTE_NS
            request = HistoryRequest(
                kind=DataKind.BARS,
                instrument_id=trial.instrument_id,
                bar_type=bars_of(trial),
                start=start,
                end=now,
            )
            bars = await datad.request_history(request)
            times = [bar.ts_event for bar in bars if start <= bar.ts_event < now]
            assert len(times) in (2399, 2400)
            steps = {later - one for one, later in itertools.pairwise(times)}
            assert steps == {MINUTE_NS}
            assert all(bar.low <= min(bar.open, bar.close) for bar in bars)
            assert times[-1] <= now, "a bar that is not over is none"

    trial.run(work())


def test_the_newest_bars_are_those_before_now(make_trial: Callable[..., Any]) -> None:
    trial = make_trial(market=RandomMarket(3, history_minutes=100))

    async def work() -> None:
        async with trial.data() as (datad, _):
            request = HistoryRequest(
                kind=DataKind.BARS,
                instrument_id=trial.instrument_id,
                bar_type=bars_of(trial),
                limit=10,
            )
            bars: Any = await datad.request_history(request)
            assert len(bars) >= 10
            assert all(isinstance(bar, Bar) for bar in bars)
            assert trial.clock.timestamp_ns() - bars[-1].ts_event < MINUTE_NS * 1.5

    trial.run(work())


def test_history_of_trades_comes_in_pages(
    local_trial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench_ccxt.history._PAGE", 40)

    async def work() -> None:
        start = local_trial.clock.timestamp_ns()
        async with local_trial.data() as (datad, _):
            for _ in range(6):
                local_trial.trade(30)
                await asyncio.sleep(0.005)
            count = len(local_trial.pair.aggregates)
            asked = {"kind": DataKind.TRADES, "instrument_id": local_trial.instrument_id}
            everything = await datad.request_history(HistoryRequest(**asked, start=start))
            assert len({trade.trade_id for trade in everything}) == len(everything) >= count - 1
            times = [trade.ts_event for trade in everything]
            assert times == sorted(times)

    local_trial.run(work())


def test_there_is_no_history_of_quotes(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.data() as (datad, _):
            request = HistoryRequest(
                kind=DataKind.QUOTES, instrument_id=local_trial.instrument_id, limit=1
            )
            with pytest.raises(VenueRejectedError, match="keeps no history of quotes"):
                await datad.request_history(request)

    local_trial.run(work())


def test_a_subscription_that_the_exchange_has_not_is_refused(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.data() as (datad, _):
            for kind, name in (
                (DataKind.QUOTES, "NO/SUCH.BINANCE"),
                (DataKind.FUNDING_RATES, local_trial.instrument_id),
            ):
                wanted = Subscription(kind=kind, instrument_id=InstrumentId(name))
                with pytest.raises(VenueRejectedError):
                    await datad.subscribe(wanted)

    local_trial.run(work())


def test_quotes_and_trades_of_one_instrument_are_kept_apart(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.data() as (datad, notes):
            about = {"instrument_id": local_trial.instrument_id}
            quotes = Subscription(kind=DataKind.QUOTES, **about)
            trades = Subscription(kind=DataKind.TRADES, **about)
            await datad.subscribe(quotes)
            await datad.subscribe(trades)
            async with asyncio.timeout(GUARD_S):
                while len({type(one) for one in notes.messages}) < 2:
                    await local_trial.move(D(101), D(102))
                    await asyncio.sleep(0.02)
            await datad.unsubscribe(trades)
            notes.messages.clear()
            async with asyncio.timeout(GUARD_S):
                while not notes.messages:
                    await local_trial.move(D(103), D(104))
                    await asyncio.sleep(0.02)
            assert {type(one) for one in notes.messages} == {Quote}
            (quote, *_) = notes.messages
            assert (quote.bid, quote.ask) == (103.0, 104.0)

    local_trial.run(work())


def test_searching_finds_the_likeliest_first(make_trial: Callable[..., Any]) -> None:
    trial = make_trial()

    async def work() -> None:
        async with trial.data() as (datad, _):
            for text in ("BTC", "btcusdt", "BTC/USDT", "usdt"):
                (found,) = await datad.search_symbols(text, 5)
                assert found.instrument_id == trial.instrument_id
                assert found.description == "BTC in USDT, spot"
            assert await datad.search_symbols("DOGE", 5) == []

    trial.run(work())
