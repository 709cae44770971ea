"""No key, no secret and no signature is in anything that a whole life of a live node leaves behind.

A real kernel lives it against the local exchange, over real sockets: every logger at DEBUG,
tracebacks that show variables, a wrong key, credentials that are missing, a lost connection, a
plug-in that fails with a signed address in its text. Then everything is looked through: what the
cells showed, logs, the journal and what it exports, pickles, dumps.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("ccxt", reason="ccxt is not installed; the extra `ccxt` brings it")
pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

import pyarrow.parquet as pq
from workbench_exchange import Listing, LocalExchange, RandomMarket
from workbench_exchange.gate import Gate

from tests.notebooks.kernels import Cell, Kernel
from workbench.venues.secrets import variable_of

pytestmark = pytest.mark.kernel

KEYED, KEPT, WRONG, HALF = "KEYED-001", "KEPT-001", "WRONG-001", "HALF-001"
LIES = {"api_key": "k3y-that+nobody/knows==and-is-wrong", "api_secret": 's3cret "with" quotes\\n=/'}
HALF_KEY = "half-of-the-credentials-0123456789"

KEYRING = """
import json, os
from pathlib import Path

def get_password(service, user):
    kept = json.loads(Path(os.environ["FAKE_KEYRING"]).read_text())
    return kept.get(f"{service}:{user}")
"""

SETUP = """
%load_ext workbench
%xmode Verbose
import asyncio, faulthandler, logging, pickle, sys, traceback
from pathlib import Path
from IPython.core.ultratb import VerboseTB
import workbench as wb

OUT = Path(OUT)
handler = logging.FileHandler(OUT / "all.log")
handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel(logging.DEBUG)
logging.getLogger("workbench").setLevel(logging.DEBUG)
asyncio.get_running_loop().set_debug(True)


class Churn(wb.Strategy):
    def on_start(self):
        self.seen = []
        self.subscribe_quotes(PAIR)

    def on_quote(self, quote):
        if len(self.seen) < 12:
            self.submit_order(self.orders.market(PAIR, "buy", "0.01"))
            self.submit_order(self.orders.limit(PAIR, "buy", "0.01", 1000.0))

    def on_order_event(self, event):
        self.seen.append(type(event).__name__)


def account_of(name):
    return wb.VenueAccount(
        "ccxt", name, instruments=[PAIR], exchange="binance", base_url=URL,
    )


def make(name):
    limits = wb.RiskLimits(max_order_quantity=1, max_position=50, max_loss_per_day="900_000 USDT")
    config = wb.TradingNodeConfig(
        trader_id=name, journal=str(OUT / f"{name}.sqlite"), data_folder=str(OUT),
        stall_threshold_s=60, limits=limits,
    )
    return wb.live(Churn(), venue=account_of(name), instrument=pair, config=config)


async def until(condition):
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.01)


def dumped(name, error=None):
    '''Write down all that Python can tell of the state of things.'''
    with open(OUT / f"{name}.dump", "w") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        for task in asyncio.all_tasks():
            print(repr(task), file=file)
            task.print_stack(file=file)
        if error is not None:
            told = traceback.TracebackException.from_exception(error, capture_locals=True)
            file.writelines(told.format())
            file.write(VerboseTB().text(type(error), error, error.__traceback__))


def pickled(**objects):
    for name, one in objects.items():
        for protocol in (0, 5):
            try:
                data = pickle.dumps(one, protocol=protocol)
            except Exception as error:
                data = f"{type(error).__name__}: {error}".encode()
            (OUT / f"{name}-{protocol}.pickle").write_bytes(data)
"""


class Life:
    """A kernel, and everything that its cells showed."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.cells: list[Cell] = []

    def run(self, code: str) -> Cell:
        cell = self.kernel.run(code)
        self.cells.append(cell)
        return cell

    def shown(self) -> str:
        return "\n".join(
            repr(message["content"]) for cell in self.cells for message in cell.messages
        )


