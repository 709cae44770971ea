"""Every form that market data comes in."""

from __future__ import annotations

import gzip
import math
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import workbench.history as history
from workbench.model.data import Bar, BarSpec, BarType, Quote, Trade
from workbench.model.enums import AggressorSide
from workbench.model.errors import ConfigError, DataError

ID = "AUD/USD.SIM"
T0 = 1_700_000_000  # 2023-11-14T22:13:20Z, in seconds
NS = 10**9
TIMES = pd.to_datetime([T0, T0 + 1, T0 + 1], unit="s", utc=True)
QUOTES = {
    "bid": [1.0, 1.1, 1.2],
    "ask": [1.5, 1.6, 1.7],
    "bid_size": [1, 2, 3],
    "ask_size": [4, 5, 6],
}
OHLC = {"open": [1.0, 2.0], "high": [2.0, 3.0], "low": [0.5, 1.5], "close": [1.5, 2.5]}
EXPECTED = [
    Quote(ID, 1.0, 1.5, 1.0, 4.0, T0 * NS, T0 * NS),
    Quote(ID, 1.1, 1.6, 2.0, 5.0, (T0 + 1) * NS, (T0 + 1) * NS),
    Quote(ID, 1.2, 1.7, 3.0, 6.0, (T0 + 1) * NS, (T0 + 1) * NS),
]


def frame() -> pd.DataFrame:
    return pd.DataFrame(QUOTES, index=TIMES)


def record_array() -> np.ndarray:
    array = np.zeros(3, [("ts", "M8[ms]"), *((name, "f8") for name in QUOTES)])
    array["ts"] = TIMES.tz_localize(None).to_numpy()
    for name, values in QUOTES.items():
        array[name] = values
    return array


def table() -> pa.Table:
    return pa.table(
        {"Time": pa.array(TIMES), **{n: pa.chunked_array([v]) for n, v in QUOTES.items()}}
    )


class OnlyStream:
    """What polars looks like from outside."""

    def __arrow_c_stream__(self, requested_schema=None):
        return table().__arrow_c_stream__(requested_schema)


class OnlyToArrow:
    def to_arrow(self) -> pa.Table:
        return table()


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(frame(), id="frame with a time index"),
        pytest.param(frame().rename_axis("Date").reset_index(), id="frame with a time column"),
        pytest.param(frame().tz_convert("Asia/Tokyo"), id="frame in another zone"),
        pytest.param(frame().astype("Float64"), id="frame of nullable numbers"),
        pytest.param(frame().astype(str), id="frame of numbers as text"),
        pytest.param(
            pd.DataFrame(QUOTES).assign(
                ts=pd.array(TIMES).astype("timestamp[us, tz=UTC][pyarrow]")
            ),
            id="frame of Arrow types",
        ),
        pytest.param(table(), id="table"),
        pytest.param(table().to_batches()[0], id="record batch"),
        pytest.param(record_array(), id="record array"),
        pytest.param({"ts": [T0, T0 + 1, T0 + 1], **QUOTES}, id="dict of lists"),
        pytest.param({"ts": TIMES, **frame().reset_index(drop=True)}, id="dict of series"),
        pytest.param({"ts": pa.array(TIMES), **QUOTES}, id="dict with an Arrow array"),
        pytest.param(OnlyStream(), id="Arrow stream"),
        pytest.param(OnlyToArrow(), id="to_arrow"),
        pytest.param(EXPECTED, id="messages"),
        pytest.param(tuple(EXPECTED), id="tuple of messages"),
    ],
)
def test_quotes_load_from(source: object) -> None:
    assert history.quotes(source, ID).events() == EXPECTED


@pytest.mark.parametrize("name", ["q.parquet", "q.csv", "q.csv.gz"])
def test_quotes_load_from_the_file(name: str, tmp_path) -> None:
    path = tmp_path / name
    indexed = frame()
    indexed.to_parquet(path) if name.endswith("parquet") else indexed.to_csv(path)
    for source in (path, str(path)):
        assert history.quotes(source, ID).events() == EXPECTED


