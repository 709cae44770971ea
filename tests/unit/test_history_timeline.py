"""Merging datasets by time, and asking for what was known."""

from __future__ import annotations

import subprocess
import sys

import pytest

import workbench.history as history
from workbench.model.commands import DataKind
from workbench.model.data import Bar, BarType, BidAskBar, Quote, Trade
from workbench.model.enums import AggressorSide
from workbench.model.errors import DataError

A, B = "A/USD.SIM", "B/USD.SIM"
BID, ASK, LAST = (BarType.parse(f"{A}-1-minute-{price}") for price in ("bid", "ask", "last"))


def quote(ts: int, instrument: str = A, bid: float = 1.0) -> Quote:
    return Quote(instrument, bid, 2.0, 1.0, 1.0, ts, ts)


def trade(ts: int) -> Trade:
    return Trade(A, 1.0, 1.0, AggressorSide.NONE, str(ts), ts, ts)


def bar(ts: int, bar_type: BarType = LAST, close: float = 1.0) -> Bar:
    return Bar(bar_type, 1.0, 2.0, 1.0, close, None, ts, ts)


def merged(*sources: list, start: int | None = None, end: int | None = None) -> list:
    datasets = [
        dataset for source in sources for dataset in history.messages.split_messages(source)
    ]
    return [e for _, run in history.Timeline(datasets, start, end).runs() for e in run]


def timeline(*sources: list, **period: int) -> history.Timeline:
    return history.Timeline(
        [dataset for source in sources for dataset in history.messages.split_messages(source)],
        **period,
    )


def test_equal_times_come_as_quotes_trades_bars_then_in_the_order_given() -> None:
    first, second = [quote(5, B)], [quote(5, A)]
    assert merged([bar(5)], [trade(5)], first, second) == [quote(5, B), quote(5), trade(5), bar(5)]
    assert merged(second, first)[0] == quote(5)


def test_the_period_holds_its_start_and_not_its_end() -> None:
    quotes = [quote(ts) for ts in (1, 2, 3, 4)]
    line = timeline(quotes, start=2, end=4)
    assert merged(quotes, start=2, end=4) == quotes[1:3]
    assert (line.total, len(line), line.first_ts, line.last_ts) == (2, 2, 2, 3)
    assert repr(line) == (
        "<Timeline: 2 events of 1 streams,"
        " 1970-01-01T00:00:00.000000002Z to 1970-01-01T00:00:00.000000003Z>"
    )


def test_a_period_can_be_text() -> None:
    ns = history.to_ns("2024-01-02")
    line = history.Timeline(
        history.messages.split_messages([quote(ns - 1), quote(ns)]), "2024-01-02"
    )
    assert line.first_ts == ns


def test_a_period_without_data_is_refused() -> None:
    with pytest.raises(DataError, match=r"no data from .*00:00:09Z.* to before the end; there is"):
        timeline([quote(1)], start=9_000_000_000)
    with pytest.raises(DataError, match="no data; pass"):
        history.Timeline([])


def test_a_run_is_of_one_stream_and_no_longer_than_a_chunk() -> None:
    line = timeline([quote(ts) for ts in (1, 2, 3, 7)], [trade(ts) for ts in (4, 5, 6)])
    runs = [(line.streams[i].kind.value, [e.ts_init for e in run]) for i, run in line.runs(2)]
    assert runs == [
        ("quotes", [1, 2]),
        ("quotes", [3]),
        ("trades", [4, 5]),
        ("trades", [6]),
        ("quotes", [7]),
    ]
    with pytest.raises(DataError, match="chunk must be 1 or more"):
        line.runs(0)


def test_a_timeline_can_be_run_again() -> None:
    line = timeline([quote(1), quote(3)], [trade(2)])
    assert list(line.runs()) == list(line.runs())


def test_bid_and_ask_bars_of_one_time_are_one_event() -> None:
    bids = [bar(ts, BID) for ts in (60, 120, 240)]
    asks = [bar(ts, ASK) for ts in (60, 180, 240)]
    expected = [BidAskBar(bids[0], asks[0]), bids[1], asks[1], BidAskBar(bids[2], asks[2])]
    for sources in ((bids, asks), (asks, bids)):
        line = timeline(*sources)
        assert [e for _, run in line.runs(1) for e in run] == expected
        (stream,) = line.streams
        assert stream.bar_types == (BID, ASK)
        assert line.total == 4


