"""Orders that are changed, found again, or sent by others, at the local exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from workbench.model.enums import OrderSide, OrderStatus, OrderType
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import ClientOrderId, StrategyId
from workbench.model.reports import FillReport
from workbench.venues import (
    FillQuery,
    OrderChange,
    OrderNotFoundError,
    OrderQuery,
    OrderTarget,
    VenueError,
    VenueRejectedError,
)

D = Decimal
NAME = ClientOrderId("O-260101000000000-001-1-1")


def order(trial: Any, name: ClientOrderId = NAME, **terms: Any) -> OrderInitialized:
    fields: dict[str, Any] = {
        "side": OrderSide.BUY,
        "order_type": OrderType.LIMIT,
        "quantity": D(1),
        "price": D(90),
        **terms,
    }
    return OrderInitialized(
        strategy_id=StrategyId("S-001"),
        instrument_id=trial.instrument_id,
        client_order_id=name,
        ts_event=0,
        ts_init=0,
        **fields,
    )


def change(trial: Any, **terms: Any) -> OrderChange:
    fields: dict[str, Any] = {
        "side": OrderSide.BUY,
        "order_type": OrderType.LIMIT,
        "quantity": D(1),
        "filled_quantity": D(0),
        "price": D(90),
        **terms,
    }
    return OrderChange(instrument_id=trial.instrument_id, client_order_id=NAME, **fields)


def one(trial: Any, name: ClientOrderId = NAME) -> OrderQuery:
    return OrderQuery(client_order_id=name, instrument_ids=(trial.instrument_id,))


def every(trial: Any) -> OrderQuery:
    return OrderQuery(instrument_ids=(trial.instrument_id,))


def test_a_changed_order_is_one_order_of_its_whole_quantity(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, notes):
            first = await brokerd.submit(order(local_trial))
            await local_trial.fill(NAME, D("0.25"))
            # What is known to have filled lags behind: never more may fill than was asked for.
            report = await brokerd.modify(change(local_trial, quantity=D(2), price=D(91)))
            assert report.venue_order_id != first.venue_order_id
            assert (report.client_order_id, report.price) == (NAME, 91)
            assert (report.quantity, report.filled_quantity) == (2, D("0.25"))
            assert report.status is OrderStatus.PARTIALLY_FILLED
            await local_trial.fill(ClientOrderId(f"{NAME}.1"), D("1.75"))
            (report,) = await brokerd.order_status_reports(one(local_trial))
            assert (report.status, report.filled_quantity) == (OrderStatus.FILLED, 2)
            assert {fill.client_order_id for fill in notes.of(FillReport)} == {NAME}
            assert all(m.status is not OrderStatus.CANCELED for m in statuses(notes))

    local_trial.run(work())


def statuses(notes: Any) -> list[Any]:
    return [message for message in notes.messages if hasattr(message, "status")]


def test_a_changed_order_is_put_together_again_after_a_crash(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, _):
            await brokerd.submit(order(local_trial))
            await local_trial.fill(NAME, D("0.25"))
            await brokerd.modify(change(local_trial, quantity=D(2), price=D(91)))
            await local_trial.fill(ClientOrderId(f"{NAME}.1"), D("0.5"))
            await brokerd.modify(change(local_trial, quantity=D(3), price=D(92)))
        report: Any = None
        for query in (one, every):
            async with local_trial.broker() as (brokerd, _):
                (report,) = await brokerd.order_status_reports(query(local_trial))
                assert (report.client_order_id, report.status) == (
                    NAME,
                    OrderStatus.PARTIALLY_FILLED,
                )
                assert (report.quantity, report.filled_quantity) == (3, D("0.75"))
        venue_order_id = report.venue_order_id
        async with local_trial.broker() as (brokerd, _):
            query = msgspec.structs.replace(one(local_trial), venue_order_id=venue_order_id)
            (report,) = await brokerd.order_status_reports(query)
            assert (report.quantity, report.filled_quantity) == (3, D("0.75"))
        async with local_trial.broker() as (brokerd, _):
            await brokerd.order_status_reports(one(local_trial))
            target = OrderTarget(instrument_id=local_trial.instrument_id, client_order_id=NAME)
            report = await brokerd.cancel(target)
            assert (report.client_order_id, report.status) == (NAME, OrderStatus.CANCELED)
            assert (report.quantity, report.filled_quantity) == (3, D("0.75"))

    local_trial.run(work())


def test_a_change_whose_answer_is_lost_is_found(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, _):
            await brokerd.submit(order(local_trial))
            await local_trial.lose_next_answer()
            with pytest.raises(VenueError) as caught:
                await brokerd.modify(change(local_trial, price=D(91)))
            assert not isinstance(caught.value, VenueRejectedError)
            (report,) = await brokerd.order_status_reports(one(local_trial))
            assert (report.status, report.price) == (OrderStatus.ACCEPTED, 91)
            assert local_trial.submits == {NAME: 1, f"{NAME}.1": 1}

    local_trial.run(work())


def test_a_change_that_never_came_is_not_taken_for_a_cancel_too_soon(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, _):
            await brokerd.submit(order(local_trial))
            await local_trial.lose_next_request()
            with pytest.raises(VenueError):
                await brokerd.modify(change(local_trial, price=D(91)))
            with pytest.raises(VenueError, match="does not know it yet"):
                await brokerd.order_status_reports(one(local_trial))
            now = brokerd._lookup.clock_ns
            brokerd._lookup.clock_ns = lambda: now() + 60_000_000_000
            (report,) = await brokerd.order_status_reports(one(local_trial))
            assert report.status is OrderStatus.CANCELED

    local_trial.run(work())


def test_a_change_that_is_refused_leaves_the_order_cancelled(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, _):
            await brokerd.submit(order(local_trial))
            report = await brokerd.modify(change(local_trial, quantity=D(5000), price=D(9000)))
            assert (report.client_order_id, report.status) == (NAME, OrderStatus.CANCELED)
            (found,) = await brokerd.order_status_reports(one(local_trial))
            assert found.status is OrderStatus.CANCELED

    local_trial.run(work())


def test_what_has_filled_cannot_be_changed(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, _):
            await brokerd.submit(order(local_trial))
            await local_trial.fill(NAME, D(1))
            with pytest.raises(OrderNotFoundError):
                await brokerd.modify(change(local_trial, price=D(91)))
            (report,) = await brokerd.order_status_reports(one(local_trial))
            assert report.status is OrderStatus.FILLED

    local_trial.run(work())


def test_an_order_that_never_was_is_not_there(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, _):
            assert await brokerd.order_status_reports(one(local_trial)) == []
            target = OrderTarget(instrument_id=local_trial.instrument_id, client_order_id=NAME)
            with pytest.raises(OrderNotFoundError):
                await brokerd.cancel(target)

    local_trial.run(work())


def test_every_order_of_an_instrument_is_cancelled_whoever_sent_it(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, _):
            await brokerd.cancel_all(local_trial.instrument_id)
            for count in range(3):
                await brokerd.submit(order(local_trial, ClientOrderId(f"O-all-{count}")))
            assert len(await brokerd.order_status_reports(every(local_trial))) == 3
            await brokerd.cancel_all(local_trial.instrument_id)
            assert await brokerd.order_status_reports(every(local_trial)) == []

    local_trial.run(work())


def test_fills_are_fetched_page_by_page(local_trial: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench_ccxt.history._PAGE", 7)

    async def work() -> None:
        begun = local_trial.clock.timestamp_ns()
        async with local_trial.broker() as (brokerd, _):
            await brokerd.submit(order(local_trial))
            for count in range(50):
                await local_trial.fill(NAME, D("0.02"))
                if count % 3 == 0:
                    await asyncio.sleep(0.002)  # a page holds more than one millisecond does
        async with local_trial.broker() as (brokerd, _):
            query = FillQuery(instrument_ids=(local_trial.instrument_id,), since_ns=begun)
            fills = await brokerd.fill_reports(query)
            assert len({fill.trade_id for fill in fills}) == len(fills) == 50
            assert sum(fill.quantity for fill in fills) == 1

    local_trial.run(work())


def test_an_id_that_no_exchange_takes_does_not_leave(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, _):
            for name in ("O-" + "1" * 36, "O-1 2", "O-ü"):
                with pytest.raises(VenueError, match="at most 36 characters"):
                    await brokerd.submit(order(local_trial, ClientOrderId(name)))
            assert local_trial.submits == {}

    local_trial.run(work())


def test_keys_that_are_wrong_are_told_at_connect(make_trial: Callable[..., Any]) -> None:
    trial = make_trial()

    async def work() -> None:
        from workbench.venues import Credentials, Secret

        trial.credentials = Credentials(
            {"api_key": Secret("nobody-knows-it"), "api_secret": Secret("nor-this-one")}
        )
        with pytest.raises(VenueRejectedError, match="API-key") as caught:
            async with trial.broker():
                raise AssertionError("it cannot connect")
        assert "nor-this-one" not in repr(caught.value)

    trial.run(work())
