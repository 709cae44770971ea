"""The conformance suite: what goes wrong between an order and its venue."""

from __future__ import annotations

import asyncio

from workbench.model.enums import OrderStatus
from workbench.venues.testing.session import VenueSession
from workbench.venues.testing.steps import LOW, agree, try_out, until_reconnected, until_status
from workbench.venues.testing.trial import VenueTrial


class FaultConformance:
    """Nothing is sent twice, and nothing that filled is missed or counted twice."""

    def test_a_lost_answer_leaves_one_order(self, trial: VenueTrial) -> None:
        """The order is at the venue once, and is found by its id."""

        async def test(session: VenueSession) -> None:
            await trial.lose_next_answer()
            name = session.limit("buy", LOW)
            await until_status(session, name, OrderStatus.ACCEPTED)
            assert await trial.submits_of(name) == 1

        try_out(trial, test)

    def test_a_lost_request_is_not_sent_again(self, trial: VenueTrial) -> None:
        """The order stays in flight or is proven never to have come; it is never sent twice."""

        async def test(session: VenueSession) -> None:
            await trial.lose_next_request()
            name = session.limit("buy", LOW)
            await session.until(
                lambda: (
                    name in session.execution.unknown_orders
                    or session.order(name).status is OrderStatus.REJECTED
                ),
                "it is known to be unknown, or never to have come",
            )
            assert await trial.submits_of(name) == 0

        try_out(trial, test)

    def test_a_break_in_the_middle_of_an_order_loses_no_fill(self, trial: VenueTrial) -> None:
        """What fills while there is no connection is counted once it is back."""

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", LOW)
            await until_status(session, name, OrderStatus.ACCEPTED)
            await trial.fill(name, trial.quantity / 4)
            await trial.break_connections()
            await trial.fill(name, trial.quantity / 4)
            await trial.fill(name, trial.quantity / 4)
            await session.until(
                lambda: session.order(name).filled_quantity == trial.quantity * 3 / 4, "three"
            )
            await until_reconnected(session, has_data=False)
            await trial.fill(name, trial.quantity / 4)
            await until_status(session, name, OrderStatus.FILLED)
            assert session.desk.kinds(name).count("OrderFilled") == 4
            await agree(trial, session, name)

        try_out(trial, test)

    def test_an_order_that_ended_while_disconnected_is_found(self, trial: VenueTrial) -> None:
        """It is no longer among the open ones: it is asked for by its id."""

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", LOW)
            await until_status(session, name, OrderStatus.ACCEPTED)
            await trial.break_connections()
            await trial.fill(name, trial.quantity)
            await until_status(session, name, OrderStatus.FILLED)
            await agree(trial, session, name)

        try_out(trial, test)

    def test_repeated_messages_count_once(self, trial: VenueTrial) -> None:
        """A fill that is told twice is one fill."""

        async def test(session: VenueSession) -> None:
            await trial.repeat_messages()
            name = session.limit("buy", LOW)
            await until_status(session, name, OrderStatus.ACCEPTED)
            await trial.fill(name, trial.quantity / 2)
            await trial.fill(name, trial.quantity / 2)
            await until_status(session, name, OrderStatus.FILLED)
            await asyncio.sleep(1.0)
            assert session.desk.kinds(name).count("OrderFilled") == 2
            await agree(trial, session, name)

        try_out(trial, test)

    def test_messages_out_of_order_end_in_the_right_state(self, trial: VenueTrial) -> None:
        """An acknowledgement after a fill, and an end before one, change nothing in the end."""

        async def test(session: VenueSession) -> None:
            await trial.shuffle_messages()
            names = [session.limit("buy", LOW) for _ in range(6)]
            for name in names:
                await session.until(
                    lambda name=name: session.order(name).venue_order_id, "it is at the venue"
                )
                for _ in range(4):
                    await trial.fill(name, trial.quantity / 4)
            for name in names:
                await until_status(session, name, OrderStatus.FILLED)
                assert session.desk.kinds(name).count("OrderFilled") == 4
                await agree(trial, session, name)

        try_out(trial, test)

    def test_rate_limits_are_kept_on_our_side(self, trial: VenueTrial) -> None:
        """A burst of orders and cancels is not refused for its rate."""

        async def test(session: VenueSession) -> None:
            names = [session.limit("buy", LOW) for _ in range(12)]
            for name in names:
                await until_status(session, name, OrderStatus.ACCEPTED)
            session.desk.cancel_all_orders(trial.instrument_id)
            for name in names:
                await until_status(session, name, OrderStatus.CANCELED)

        try_out(trial, test)
