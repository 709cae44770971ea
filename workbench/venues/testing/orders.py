"""The conformance suite: orders, and what the venue reports of them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from workbench.model.enums import OrderStatus, OrderType, TimeInForce
from workbench.venues.contract import OrderQuery
from workbench.venues.testing.session import VenueSession
from workbench.venues.testing.steps import (
    HIGH,
    LOW,
    agree,
    skip_without,
    try_out,
    until_status,
    with_market,
)
from workbench.venues.testing.trial import CannotSteerError, VenueTrial


class OrderConformance:
    """Orders of each kind end as the venue says, and are found again."""

    def test_a_market_order_fills(self, trial: VenueTrial) -> None:
        """It fills whole, and money and fee are what the venue says."""
        skip_without(trial, OrderType.MARKET)

        async def test(session: VenueSession) -> None:
            await with_market(trial, session)
            name = session.market("buy")
            await until_status(session, name, OrderStatus.FILLED)
            kinds = session.desk.kinds(name)
            assert kinds[:2] == ["OrderInitialized", "OrderSubmitted"]
            assert kinds[2] in ("OrderAccepted", "OrderFilled")
            assert kinds[-1] == "OrderFilled"
            await agree(trial, session, name)

        try_out(trial, test)

    def test_a_limit_order_rests_fills_in_part_and_whole(self, trial: VenueTrial) -> None:
        """Each part is one fill."""

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", LOW)
            await until_status(session, name, OrderStatus.ACCEPTED)
            await trial.fill(name, trial.quantity / 2)
            await until_status(session, name, OrderStatus.PARTIALLY_FILLED)
            await trial.fill(name, trial.quantity / 2)
            await until_status(session, name, OrderStatus.FILLED)
            assert session.desk.kinds(name).count("OrderFilled") == 2
            await agree(trial, session, name)

        try_out(trial, test)

    def test_an_order_that_may_not_rest_ends(self, trial: VenueTrial) -> None:
        """An IOC away from the market is cancelled."""
        if TimeInForce.IOC not in trial.plugin.capabilities.time_in_force:
            pytest.skip("it has no IOC")

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", LOW, time_in_force="ioc")
            await session.until(lambda: session.order(name).is_closed, "it ends")
            assert session.order(name).filled_quantity == 0

        try_out(trial, test)

    def test_a_stop_order_triggers(self, trial: VenueTrial) -> None:
        """It rests until the market is there."""
        skip_without(trial, OrderType.STOP_MARKET)

        async def test(session: VenueSession) -> None:
            await with_market(trial, session)
            name = session.stop_market("buy", Decimal(105))
            await until_status(session, name, OrderStatus.ACCEPTED)
            await trial.move(Decimal(105), Decimal(106))
            await until_status(session, name, OrderStatus.FILLED)
            await agree(trial, session, name)

        try_out(trial, test)

    def test_an_order_is_modified(self, trial: VenueTrial) -> None:
        """Price and quantity change, and it is open afterwards."""
        if not trial.plugin.capabilities.amend:
            pytest.skip("it cannot change orders")

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", LOW)
            await until_status(session, name, OrderStatus.ACCEPTED)
            session.desk.modify_order(
                session.order(name), price=Decimal(91), quantity=trial.quantity * 2
            )
            await session.until(lambda: "OrderUpdated" in session.desk.kinds(name), "it is updated")
            order = session.order(name)
            assert (order.price, order.quantity) == (Decimal(91), trial.quantity * 2)
            assert order.status is OrderStatus.ACCEPTED
            await trial.fill(name, trial.quantity * 2)
            await until_status(session, name, OrderStatus.FILLED)

        try_out(trial, test)

    def test_an_order_is_cancelled(self, trial: VenueTrial) -> None:
        """A cancel ends it, once."""

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", LOW)
            await until_status(session, name, OrderStatus.ACCEPTED)
            session.desk.cancel_order(session.order(name))
            await until_status(session, name, OrderStatus.CANCELED)
            assert session.desk.kinds(name).count("OrderCanceled") == 1

        try_out(trial, test)

    def test_a_cancel_at_once_follows_its_order(self, trial: VenueTrial) -> None:
        """A cancel given in the same breath does not arrive first."""

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", LOW)
            await session.until(
                lambda: getattr(session.execution.tracking.orders.get(name), "sent_ns", 0),
                "it leaves",
            )
            session.desk.cancel_order(session.order(name))
            await until_status(session, name, OrderStatus.CANCELED)

        try_out(trial, test)

    def test_all_orders_of_a_strategy_are_cancelled(self, trial: VenueTrial) -> None:
        """Every resting one, of the side that is meant."""

        async def test(session: VenueSession) -> None:
            buys = [session.limit("buy", LOW - n) for n in range(3)]
            sell = session.limit("sell", HIGH)
            for name in [*buys, sell]:
                await until_status(session, name, OrderStatus.ACCEPTED)
            session.desk.cancel_all_orders(trial.instrument_id, side="buy")
            for name in buys:
                await until_status(session, name, OrderStatus.CANCELED)
            assert session.order(sell).status is OrderStatus.ACCEPTED

        try_out(trial, test)

    def test_a_refused_order_is_rejected_with_its_reason(self, trial: VenueTrial) -> None:
        """The venue's own words come with it."""

        async def test(session: VenueSession) -> None:
            await trial.reject_next()
            name = session.limit("buy", LOW)
            await until_status(session, name, OrderStatus.REJECTED)
            assert session.order(name).reason

        try_out(trial, test)

    def test_a_cancel_of_an_order_that_has_filled_harms_nothing(self, trial: VenueTrial) -> None:
        """It crosses the fill on its way; the order is filled, not cancelled."""

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", LOW)
            await until_status(session, name, OrderStatus.ACCEPTED)
            await trial.fill(name, trial.quantity)
            session.desk.cancel_order(session.order(name))
            await until_status(session, name, OrderStatus.FILLED)

        try_out(trial, test)

    # Reports

    def test_reports_tell_what_is_open_and_what_filled(self, trial: VenueTrial) -> None:
        """A second session finds the first one's order and its fills."""

        async def work() -> None:
            async with VenueSession(trial) as first:
                name = first.limit("buy", LOW)
                await until_status(first, name, OrderStatus.ACCEPTED)
                await trial.fill(name, trial.quantity / 2)
                await until_status(first, name, OrderStatus.PARTIALLY_FILLED)
            async with VenueSession(trial, run_tag="2") as second:
                state = await second.execution.venue_state()
                (report,) = [one for one in state.orders if one.client_order_id == name]
                assert report.filled_quantity == trial.quantity / 2
                second.desk.cancel_order(second.order(name))
                await until_status(second, name, OrderStatus.CANCELED)

        try:
            trial.run(work())
        except CannotSteerError as reason:
            pytest.skip(str(reason))

    def test_an_order_is_found_by_the_venues_id_alone(self, trial: VenueTrial) -> None:
        """It is asked for so where a report of it names none of ours; also once it has ended."""

        async def test(session: VenueSession) -> None:
            names = [session.limit("buy", LOW), session.limit("buy", LOW)]
            for name in names:
                await until_status(session, name, OrderStatus.ACCEPTED)
            order = session.order(names[0])
            query = OrderQuery(
                venue_order_id=order.venue_order_id, instrument_ids=(trial.instrument_id,)
            )
            for status in (OrderStatus.ACCEPTED, OrderStatus.CANCELED):
                found = await session.execution.brokerd.order_status_reports(query)
                told = [(one.venue_order_id, one.status) for one in found]
                assert told == [(order.venue_order_id, status)]
                if order.is_open:
                    session.desk.cancel_order(order)
                    await until_status(session, names[0], OrderStatus.CANCELED)

        try_out(trial, test)