def test_bid_and_ask_bars_that_always_pair_come_as_pairs() -> None:
    bids, asks = ([bar(ts, side) for ts in (60, 120)] for side in (BID, ASK))
    assert merged(bids, asks) == [BidAskBar(b, a) for b, a in zip(bids, asks, strict=True)]


def test_paired_bars_have_mid_prices_and_views() -> None:
    line = timeline(
        [bar(ts, BID, 1.0) for ts in (60, 120)], [bar(ts, ASK, 2.0) for ts in (120, 180)]
    )
    dataset = line.streams[0].dataset
    assert dataset.prices().tolist() == [1.0, 1.5, 2.0]
    assert dataset.select(61, 180).prices().tolist() == [1.5]
    assert len(dataset.rows(0, 0)) == 0
    assert dataset.bind(A) is dataset


def test_bid_and_ask_bars_of_different_length_stay_apart() -> None:
    hour = BarType.parse(f"{A}-1-hour-ask")
    assert len(timeline([bar(60, BID)], [bar(60, hour)], [bar(60, LAST)]).streams) == 3


def test_parts_of_one_stream_are_joined_in_time_order() -> None:
    late, early = [quote(3), quote(4)], [quote(1), quote(2)]
    line = timeline(late, early)
    assert [e for _, run in line.runs(3) for e in run] == early + late
    dataset = line.streams[0].dataset
    assert dataset.prices().tolist() == [1.5] * 4
    assert dataset.select(2, 4).events() == [quote(2), quote(3)]
    assert dataset.select(2, 4).rows(1, 1).events() == []
    assert dataset.bind(A) is dataset


def test_parts_of_one_stream_that_overlap_are_refused() -> None:
    with pytest.raises(DataError, match=r"both hold quotes of A/USD\.SIM and overlap"):
        timeline([quote(1), quote(3)], [quote(2)])
    with pytest.raises(DataError, match="overlap"):
        timeline([quote(1)], [quote(1)])


def test_an_empty_part_joins_without_a_trace() -> None:
    (dataset,) = history.messages.split_messages([quote(1)])
    empty = dataset.select(end=0)
    assert history.Timeline([empty, dataset]).total == 1
    with pytest.raises(DataError, match="no data"):
        history.Timeline([empty, empty])


def test_history_reaches_back_before_the_period_and_never_past_now() -> None:
    quotes = [quote(ts) for ts in range(1, 10)]
    line = timeline(quotes, [trade(5)], start=5)
    ask = line.history
    assert ask(DataKind.QUOTES, A, before=5) == tuple(quotes[:5])
    assert ask(DataKind.QUOTES, A, start=3, end=8, before=5) == tuple(quotes[2:5])
    assert ask(DataKind.QUOTES, A, start=3, end=5, before=8) == tuple(quotes[2:4])
    assert ask(DataKind.QUOTES, A, limit=2, before=5) == tuple(quotes[3:5])
    assert ask(DataKind.QUOTES, A, limit=0, before=5) == ()
    assert ask(DataKind.QUOTES, A, start=7, before=5) == ()
    assert ask(DataKind.QUOTES, A) == tuple(quotes)


def test_history_of_bars_is_by_type_also_where_bid_and_ask_are_one_stream() -> None:
    line = timeline([bar(60, BID)], [bar(60, ASK)])
    assert line.history(DataKind.BARS, A, ASK, before=60) == (bar(60, ASK),)


def test_history_that_is_not_there_is_refused_with_what_is() -> None:
    line = timeline([quote(1)], [bar(1)])
    with pytest.raises(
        DataError, match=r"no history of B/USD\.SIM quotes; there is A/USD\.SIM quotes, A"
    ):
        line.history(DataKind.QUOTES, B)
    with pytest.raises(DataError, match="limit must be 0 or more"):
        line.history(DataKind.QUOTES, A, limit=-1)


def test_a_dataset_of_no_instrument_cannot_be_merged() -> None:
    with pytest.raises(DataError, match="the instrument of these trades is not known"):
        history.Timeline([history.trades({"ts": [1_700_000_000], "price": [1], "size": [1]})])


def test_importing_history_loads_neither_pandas_nor_pyarrow() -> None:
    code = "import sys, workbench.history; print({'pandas', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