def test_quotes_load_from_polars() -> None:
    polars = pytest.importorskip("polars")
    assert history.quotes(polars.from_arrow(table()), ID).events() == EXPECTED


def test_a_csv_price_is_exact_to_the_last_bit(tmp_path) -> None:
    prices = [0.1 + 0.2, 1.0000000000000002, 39432.485, 1.57597]
    path = tmp_path / "t.csv"
    path.write_text("ts,price,size\n" + "".join(f"{T0},{p!r},1\n" for p in prices))
    assert history.trades(path, ID).prices().tolist() == prices


def test_a_csv_column_that_turns_from_whole_to_fractional_far_down_loads(tmp_path) -> None:
    path = tmp_path / "t.csv"
    rows = "".join(f"{T0},{100},1\n" for _ in range(300_000))
    path.write_text(f"ts,price,size\n{rows}{T0},100.5,1\n")
    assert path.stat().st_size > 4 << 20
    assert history.trades(path, ID).prices()[-1] == 100.5


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
@pytest.mark.parametrize("dtype", [np.int64, np.uint64, object])
def test_the_unit_of_integer_times_follows_from_their_size(unit: int, dtype: type) -> None:
    ts = np.array([T0 * unit, (T0 + 1) * unit], dtype)
    data = history.trades({"ts": ts, "price": [1, 1], "size": [1, 1]}, ID)
    assert data.ts.tolist() == [T0 * NS, (T0 + 1) * NS]


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000])
def test_fractional_times_keep_their_fraction(unit: int) -> None:
    data = history.trades({"ts": [(T0 + 0.25) * unit], "price": [1], "size": [1]}, ID)
    assert data.ts.tolist() == [T0 * NS + NS // 4]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_datetime64_of_any_unit_is_utc(unit: str) -> None:
    ts = np.array([T0], "M8[s]").astype(f"M8[{unit}]")
    assert history.trades({"ts": ts, "price": [1], "size": [1]}, ID).ts.tolist() == [T0 * NS]


@pytest.mark.parametrize(
    "ts",
    [
        "2023-11-14T22:13:20Z",
        "2023-11-14 22:13:20+00:00",
        "2023-11-14T17:13:20.000-05:00",
        datetime.fromtimestamp(T0, tz=UTC),
        pd.Timestamp(T0, unit="s", tz="Europe/Berlin"),
        np.datetime64(T0, "s"),
        str(T0),
        str(T0 * NS),
    ],
)
def test_a_time_is_understood_as(ts: object) -> None:
    assert history.trades({"ts": [ts], "price": [1], "size": [1]}, ID).ts.tolist() == [T0 * NS]


def test_offsets_that_differ_from_row_to_row_are_understood() -> None:
    ts = ["2023-11-14T22:13:20+00:00", "2023-11-14T23:13:21+01:00"]
    data = history.trades({"ts": ts, "price": [1, 1], "size": [1, 1]}, ID)
    assert data.ts.tolist() == [T0 * NS, (T0 + 1) * NS]


def test_tz_says_what_naive_times_mean_and_leaves_others_alone() -> None:
    wall = pd.DataFrame(OHLC, index=pd.to_datetime(["2024-01-02 16:00", "2024-01-03 16:00"]))
    there = history.bars(wall, ID, tz="America/New_York")
    assert history.format_ns(int(there.ts[0])) == "2024-01-02T21:00:00Z"
    assert history.bars(wall, ID, tz="UTC").ts[0] == pd.Timestamp("2024-01-02T16", tz="UTC").value
    aware = wall.tz_localize("UTC")
    assert (
        history.bars(aware, ID, tz="America/New_York").ts.tolist()
        == history.bars(aware, ID).ts.tolist()
    )


def test_the_columns_of_a_source_can_be_named() -> None:
    mine = {"when": [T0], "left": [1.0], "right": [1.5], "bid": [9.0]}
    data = history.quotes(mine, ID, columns={"ts": "when", "bid": "left", "ask": "right"})
    assert data.events()[0].bid == 1.0


def test_names_match_in_any_case_and_with_any_mark_between_words() -> None:
    mine = {"Event Time": [T0], "bestBid": [1.0], "ASK-PRICE": [1.5], "Bid Qty": [7]}
    quote = history.quotes(mine, ID).events()[0]
    assert (quote.bid, quote.ask, quote.bid_size) == (1.0, 1.5, 7.0)


def test_quotes_without_sizes_are_unlimited() -> None:
    quote = history.quotes({"ts": [T0], "bid": [1], "ask": [2]}, ID).events()[0]
    assert quote.bid_size == quote.ask_size == math.inf


def test_times_of_event_and_creation_are_one_object() -> None:
    quote = history.quotes(frame(), ID).events()[0]
    assert quote.ts_event is quote.ts_init


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("buyer_maker", [True, False], ["seller", "buyer"]),
        ("isBuyerMaker", ["True", "false"], ["seller", "buyer"]),
        ("is_buyer_maker", [1, 0], ["seller", "buyer"]),
        ("side", ["BUY", "sell"], ["buyer", "seller"]),
        ("aggressor", ["Seller", None], ["seller", "none"]),
        ("side", ["B", "N"], ["buyer", "none"]),
        ("taker_side", [-1, 1], ["seller", "buyer"]),
    ],
)
def test_who_took_liquidity_is_read_from(
    column: str, values: list[object], expected: list[str]
) -> None:
    source = {"ts": [T0, T0], "price": [1, 2], "qty": [1, 1], column: values}
    events = history.trades(source, ID).events()
    assert [trade.aggressor for trade in events] == [AggressorSide(word) for word in expected]


