"""Figures of the local exchange: `python tests/bench/bench_exchange.py` prints a JSON line each.

The exchange runs in a process of its own, with its file; orders rest and are cancelled. With ccxt
where it is installed, and with raw clients. Nothing here decides a test.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from measuring import report

ORDERS = 2_000
ROUNDS = 3
SYMBOL = "BTCUSDT"
Pairs = Callable[[int], Awaitable[None]]


@asynccontextmanager
async def running() -> AsyncIterator[dict[str, Any]]:
    """Start the command; give what its file of keys holds."""
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.json"
        command = [sys.executable, "-m", "workbench.cli", "exchange", "--unlimited", "--quiet"]
        command += [
            "--symbols",
            "BTC/USDT",
            "--file",
            f"{folder}/state.sqlite",
            "--keys",
            str(keys),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("keys"):
                    break
            yield json.loads(keys.read_text())
        finally:
            process.terminate()
            process.communicate()


def signed(secret: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with time and signature."""
    params = dict(sorted({**params, "timestamp": time.time_ns() // 1_000_000}.items()))
    digest = hmac.new(secret.encode(), urlencode(params).encode(), hashlib.sha256).hexdigest()
    return {**params, "signature": digest}


ORDER = {
    "symbol": SYMBOL,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "40000",
}


@asynccontextmanager
async def raw_rest(held: dict[str, Any]) -> AsyncIterator[Pairs]:
    """One connection, one request after the other."""
    key = held["accounts"]["trader"]
    address, headers = f"{held['rest']}/api/v3/order", {"X-MBX-APIKEY": key["api_key"]}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def pair(number: int) -> None:
            params = signed(key["api_secret"], {**ORDER, "newClientOrderId": f"r{number}"})
            async with session.post(address, params=params) as reply:
                placed = await reply.json()
            params = signed(key["api_secret"], {"symbol": SYMBOL, "orderId": placed["orderId"]})
            async with session.delete(address, params=params) as reply:
                await reply.read()

        yield pair


@asynccontextmanager
async def raw_socket(held: dict[str, Any]) -> AsyncIterator[Pairs]:
    """One socket, one request after the other."""
    key = held["accounts"]["trader"]
    async with aiohttp.ClientSession() as session, session.ws_connect(held["requests"]) as socket:

        async def ask(method: str, params: dict[str, Any]) -> Any:
            params = signed(key["api_secret"], {**params, "apiKey": key["api_key"]})
            await socket.send_json({"id": 1, "method": method, "params": params})
            return (await socket.receive_json())["result"]

        async def pair(number: int) -> None:
            placed = await ask("order.place", {**ORDER, "newClientOrderId": f"s{number}"})
            await ask("order.cancel", {"symbol": SYMBOL, "orderId": placed["orderId"]})

        yield pair


@asynccontextmanager
async def with_ccxt(held: dict[str, Any]) -> AsyncIterator[Pairs]:
    """ccxt over REST, its own limiter off."""
    import ccxt.async_support as ccxt

    key = held["accounts"]["trader"]
    options = {
        "defaultType": "spot",
        "fetchMarkets": {"types": ["spot"]},
        "fetchMargins": False,
        "fetchCurrencies": False,
    }
    client = ccxt.binance(
        {
            "apiKey": key["api_key"],
            "secret": key["api_secret"],
            "enableRateLimit": False,
            "options": options,
        }
    )
    client.has["fetchCurrencies"] = False
    client.number = str
    for name in ("public", "private", "v1"):
        client.urls["api"][name] = f"{held['rest']}/api/v3"
    await client.load_markets()

    async def pair(number: int) -> None:
        placed = await client.create_order(
            "BTC/USDT", "limit", "buy", "0.001", "40000", {"clientOrderId": f"c{number}"}
        )
        await client.cancel_order(placed["id"], "BTC/USDT")

    try:
        yield pair
    finally:
        await client.close()


async def measure(name: str, connect: Any, at_once: int) -> None:
    """Place and cancel `ORDERS` orders a round, so many at once."""
    rates: list[float] = []
    times: list[float] = []
    async with running() as held, connect(held) as pair:
        await pair(0)
        for round_ in range(ROUNDS):
            numbers = iter(range(1 + round_ * ORDERS, 1 + (round_ + 1) * ORDERS))

            async def work(numbers: Any = numbers) -> None:
                for number in numbers:
                    began = time.perf_counter()
                    await pair(number)
                    times.append(time.perf_counter() - began)

            began = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(at_once)))
            rates.append(ORDERS / (time.perf_counter() - began))
    times.sort()
    report(
        figure=name,
        at_once=at_once,
        orders_and_cancels_per_s=round(statistics.median(rates)),
        pair_p50_ms=round(times[len(times) // 2] * 1e3, 2),
        pair_p99_ms=round(times[len(times) * 99 // 100] * 1e3, 2),
    )


def main() -> None:
    """Measure every client that is installed."""
    asyncio.run(measure("raw_rest", raw_rest, 1))
    asyncio.run(measure("raw_rest", raw_rest, 8))
    asyncio.run(measure("raw_ws_api", raw_socket, 1))
    try:
        asyncio.run(measure("ccxt_rest", with_ccxt, 1))
        asyncio.run(measure("ccxt_rest", with_ccxt, 8))
    except ModuleNotFoundError as error:
        print(f"left out: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
