"""Mark prices, funding rates, statuses and custom data as history."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from workbench.history import Timeline, load
from workbench.model.commands import DataKind, Subscribe
from workbench.model.custom_data import CustomData
from workbench.model.data import (
    NO_INSTRUMENT,
    BarType,
    FundingRate,
    InstrumentStatus,
    MarketStatus,
    MarkPrice,
    Quote,
)
from workbench.model.errors import DataError, InstrumentError
from workbench.model.identifiers import ComponentId, InstrumentId
from workbench.model.instruments import CurrencyPair
from workbench.runtime.clock import SimulatedClock
from workbench.sim.history_client import HistoryDataClient

PAIR = CurrencyPair.define("AUD/USD.SIM")
OTHER = InstrumentId("EUR/USD.SIM")
T = 10**18


class Rain(CustomData, frozen=True):
    amount: float


class Wind(CustomData, frozen=True):
    speed: float


def quote(ts: int) -> Quote:
    return Quote(PAIR.id, 1.0, 1.1, 1.0, 1.0, ts, ts)


def rain(ts: int, instrument_id: InstrumentId = NO_INSTRUMENT) -> Rain:
    return Rain(1.0, instrument_id=instrument_id, ts_event=ts, ts_init=ts)


def test_a_mixed_list_becomes_a_stream_per_kind_instrument_and_class() -> None:
    messages: list[Any] = [
        MarkPrice(PAIR.id, 1.0, T, T),
        Wind(2.0, ts_event=T, ts_init=T),
        rain(T),
        rain(T, PAIR.id),
        FundingRate(PAIR.id, -0.1, T, T),
        InstrumentStatus(PAIR.id, MarketStatus.TRADING, T, T),
        quote(T),
        rain(T + 1),
    ]
    timeline = Timeline(load(messages, [PAIR]))
    found = [event for _, events in timeline.runs() for event in events]
    # At equal times quotes first, then the rest in input order.
    assert found == [messages[6], *messages[:6], messages[7]]
    keys = [(s.kind, s.instrument_id, s.topic) for s in timeline.streams]
    assert (DataKind.CUSTOM, NO_INSTRUMENT, "Rain") in keys
    assert (DataKind.CUSTOM, PAIR.id, "Rain") in keys
    assert (DataKind.CUSTOM, NO_INSTRUMENT, "Wind") in keys
    assert len(keys) == 7


def test_parts_and_cuts_of_custom_data_stay_what_they_are() -> None:
    early, late = load([rain(T)], [PAIR]), load([rain(T + 5), rain(T + 6)], [PAIR])
    timeline = Timeline([*early, *late], end=T + 6)
    assert [s.topic for s in timeline.streams] == ["Rain"]
    assert [event for _, events in timeline.runs() for event in events] == [rain(T), rain(T + 5)]
    assert late[0].rows(1, 2).topic == "Rain"
    assert np.isnan(late[0].prices()).all()
    rates = load([FundingRate(PAIR.id, 0.5, T, T)], [PAIR])[0]
    assert rates.prices().tolist() == [0.5]


@pytest.mark.parametrize(
    ("messages", "error", "said"),
    [
        ([rain(T), rain(T - 1)], DataError, "time goes back"),
        ([MarkPrice(PAIR.id, -1.0, T, T)], DataError, "row 0.*price is -1.0"),
        ([FundingRate(PAIR.id, float("nan"), T, T)], DataError, "row 0.*rate is nan"),
        ([rain(T, OTHER)], InstrumentError, "no definition of EUR/USD.SIM"),
        ([rain(T), "x"], DataError, "row 1: a list of messages holds Quote.*; got str"),
    ],
)
def test_what_cannot_be_is_refused_with_its_row(
    messages: list[Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        load(messages, [PAIR])


def test_the_history_client_knows_what_it_serves() -> None:
    data = load([quote(T), rain(T, PAIR.id)], [PAIR])
    client = HistoryDataClient(Timeline(data), [PAIR], SimulatedClock(T), lambda _: None)
    minute = BarType.parse("AUD/USD.SIM-1-minute-mid")
    assert client.serves(DataKind.QUOTES, PAIR.id)
    assert not client.serves(DataKind.QUOTES, OTHER)
    assert not client.serves(DataKind.TRADES, PAIR.id)
    assert not client.serves(DataKind.BARS, PAIR.id, minute)
    assert client.serves(DataKind.CUSTOM, NO_INSTRUMENT, topic="Rain")
    assert client.serves(DataKind.CUSTOM, PAIR.id, topic="Rain")
    assert not client.serves(DataKind.CUSTOM, PAIR.id, topic="Wind")
    assert client.bar_types(PAIR.id) == []
    ask = Subscribe(
        component_id=ComponentId("X"),
        kind=DataKind.MARK_PRICES,
        instrument_id=PAIR.id,
        ts_init=T,
    )
    client.subscribe(ask)
    assert (
        "X subscribed to mark_prices of AUD/USD.SIM, but the data holds only"
        in (client.warnings[0])
    )


def test_custom_data_is_named_by_its_topic_where_something_is_missing() -> None:
    data = load([rain(T)], [PAIR])
    client = HistoryDataClient(Timeline(data), [PAIR], SimulatedClock(T), lambda _: None)
    who = {"component_id": ComponentId("X"), "ts_init": T}
    client.subscribe(Subscribe(kind=DataKind.QUOTES, instrument_id=PAIR.id, **who))  # type: ignore[arg-type]
    wind: Any = {"kind": DataKind.CUSTOM, "instrument_id": NO_INSTRUMENT, "topic": "Wind", **who}
    client.subscribe(Subscribe(**wind))
    assert client.warnings == [
        "X subscribed to quotes of AUD/USD.SIM, but the data holds only: custom data Rain",
        "X subscribed to custom data Wind, but the data holds only: custom data Rain",
    ]
