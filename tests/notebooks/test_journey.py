"""The whole journey: sandbox, promotion, fills at the venue, SIGKILL, a new kernel, and on.

A real kernel, and an exchange in a process of its own that outlives it, over sockets; what the
exchange holds is asked for by a client that shares no code with either.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

pytest.importorskip("ccxt", reason="ccxt is not installed; the extra `ccxt` brings it")
pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

from tests.notebooks.kernels import Kernel
from tests.waiting import GUARD_S

ROOT = Path(__file__).parents[2]
D = Decimal
ACCOUNT, SYMBOL = "LOCAL-001", "BTCUSDT"
MONEY = {"BTC": "1", "USDT": "1000000"}
STATUS = {
    "NEW": "accepted",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}

NOTEBOOK = """
%load_ext workbench
import asyncio, json, os, signal, sys, time
import pandas  # its first import holds a loop up for a second
import workbench as wb
sys.path.insert(0, {root!r})
from tests.trials.folding import differs_from_its_journal

class Swing(wb.Strategy):
    '''Long while prices rise; then an order each rests below and above.'''

    history: int = 0  # minute bars

    def on_start(self):
        self.fast, self.slow, self.trend = wb.EMA(3), wb.EMA(8), wb.EMA(20)
        self.rising = None
        self.is_paused = False
        if self.history:
            self.register_indicator("1-minute-last", self.trend)
            self.subscribe_bars("1-minute-last", history=self.history)
        self.subscribe_quotes()

    def on_quote(self, quote):
        before = self.rising
        self.rising = self.fast.update(quote.mid) > self.slow.update(quote.mid)
        is_warm = self.slow.is_ready and (self.trend.is_ready or not self.history)
        if not is_warm or self.is_paused or self.cache.orders_in_flight():
            return
        if self.position() is None and self.rising and before is False:
            price = self.instrument.price
            self.submit_order(self.orders.market(quote.instrument_id, "buy", "0.01"))
            for side, away in (("buy", 0.9995), ("sell", 1.02)):
                limit = price(quote.bid * away)
                self.submit_order(self.orders.limit(quote.instrument_id, side, "0.01", limit))
        elif self.position() is not None and not self.rising and before:
            self.cancel_all_orders(quote.instrument_id)
            self.close_position()

account = wb.VenueAccount("ccxt", {account!r}, exchange="binance", base_url={url!r})
(instrument,) = await account.data().instruments("BTC/USDT.BINANCE")
strategy = Swing(history={history})
node = wb.sandbox(
    strategy,
    account=account,
    instrument=instrument,
    limits=wb.RiskLimits(max_order_quantity=1, max_position=1, max_loss_per_day="900 USDT"),
    config=wb.TradingNodeConfig(data_folder={folder!r}, journal_data=True, stall_threshold_s=60),
)
rules = wb.PromotionRules(min_duration_s=1, min_orders=2, min_fills=2)

def real_orders():
    return [order for order in node.core.cache.orders() if order.account_id == {account!r}]

def resting():
    return [order for order in real_orders() if order.is_open]

def position():
    return node.core.cache.net_quantity(instrument.id)

def books():
    state = node.journal().state()
    real = node.core.cache.account({account!r})
    return {{
        "orders": {{
            order.client_order_id: [order.status.value, str(order.filled_quantity)]
            for order in real_orders()
        }},
        "fills": [str(fill.trade_id) for fill in state.fills if fill.account_id == {account!r}],
        "position": str(position()),
        "balances": {{
            b.currency.code: [str(b.free), str(b.locked), str(b.total)] for b in real.balances
        }},
        "unlike its journal": differs_from_its_journal(node),
    }}

%node build
%node run
async with asyncio.timeout(120):
    while node.phase != "running":
        assert node.fault is None, node.fault
        await asyncio.sleep(0.01)
