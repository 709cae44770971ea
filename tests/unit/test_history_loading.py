"""What `load` makes of whatever a user calls data."""

from __future__ import annotations

import pytest

import workbench.history as history
from workbench.model.commands import DataKind
from workbench.model.data import Bar, BarType, Quote, Trade
from workbench.model.enums import AggressorSide
from workbench.model.errors import DataError, InstrumentError
from workbench.model.instruments import CurrencyPair

AUD = CurrencyPair.define("AUD/USD.SIM")
EUR = CurrencyPair.define("EUR/USD.SIM")
T0 = 1_700_000_000
QUOTES = {"ts": [T0, T0 + 60], "bid": [1.0, 1.1], "ask": [1.5, 1.6]}
TRADES = {"ts": [T0, T0 + 60], "price": [1.0, 1.1], "size": [1, 1]}
BARS = {
    "ts": [T0, T0 + 60],
    "open": [1, 1],
    "high": [2, 2],
    "low": [1, 1],
    "close": [1, 1],
    "volume": [0, 0],
}


def shape(datasets: list[history.Dataset]) -> list[tuple[str, str]]:
    return [(dataset.kind.value, dataset.name) for dataset in datasets]


@pytest.mark.parametrize(
    ("source", "kind"), [(QUOTES, "quotes"), (TRADES, "trades"), (BARS, "bars")]
)
def test_the_kind_follows_from_the_columns(source: dict, kind: str) -> None:
    (dataset,) = history.load(source, [AUD])
    assert (dataset.kind, dataset.instrument_id) == (DataKind(kind), AUD.id)


def test_columns_that_could_be_two_kinds_are_refused() -> None:
    with pytest.raises(DataError, match=r"could be quotes or trades; say which with wb\.quotes"):
        history.load({**QUOTES, **TRADES}, [AUD])


def test_columns_of_no_kind_are_refused() -> None:
    with pytest.raises(DataError, match="'ts', 'x' are neither quotes"):
        history.load({"ts": [T0], "x": [1]}, [AUD])


def test_a_dataset_a_list_and_a_mapping_are_taken(tmp_path) -> None:
    path = tmp_path / "q.csv"
    path.write_text(f"ts,bid,ask\n{T0},1,2\n")
    trades = history.trades(TRADES, EUR)
    assert history.load(trades, [AUD, EUR]) == [trades]
    assert shape(history.load([str(path), history.trades(TRADES)], [AUD])) == [
        ("quotes", AUD.id),
        ("trades", AUD.id),
    ]
    mapped = history.load({AUD: path, EUR.id: [trades, BARS]}, [AUD, EUR])
    assert shape(mapped) == [
        ("quotes", AUD.id),
        ("trades", EUR.id),
        ("bars", f"{EUR.id}-1-minute-last"),
    ]


def test_mixed_messages_are_split_by_kind_instrument_and_bar_type() -> None:
    minute, hour = (BarType.parse(f"{AUD.id}-1-{unit}-last") for unit in ("minute", "hour"))
    messages = [
        Quote(AUD.id, 1.0, 2.0, 1.0, 1.0, 1, 1),
        Quote(EUR.id, 1.0, 2.0, 1.0, 1.0, 1, 1),
        Trade(AUD.id, 1.0, 1.0, AggressorSide.NONE, "1", 1, 1),
        Bar(minute, 1.0, 1.0, 1.0, 1.0, None, 2, 2),
        Bar(hour, 1.0, 1.0, 1.0, 1.0, None, 2, 2),
        Quote(AUD.id, 1.0, 2.0, 1.0, 1.0, 3, 3),
    ]
    datasets = history.load(messages, [AUD, EUR])
    assert [dataset.events() for dataset in datasets] == [
        [messages[0], messages[5]],
        *([message] for message in messages[1:5]),
    ]
    messages.append(Quote(AUD.id, 1.0, 2.0, 1.0, 1.0, 0, 0))
    with pytest.raises(DataError, match=r"row 6 .*goes back"):
        history.load(messages, [AUD, EUR])


def test_an_instrument_without_a_definition_is_refused_with_those_known() -> None:
    with pytest.raises(InstrumentError, match=r"no definition of X/Y\.Z; defined are AUD/USD\.SIM"):
        history.load({"X/Y.Z": QUOTES}, [AUD])
    with pytest.raises(InstrumentError, match=r"EUR/USD\.SIM; defined are \(none\)"):
        history.load(history.quotes(QUOTES, EUR), [])


def test_data_of_no_instrument_needs_exactly_one_definition() -> None:
    for instruments in ([AUD, EUR], []):
        with pytest.raises(DataError, match=r"which instrument are these quotes of\?"):
            history.load(QUOTES, instruments)


def test_data_of_one_instrument_is_not_passed_off_as_another() -> None:
    with pytest.raises(DataError, match=r"are of AUD/USD\.SIM, not of EUR/USD\.SIM"):
        history.load({EUR: history.quotes(QUOTES, AUD)}, [AUD, EUR])


def test_nothing_is_no_data() -> None:
    for data in ([], {}, None, [[]]):
        with pytest.raises(DataError):
            history.load(data, [AUD])


def test_several_symbols_in_one_source_are_refused() -> None:
    with pytest.raises(DataError, match=r"several symbols \(A, B\).*pass symbol="):
        history.load({**QUOTES, "symbol": ["A", "B"]}, [AUD])
