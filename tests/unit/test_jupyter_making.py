"""What `%node new` and `%backtest` stand for: the Python that is shown is what is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from workbench.jupyter.arguments import Parser, backtest_parser, new_parser, split
from workbench.jupyter.making import backtest_call, check_name, sandbox_call
from workbench.jupyter.words import ALL, NEW, WORDS, parser_of
from workbench.model.errors import ConfigError, WorkbenchError

PAIR = wb.CurrencyPair.define("BTC/USDT.SIM", price_increment="0.01")
BARS = wb.sample_bars(30)


class Cross(wb.Strategy):
    fast: int = 10

    def on_start(self) -> None:
        self.subscribe_bars("1-minute-last")

    def on_bar(self, bar: wb.Bar) -> None:
        if self.position() is None:
            self.submit_order(self.orders.market(bar.instrument_id, "buy", self.fast))


@pytest.fixture
def namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    BARS.to_csv("bars.csv")
    (tmp_path / "mine.py").write_text(
        "import workbench as wb\nclass Mine(wb.Strategy):\n    size: float = 1.0\n"
    )
    return {"Cross": Cross, "cross": Cross(fast=7), "pair": PAIR, "bars": BARS, "wb": wb}


def new(line: str, namespace: dict[str, Any]) -> str:
    """Return the Python of `%node new`, which was made once as a call."""
    given = new_parser().parse(line)
    assert given is not None
    call = sandbox_call(given, namespace)
    assert call.make().state == "CREATED"
    return call.to_python(given.name)


@pytest.mark.parametrize(
    ("line", "python"),
    [
        ("n -s cross --instrument pair", "n = wb.sandbox(cross, instrument=pair)"),
        ("n -s cross --instrument pair --data synthetic", "n = wb.sandbox(cross, instrument=pair)"),
        (
            "n -s Cross -p fast=5 --instrument pair",
            "n = wb.sandbox(Cross(fast=5), instrument=pair)",
        ),
        (
            "n -s Cross --instrument pair --rate 50 --seed 3",
            "n = wb.sandbox(Cross(), wb.Synthetic(pair, rate=50.0, seed=3), instrument=pair)",
        ),
        (
            "n -s cross --instrument pair --data bars --speed 10",
            "n = wb.sandbox(cross, bars, instrument=pair, speed=10.0)",
        ),
        (
            "n -s cross --instrument pair --data bars.csv --trader X-1",
            "n = wb.sandbox(\n    cross,\n    wb.bars('bars.csv', 'BTC/USDT.SIM'),\n"
            "    instrument=pair,\n    config=wb.TradingNodeConfig(trader_id='X-1'),\n)",
        ),
        (
            "n -s cross --instrument ETH/USDT.X --tick 0.1 --leverage 3 --balance '5_000 USDT'",
            "n = wb.sandbox(\n    cross,\n"
            "    instrument=wb.CurrencyPair.define('ETH/USDT.X', price_increment='0.1'),\n"
            "    venue=wb.SimulatedVenue(name='X', leverage='3', starting_balances=['5_000 USDT']),"
            "\n)",
        ),
        (
            "n -s mine.py:Mine -p size=2 --instrument pair --instrument ETH/USDT.SIM --rate 5",
            "n = wb.sandbox(\n    Mine(size=2.0),\n"
            "    wb.Synthetic([pair, wb.CurrencyPair.define('ETH/USDT.SIM')], rate=5.0),\n"
            "    instrument=[pair, wb.CurrencyPair.define('ETH/USDT.SIM')],\n)",
        ),
    ],
)
def test_the_python_of_a_new_node_is_shown_and_runs(
    namespace: dict[str, Any], line: str, python: str
) -> None:
    assert new(line, namespace) == python
    if "Mine" not in python:
        exec(python, namespace)
        assert namespace["n"].state == "CREATED"


def test_the_variable_instrument_is_what_is_traded_by_default(namespace: dict[str, Any]) -> None:
    namespace["instrument"] = PAIR
    assert new("n -s cross", namespace) == "n = wb.sandbox(cross, instrument=instrument)"


@pytest.mark.parametrize(
    ("line", "python"),
    [
        ("Cross bars --instrument pair", "wb.backtest(Cross(), bars, instrument=pair)"),
        (
            "Cross bars -p fast=3 --instrument pair --end 2026-01-05T00:20 --no-progress",
            "wb.backtest(\n    Cross(fast=3),\n    bars,\n    instrument=pair,\n"
            "    end='2026-01-05T00:20',\n    progress=False,\n)",
        ),
        (
            "cross bars.csv --instrument pair --fill-on next_open --stamp open",
            "wb.backtest(\n    cross,\n    wb.bars('bars.csv', 'BTC/USDT.SIM', stamp='open'),\n"
            "    instrument=pair,\n"
            "    venue=wb.SimulatedVenue(name='SIM', fill_on='next_open'),\n)",
        ),
    ],
)
def test_the_python_of_a_backtest_gives_the_same_result(
    namespace: dict[str, Any], line: str, python: str
) -> None:
    given = backtest_parser().parse(line)
    assert given is not None
    call = backtest_call(given, namespace)
    assert call.to_python() == python
    result = call.make()
    assert len(result.fills) == 1
    exec(call.to_python("again"), namespace)
    assert namespace["again"].fills.equals(result.fills)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("n", "the following arguments are required: -s/--strategy. Example: %node new node"),
        ("n -s", "argument -s/--strategy: expected one argument"),
        ("n -s cross extra", "unrecognized arguments: extra"),
        ("n -s cross --strat x", "unrecognized arguments: --strat x"),
        ("n -s cross --rate fast", "argument --rate: invalid float value: 'fast'"),
        ("n -s cross --type bond", "argument --type: invalid choice: 'bond'"),
        ("n -s 'cross", "No closing quotation in"),
        ("n -s cross", "by default the variable `instrument`, which is not defined"),
        ("n -s cross --instrument bars", "--instrument takes SYMBOL.VENUE"),
        ("n -s cross --instrument pair --tick 1", "--tick is for SYMBOL.VENUE"),
        ("n -s cross --instrument pair --speed 2", "--speed goes with stored data"),
        ("n -s cross --instrument pair --data bars --rate 2", "--rate goes with --data synthetic"),
        ("n -s cross --instrument pair --data bars --tz UTC", "--tz is for files; bars is a var"),
        ("n -s cross --instrument pair --data bars --data synthetic", "stands by itself"),
        ("n -s cross --instrument pair --data nothing.csv", "nothing.csv: no such file"),
        (
            "n -s cross --instrument pair --data brs",
            "'brs' is not defined; variables",
        ),
        ("n -s cross -p fast=1 --instrument pair", "cross is an object, which has its parameters"),
        ("n -s Cross -p quick=1 --instrument pair", "Cross has no parameter 'quick'"),
        ("n -s Cross -p fast=x --instrument pair", "-p fast=x does not fit"),
        ("n -s bars --instrument pair", "'bars' is of type DataFrame, not a strategy; strategies:"),
        (
            "n -s Nobody --instrument pair",
            "'Nobody' is not defined; strategies:",
        ),
        ("n -s mine.py --instrument pair", "say which class, as mine.py:ClassName"),
        ("n -s cross --instrument pair --trader 'a b'", "trader_id"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    namespace: dict[str, Any], line: str, said: str
) -> None:
    with pytest.raises(WorkbenchError) as caught:
        new(line, namespace)
    assert said in str(caught.value)


def test_a_name_is_bound_where_nothing_else_is_lost(namespace: dict[str, Any]) -> None:
    node = wb.sandbox(Cross(), instrument=PAIR)
    check_name("fresh", {}, wb.TradingNode)
    check_name("node", {"node": node}, wb.TradingNode)
    check_name("node", {"node": None}, wb.TradingNode)
    for name in ("7", "a-b", "class", ""):
        with pytest.raises(ConfigError, match="is no name of a variable"):
            check_name(name, {}, wb.TradingNode)
    with pytest.raises(ConfigError, match="bars holds a DataFrame; choose another name"):
        check_name("bars", namespace, wb.TradingNode)


@pytest.mark.parametrize("word", ALL)
def test_each_word_has_a_help_with_its_python(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = parser_of(word)
    assert parser.parse("--help") is None
    shown = capsys.readouterr().out
    assert parser.python in shown
    if word != NEW:
        assert WORDS[word].python == parser.python


def test_the_python_of_a_help_is_in_the_magics_own_help() -> None:
    from workbench.jupyter.magics import NodeMagics

    page = NodeMagics.node.__doc__ or ""
    for word, known in WORDS.items():
        assert f"    {word} " in page
        assert known.python.replace("(thread=False)", "()") in page


def test_words_are_split_as_a_shell_does() -> None:
    assert split("a 'b c' \"d\"") == ["a", "b c", "d"]
    assert isinstance(parser_of("run"), Parser)
