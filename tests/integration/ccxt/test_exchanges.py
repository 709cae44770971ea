"""Objects of ccxt for other exchanges are made as the local one's: no request is sent here."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest
from workbench_ccxt import Place
from workbench_ccxt.session import Session

from workbench.venues import VenueError

pytest.importorskip("ccxt", reason="ccxt is not installed; the extra `ccxt` brings it")


def made(**place: Any) -> Any:
    async def work() -> Any:
        session = Session(
            Place(**place),
            has_limiter=False,
            on_alive=lambda: None,
            on_lost=lambda _: None,
            on_unread=lambda _: None,
        )
        exchange = session._make(importlib.import_module("ccxt.pro"))
        await exchange.close()
        return exchange

    return asyncio.run(work())


@pytest.mark.parametrize(
    "place",
    [
        {"exchange": "binance", "sandbox": True},
        {"exchange": "binance", "market": "swap"},
        {"exchange": "bybit", "market": "swap", "sandbox": True},
        {"exchange": "okx", "sandbox": True},
        {"exchange": "kraken"},
        {"exchange": "coinbase"},
        {"exchange": "deribit", "market": "future", "sandbox": True},
    ],
)
def test_an_exchange_is_made_with_exact_numbers_and_no_delay(place: dict[str, Any]) -> None:
    exchange = made(**place)
    assert exchange.number is str
    assert not exchange.enableRateLimit
    assert exchange.options["defaultType"] == place.get("market", "spot")
    assert exchange.verify, "certificates are checked"
    assert "test" in str(exchange.urls["api"]) or not place.get("sandbox") or exchange.id == "okx"
    assert exchange.has["watchTrades"]


def test_addresses_of_ones_own_replace_those_that_are_named_only() -> None:
    exchange = made(exchange="kraken", urls={"public": "https://example.org"})
    assert exchange.urls["api"]["public"] == "https://example.org"
    assert "kraken.com" in exchange.urls["api"]["private"]


def test_an_exchange_that_is_not_there_is_told_with_names_alike() -> None:
    with pytest.raises(VenueError, match=r"no exchange 'binanze'.*binance"):
        made(exchange="binanze")


def test_an_exchange_without_a_testnet_says_so() -> None:
    with pytest.raises(VenueError, match="sandbox"):
        made(exchange="kraken", sandbox=True)