def test_trade_ids_are_those_given_or_row_numbers_also_in_a_view() -> None:
    source = {"ts": [T0, T0 + 1], "price": [1, 2], "size": [1, 1]}
    given = history.trades({**source, "id": [55, 56]}, ID)
    assert [trade.trade_id for trade in given.events()] == ["55", "56"]
    assert history.trades(source, ID).events()[1].trade_id == "1"
    assert history.trades(source, ID).select((T0 + 1) * NS).events()[0].trade_id == "1"


def test_bars_have_the_interval_that_their_times_show() -> None:
    data = history.bars({"date": [T0, T0 + 300], **OHLC}, ID, price="mid")
    assert str(data.bar_type) == f"{ID}-5-minute-mid"


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("1min", "1-minute-last"),
        ("5m", "5-minute-last"),
        ("1h", "1-hour-last"),
        ("1D", "1-day-last"),
        ("1M", "1-month-last"),
        ("15-second", "15-second-last"),
        ("100-tick-bid", "100-tick-bid"),
        (BarSpec.parse("2-hour-ask"), "2-hour-ask"),
    ],
)
def test_an_interval_is_written_as(interval: str | BarSpec, expected: str) -> None:
    ts = [T0, T0 + 40 * 86_400]
    assert str(history.bars({"ts": ts, **OHLC}, ID, interval=interval).bar_spec) == expected


@pytest.mark.parametrize("interval", ["soon", "1 fortnight", "0m", "1-bid-minute"])
def test_an_interval_that_is_none_is_refused(interval: str) -> None:
    with pytest.raises(ConfigError):
        history.bars({"ts": [T0, T0 + 60], **OHLC}, ID, interval=interval)


def test_interval_and_price_must_agree() -> None:
    with pytest.raises(ConfigError, match="differ"):
        history.bars({"ts": [T0, T0 + 60], **OHLC}, ID, interval="1-minute-bid", price="ask")


def test_bars_stamped_at_their_open_are_stored_at_their_close() -> None:
    data = history.bars({"ts": [T0, T0 + 60], **OHLC}, ID, stamp="open")
    assert data.ts.tolist() == [(T0 + 60) * NS, (T0 + 120) * NS]


