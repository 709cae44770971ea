"""What values and exceptions of ccxt mean."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from workbench_ccxt import history
from workbench_ccxt.balances import Balances
from workbench_ccxt.failures import STATUS, failure
from workbench_ccxt.legs import Legs, base_of, leg_of
from workbench_ccxt.markets import instrument, matches
from workbench_ccxt.orders import Terms, fill_report, position_report, status_report, wire
from workbench_ccxt.tapping import Tap, TapTable

from workbench.model.enums import AccountType, OrderSide, OrderStatus, OrderType, TimeInForce
from workbench.model.errors import InstrumentError
from workbench.model.identifiers import AccountId, ClientOrderId
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Future
from workbench.venues import (
    NotSentError,
    OrderNotFoundError,
    RateLimitedError,
    VenueError,
    VenueRejectedError,
)

D = Decimal
ACCOUNT = AccountId("A-1")
NAME = ClientOrderId("O-1-1-1")
TERMS = Terms(NAME, OrderSide.BUY, OrderType.LIMIT, D("0.00000100"), D("1E+2"), None)

SPOT: dict[str, Any] = {
    "symbol": "BTC/USDT",
    "id": "BTCUSDT",
    "type": "spot",
    "base": "BTC",
    "quote": "USDT",
    "precision": {"price": "0.01", "amount": "0.00001000"},
    "limits": {"amount": {"min": "0.00001", "max": "9000"}, "cost": {"min": "5", "max": None}},
    "maker": 0.001,
    "taker": 0.001,
}


def test_a_market_is_an_instrument_of_its_kind() -> None:
    pair = instrument(SPOT, "X", 4, 7)
    assert isinstance(pair, CurrencyPair)
    assert (pair.quantity_increment, pair.max_notional) == (D("0.00001"), None)
    more = {"settle": "BTC", "inverse": True, "contractSize": 100, "symbol": "BTC/USD:BTC"}
    swap = instrument(SPOT | more | {"type": "swap"}, "X", 4, 7)
    assert isinstance(swap, CryptoPerpetual)
    assert (swap.multiplier, swap.is_inverse, swap.settlement_currency.code) == (100, True, "BTC")
    future = instrument(SPOT | more | {"type": "future", "expiry": 1000}, "X", 4, 7)
    assert isinstance(future, Future)
    assert future.expiration_ns == 1_000_000_000
    assert instrument(SPOT | {"type": "option"}, "X", 4, 7) is None


def test_decimal_places_are_an_increment_and_significant_digits_are_none() -> None:
    places = SPOT | {"precision": {"price": 2, "amount": "5"}}
    pair = instrument(places, "X", 2, 7)
    assert pair is not None
    assert (pair.price_increment, pair.quantity_increment) == (D("0.01"), D("0.00001"))
    with pytest.raises(InstrumentError, match="no fixed increment"):
        instrument(places, "X", 3, 7)


def test_symbols_are_ranked_by_how_well_they_fit() -> None:
    others = [
        SPOT | {"symbol": "WBTC/USDT", "id": "WBTCUSDT", "base": "WBTC"},
        SPOT,
        SPOT | {"symbol": "BTC/USDT:USDT", "type": "swap"},
    ]
    found = [match.instrument_id for match in matches(others, "btc/usdt", 3, "X")]
    assert found == ["BTC/USDT.X", "BTC/USDT:USDT.X", "WBTC/USDT.X"]
    assert len(matches(others, "btc", 1, "X")) == 1


def test_an_order_leaves_exact_and_without_exponents() -> None:
    sent = wire(TERMS, "id")
    assert sent == (
        "limit",
        "buy",
        "0.00000100",
        "100",
        {"clientOrderId": "id", "timeInForce": "GTC"},
    )
    stop = TERMS._replace(order_type=OrderType.STOP_MARKET, price=None, trigger_price=D(90))
    assert wire(stop, "id")[::3] == ("market", None)
    assert wire(stop, "id").params == {"clientOrderId": "id", "triggerPrice": "90"}
    maker = TERMS._replace(post_only=True, reduce_only=True)
    assert wire(maker, "id").params == {
        "clientOrderId": "id",
        "postOnly": True,
        "reduceOnly": True,
    }


def raw(**more: Any) -> dict[str, Any]:
    return {
        "id": "77",
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "limit",
        "status": "open",
        "amount": "1.5",
        "filled": "0",
        "price": "100",
        "timestamp": 5,
        **more,
    }


@pytest.mark.parametrize(
    ("said", "filled", "status"),
    [
        ("open", "0", OrderStatus.ACCEPTED),
        ("open", "0.5", OrderStatus.PARTIALLY_FILLED),
        ("closed", "1.5", OrderStatus.FILLED),
        ("closed", "0.5", OrderStatus.CANCELED),
        ("canceled", "0.5", OrderStatus.CANCELED),
        ("canceling", "0", OrderStatus.ACCEPTED),
        ("expired", "0", OrderStatus.EXPIRED),
        ("rejected", "0", OrderStatus.REJECTED),
    ],
)
def test_a_status_is_what_it_and_the_quantities_say(
    said: str, filled: str, status: OrderStatus
) -> None:
    report = status_report(raw(status=said, filled=filled), None, None, ACCOUNT, "X", 9)
    assert (report.status, report.filled_quantity) == (status, D(filled))
    assert (report.instrument_id, report.ts_event, report.ts_init) == ("BTC/USDT.X", 5_000_000, 9)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ({"type": "market"}, OrderType.MARKET),
        ({"type": "limit"}, OrderType.LIMIT),
        ({"type": None}, OrderType.LIMIT),
        ({"type": "limit_maker"}, OrderType.LIMIT),
        ({"type": "market", "triggerPrice": "90"}, OrderType.STOP_MARKET),
        ({"type": "limit", "triggerPrice": "90"}, OrderType.STOP_LIMIT),
        ({"type": "stop_loss_limit", "triggerPrice": "90"}, OrderType.STOP_LIMIT),
        ({"type": "stop_loss"}, OrderType.STOP_MARKET),
        ({"type": "take_profit"}, OrderType.MARKET_IF_TOUCHED),
        ({"type": "take_profit_limit"}, OrderType.LIMIT_IF_TOUCHED),
    ],
)
def test_an_order_of_others_has_a_type(words: dict[str, Any], kind: OrderType) -> None:
    assert status_report(raw(**words), None, None, ACCOUNT, "X", 9).order_type is kind


def test_a_bare_acknowledgement_is_filled_in_from_what_was_sent() -> None:
    terms = TERMS._replace(time_in_force=TimeInForce.IOC)
    bare = {"id": 77, "symbol": "BTC/USDT", "side": "buy"}
    report = status_report(bare, terms, NAME, ACCOUNT, "X", 9)
    assert (report.status, report.quantity, report.price) == (
        OrderStatus.ACCEPTED,
        TERMS.quantity,
        100,
    )
    assert (report.time_in_force, report.ts_event) == (TimeInForce.IOC, 9)


@pytest.mark.parametrize("missing", ["id", "side", "amount"])
def test_an_order_that_says_too_little_is_an_error(missing: str) -> None:
    with pytest.raises(VenueError, match="expected an order"):
        status_report(raw(**{missing: None}), None, None, ACCOUNT, "X", 9)


def fill(**more: Any) -> Any:
    trade = {
        "id": "5",
        "order": "77",
        "symbol": "BTC/USDT:USDT",
        "side": "sell",
        "price": "0.1",
        "amount": "3",
        "takerOrMaker": "maker",
        "timestamp": 5,
        **more,
    }
    return fill_report(trade, NAME, ACCOUNT, "X", 9)


def test_a_fills_fee_is_in_its_own_currency() -> None:
    paid = fill(fee={"cost": "0.10000000000000001", "currency": "BNB"})
    assert (paid.commission, paid.commission_currency.code) == (D("0.10000000000000001"), "BNB")
    odd = fill(fee={"cost": "-1", "currency": "NEVERHEARD"})
    assert (odd.commission, odd.commission_currency.code) == (-1, "NEVERHEARD")
    twice = fill(fees=[{"cost": "1", "currency": "USDT"}, {"cost": "2", "currency": "USDT"}])
    assert twice.commission == 3
    none = fill(fee={"cost": None, "currency": None})
    assert (none.commission, none.commission_currency.code) == (0, "USDT")


def test_a_fill_without_an_id_gets_one_that_is_always_the_same() -> None:
    assert fill(id=None).trade_id == fill(id=None).trade_id != fill(id=None, price="0.2").trade_id
    with pytest.raises(VenueError, match="expected a fill"):
        fill(order=None)


def test_a_short_position_is_negative_and_a_flat_one_none() -> None:
    row = {"symbol": "BTC/USDT:USDT", "contracts": "2", "side": "short", "entryPrice": "90"}
    report = position_report(row, ACCOUNT, "X", 9)
    assert report is not None
    assert (report.signed_quantity, report.average_open) == (-2, 90)
    assert position_report(row | {"contracts": "0"}, ACCOUNT, "X", 9) is None


def test_what_is_no_longer_held_is_told_as_nothing() -> None:
    held = Balances(ACCOUNT, AccountType.CASH)
    held.replace({"BTC": {"total": "1", "used": "0.4"}, "USDT": {"free": "5"}, "info": {}})
    held.update({"BTC": {"total": "0", "used": "0"}, "timestamp": 3})
    amounts = {b.currency.code: (b.total, b.locked) for b in held.state(9).balances}
    assert amounts == {"BTC": (0, 0), "USDT": (5, 0)}
    held.replace({"BTC": {"total": "2"}, "ETH": {"total": "0"}})
    amounts = {b.currency.code: (b.total, b.locked) for b in held.state(9).balances}
    assert amounts == {"BTC": (2, 0), "USDT": (0, 0)}


# Legs


def test_legs_count_as_one_order() -> None:
    legs = Legs()
    assert base_of(leg_of(NAME, 2)) == (NAME, 2)
    assert base_of(ClientOrderId("mine.1")) == ("mine.1", 0)
    report = status_report(raw(), None, leg_of(NAME, 1), ACCOUNT, "X", 9)
    assert legs.whole(report) is None, "it is not known what filled before"
    legs.begin(NAME, 1, D("0.5"))
    whole = legs.whole(report)
    assert whole is not None
    assert (whole.client_order_id, whole.quantity, whole.filled_quantity) == (NAME, 2, D("0.5"))
    assert whole.status is OrderStatus.PARTIALLY_FILLED
    first = msgspec.structs.replace(report, client_order_id=NAME, status=OrderStatus.CANCELED)
    assert legs.whole(first) is None, "another leg follows it"


def test_a_leg_that_is_being_replaced_is_not_told_as_cancelled() -> None:
    legs = Legs()
    report = status_report(raw(status="canceled"), None, NAME, ACCOUNT, "X", 9)
    legs.replacing.add(NAME)
    assert legs.whole(report) is None
    legs.replacing.clear()
    assert legs.whole(report) is report


# Failures: classes named as ccxt's are


class BaseError(Exception):
    pass


class ExchangeError(BaseError):
    pass


class InvalidOrder(ExchangeError):  # noqa: N818 - ccxt's name
    pass


class OrderNotFound(InvalidOrder):
    pass


class NetworkError(BaseError):
    pass


class RateLimitExceeded(NetworkError):  # noqa: N818 - ccxt's name
    pass


class ClientConnectorError(OSError):
    pass


def with_status(error: Exception, status: int) -> Exception:
    setattr(error, STATUS, status)
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OrderNotFound("x"), OrderNotFoundError),
        (InvalidOrder("x"), VenueRejectedError),
        (RateLimitExceeded("x"), RateLimitedError),
        (NetworkError("x"), VenueError),
        (ExchangeError("x"), VenueError),
        (with_status(ExchangeError("x"), 400), VenueRejectedError),
        (with_status(ExchangeError("x"), 500), VenueError),
        (with_status(ExchangeError("x"), 409), VenueError),
        (TimeoutError("x"), VenueError),
    ],
)
def test_only_what_is_certain_is_told_as_certain(error: Exception, kind: type[Exception]) -> None:
    assert type(failure("x", error)) is kind


def test_what_never_connected_was_not_sent() -> None:
    error = NetworkError("x")
    error.__cause__ = ClientConnectorError("refused")
    assert type(failure("x", error)) is NotSentError


def test_a_signature_is_not_told() -> None:
    error = NetworkError("x GET https://x.org/api/order?symbol=A&signature=abc123 broke")
    assert "abc123" not in str(failure("x", error))


# History


def serve(rows: Sequence[int], *, most: int) -> Any:
    """Serve times as an exchange does: the oldest so many since one."""

    async def fetch(since: int | None, limit: int) -> Sequence[Any]:
        found = [(number, at) for number, at in enumerate(rows) if since is None or at >= since]
        return found[: min(limit, most)]

    return fetch


def fetched(rows: Sequence[int], since: int, until: int, *, most: int = 3) -> list[int]:
    found = asyncio.run(
        history.forward(
            serve(rows, most=most), since, until, lambda row: row[1], lambda row: row[0]
        )
    )
    return [at for _, at in found]


def test_pages_overlap_and_nothing_comes_twice_or_is_missed() -> None:
    rows = [1, 2, 2, 3, 3, 4, 9, 9, 10]
    assert fetched(rows, 0, 100) == rows
    assert fetched(rows, 2, 9) == [2, 2, 3, 3, 4]
    assert fetched([], 0, 100) == []


def test_more_of_one_time_than_a_page_holds_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_PAGE", 3)
    with pytest.raises(VenueError, match="rows of one time"):
        fetched([1, 5, 5, 5, 5, 6], 0, 100)


# Taps


def test_a_tap_passes_each_message_on_and_keeps_none() -> None:
    heard: list[Any] = []
    tap = Tap(heard.append)
    for number in range(5):
        tap.append(number)
    assert (heard, list(tap), tap.getLimit("x", 3)) == ([0, 1, 2, 3, 4], [], 3)
    table = TapTable(lambda symbol, value: heard.append((symbol, value)))
    table["A"] = 1
    assert (heard[-1], table["A"]) == (("A", 1), 1)
