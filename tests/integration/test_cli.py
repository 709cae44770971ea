"""The command line as its users run it: real processes, real signals, real kernels."""

from __future__ import annotations

import csv
import os
import select
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO

import nbformat
import pytest

import workbench as wb

ROOT = Path(__file__).resolve().parents[2]
GUARD_S = 240  # against hanging; nothing is decided by it
INSTRUMENT = ("--instrument", "BTC/USDT.SIM", "--tick", "0.01", "--step", "0.001")

STRATEGIES = """
import workbench as wb


class BuyOnce(wb.Strategy):
    def on_start(self):
        self.subscribe_quotes()

    def on_quote(self, quote):
        if not self.cache.orders():
            self.submit_order(self.orders.market(quote.instrument_id, "buy", 1))

    def on_order_filled(self, fill):
        print("filled", flush=True)


class NeverStops(wb.Actor):
    def on_start(self):
        self.subscribe_quotes()

    def on_quote(self, quote):
        print("quote", flush=True)

    def on_stop(self):
        print("stopping for ever", flush=True)
        while True:
            pass


class Alternate(wb.Strategy):
    def on_start(self):
        self.bars = 0
        self.subscribe_bars("1-minute-bid")

    def on_bar(self, bar):
        self.bars += 1
        side = "buy" if self.bars % 2 else "sell"
        self.submit_order(self.orders.market(bar.instrument_id, side, 0.7))
"""


class Command:
    """A running `workbench`."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "workbench.cli", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.output = b""

    def wait_for(self, text: str) -> None:
        """Read its standard output until `text` is in it."""
        stream: IO[bytes] | None = self.process.stdout
        assert stream is not None
        while text.encode() not in self.output:
            ready, _, _ = select.select([stream], [], [], GUARD_S)
            chunk = os.read(stream.fileno(), 65536) if ready else b""
            assert chunk, f"{text!r} did not come; there was {self.output.decode()!r}"
            self.output += chunk

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def close(self) -> None:
        """End it if a failed test left it running."""
        if self.process.poll() is None:
            self.process.kill()
        with self.process:
            pass

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return exit code, standard output and standard error."""
        out, error = self.process.communicate(timeout=GUARD_S)
        return self.process.returncode, (self.output + out).decode(), error.decode()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    (tmp_path / "mine.py").write_text(STRATEGIES)
    commands: list[Command] = []

    def start(*arguments: str, **environment: str) -> Command:
        commands.append(Command(tmp_path, *arguments, **environment))
        return commands[-1]

    yield start
    for command in commands:
        command.close()


def write_notebook(path: Path, *sources: str) -> Path:
    """Write a notebook; a source that begins with # is Markdown."""
    cells = [
        nbformat.v4.new_markdown_cell(source)
        if source.startswith("#")
        else nbformat.v4.new_code_cell(source)
        for source in sources
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


# --- backtest ------------------------------------------------------------------------------------


def test_backtest_of_bid_and_ask_bars_writes_exact_amounts(
    start: Callable[..., Command], tmp_path: Path
) -> None:
    bid = wb.sample_bars(20, seed=5)
    bid.to_csv(tmp_path / "bid.csv")
    ask = bid.assign(**{name: bid[name] + 0.02 for name in ("open", "high", "low", "close")}).round(
        2
    )
    ask.to_parquet(tmp_path / "ask.parquet")
    code, out, error = start(
        *("backtest", "mine.py:Alternate", "--data", "bid=bid.csv", "--data", "ask=ask.parquet"),
        *(*INSTRUMENT, "--taker-fee", "0.00037", "--balance", "1_000 USDT", "--out", "results"),
    ).end()
    assert code == 0, error
    assert "commissions USDT" in out
    rows = {}
    for name in ("orders", "fills", "positions", "account", "equity"):
        with (tmp_path / "results" / f"{name}.csv").open(newline="") as file:
            rows[name] = list(csv.DictReader(file))
    assert len(rows["orders"]) == len(rows["fills"]) == 20
    assert len(rows["positions"]) == 10
    for fill, at in zip(rows["fills"], range(20), strict=True):
        side, frame = ("buy", ask) if at % 2 == 0 else ("sell", bid)
        assert fill["side"] == side
        assert Decimal(fill["price"]) == Decimal(f"{frame['close'].iloc[at]:.2f}")
        cost = Decimal("0.7") * Decimal(fill["price"]) * Decimal("0.00037")
        assert Decimal(fill["commission"]) == cost
    realised = sum(Decimal(position["realized_pnl"]) for position in rows["positions"])
    assert Decimal(rows["account"][-1]["total"]) == 1000 + realised


# --- run -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_node_gracefully_and_what_is_open_is_told(
    start: Callable[..., Command], number: signal.Signals
) -> None:
    command = start("run", "mine.py:BuyOnce", "--synthetic", *INSTRUMENT, "--seed", "4")
    command.wait_for("filled")
    command.signal(number)
    code, out, error = command.end()
    assert code == 0, error
    assert f"stopping on {number.name}" in error
    assert "fills: 1\n" in out
    assert "left open: 1\n  position P-BuyOnce-001-1: 1 BTC/USDT.SIM" in out
    assert "final account:" in out
    assert "Traceback" not in error