def test_candles_with_both_times_take_the_one_that_stamp_says() -> None:
    candles = {"Open time": [T0, T0 + 60], "Close time": [T0 + 59.999, T0 + 119.999], **OHLC}
    assert history.bars(candles, ID).ts[0] == T0 * NS + 59_999_000_000
    assert history.bars(candles, ID, stamp="open").ts[0] == (T0 + 60) * NS


def test_an_open_time_is_not_taken_for_a_close() -> None:
    candles = {"open_time": [T0, T0 + 60], **OHLC}
    with pytest.raises(DataError, match="stamp='open'"):
        history.bars(candles, ID)
    assert history.bars(candles, ID, columns={"timestamp": "open_time"}).ts[0] == T0 * NS
    with pytest.raises(DataError, match="stamp='close'"):
        history.bars({"close_time": [T0, T0 + 60], **OHLC}, ID, stamp="open")


def test_bars_of_no_fixed_length_cannot_be_shifted() -> None:
    with pytest.raises(DataError, match="no fixed length"):
        history.bars({"ts": [T0, T0 + 60], **OHLC}, ID, interval="100-tick", stamp="open")


def test_a_missing_or_empty_volume_is_none_and_zero_is_zero() -> None:
    source = {"ts": [T0, T0 + 60], **OHLC}
    for volume, expected in (({}, None), ({"vol": [None, None]}, None), ({"volume": [0, 0]}, 0.0)):
        assert history.bars({**source, **volume}, ID).events()[0].volume == expected


def test_monthly_and_thinly_traded_bars_are_recognised() -> None:
    months = pd.to_datetime(["2024-01-31", "2024-02-29", "2024-03-31"], utc=True)
    thrice = {name: [values[0]] * 3 for name, values in OHLC.items()}
    assert str(history.bars({"ts": months, **thrice}, ID).bar_spec) == "1-month-last"
    gaps = {"ts": [T0, T0 + 60, T0 + 3600], **thrice}
    with pytest.raises(DataError, match="pass it"):
        history.bars(gaps, ID)
    assert len(history.bars(gaps, ID, interval="1min")) == 3


def test_frames_of_yfinance_load_for_one_symbol() -> None:
    fields = ["Close", "High", "Low", "Open", "Volume"]
    days = pd.to_datetime(["2024-01-02", "2024-01-03"]).rename("Date")
    for by_field in (True, False):
        pairs = [(f, s) if by_field else (s, f) for s in ("AAPL", "MSFT") for f in fields]
        values = {p: [1.0, 2.0] if "AAPL" in p else [3.0, 4.0] for p in pairs}
        wide = pd.DataFrame(values, index=days)
        with pytest.raises(DataError, match="several symbols \\(AAPL, MSFT\\)"):
            history.bars(wide, ID, tz="UTC")
        data = history.bars(wide, ID, symbol="MSFT", tz="UTC")
        assert (data.events()[1].close, str(data.bar_spec)) == (4.0, "1-day-last")
        one = wide.loc[:, ["AAPL" in p for p in pairs]]
        assert history.bars(one, ID, tz="UTC").prices().tolist() == [1.0, 2.0]


def test_categories_and_whole_numbers_as_fractions_are_read() -> None:
    table = pa.table(
        {"ts": [T0], "price": [1], "size": [1], "side": pa.array(["buy"]).dictionary_encode()}
    )
    frame = pd.DataFrame({"ts": [T0], "price": 1, "size": 1, "side": pd.Categorical(["buy"])})
    numbers = {"ts": [T0], "price": [1], "size": [1], "side": [1.0]}
    for source in (table, frame, numbers):
        assert history.trades(source, ID).events()[0].aggressor is AggressorSide.BUYER


def test_one_symbol_is_taken_out_of_several_and_rows_keep_their_numbers() -> None:
    source = {
        "ts": [T0, T0, T0 + 1],
        "symbol": ["A", "B", "B"],
        "price": [1, 2, -3],
        "size": [1, 1, 1],
    }
    with pytest.raises(DataError, match="holds several symbols"):
        history.trades(source, ID)
    with pytest.raises(DataError, match="no symbol 'C'; there are A, B"):
        history.trades(source, ID, symbol="C")
    with pytest.raises(DataError, match=r"row 2 .*price is -3"):
        history.trades(source, ID, symbol="B")
    assert history.trades(source, ID, symbol="A").prices().tolist() == [1.0]


