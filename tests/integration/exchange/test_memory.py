"""What the local exchange remembers: across a restart, a SIGKILL, on a thread, as a command."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

import aiohttp
from workbench_exchange import LocalExchange, QuietMarket

from tests.integration.exchange.plain_client import (
    ACCOUNTS,
    SYMBOL,
    PlainClient,
    RefusedError,
    clients_of,
)
from tests.waiting import GUARD_S
from workbench.cli import main
from workbench.model.errors import ConfigError, LifecycleError


def test_a_restart_keeps_orders_fills_balances_and_keys_and_repeats_no_id() -> None:
    async def trial() -> None:
        async with (
            asyncio.timeout(GUARD_S),
            LocalExchange(["BTC/USDT"], accounts=ACCOUNTS, market=QuietMarket()) as exchange,
            clients_of(exchange) as (one, other),
        ):
            await one.limit("BUY", "0.5", "50000", newClientOrderId="rests")
            await other.order("SELL", "MARKET", quantity="0.2")
            await one.order("SELL", "STOP_LOSS", quantity="0.1", stopPrice="49000")
            paths = ("openOrders", "allOrders", "myTrades")
            before = [await one.signed("GET", path, symbol=SYMBOL) for path in paths]
            balances = await one.balances()
            update_id = (await one.public("depth", symbol=SYMBOL))["lastUpdateId"]
            await exchange.restart()
            assert [await one.signed("GET", path, symbol=SYMBOL) for path in paths] == before
            assert await one.balances() == balances
            book = await one.public("depth", symbol=SYMBOL)
            assert book["bids"] == [["50000.00000000", "0.30000000"]]
            assert book["lastUpdateId"] > update_id
            sold = await other.order("SELL", "MARKET", quantity="0.3")
            assert sold["orderId"] > before[1][-1]["orderId"]
            assert sold["fills"][0]["tradeId"] > before[2][-1]["id"]
            filled = await one.signed("GET", "order", symbol=SYMBOL, origClientOrderId="rests")
            assert filled["status"] == "FILLED"

    asyncio.run(trial())


def test_a_file_is_private_and_of_one_exchange_and_one_grid(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"

    async def trial() -> None:
        async with LocalExchange(["BTC/USDT"], file=path, market=QuietMarket()):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with pytest.raises(ConfigError, match="name another file"):
                await LocalExchange(["BTC/USDT"], file=path).open()
        from workbench_exchange import Listing

        coarse = Listing(base="BTC", quote="USDT", tick=Decimal("0.1"))
        with pytest.raises(ConfigError, match="counts BTCUSDT in tick and step"):
            await LocalExchange([coarse], file=path).open()
        path.write_bytes(b"something else" * 1000)
        with pytest.raises(ConfigError, match="cannot be used"):
            await LocalExchange(["BTC/USDT"], file=path).open()

    asyncio.run(trial())


def test_it_listens_on_loopback_only_and_shows_no_secret() -> None:
    async def trial() -> None:
        with pytest.raises(ConfigError, match="loopback only"):
            await LocalExchange(host="0.0.0.0").open()
        async with LocalExchange(market=QuietMarket()) as exchange:
            (key,) = exchange.keys.values()
            shown = f"{exchange!r} {exchange.keys!r} {key}"
            assert key.api_secret not in shown
            assert exchange.token not in shown
            taken = LocalExchange(port=exchange.port)
            with pytest.raises(ConfigError, match="cannot listen"):
                await taken.open()

    asyncio.run(trial())


def test_on_a_thread_of_its_own_it_obeys_from_another_and_starts_again() -> None:
    exchange = LocalExchange(["BTC/USDT"], accounts=ACCOUNTS, is_paced=False)

    async def trial() -> list[Any]:
        async with asyncio.timeout(GUARD_S), clients_of(exchange) as (one, _):
            exchange.inject("refuse", "time")
            with pytest.raises(Exception, match="429"):
                await one.public("time")
            exchange.advance(10)
            exchange.run(exchange.restart())
            return await one.public("trades", symbol=SYMBOL)

    for _ in range(2):
        with exchange:
            with pytest.raises(LifecycleError):
                exchange.start()
            assert asyncio.run(trial()) == []  # trades of everybody are not remembered
    exchange.stop()


def test_a_market_that_fails_is_not_silent(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(QuietMarket):
        def step(self, venue: Any) -> None:
            raise RuntimeError("out of prices")

    async def trial() -> None:
        async with asyncio.timeout(GUARD_S), LocalExchange(["BTC/USDT"], market=Broken()):
            while not caplog.records:
                await asyncio.sleep(0.01)

    with pytest.raises(RuntimeError, match="out of prices"):
        asyncio.run(trial())
    assert "market has stopped" in caplog.text
    caplog.clear()
    threaded = LocalExchange(["BTC/USDT"], market=Broken()).start()
    while not caplog.records:
        time.sleep(0.01)
    with pytest.raises(RuntimeError, match="out of prices"):
        threaded.stop()


# --- as a command, in a process of its own -------------------------------------------------------


class Process:
    """`workbench exchange` in a process."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.keys_file = folder / "state.sqlite.keys.json"
        self.keys_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "workbench.cli", "exchange", "--quiet"]
        command += ["--symbols", "BTC/USDT", "--port", str(port)]
        command += ["--file", str(folder / "state.sqlite")]
        for name, balances in ACCOUNTS.items():
            for asset, amount in balances.items():
                command += ["--balance", f"{name}:{asset}={amount}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("keys"):
                break
        held = json.loads(self.keys_file.read_text())
        self.addresses = (held["rest"], held["streams"], held["requests"])
        self.token = held["token"]
        self.accounts = held["accounts"]
        self.port = int(held["rest"].rsplit(":", 1)[1])

    @asynccontextmanager
    async def client(self, account: str) -> AsyncIterator[PlainClient]:
        key = self.accounts[account]
        async with aiohttp.ClientSession() as session:
            yield PlainClient(session, self.addresses, (key["api_key"], key["api_secret"]))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_the_command_says_where_it_is_and_stops_cleanly_on_sigint(tmp_path: Path) -> None:
    running = Process(tmp_path)

    async def trial() -> None:
        async with asyncio.timeout(GUARD_S), running.client("a") as one:
            await one.limit("BUY", "0.1", "40000")

    try:
        assert stat.S_IMODE(running.keys_file.stat().st_mode) == 0o600
        secrets = [key["api_secret"] for key in running.accounts.values()]
        assert not any(secret in "".join(running.lines) for secret in [*secrets, running.token])
        asyncio.run(trial())
        running.process.send_signal(signal.SIGINT)
        rest, _ = running.process.communicate(timeout=GUARD_S)
        assert (running.process.returncode, rest) == (0, "stopped\n")
        assert not running.keys_file.exists()
    finally:
        if running.process.poll() is None:
            running.kill()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--host", "0.0.0.0"], "loopback only"),
        (["--balance", "USDT=5"], "ACCOUNT:ASSET=AMOUNT"),
        (["--symbols", "BTCUSDT"], "BASE/QUOTE"),
        (["--replay", "x.csv"], "SYMBOL=FILE"),
        (["--quiet", "--replay", "BTCUSDT=x.csv"], "exclude each other"),
    ],
)
def test_a_wrong_argument_is_refused(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exchange", *arguments]) == 2
    assert text in capsys.readouterr().err


class Trial:
    """Two accounts that trade with each other, and what they were told.

    Attributes:
        told: The acknowledgements of each account, by the client's id.
        fills: How many fills each account had at the last look.
    """

    def __init__(self) -> None:
        self.told: dict[str, dict[str, Any]] = {"a": {}, "b": {}}
        self.fills: dict[str, int] = {}

    async def live(self, running: Process, round_: int, after_s: float) -> None:
        """Trade until the process is killed."""
        async with (
            asyncio.timeout(GUARD_S),
            running.client("a") as one,
            running.client("b") as other,
        ):
            trading = [
                asyncio.create_task(self._trade(one, "a", "BUY", round_)),
                asyncio.create_task(self._trade(other, "b", "SELL", round_)),
            ]
            await asyncio.sleep(after_s)
            os.kill(running.process.pid, signal.SIGKILL)
            await asyncio.gather(*trading)

    async def _trade(self, client: PlainClient, account: str, side: str, round_: int) -> None:
        taking = "50001" if side == "BUY" else "49999"
        for number in itertools.count(1):
            client_id = f"{account}-{round_}-{number}"
            price = "50000" if number % 3 else taking
            try:
                placed = await client.limit(side, "0.001", price, newClientOrderId=client_id)
                self.told[account][client_id] = placed
                if number % 10 == 0:
                    await client.signed("DELETE", "openOrders", symbol=SYMBOL)
            except aiohttp.ClientError:
                return
            except RefusedError as refused:
                if refused.code == -1015:
                    await asyncio.sleep(0.01)  # too many orders; the kill will end it
                elif refused.code != -2011:  # nothing was left to cancel
                    raise

    async def check(self, running: Process) -> None:
        """Compare what is remembered with what was told, and with itself."""
        totals = {"BTC": Decimal(20), "USDT": Decimal(2_000_000)}
        async with (
            asyncio.timeout(GUARD_S),
            running.client("a") as one,
            running.client("b") as other,
        ):
            for account, client in (("a", one), ("b", other)):
                orders = await all_rows(client, "allOrders", "orderId", "orderId")
                trades = await all_rows(client, "myTrades", "fromId", "id")
                self._check_told(account, orders)
                check_fills(orders, trades)
                balances = await client.balances()
                check_locked(orders, balances)
                self.fills[account] = len(trades)
                for asset, (free, locked) in balances.items():
                    totals[asset] -= Decimal(free) + Decimal(locked)
                for trade in trades:
                    totals[trade["commissionAsset"]] -= Decimal(trade["commission"])
        # Every fill has its other side, and nothing was made or lost but for the fees.
        assert totals == {"BTC": 0, "USDT": 0}
        assert self.fills["a"] == self.fills["b"]

    def _check_told(self, account: str, orders: list[Any]) -> None:
        found = {row["clientOrderId"]: row for row in orders}
        for client_id, placed in self.told[account].items():
            assert client_id in found, f"{client_id} was acknowledged and is gone"
            row = found[client_id]
            assert row["orderId"] == placed["orderId"]
            assert Decimal(row["executedQty"]) >= Decimal(placed["executedQty"])


def check_fills(orders: list[Any], trades: list[Any]) -> None:
    filled: dict[int, Decimal] = {}
    for trade in trades:
        order = trade["orderId"]
        filled[order] = filled.get(order, Decimal(0)) + Decimal(trade["qty"])
    executed = {row["orderId"]: Decimal(row["executedQty"]) for row in orders}
    assert filled == {order: quantity for order, quantity in executed.items() if quantity}


def check_locked(orders: list[Any], balances: dict[str, tuple[str, str]]) -> None:
    locked = dict.fromkeys(balances, Decimal(0))
    for row in orders:
        if row["status"] in ("NEW", "PARTIALLY_FILLED"):
            left = Decimal(row["origQty"]) - Decimal(row["executedQty"])
            if row["side"] == "BUY":
                locked["USDT"] += left * Decimal(row["price"])
            else:
                locked["BTC"] += left
    assert locked == {asset: Decimal(kept) for asset, (_, kept) in balances.items()}


async def all_rows(client: PlainClient, path: str, name: str, key: str) -> list[Any]:
    rows: list[Any] = []
    start = 0
    while page := await client.signed("GET", path, symbol=SYMBOL, limit=1000, **{name: start}):
        rows += page
        start = page[-1][key] + 1
    return rows


def test_a_sigkill_at_any_moment_loses_no_acknowledged_order(
    tmp_path: Path, repetitions: Callable[[int], int]
) -> None:
    source, trial, kills = random.Random(5), Trial(), repetitions(50)
    running = Process(tmp_path)
    try:
        for round_ in range(kills):
            asyncio.run(trial.live(running, round_, source.uniform(0.02, 0.4)))
            running.kill()
            running = Process(tmp_path, running.port)
            asyncio.run(trial.check(running))
    finally:
        running.kill()
    told = sum(len(orders) for orders in trial.told.values())
    print(f"{kills} kills, {told} acknowledged orders, {trial.fills['a']} trades: none lost")
    assert trial.fills["a"] > 0