def test_a_run_ends_by_itself_after_the_time_it_was_given(start: Callable[..., Command]) -> None:
    command = start(
        *("run", "mine.py:BuyOnce", "--synthetic", *INSTRUMENT, "--start-price", "50"),
        *("--rate", "100", "--for", "0.5", "--status", "0.05"),
    )
    code, out, error = command.end()
    assert code == 0, error
    assert "final account:" in out
    assert "RUNNING" in error


def test_a_second_signal_ends_a_node_whose_strategy_does_not_stop(
    start: Callable[..., Command],
) -> None:
    command = start("run", "mine.py:NeverStops", "--synthetic", *INSTRUMENT)
    command.wait_for("quote")
    command.signal(signal.SIGTERM)
    command.wait_for("stopping for ever")
    command.signal(signal.SIGTERM)
    code, _, error = command.end()
    assert code == -signal.SIGTERM
    assert "SIGTERM again; ending at once" in error


# --- demo ----------------------------------------------------------------------------------------


@pytest.mark.kernel
def test_demo_runs_a_notebook_in_a_kernel_of_this_python_with_folders_of_its_own(
    start: Callable[..., Command], tmp_path: Path
) -> None:
    notebook = write_notebook(
        tmp_path / "tiny.ipynb",
        "# Where am I?",
        "import os, sys, workbench\n"
        "print(sys.executable)\n"
        "print(workbench.__file__)\n"
        "print(os.environ['IPYTHONDIR'])\n"
        "print(os.getcwd())",
        "await __import__('asyncio').sleep(0)\n6 * 7",
    )
    code, out, error = start("demo", "--notebook", str(notebook)).end()
    assert code == 0, error
    assert "[ 1/2] Where am I?" in out
    assert "[ 2/2] await __import__('asyncio').sleep(0)" in out
    assert "all 2 code cells ran" in out
    assert out.index("all 2 code cells ran") < out.index("    42\n")
    executed = nbformat.read(tmp_path / "workbench-demo" / "tiny.ipynb", as_version=4)
    python, package, profile, folder = executed.cells[1].outputs[0].text.splitlines()
    assert python == sys.executable
    assert package == str(ROOT / "workbench" / "__init__.py")
    for scratch in (profile, folder):
        assert "workbench-demo-" in scratch
        assert not Path(scratch).exists()
    assert (tmp_path / "workbench-demo" / ".gitignore").read_text() == "*\n"
    assert "6 * 7" in (tmp_path / "workbench-demo" / "tiny.html").read_text(encoding="utf-8")