def test_a_symbol_needs_a_column_of_symbols() -> None:
    with pytest.raises(DataError, match="needs a column 'symbol'"):
        history.trades({"ts": [T0], "price": [1], "size": [1]}, ID, symbol="A")


def test_decimal_prices_load() -> None:
    data = history.trades({"ts": [T0], "price": [Decimal("1.1")], "size": [Decimal(1)]}, ID)
    assert data.prices().tolist() == [1.1]


def test_messages_are_handed_out_as_they_are() -> None:
    bar_type = BarType.parse(f"{ID}-1-minute-bid")
    bars = [Bar(bar_type, 1.0, 2.0, 0.5, 1.5, None, t, t) for t in (60, 120, 180)]
    data = history.bars(bars)
    assert data.bar_type == bar_type
    assert data.events(1, 2)[0] is bars[1]
    assert data.select(61, 180).events() == bars[1:2]
    assert data.select(61).rows(1, 2).events()[0] is bars[2]
    assert data.prices().tolist() == [1.5] * 3
    with pytest.raises(DataError, match="not 5m"):
        history.bars(bars, interval="5m", price="bid")


def test_edits_of_the_source_do_not_reach_the_dataset() -> None:
    source = {"ts": np.array([T0 * NS]), "price": np.array([1.0]), "size": np.array([1.0])}
    data = history.trades(source, ID)
    source["price"][0] = -1.0
    source["ts"][0] = 0
    assert (data.prices()[0], data.ts[0]) == (1.0, T0 * NS)


def test_a_dataset_shows_what_it_holds() -> None:
    data = history.quotes(frame(), ID)
    assert repr(data) == (
        "<quotes AUD/USD.SIM: 3 rows, 2023-11-14T22:13:20Z to 2023-11-14T22:13:21Z>"
    )
    assert "<td style='text-align:left'>AUD/USD.SIM</td>" in data._repr_html_()
    assert "empty" in repr(data.select(end=0))
    assert data.prices().tolist() == [
        (b + a) / 2 for b, a in zip(QUOTES["bid"], QUOTES["ask"], strict=True)
    ]


def test_a_csv_read_whole_is_what_its_compressed_form_gives(tmp_path) -> None:
    plain = tmp_path / "t.csv"
    plain.write_text(f"ts,price,size\n{T0},1.5,2\n")
    packed = tmp_path / "T.CSV.GZ"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert plain.suffix == ".csv"
    expected = [Trade(ID, 1.5, 2.0, AggressorSide.NONE, "0", T0 * NS, T0 * NS)]
    assert history.trades(plain, ID).events() == expected


@pytest.mark.parametrize(
    "moment",
    [
        T0 * NS,
        "2023-11-14T22:13:20",
        "2023-11-14T23:13:20+01:00",
        np.datetime64(T0, "s"),
        datetime.fromtimestamp(T0, tz=UTC),
        pd.Timestamp(T0, unit="s", tz="UTC"),
    ],
)
def test_a_moment_is_written_as(moment: history.Moment) -> None:
    assert history.to_ns(moment) == T0 * NS


@pytest.mark.parametrize("moment", ["yesterday", True, 1.5, None, datetime(2024, 1, 1)])
def test_a_moment_that_is_unclear_is_refused(moment: object) -> None:
    with pytest.raises(DataError):
        history.to_ns(moment)


def test_nanoseconds_survive_text_and_pandas() -> None:
    ns = T0 * NS + 123_456_789
    assert history.to_ns(history.format_ns(ns)) == ns
    assert history.to_ns(pd.Timestamp(ns, tz="UTC")) == ns
    assert history.format_ns(-1) == "1969-12-31T23:59:59.999999999Z"
