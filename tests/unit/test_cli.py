"""The command line in this process: parsing, refusals, exit codes, extensions."""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from workbench.cli import main
from workbench.cli.run import StopOnSignals, _drive, status_line
from workbench.model.enums import OrderSide
from workbench.model.errors import ConfigError
from workbench.research.strategy_names import make_strategy, parse_parameters

STRATEGIES = """
import workbench as wb


class BuyOnce(wb.Strategy):
    size: float = 1.0
    side: str = "buy"

    def on_start(self):
        self.subscribe_bars("1-minute-last")

    def on_bar(self, bar):
        if not self.cache.orders():
            self.submit_order(self.orders.market(bar.instrument_id, self.side, self.size))


class Breaks(wb.Strategy):
    def on_start(self):
        self.subscribe_bars("1-minute-last")

    def on_bar(self, bar):
        raise RuntimeError("out of cheese")


NOT_A_STRATEGY = 7
"""

INSTRUMENT = ("--instrument", "BTC/USDT.SIM", "--tick", "0.01", "--step", "0.001")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a working directory with strategies and bars, forgotten by the importer afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine.py").write_text(STRATEGIES)
    wb.sample_bars(50, seed=3).to_csv(tmp_path / "bars.csv")
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def backtest(*more: str, strategy: str = "mine.py:BuyOnce", data: str = "bars.csv") -> int:
    return main(["backtest", strategy, "--data", data, *INSTRUMENT, "--no-progress", *more])


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line on stderr that a refusal is."""
    error = capsys.readouterr().err
    assert error.startswith("workbench: ")
    assert "Traceback" not in error
    return error


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ("mine.py:Missing", "has no class 'Missing'; there is mine.py:BuyOnce, mine.py:Breaks"),
        ("mine.py", "say which class, as mine.py:ClassName; there is mine.py:BuyOnce"),
        ("mine.py:NOT_A_STRATEGY", "is no wb.Strategy or wb.Actor but 7"),
        ("empty.py:Any", "it has no subclass of wb.Strategy"),
        ("absent.py:Any", "no such file (looked for"),
        ("absent.module:Any", "no module 'absent'"),
        ("mine:Missing", "mine has no class 'Missing'"),
        ("broken.py:Any", "broken.py cannot be imported: ZeroDivisionError in"),
        ("asks.py:Any", "cannot be imported: ModuleNotFoundError"),
        ("asks:Any", "asks cannot be imported: ModuleNotFoundError"),
        ("broken:Any", "line 2: division by zero"),
    ],
)
def test_a_strategy_that_is_not_there_is_refused_with_what_is(
    here: Path, capsys: pytest.CaptureFixture[str], strategy: str, said: str
) -> None:
    (here / "empty.py").write_text("import workbench as wb\n")
    (here / "broken.py").write_text("value = 1\nvalue / 0\n")
    (here / "asks.py").write_text("import something_that_is_not_installed\n")
    assert backtest(strategy=strategy) == 2
    assert said in refusal(capsys)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (["-p", "sise=2"], "BuyOnce has no parameter 'sise'; it has: size, side"),
        (["-p", "size=many"], "-p size=many does not fit"),
        (["-p", "size"], "-p takes NAME=VALUE, such as -p fast=10; got 'size'"),
        (["-p", "size=1", "-p", "size=2"], "-p size is given twice"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(
    here: Path, capsys: pytest.CaptureFixture[str], parameters: list[str], said: str
) -> None:
    assert backtest(*parameters) == 2
    assert said in refusal(capsys)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("absent.csv", "absent.csv: no such file"),
        ("bars.txt", "unknown file type; known are .parquet, .csv"),
        ("bit=bars.csv", "'bit' is no qualifier; there are"),
        ("AUD/USD.SIM=bars.csv", "the instruments BTC/USDT.SIM"),
    ],
)
def test_data_that_is_not_there_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], data: str, said: str
) -> None:
    assert backtest(data=data) == 2
    assert said in refusal(capsys)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--instrument", "BTCUSDT"], "BTCUSDT"),
        (["--instrument", "GBPUSD.FXCM"], "write the symbol as BASE/QUOTE.VENUE"),
        (["--tick", "-1"], "price_increment must be positive"),
        (["--taker-fee", "cheap"], "taker_fee must be a number; got 'cheap'"),
        (["--currency", "EUR"], "--currency is for equities"),
        (["--balance", "lots"], "lots"),
        (["--account-type", "gold"], "account_type must be one of 'cash', 'margin'"),
        (["--latency-ns", "-5"], "latency_ns must be"),
        (["--fill-on", "whim"], "fill_on must be one of"),
        (["--start", "yesterday"], "start must be nanoseconds, ISO 8601 text"),
        (["--kind", "quotes", "--interval", "1min"], "interval is for bars; these are quotes"),
        (["--interval", "1fortnight"], "interval must be such as '1min'"),
        (["--out", "bars.csv/results"], "cannot make this folder"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert backtest(*options) == 2
    assert said in refusal(capsys)


def test_debug_shows_the_traceback_before_and_after_the_command(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ["backtest", "mine.py:Missing", "--data", "bars.csv", *INSTRUMENT]
    for arguments in (["--debug", *wrong], [*wrong, "--debug"]):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert "Traceback" in error
        assert "ConfigError" in error


@pytest.mark.parametrize("arguments", [[], ["fly"], ["backtest"], ["run", "x.py:Y", *INSTRUMENT]])
def test_a_command_line_that_is_incomplete_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: workbench" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"workbench {wb.__version__}\n"


# --- parameters ----------------------------------------------------------------------------------


class Typed(wb.Strategy):
    count: int = 1
    limit: float = 1.0
    exact: Decimal = Decimal(1)
    label: str = ""
    is_on: bool = False
    maybe: int | None = None
    side: OrderSide = OrderSide.BUY
    levels: list[int] | None = None
    wait: timedelta = timedelta(0)
    candles: wb.BarType = wb.BarType.parse("AUD/USD.SIM-1-minute-last")
    anything: Any = None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("count=1_000", 1000),
        ("limit=-2.5", -2.5),
        ("limit=3", 3.0),
        ("exact=0.10", Decimal("0.10")),
        ("label=1_000", "1_000"),
        ("label=a=b", "a=b"),
        ("is_on=true", True),
        ("maybe=7", 7),
        ("side=sell", OrderSide.SELL),
        ("levels=[1, 2]", [1, 2]),
        ("wait=PT90S", timedelta(seconds=90)),
        ("candles=AUD/USD.SIM-5-minute-bid", wb.BarType.parse("AUD/USD.SIM-5-minute-bid")),
        ("anything=as it is", "as it is"),
    ],
)
def test_a_parameter_is_read_as_its_declared_type(text: str, value: object) -> None:
    name = text.partition("=")[0]
    strategy = Typed(**parse_parameters(Typed, [text]))
    assert strategy.parameters[name] == value
    assert type(strategy.parameters[name]) is type(value)


@pytest.mark.parametrize("text", ["count=1.5", "is_on=perhaps", "levels=1,2", "side=up"])
def test_a_parameter_of_another_type_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        parse_parameters(Typed, [text])


def test_a_file_can_import_what_lies_beside_it(here: Path) -> None:
    folder = here / "deeper"
    folder.mkdir()
    (folder / "sizes.py").write_text("SIZE = 3.0\n")
    (folder / "uses.py").write_text(
        "import workbench as wb\nimport sizes\n"
        "class Uses(wb.Strategy):\n    size: float = sizes.SIZE\n"
    )
    assert repr(make_strategy("deeper/uses.py:Uses", [])) == "Uses(size=3.0)"


# --- backtest ------------------------------------------------------------------------------------


def test_a_strategy_that_raises_is_shown_whole_and_what_was_computed_is_kept(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest("--out", "results", strategy="mine.py:Breaks") == 1
    printed = capsys.readouterr()
    assert 'raise RuntimeError("out of cheese")' in printed.err
    assert "Breaks-001 raised RuntimeError in on_bar" in printed.err
    assert "complete" in printed.out
    assert (here / "results" / "equity.csv").is_file()


def test_settings_reach_the_venue_and_the_instrument(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = backtest(
        *("--balance", "5_000 USDT", "--taker-fee", "0.01", "--fill-on", "next_open"),
        *("--start", "2026-01-05T00:10:00Z", "--end", "2026-01-05T00:20:00Z", "--out", "results"),
    )
    assert done == 0
    out = capsys.readouterr().out
    assert "events                   10" in out
    account = (here / "results" / "account.csv").read_text().splitlines()
    assert account[1] == "2026-01-05T00:10:00Z,SIM-PAPER,USDT,5000,0,5000"
    commission = Decimal((here / "results" / "fills.csv").read_text().splitlines()[1].split(",")[8])
    price = Decimal((here / "results" / "fills.csv").read_text().splitlines()[1].split(",")[7])
    assert commission == price * Decimal("0.01")


@pytest.mark.parametrize(
    "options",
    [
        ["--type", "equity", "--instrument", "AAPL.SIM", "--currency", "EUR"],
        ["--type", "crypto_perpetual", "--instrument", "ETH/USDT-PERP.SIM"],
    ],
)
def test_other_instruments_than_pairs(here: Path, options: list[str]) -> None:
    arguments = [
        "backtest",
        "mine.py:BuyOnce",
        "--data",
        "bars.csv",
        "--no-progress",
        "--tick",
        "0.01",
    ]
    assert main([*arguments, *options]) == 0


# --- run -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--synthetic", "--speed", "2"], "--speed goes with --data"),
        (["--data", "bars.csv", "--start-price", "2"], "--start-price goes with --synthetic"),
        (["--synthetic", "--for", "0"], "--for takes seconds above 0"),
        (["--synthetic", "--status", "-1"], "--status takes seconds"),
        (["--synthetic", "--rate", "0"], "rate is quotes a second"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    here: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["run", "mine.py:BuyOnce", *INSTRUMENT, *options]) == 2
    assert said in refusal(capsys)


def test_a_replay_runs_to_its_end_and_reports(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "mine.py:BuyOnce", "--data", "bars.csv", *INSTRUMENT, "--out", "results"]
    assert main([*command, "--status", "0"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "orders: 1\n" in printed.out
    assert "fills: 1\n" in printed.out
    assert "left open: 1\n  position P-BuyOnce-001-1: 1.000 BTC/USDT.SIM" in printed.out
    assert "final account:" in printed.out
    assert len((here / "results" / "fills.csv").read_text().splitlines()) == 2


def test_a_node_that_fails_ends_with_1_and_shows_the_strategy_s_traceback(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "mine.py:Breaks", "--data", "bars.csv", *INSTRUMENT]) == 1
    printed = capsys.readouterr()
    assert 'raise RuntimeError("out of cheese")' in printed.err
    assert "the node failed: Breaks-001 raised RuntimeError in on_bar" in printed.err
    assert "final account:" in printed.out


def make_node() -> wb.TradingNode:
    pair = wb.CurrencyPair.define("BTC/USDT.SIM", price_increment="0.01")
    return wb.sandbox(wb.Actor(), instrument=pair)


def test_a_signal_before_the_node_runs_stops_it_when_it_does(
    capfd: pytest.CaptureFixture[str],
) -> None:
    node = make_node()
    before = signal.getsignal(signal.SIGTERM)
    with StopOnSignals(node) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        node.build()
        assert asyncio.run(_drive(node, signals, None, 0)) is None
    assert node.state is wb.NodeState.STOPPED
    assert signal.getsignal(signal.SIGTERM) == before
    assert "stopping on SIGTERM" in capfd.readouterr().err
    node.dispose()


def test_the_status_line_says_state_orders_fills_and_profit() -> None:
    node = make_node()
    node.build()
    assert status_line(node, 12.4) == "    12 s  BUILT  orders 0  fills 0  pnl 0"
    node.dispose()


# --- extensions ----------------------------------------------------------------------------------


class FakeEntryPoint:
    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.value = f"workbench_{name}.commands:add"
        self._function = function

    def load(self) -> Callable[..., Any]:
        return self._function


def add_greet(subparsers: Any) -> None:
    parser = subparsers.add_parser("greet")
    parser.add_argument("whom")
    parser.set_defaults(handler=greet)
    subparsers.add_parser("idle")


def greet(arguments: argparse.Namespace) -> int:
    print(f"hello {arguments.whom}")
    return 0


def add_broken(subparsers: Any) -> None:
    raise ImportError("no module named cheese")


@pytest.fixture
def extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [FakeEntryPoint("broken", add_broken), FakeEntryPoint("polite", add_greet)]

    def entry_points(*, group: str) -> list[FakeEntryPoint]:
        return found if group == "workbench.commands" else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def test_an_extension_s_command_runs_and_a_broken_one_is_named_and_left_out(
    extensions: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["greet", "you"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "hello you\n"
    assert "left out the commands of 'broken' (workbench_broken.commands:add)" in printed.err
    assert "no module named cheese" in printed.err


def test_an_extension_whose_dependency_is_missing_says_so_only_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def add_cheese(subparsers: Any) -> None:
        raise ModuleNotFoundError("No module named 'cheese'", name="cheese")

    found = [FakeEntryPoint("cellar", add_cheese), FakeEntryPoint("polite", add_greet)]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: found)
    assert main(["greet", "you"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["cellar", "--port", "0"]) == 1
    needs = "workbench: cellar needs the Python package cheese, which is not installed\n"
    assert capsys.readouterr().err == needs


def test_an_extension_s_command_without_a_handler_says_so(
    extensions: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["idle"]) == 2
    assert "set_defaults(handler=...)" in capsys.readouterr().err


def test_an_interrupt_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    def add_long(subparsers: Any) -> None:
        subparsers.add_parser("long").set_defaults(handler=interrupted)

    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda *, group: [FakeEntryPoint("long", add_long)]
    )
    assert main(["long"]) == 130
    assert capsys.readouterr().err == "workbench: interrupted\n"