@pytest.mark.kernel
def test_demo_shows_a_failing_cell_whole(start: Callable[..., Command], tmp_path: Path) -> None:
    notebook = write_notebook(
        tmp_path / "fails.ipynb",
        "value = 0",
        "print('so far so good')\n1 / value\nprint('never')",
        "print('nor this')",
    )
    code, out, error = start("demo", "--notebook", str(notebook), "--out", "kept").end()
    assert code == 1
    assert "failed" in out
    assert "code cell 2 failed:\n\n    print('so far so good')\n    1 / value" in error
    assert "it had put out:\n    so far so good" in error
    assert "ZeroDivisionError: division by zero" in error
    assert "\x1b" not in error
    assert not (tmp_path / "kept" / ".gitignore").exists()
    executed = nbformat.read(tmp_path / "kept" / "fails.ipynb", as_version=4)
    assert executed.cells[1].outputs[-1].ename == "ZeroDivisionError"
    assert not executed.cells[2].outputs


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "import os; os.write(2, b'last words'); os._exit(3)",
            "the kernel died while the cell ran",
        ),
        ("while True: pass", "the cell did not end within 1 s"),
    ],
)
def test_demo_survives_a_kernel_that_does_not(
    start: Callable[..., Command], tmp_path: Path, source: str, said: str
) -> None:
    notebook = write_notebook(tmp_path / "odd.ipynb", source)
    code, _, error = start("demo", "--notebook", str(notebook), "--timeout", "1").end()
    assert code == 1
    assert said in error
    assert f"    {source}" in error
    assert ("last words" in error) == ("last words" in source)


@pytest.mark.kernel
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process(
    start: Callable[..., Command], tmp_path: Path, number: signal.Signals
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    notebook = write_notebook(
        tmp_path / "endless.ipynb",
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'while True: pass'])\n"
        f"with open({str(fifo)!r}, 'w') as file:\n"
        "    file.write(f'{os.getpid()} {child.pid}')\n"
        "while True:\n"
        "    pass",
    )
    command = start("demo", "--notebook", str(notebook))
    ready, _, _ = select.select([reader], [], [], GUARD_S)
    assert ready
    kernel, child = map(int, os.read(reader, 100).split())
    os.close(reader)
    command.signal(number)
    code, _, error = command.end()
    assert code == 130
    assert "interrupted; the kernel has ended" in error
    assert "Traceback" not in error
    assert not runs(kernel)
    assert not runs(child)


def runs(pid: int) -> bool:
    """Return whether a process runs; one that waits to be reaped by init does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.kernel
def test_demo_runs_the_quickstart(start: Callable[..., Command], tmp_path: Path) -> None:
    code, out, error = start("demo").end()
    assert code == 0, out + error
    assert "code cells ran" in out
    assert (tmp_path / "workbench-demo" / "01_quickstart.html").is_file()


# --- doctor --------------------------------------------------------------------------------------


@pytest.mark.kernel
def test_doctor_starts_a_kernel_and_loads_the_extension(
    start: Callable[..., Command], tmp_path: Path
) -> None:
    code, out, error = start("doctor", HOME=str(tmp_path), JUPYTER_PATH="").end()
    assert code == 0, out + error
    for what in ("kernel               starts", "extension            loads", "seen by Jupyter"):
        assert f"ok       {what}" in out
    assert f"import in a kernel   {wb.__version__}" in out


@pytest.mark.kernel
def test_doctor_says_how_to_mend_a_broken_kernel_and_a_hidden_python(
    start: Callable[..., Command], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "ipykernel_launcher.py").write_text("raise SystemExit('no kernel today')\n")
    kernels = tmp_path / "share" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    (kernels / "kernel.json").write_text(
        '{"argv": ["/elsewhere/bin/python3"], "display_name": "P", "language": "python"}'
    )
    paths = os.pathsep.join([str(ROOT), str(broken)])
    code, out, _ = start(
        "doctor",
        HOME=str(tmp_path),
        JUPYTER_PATH=str(tmp_path / "share"),
        PYTHONPATH=paths,
    ).end()
    assert code == 1
    assert "PROBLEM  kernel               the kernel did not start" in out
    assert "no kernel today" in out
    assert f"mend it: {sys.executable} -m pip install --force-reinstall ipykernel" in out
    assert "PROBLEM  seen by Jupyter      no kernel specification runs this Python" in out
    assert f"mend it: {sys.executable} -m ipykernel install --user --name workbench" in out
    assert "2 to mend: kernel, seen by Jupyter" in out


# --- the wheel -----------------------------------------------------------------------------------


def test_a_wheel_brings_the_quickstart_along(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling comes with the extra `dev`")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=GUARD_S,
    )
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    find = "from workbench.cli.demo import find_notebook; print(find_notebook(None))"
    found = subprocess.run(
        [sys.executable, "-c", find],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
        timeout=GUARD_S,
    )
    assert found.stdout.strip() == str(installed / "workbench/_notebooks/01_quickstart.ipynb")