@pytest.fixture
def signatures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return every signature that the exchange is shown."""
    shown: list[str] = []
    check = Gate.check

    def noted(self: Gate, account: str, params: Mapping[str, str], payloads: Any) -> None:
        shown.append(params.get("signature", ""))
        check(self, account, params, payloads)

    monkeypatch.setattr(Gate, "check", noted)
    return shown


@pytest.fixture
def exchange(signatures: list[str]) -> Iterator[LocalExchange]:
    money = {"BTC": 100, "USDT": 10_000_000}
    made = LocalExchange(
        [Listing(base="BTC", quote="USDT")],
        accounts={"keyed": money, "kept": money},
        market=RandomMarket(3),
    )
    with made as running:
        yield running


@pytest.fixture
def life(
    exchange: LocalExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Life]:
    keys = exchange.keys
    here = {"api_key": keys["keyed"].api_key, "api_secret": keys["keyed"].api_secret}
    for name, value in here.items():
        monkeypatch.setenv(variable_of(KEYED, name), value)
    for name, value in LIES.items():
        monkeypatch.setenv(variable_of(WRONG, name), value)
    monkeypatch.setenv(variable_of(HALF, "passphrase"), HALF_KEY)
    monkeypatch.setenv(variable_of(HALF, "api_key"), HALF_KEY)
    kept = {
        f"workbench:{KEPT}/api_key": keys["kept"].api_key,
        f"workbench:{KEPT}/api_secret": keys["kept"].api_secret,
    }
    ring = tmp_path / "ring"
    ring.mkdir()
    (ring / "keyring.py").write_text(KEYRING)
    (ring / "kept.json").write_text(__import__("json").dumps(kept))
    monkeypatch.setenv("FAKE_KEYRING", str(ring / "kept.json"))
    out = tmp_path / "out"
    out.mkdir()
    constants = f"OUT, URL = {str(out)!r}, {exchange.addresses.rest!r}\nPAIR = 'BTC/USDT.BINANCE'\n"
    kernel = Kernel(f"import sys; sys.path.insert(0, {str(ring)!r})\n{constants}{SETUP}")
    try:
        yield Life(kernel)
    finally:
        kernel.close()


def spelled(value: str) -> list[str]:
    """Return how a secret may be written."""
    found = [value, quote(value, safe=""), quote(value), value.encode().hex(), repr(value)[1:-1]]
    found += [base64.b64encode(b" " * shift + value.encode()).decode()[4:-4] for shift in range(3)]
    return found


def texts_in(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what every file holds, unpacked where it is packed."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        yield path.name, path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            yield path.name, str(pq.read_table(path).to_pylist())
        if path.suffix == ".sqlite":
            yield from _chunks(path)


def _chunks(path: Path) -> Iterator[tuple[str, str]]:
    import sqlite3

    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
        if "data" in tables:
            for (data,) in connection.execute("SELECT records FROM data"):
                yield path.name, zlib.decompress(data).decode("latin-1")
        if "record" in tables:
            yield path.name, str(connection.execute("SELECT * FROM record").fetchall())


def test_a_whole_life_of_a_live_node_leaves_no_secret_behind(
    life: Life, exchange: LocalExchange, signatures: list[str], tmp_path: Path
) -> None:
    run = life.run
    run(f"(pair,) = await account_of({KEYED!r}).data().instruments(PAIR)").ok()
    half = run(f"account_of({HALF!r}).credentials()")
    assert "needs api_secret" in half.error_text
    wrong = run(
        f"node = make({WRONG!r})\nnode.build()\ntry:\n    await node.run_async()\n"
        "finally:\n    dumped('wrong', node.fault)\n    node.dispose()"
    )
    assert "AuthenticationError" in wrong.error_text
    run(f"node = make({KEYED!r}); node.build(); node.run()").ok()
    run("await until(lambda: node.phase == 'running')").ok()
    run("churn = node.strategies[0]; await until(lambda: len(churn.seen) >= 12)").ok()
    exchange.inject("lose_reply", "order.place")
    run("churn.submit_order(churn.orders.limit(PAIR, 'buy', '0.01', 1000.0))").ok()
    run("client = node.core.execution.clients[0]; link = client.link").ok()
    exchange.disconnect()
    run("await until(lambda: link.reconnects >= 1 and link.state == 'up')").ok()
    # The plug-in's library fails with all it knows in its text.
    run(
        "exchange = client.brokerd._exchange\n"
        "async def fails(url, method, headers, body):\n"
        "    raise RuntimeError(f'{method} {url} {headers} {body} {exchange.secret}')\n"
        "good, exchange.fetch = exchange.fetch, fails\n"
    ).ok()
    failed = run("await client.brokerd.account_state()")
    assert "VenueError" in failed.error_text
    failed = run(
        "try:\n    await client.venue_state()\nexcept Exception as error:\n"
        "    dumped('failed', error)\n    raise"
    )
    assert "VenueError" in failed.error_text
    run("link.gap('a test says so'); await asyncio.sleep(0.5); exchange.fetch = good").ok()
    run("await until(lambda: link.state == 'up')").ok()
    run("dumped('running')").ok()
    for look in ("node", "node.journal()", "node.log()", "node.snapshot()", "node.core", "client"):
        run(look).ok()
    run("client.brokerd, client.brokerd._credentials, exchange, vars(exchange), node.config").ok()
    run("node.orders(), node.fills(), node.journal().records()").ok()
    run(
        f"pickled(account=account_of({KEYED!r}), data=account_of({KEYED!r}).data(), node=node,"
        " config=node.config, plugin=client._plugin, credentials=client.brokerd._credentials,"
        " brokerd=client.brokerd, exchange=exchange, client=client, snapshot=node.snapshot(),"
        " variables=vars(exchange))"
    ).ok()
    run("await node.stop_async(); node.journal().export(OUT / 'parquet'); node").ok()
    run("exchange.__dict__, node.fault; node.dispose()").ok()
    run(f"second = make({KEPT!r}); second.build(); second.run()").ok()
    run("await until(lambda: second.phase == 'running'); second.kill()").ok()
    run("await second.stop_async(); second.dispose(); dumped('end')").ok()
    life.kernel.shutdown(restart=False)

    secrets = [text for key in exchange.keys.values() for text in key]
    secrets += [*LIES.values(), HALF_KEY]
    made = [one for one in set(signatures) if one]
    assert len(made) > 20
    everything = [("cells", life.shown()), *texts_in(tmp_path / "out")]
    names = {name for name, _ in everything}
    assert {"all.log", f"{KEYED}.sqlite", "wrong.dump", "exchange-5.pickle"} <= names
    assert any(name.endswith(".parquet") for name in names)
    log = next(text for name, text in everything if name == "all.log")
    assert "X-MBX-APIKEY" in log  # ccxt did write its requests
    assert "***" in log
    for name, text in everything:
        for secret in secrets:
            for form in spelled(secret):
                assert form not in text, f"a secret is in {name}: {around(text, form)}"
        for signature in made:
            assert signature not in text, f"a signature is in {name}: {around(text, signature)}"


def around(text: str, what: str) -> str:
    """Return what stands around a text."""
    at = text.index(what)
    return text[max(0, at - 300) : at + len(what) + 100]
