"""Merging equals sorting, whatever the data and the chunk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.history import Timeline
from workbench.history.messages import split_messages
from workbench.model.data import Bar, BarType, BidAskBar, Quote, Trade
from workbench.model.enums import AggressorSide

IDS = ("A/USD.SIM", "B/USD.SIM")
TYPES = [BarType.parse(f"{i}-{step}-minute-last") for i in IDS for step in (1, 5)]
BID, ASK = (BarType.parse(f"A/USD.SIM-1-minute-{price}") for price in ("bid", "ask"))
RANKS = {Quote: 0, Trade: 1, Bar: 2, BidAskBar: 2}

times = st.lists(st.integers(0, 30), max_size=25).map(sorted)
bar_times = st.lists(st.integers(0, 30), max_size=25, unique=True).map(sorted)
chunks = st.integers(1, 40)


def bar(bar_type: BarType, ts: int) -> Bar:
    return Bar(bar_type, 1.0, 1.0, 1.0, 1.0, None, ts, ts)


@st.composite
def streams(draw: st.DrawFn) -> list[list]:
    """Lists of messages, each of its own stream, in any order."""
    found: list[list] = []
    for i in IDS:
        found.append([Quote(i, 1.0, 2.0, 1.0, 1.0, t, t) for t in draw(times)])
        found.append(
            [
                Trade(i, 1.0, 1.0, AggressorSide.NONE, str(n), t, t)
                for n, t in enumerate(draw(times))
            ]
        )
    found += [[bar(bar_type, t) for t in draw(bar_times)] for bar_type in TYPES]
    return draw(st.permutations([messages for messages in found if messages]))


def timeline(sources: list[list], start: int | None = None, end: int | None = None) -> Timeline:
    return Timeline([d for s in sources for d in split_messages(s)], start, end)


@given(streams().filter(bool), chunks, chunks)
def test_runs_are_the_events_sorted_by_time_rank_and_input_order(
    sources: list[list], chunk: int, other: int
) -> None:
    expected = sorted(
        (event for source in sources for event in source),
        key=lambda event: (event.ts_init, RANKS[type(event)]),  # stable: then input order
    )
    line = timeline(sources)
    for size in (chunk, other):
        runs = list(line.runs(size))
        assert [event for _, run in runs for event in run] == expected
        assert all(1 <= len(run) <= size for _, run in runs)
        for index, run in runs:
            stream = line.streams[index]
            assert {type(event) for event in run} <= {Quote, Trade, Bar}
            assert {event.instrument_id for event in run} == {stream.instrument_id}
    assert line.total == len(expected)


@given(streams().filter(bool), chunks, st.integers(0, 30), st.integers(1, 30))
def test_a_period_holds_exactly_the_events_within_it(
    sources: list[list], chunk: int, start: int, length: int
) -> None:
    whole = [e for _, run in timeline(sources).runs() for e in run]
    expected = [event for event in whole if start <= event.ts_init < start + length]
    if expected:
        line = timeline(sources, start, start + length)
        assert [e for _, run in line.runs(chunk) for e in run] == expected
        assert (line.first_ts, line.last_ts) == (expected[0].ts_init, expected[-1].ts_init)


@given(bar_times, bar_times, times, chunks)
def test_bid_and_ask_bars_pair_exactly_where_both_are(
    bids: list[int], asks: list[int], quotes: list[int], chunk: int
) -> None:
    pairs = {t: BidAskBar(bar(BID, t), bar(ASK, t)) for t in set(bids) & set(asks)}
    single = {t: bar(BID, t) for t in bids} | {t: bar(ASK, t) for t in asks}
    merged: list = [*(single | pairs).values()]
    others = [Quote("A/USD.SIM", 1.0, 2.0, 1.0, 1.0, t, t) for t in quotes]
    expected = sorted(others + merged, key=lambda event: (event.ts_init, RANKS[type(event)]))
    sources = [[bar(BID, t) for t in bids], [bar(ASK, t) for t in asks], others]
    if expected:
        line = timeline([source for source in sources if source])
        assert [e for _, run in line.runs(chunk) for e in run] == expected


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=25).map(sorted),
    st.none() | st.integers(0, 30),
    st.none() | st.integers(0, 30),
    st.none() | st.integers(0, 30),
    st.none() | st.integers(0, 10),
)
def test_history_is_what_was_known_by_then(
    ts: list[int], start: int | None, end: int | None, before: int | None, limit: int | None
) -> None:
    quotes = [Quote("A/USD.SIM", 1.0, 2.0, 1.0, 1.0, t, t) for t in ts]
    line = timeline([quotes])
    known = [
        quote
        for quote in quotes
        if (start is None or start <= quote.ts_init)
        and (end is None or quote.ts_init < end)
        and (before is None or quote.ts_init <= before)
    ]
    expected = known if limit is None else known[len(known) - min(limit, len(known)) :]
    stream = line.streams[0]
    got = line.history(
        stream.kind, stream.instrument_id, start=start, end=end, before=before, limit=limit
    )
    assert list(got) == expected
