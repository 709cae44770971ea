"""Market data that is refused, and what the error says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import workbench.history as history
from workbench.model.data import Bar, BarType, Quote, Trade
from workbench.model.enums import AggressorSide
from workbench.model.errors import ConfigError, DataError

ID = "AUD/USD.SIM"
T0 = 1_700_000_000
TS = [T0, T0 + 60, T0 + 120]
QUOTES = {
    "ts": TS,
    "bid": [1.0, 1.1, 1.2],
    "ask": [1.5, 1.6, 1.7],
    "bid_size": [1, 2, 3],
    "ask_size": [4, 5, 6],
}
TRADES = {"ts": TS, "price": [1.0, 2.0, 3.0], "size": [1.0, 1.0, 1.0]}
BARS = {
    "ts": TS,
    "open": [2.0] * 3,
    "high": [3.0] * 3,
    "low": [1.0] * 3,
    "close": [2.0] * 3,
    "volume": [5.0] * 3,
}
NAMES = {"quotes": QUOTES, "trades": TRADES, "bars": BARS}


def load(kind: str, **changed: object) -> history.Dataset:
    return getattr(history, kind)({**NAMES[kind], **changed}, ID)


def test_the_data_these_tests_spoil_is_good() -> None:
    for kind in NAMES:
        assert len(load(kind)) == 3


@pytest.mark.parametrize("kind", NAMES)
def test_data_without_rows_is_refused(kind: str) -> None:
    empty = {name: [] for name in NAMES[kind]}
    for source in (empty, pd.DataFrame(empty)):
        with pytest.raises(DataError, match="no rows"):
            getattr(history, kind)(source, ID)
    with pytest.raises(DataError, match="empty"):
        getattr(history, kind)([], ID)


@pytest.mark.parametrize("kind", NAMES)
def test_times_that_go_back_are_refused_at_the_first_row(kind: str) -> None:
    with pytest.raises(
        DataError, match=r"dict, row 2 \(2023-11-14T22:13:20Z\): time goes back.*sort"
    ):
        load(kind, ts=[T0, T0 + 60, T0])


def test_bars_of_one_time_are_refused_but_quotes_and_trades_may_share_it() -> None:
    same = [T0, T0 + 60, T0 + 60]
    with pytest.raises(DataError, match=r"row 2 .*same time.*duplicates"):
        load("bars", ts=same)
    assert len(load("quotes", ts=same)) == len(load("trades", ts=same)) == 3


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.5, None])
@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("quotes", "bid"),
        ("quotes", "ask"),
        ("trades", "price"),
        ("bars", "open"),
        ("bars", "high"),
        ("bars", "low"),
        ("bars", "close"),
    ],
)
def test_a_price_that_is_not_positive_and_finite_is_refused(
    kind: str, column: str, bad: float
) -> None:
    values = [*NAMES[kind][column]]
    values[1] = bad
    found = "nan" if bad is None else str(bad)
    with pytest.raises(
        DataError, match=rf"row 1 \(.*\): {column} is {found}; a price must be a positive"
    ):
        load(kind, **{column: values})


def test_how_many_rows_are_bad_is_told() -> None:
    with pytest.raises(DataError, match=r"row 0 .*and 2 more rows like it"):
        load("trades", price=[-1, -1, -1])


def test_crossed_quotes_are_refused_and_locked_ones_are_not() -> None:
    with pytest.raises(DataError, match=r"row 1 .*bid 1.7 is above ask 1.6.*drop those rows"):
        load("quotes", bid=[1.0, 1.7, 1.2])
    assert len(load("quotes", bid=QUOTES["ask"])) == 3


@pytest.mark.parametrize(
    ("kind", "column"),
    [("quotes", "bid_size"), ("quotes", "ask_size"), ("trades", "size"), ("bars", "volume")],
)
@pytest.mark.parametrize("bad", [-1.0, float("nan")])
def test_a_size_that_is_negative_or_missing_is_refused(kind: str, column: str, bad: float) -> None:
    with pytest.raises(DataError, match=f"row 2 .*{column} is {bad}"):
        load(kind, **{column: [1.0, 1.0, bad]})


def test_only_quotes_may_be_of_infinite_size() -> None:
    endless = [float("inf")] * 3
    assert len(load("quotes", bid_size=endless)) == 3
    with pytest.raises(DataError, match="size is inf"):
        load("trades", size=endless)
    with pytest.raises(DataError, match="volume is inf"):
        load("bars", volume=endless)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"high": [3.0, 0.5, 3.0]}, "row 1 .*high 0.5 is below low 1.0"),
        ({"open": [2.0, 2.0, 3.5]}, "row 2 .*open 3.5 lies outside low 1.0 to high 3.0"),
        ({"close": [0.5, 2.0, 2.0]}, "row 0 .*close 0.5 lies outside"),
    ],
)
def test_a_bar_whose_prices_contradict_each_other_is_refused(changed: dict, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load("bars", **changed)


@pytest.mark.parametrize("bad", ["1,5", "n/a", b"\x00n", [1]])
def test_a_value_that_is_no_number_is_refused(bad: object) -> None:
    with pytest.raises(DataError, match=rf"row 1 .*price is {re.escape(repr(bad))}, not a number"):
        load("trades", price=[1.0, bad, 2.0])


def test_a_column_of_another_type_is_refused() -> None:
    with pytest.raises(DataError, match="'price' must hold numbers; it is bool"):
        load("trades", price=np.array([True, True, False]))


def test_a_word_far_down_in_a_csv_is_named_with_its_row(tmp_path) -> None:
    path = tmp_path / "t.csv"
    rows = "".join(f"{T0},1.5,1\n" for _ in range(300_000))
    path.write_text(f"ts,price,size\n{rows}{T0},oops,1\n")
    assert path.stat().st_size > 4 << 20
    with pytest.raises(DataError, match=r"t\.csv, row 300000 .*price is 'oops'"):
        history.trades(path, ID)


def test_an_unknown_side_is_refused() -> None:
    with pytest.raises(DataError, match=r"row 1 .*side is 'ask'; expected 'buy' or 'sell'"):
        load("trades", side=["buy", "ask", "buy"])
    with pytest.raises(DataError, match=r"row 0 .*buyer_maker is 'x'; expected true or false"):
        load("trades", buyer_maker=["x", True, True])


def test_a_missing_column_lists_what_is_there_and_what_is_understood() -> None:
    with pytest.raises(DataError) as raised:
        history.quotes({"ts": [T0], "b": [1], "ask": [2]}, ID)
    text = str(raised.value)
    assert "'bid' (understood: bid, bid_price" in text
    assert "There are 'ts', 'b', 'ask'" in text
    assert "columns={'bid': 'your_column'}" in text


def test_a_column_that_is_not_there_or_not_wanted_cannot_be_named() -> None:
    with pytest.raises(DataError, match="no column 'x'; there are 'ts'"):
        history.trades(TRADES, ID, columns={"price": "x"})
    with pytest.raises(DataError, match="trades have timestamp, price"):
        history.trades(TRADES, ID, columns={"bid": "price"})


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="'Price', 'price' could each be 'price'"):
        history.trades({"Price": [1.0] * 3, **TRADES}, ID)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            pd.DataFrame({"price": [1.0], "size": [1]}, index=pd.to_datetime(["2024-01-01"])),
            id="index",
        ),
        pytest.param(
            pd.DataFrame({"ts": pd.to_datetime(["2024-01-01"]), "price": 1.0, "size": 1}),
            id="column",
        ),
        pytest.param({"ts": ["2024-01-31 09:30:00"], "price": [1], "size": [1]}, id="text"),
        pytest.param({"ts": ["2024-01-31"], "price": [1], "size": [1]}, id="date as text"),
        pytest.param({"ts": [datetime(2024, 1, 1)], "price": [1], "size": [1]}, id="datetime"),
        pytest.param(
            pa.table({"ts": pa.array([T0], pa.timestamp("s")), "price": [1], "size": [1]}),
            id="table",
        ),
        pytest.param(
            pa.table({"ts": pa.array([19_000], pa.date32()), "price": [1], "size": [1]}), id="date"
        ),
    ],
)
def test_times_without_a_zone_are_refused_until_tz_names_it(source: object) -> None:
    with pytest.raises(DataError, match="no time zone; pass tz='UTC'"):
        history.trades(source, ID)
    assert len(history.trades(source, ID, tz="UTC")) == 1


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_files_of_naive_times_are_refused_until_tz_names_the_zone(name: str, tmp_path) -> None:
    path = tmp_path / name
    frame = pd.DataFrame({"time": pd.to_datetime(["2024-01-02 09:30"]), "price": 1.0, "size": 1})
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False)
    with pytest.raises(DataError, match=rf"{name}: the times .* no time zone; pass tz='UTC'"):
        history.trades(path, ID)
    ts = history.trades(path, ID, tz="America/New_York").ts
    assert history.format_ns(int(ts[0])) == "2024-01-02T14:30:00Z"


def test_a_zone_that_does_not_exist_and_an_hour_that_did_not_happen_are_refused() -> None:
    source = {"ts": ["2024-03-10 02:30:00"], "price": [1], "size": [1]}
    with pytest.raises(DataError, match="tz='Mars/Olympus' is no known time zone"):
        history.trades(source, ID, tz="Mars/Olympus")
    with pytest.raises(DataError, match="row 0: ts 2024-03-10 02:30:00 does not exist once"):
        history.trades(source, ID, tz="America/New_York")


@pytest.mark.parametrize(
    ("ts", "said"),
    [
        (["2024-01-31T00:00:00Z", "soon"], "row 1: ts soon .*differ in whether"),
        (["2024-01-31T00:00:00", "soon"], "row 1: ts 'soon' is not ISO 8601"),
        (["01/31/2024", "02/01/2024"], "row 0: ts '01/31/2024' is not ISO 8601"),
        (["2024-01-31T00:00:00Z", None], "row 1: ts is None"),
        ([T0, None], "row 1: ts is None"),
        ([T0, "2024-01-31"], "row 1: ts is '2024-01-31'"),
        ([str(T0), "later"], "row 1: no time in column 'ts'"),
        ([time(9, 30), time(9, 31)], "row 0: ts is datetime.time"),
        ([datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2)], "row 1: .*differ"),
        (np.array(["2024-01-01", "NaT"], "M8[s]"), "row 1: no time"),
        (np.array(["2024-01-01", "2999-01-01"], "M8[s]"), "row 1: .*1678"),
        (np.array([T0, np.nan]), "row 1: no time"),
        (np.array([20_240_101, 20_240_102]), "row 1: ts 20240102 is too small"),
        (np.array(["20240101", "20240102"], object), "no time zone"),
        (np.array([T0 * 1e9, T0 * 1e9]), "not exact"),
        (np.array([1, 2**64 - 1], np.uint64), "after the year 2262"),
        (np.array([True, False]), "holds no times"),
    ],
)
def test_a_time_that_cannot_be_read_is_refused(ts: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        history.trades({"ts": ts, "price": [1, 1], "size": [1, 1]}, ID)


def test_an_unknown_ending_and_a_missing_file_are_told_apart(tmp_path) -> None:
    with pytest.raises(
        DataError, match=r"x\.xlsx: unknown file type; known are \.parquet, \.csv, \.csv\.gz"
    ):
        history.trades(tmp_path / "x.xlsx", ID)
    with pytest.raises(DataError, match=r"x\.csv: no such file"):
        history.trades(tmp_path / "x.csv", ID)
    with pytest.raises(DataError, match=r"looked for /"):
        history.trades("nowhere.parquet", ID)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.parquet", "ts,price\n", "not a readable Parquet file"),
        ("a.csv", "", "not a readable CSV file"),
        ("a.csv", "ts,price,size\n1,2,3\n1,2\n", "not a readable CSV file"),
        ("a.csv", "ts,price,size\n", "no rows"),
        ("a.csv.gz", "ts,price,size\n", "not a readable CSV file"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(
    name: str, text: str, said: str, tmp_path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        history.trades(path, ID)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (42, "cannot read market data from int"),
        (None, "cannot read market data from NoneType"),
        (pd.Series([1.0]), "a Series is one column"),
        (np.zeros(3), "no named columns"),
        ({"ts": [T0], "price": [1, 2], "size": [1]}, "equally long"),
        ({"ts": T0, "price": 1.0, "size": 1}, "one-dimensional"),
        ([{"ts": T0}], "a list must hold Quote, Trade or Bar messages; got one of dict"),
    ],
)
def test_what_is_no_table_is_refused(source: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        history.trades(source, ID)


def test_a_table_that_arrow_cannot_read_is_refused() -> None:
    class Broken:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise ValueError("gone")

    with pytest.raises(DataError, match="Broken: not a table that Arrow can read: gone"):
        history.trades(Broken(), ID)


def test_a_symbol_that_a_frame_of_several_does_not_hold_is_refused() -> None:
    names = pd.MultiIndex.from_product([["Close"], ["AAPL", "MSFT"]])
    with pytest.raises(DataError, match="no symbol 'TSLA'; there are AAPL, MSFT"):
        history.bars(pd.DataFrame([[1, 2]], columns=names), ID, symbol="TSLA")


def test_one_bar_shows_no_interval() -> None:
    with pytest.raises(DataError, match="interval='1min'"):
        history.bars({name: values[:1] for name, values in BARS.items()}, ID)


def test_an_odd_spacing_shows_no_interval() -> None:
    with pytest.raises(DataError, match="mostly 77 s"):
        load("bars", ts=[T0, T0 + 77, T0 + 154])


def test_an_interval_far_longer_than_the_spacing_is_refused() -> None:
    with pytest.raises(DataError, match=r"mostly 60 s apart.*not 1-hour bars"):
        history.bars(BARS, ID, interval="1h")


def test_an_unknown_stamp_price_or_instrument_is_refused() -> None:
    with pytest.raises(DataError, match="stamp must be"):
        history.bars(BARS, ID, stamp="middle")
    with pytest.raises(ConfigError, match="price must be"):
        history.bars(BARS, ID, price="best")
    with pytest.raises(ConfigError, match=r"SYMBOL\.VENUE"):
        history.bars(BARS, "AUDUSD")
    with pytest.raises(ConfigError, match="instrument must be"):
        history.bars(BARS, 5)


def test_frames_with_unknown_levels_of_columns_are_refused() -> None:
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]))
    with pytest.raises(DataError, match="several levels"):
        history.bars(frame, ID)


BAR_TYPE = BarType.parse(f"{ID}-1-minute-last")


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (
            [Quote(ID, 1.0, 2.0, 1.0, 1.0, 5, 5), Quote(ID, 1.0, 2.0, 1.0, 1.0, 4, 4)],
            "row 1 .*goes back",
        ),
        ([Quote(ID, 3.0, 2.0, 1.0, 1.0, 5, 5)], "bid 3.0 is above ask 2.0"),
        ([Quote(ID, 1.0, 2.0, -1.0, 1.0, 5, 5)], "bid_size is -1"),
        ([Trade(ID, float("nan"), 1.0, AggressorSide.NONE, "1", 5, 5)], "price is nan"),
        ([Bar(BAR_TYPE, 1.0, 1.0, 1.0, 1.0, None, 5, 5)] * 2, "same time"),
        ([Bar(BAR_TYPE, 1.0, 1.0, 2.0, 1.0, None, 5, 5)], "high 1.0 is below low 2.0"),
        ([Bar(BAR_TYPE, 1.0, 1.0, 1.0, 1.0, -2.0, 5, 5)], "volume is -2"),
        ([Quote(ID, 1.0, 2.0, 1.0, 1.0, 5, 5), "quote"], "row 1: .*got str"),
    ],
)
def test_messages_are_checked_as_columns_are(messages: list, said: str) -> None:
    kind = {Quote: history.quotes, Trade: history.trades, Bar: history.bars}[type(messages[0])]
    with pytest.raises(DataError, match=said):
        kind(messages)


def test_messages_of_another_kind_or_instrument_are_refused() -> None:
    quote = Quote(ID, 1.0, 2.0, 1.0, 1.0, 5, 5)
    other = Quote("X/Y.SIM", 1.0, 2.0, 1.0, 1.0, 5, 5)
    for messages in ([quote, other], [Trade(ID, 1.0, 1.0, AggressorSide.NONE, "1", 5, 5)]):
        with pytest.raises(DataError, match=r"wb\.quotes takes messages of one instrument"):
            history.quotes(messages)
    with pytest.raises(DataError, match=r"are of AUD/USD\.SIM, not of X/Y\.SIM"):
        history.quotes([quote], "X/Y.SIM")
    with pytest.raises(DataError, match="leave stamp out"):
        history.bars([Bar(BAR_TYPE, 1.0, 1.0, 1.0, 1.0, None, 5, 5)], stamp="open")


def test_a_dataset_without_an_instrument_says_how_to_give_it_one() -> None:
    data = history.trades(TRADES)
    assert "no instrument yet" in repr(data)
    with pytest.raises(DataError, match=r"pass it: wb\.trades\(source, instrument\)"):
        data.events()
    assert data.bind(ID).events()[0].instrument_id == ID