"""

DIES = """
async with asyncio.timeout(120):
    while True:
        held, there = strategy.position(), resting()
        if held is not None and len(there) == 2 and not node.core.cache.orders_in_flight():
            with open({path!r}, "w") as file:
                json.dump([order.client_order_id for order in there], file)
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(0)
"""


class Exchange:
    """The exchange as its own process, and what it says of an account.

    Args:
        folder: For its state.
    """

    def __init__(self, folder: Path) -> None:
        keys = folder / "keys.json"
        command = ["exchange", "--file", str(folder / "exchange.sqlite"), "--keys", str(keys)]
        command += ["--symbols", "BTC/USDT", "--seed", "11"]
        for asset, amount in MONEY.items():
            command += ["--balance", f"trader:{asset}={amount}"]
        command += ["--balance", "other:BTC=1000"]
        program = "import sys; from workbench.cli import main; sys.exit(main(sys.argv[1:]))"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, *command], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("keys"):
                break
        held = json.loads(keys.read_text())
        self.url: str = held["rest"]
        self.keys: dict[str, dict[str, str]] = held["accounts"]

    def close(self) -> None:
        """Stop it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=GUARD_S)

    def ask(self, method: str, path: str, owner: str = "trader", **params: Any) -> Any:
        """Send a signed request and return its answer."""
        key = self.keys[owner]
        query = urlencode({**params, "timestamp": time.time_ns() // 1_000_000})
        signature = hmac.new(key["api_secret"].encode(), query.encode(), hashlib.sha256)
        request = urllib.request.Request(
            f"{self.url}/api/v3/{path}?{query}&signature={signature.hexdigest()}",
            method=method,
            headers={"X-MBX-APIKEY": key["api_key"]},
        )
        with urllib.request.urlopen(request, timeout=GUARD_S) as reply:
            return json.load(reply)

    def orders(self) -> dict[str, list[str]]:
        """Return status and filled quantity of every order, by the client's id."""
        found = self.ask("GET", "allOrders", symbol=SYMBOL, limit=1000)
        assert len({row["clientOrderId"] for row in found}) == len(found)
        return {row["clientOrderId"]: [STATUS[row["status"]], row["executedQty"]] for row in found}

    def books(self) -> dict[str, Any]:
        """Return what it holds of the account."""
        fills = self.ask("GET", "myTrades", symbol=SYMBOL, limit=1000)
        balances = {
            row["asset"]: [row["free"], row["locked"]]
            for row in self.ask("GET", "account")["balances"]
        }
        return {
            "orders": self.orders(),
            "fills": [str(row["id"]) for row in fills],
            # What was bought, less the fees that were taken out of it.
            "position": str(sum(map(D, balances["BTC"])) - D(MONEY["BTC"])),
            "balances": balances,
        }

    def sweep(self, name: str) -> None:
        """Let somebody else sell into a resting order, and into what stands before it."""
        price = self.price(name)
        terms = {"type": "LIMIT", "timeInForce": "IOC", "price": price, "quantity": "5"}
        end_s = time.monotonic() + GUARD_S
        while self.orders()[name][0] != "filled":
            assert time.monotonic() < end_s, f"{name} at {price} does not fill"
            self.ask("POST", "order", "other", symbol=SYMBOL, side="SELL", **terms)

    def price(self, name: str) -> str:
        """Return the limit of an order."""
        return self.ask("GET", "order", symbol=SYMBOL, origClientOrderId=name)["price"]


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    made = Exchange(tmp_path)
    yield made
    made.close()


@contextmanager
def opened(code: str) -> Iterator[Kernel]:
    kernel = Kernel()
    try:
        kernel.run(code).ok()
        yield kernel
    finally:
        kernel.close()


def until(kernel: Kernel, condition: str) -> None:
    """Wait in the kernel until something is so there, or what was wrong is shown."""
    kernel.wait_until(f"node.fault is not None or {condition}")
    assert kernel.value("node.fault and str(node.fault)") is None


def differing(here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    """Return how the node's books differ from the exchange's, to the last digit."""
    found = list(here["unlike its journal"])
    found += [f"fill {number} is there {n} times" for number, n in repeated(here["fills"])]
    if Counter(here["fills"]) != Counter(there["fills"]):
        found.append(f"fills {here['fills']} here, {there['fills']} at the exchange")
    if D(here["position"]) != D(there["position"]):
        found.append(f"position {here['position']} here, {there['position']} at the exchange")
    for name in {*here["orders"], *there["orders"]}:
        ours, theirs = here["orders"].get(name), there["orders"].get(name)
        if None in (ours, theirs) or [ours[0], D(ours[1])] != [theirs[0], D(theirs[1])]:
            found.append(f"order {name}: {ours} here, {theirs} at the exchange")
    for code, (free, locked) in there["balances"].items():
        ours = [D(amount) for amount in here["balances"].get(code, ["0", "0", "0"])]
        if ours != [D(free), D(locked), D(free) + D(locked)]:
            found.append(f"{code}: {ours} here, {free} + {locked} at the exchange")
    return found


def repeated(names: list[str]) -> list[tuple[str, int]]:
    return [(name, count) for name, count in Counter(names).items() if count > 1]


def compare(kernel: Kernel, exchange: Exchange) -> dict[str, Any]:
    """Wait until both say the same, and return it: what one says is on its way to the other."""
    end_s = time.monotonic() + GUARD_S
    while True:
        there, here = exchange.books(), kernel.value("books()")
        found = differing(here, there)
        if not found:
            return there
        assert not repeated(here["fills"]), found
        assert time.monotonic() < end_s, found
        kernel.run("await asyncio.sleep(0.5)").ok()  # asked more often, the exchange refuses


@pytest.mark.parametrize("history", [0, 60], ids=["cold", "with its indicator's history"])
def test_a_strategy_goes_from_the_sandbox_to_an_account_and_on_after_its_kernel_was_killed(
    exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history: int
) -> None:
    for name, value in exchange.keys["trader"].items():
        monkeypatch.setenv(f"WORKBENCH_LOCAL_001_{name.upper()}", value)
    code = NOTEBOOK.format(
        root=str(ROOT),
        account=ACCOUNT,
        url=exchange.url,
        folder=str(tmp_path / "data"),
        history=history,
    )
    untouched = exchange.books()
    assert {asset: D(free) for asset, (free, _) in untouched["balances"].items()} == {
        asset: D(amount) for asset, amount in MONEY.items()
    }

    with opened(code) as kernel:
        # The sandbox trades on the exchange's prices; the account is looked at, not touched.
        until(kernel, "len(node.fills()) >= 4")
        assert compare(kernel, exchange) == untouched

        kernel.run(f"report = await node.promote_async(confirm={ACCOUNT!r}, rules=rules)").ok()
        assert kernel.value("node.strategies[0] is strategy and strategy.slow.is_ready")
        assert kernel.value("report.certificate.verify(strategy)") == []
        until(kernel, "sum(order.is_closed for order in real_orders()) >= 3")

        # The kernel dies, with a position and two orders at the exchange.
        left = tmp_path / "left"
        kernel.submit(DIES.format(path=str(left)))
        end_s = time.monotonic() + 2 * GUARD_S
        while kernel.manager.is_alive():
            assert time.monotonic() < end_s
            time.sleep(0.02)

    before = exchange.books()
    names = json.loads(left.read_text())
    below, above = sorted(names, key=lambda name: D(exchange.price(name)))
    exchange.sweep(below)  # meanwhile one of them fills
    meanwhile = exchange.books()
    assert len(meanwhile["fills"]) > len(before["fills"])
    assert meanwhile["orders"][above] == before["orders"][above]

    with opened(code) as kernel:
        assert kernel.value("node.promoted") == {"Swing-001": ACCOUNT}
        compare(kernel, exchange)
        if history:
            until(kernel, "strategy.trend.is_ready")  # without it that takes twenty minutes
        until(kernel, f"len(real_orders()) >= {len(meanwhile['orders']) + 6}")
        kernel.run("found = await node.verify_async()").ok()
        assert kernel.value("found.is_identical or repr(found)") is True
        compare(kernel, exchange)
        # What rests would fill once nobody looks.
        kernel.run("strategy.is_paused = True; strategy.cancel_all_orders(instrument.id)").ok()
        until(kernel, "not resting() and not node.core.cache.orders_in_flight()")
        compare(kernel, exchange)  # the account's last change is told after the fill it is of
        kernel.run("await node.stop_async()").ok()
        end = compare(kernel, exchange)
        kernel.run("node.dispose()").ok()
    assert meanwhile["orders"].keys() < end["orders"].keys()
    assert set(meanwhile["fills"]) < set(end["fills"])
    assert os.stat(tmp_path / "data" / "journals" / "TRADER-001.sqlite").st_mode & 0o077 == 0
