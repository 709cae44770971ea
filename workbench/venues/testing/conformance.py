"""The conformance suite: a plug-in's tests inherit it, with one fixture.

    class TestMyVenue(VenueConformance):
        @pytest.fixture
        def trial(self) -> VenueTrial:
            return MyTrial()

Every test runs a trading core with the venue's two clients against the trial's venue. What the
trial cannot make its venue do is skipped, and said so; what the plug-in does not offer as well.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from workbench.model.commands import DataKind, RequestData
from workbench.model.data import Bar, Quote, Trade
from workbench.model.enums import OrderStatus, OrderType, TimeInForce
from workbench.model.errors import WorkbenchError
from workbench.model.identifiers import ClientOrderId, ComponentId
from workbench.model.orders import Order
from workbench.venues.connection import LinkState
from workbench.venues.contract import EndpointKind, OrderQuery, check_endpoints
from workbench.venues.testing.session import VenueSession
from workbench.venues.testing.trial import CannotSteerError, VenueTrial

Test = Callable[[VenueSession], Awaitable[None]]
_SECOND = 1_000_000_000
_LOW, _HIGH = Decimal(90), Decimal(110)


class VenueConformance:
    """What every plug-in must hold to."""

    @pytest.fixture
    def trial(self) -> VenueTrial:
        """Return the venue; a subclass overrides this."""
        raise NotImplementedError("a conformance test has a fixture `trial`")

    def _go(self, trial: VenueTrial, test: Test, *, has_orders: bool = True) -> None:
        async def work() -> None:
            before = asyncio.all_tasks()
            async with VenueSession(trial, has_orders=has_orders) as session:
                await test(session)
            await asyncio.sleep(0.2)
            left = {task for task in asyncio.all_tasks() - before if trial.owns(task)}
            assert not left, f"tasks were left: {left}"
            assert not session.core.execution.refused_events
            assert not session.core.execution.unreconciled

        try:
            trial.run(work())
        except CannotSteerError as reason:
            pytest.skip(str(reason))

    def _needs(self, trial: VenueTrial, order_type: OrderType) -> None:
        if order_type not in trial.plugin.capabilities.order_types:
            pytest.skip(f"{trial.plugin.name} takes no {order_type.value} orders")

    # The contract

    def test_endpoints_keep_the_contract(self, trial: VenueTrial) -> None:
        """Both endpoint classes are as the tables say."""
        for kind in EndpointKind:
            if getattr(trial.plugin, kind.value):
                check_endpoints(trial.plugin.name, kind, trial.plugin.endpoint_class(kind))

    def test_data_alone_imports_no_order_endpoints(self, trial: VenueTrial) -> None:
        """A session of market data only never imports what orders need."""
        data, _, name = trial.plugin.datad.partition(":")
        orders = trial.plugin.brokerd.partition(":")[0]
        if not orders or orders == data:
            pytest.skip("its two endpoint classes are in one module")
        code = f"import sys; from {data} import {name}; sys.exit({orders!r} in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    # Connection

    def test_it_connects_and_disconnects_without_a_trace(self, trial: VenueTrial) -> None:
        """Both connections are up, the account is known, and no task is left behind."""

        async def test(session: VenueSession) -> None:
            assert session.data.link.state is LinkState.UP
            assert session.execution.link.state is LinkState.UP
            assert session.cache.account(trial.account_id) is not None

        self._go(trial, test)

    def test_its_clock_is_compared_with_ours(self, trial: VenueTrial) -> None:
        """The skew is measured at connect and later, to within a second."""

        async def test(session: VenueSession) -> None:
            links = session.data.link, session.execution.link
            told = [link for link in links if link.skew_ns is not None]
            if not told:
                pytest.skip("it does not tell its time")
            assert all(abs(link.skew_ns or 0) < _SECOND for link in told)
            await trial.skew_clock(30 * _SECOND)
            for link in told:
                await session.until(
                    lambda link=link: abs((link.skew_ns or 0) - 30 * _SECOND) < _SECOND,
                    "the skew is measured again",
                )

        self._go(trial, test)

    def test_a_broken_connection_is_made_again(self, trial: VenueTrial) -> None:
        """After a break both are up again, and data flows."""

        async def test(session: VenueSession) -> None:
            session.desk.subscribe_quotes(trial.instrument_id)
            await self._until_quotes(trial, session)
            await trial.break_connections()
            await self._until_reconnected(session)
            session.desk.data.clear()
            await self._until_quotes(trial, session)
            assert session.desk.gaps, "strategies are told of the gap"

        self._go(trial, test)

    def test_a_half_open_connection_is_noticed(self, trial: VenueTrial) -> None:
        """A connection on which nothing comes any more is taken for lost."""

        async def test(session: VenueSession) -> None:
            await trial.freeze(is_frozen=True)
            await session.until(lambda: session.data.link.reason, "the data client notices")
            await session.until(lambda: session.execution.link.reason, "the other one notices")
            await trial.freeze(is_frozen=False)
            await self._until_reconnected(session)

        self._go(trial, test)

    async def _until_reconnected(self, session: VenueSession, *, has_data: bool = True) -> None:
        """Wait for both connections, or that of orders: without data there may be but one."""
        links = [session.execution.link, *([session.data.link] if has_data else ())]
        await session.until(
            lambda: all(link.reconnects and link.state is LinkState.UP for link in links),
            "the connections are up again",
        )

    # Market data

    def test_instruments_are_sent(self, trial: VenueTrial) -> None:
        """The instrument is known, with a grid, before anything else."""

        async def test(session: VenueSession) -> None:
            instrument = session.cache.require_instrument(trial.instrument_id)
            assert instrument.price_increment > 0
            assert instrument.quantity_increment > 0
            assert instrument.venue == session.data.datad.venue

        self._go(trial, test, has_orders=False)

    def test_an_unknown_instrument_is_left_out(self, trial: VenueTrial) -> None:
        """What the venue does not list is not made up."""

        async def test(session: VenueSession) -> None:
            name: Any = f"NO/SUCH.{session.data.datad.venue}"
            assert await session.data.datad.load_instruments([name]) == []

        self._go(trial, test, has_orders=False)

    @pytest.mark.parametrize("kind", [DataKind.QUOTES, DataKind.TRADES, DataKind.BARS])
    def test_data_of_each_kind_comes(self, trial: VenueTrial, kind: DataKind) -> None:
        """A subscription brings data of its kind, in time order, and ends."""

        async def test(session: VenueSession) -> None:
            if not session.data.serves(kind, trial.instrument_id):
                pytest.skip(f"it has no {kind.value}")
            subscribe = getattr(session.desk, f"subscribe_{kind.value}")
            subscribe(trial.instrument_id)
            await self._until_quotes(trial, session, count=3, is_trade=kind is DataKind.TRADES)
            times = [one.ts_event for one in session.desk.data]
            assert times == sorted(times)
            wanted = Trade if kind is DataKind.TRADES else Quote
            assert all(isinstance(one, wanted) for one in session.desk.data)
            getattr(session.desk, f"unsubscribe_{kind.value}")(trial.instrument_id)
            await asyncio.sleep(0.5)
            came = session.core.dispatcher.data_handled
            await self._stir(trial, is_trade=kind is DataKind.TRADES)
            await asyncio.sleep(0.5)
            assert session.core.dispatcher.data_handled == came, "it goes on sending"

        if kind is DataKind.BARS:
            pytest.skip("bars come too slowly for a test; their history is tried")
        self._go(trial, test, has_orders=False)

    async def _stir(self, trial: VenueTrial, *, is_trade: bool = False) -> None:
        if is_trade:
            await trial.print_trade(Decimal(100))
        else:
            await trial.move(Decimal(100) - trial.tick, Decimal(100) + trial.tick)

    async def _until_quotes(
        self,
        trial: VenueTrial,
        session: VenueSession,
        *,
        count: int = 1,
        is_trade: bool = False,
    ) -> None:
        for _ in range(200):
            if len(session.desk.data) >= count:
                return
            await self._stir(trial, is_trade=is_trade)
            await asyncio.sleep(0.05)
        raise AssertionError("no data came")

    def test_history_is_as_it_was_asked_for(self, trial: VenueTrial) -> None:
        """History is in time order, within its bounds, the newest so many."""

        async def test(session: VenueSession) -> None:
            if "request_history" in session.data.unsupported:
                pytest.skip("it has no history")
            for _ in range(5):
                await self._stir(trial, is_trade=True)
            end = trial.clock.timestamp_ns() + 3600 * _SECOND
            command = RequestData(
                component_id=ComponentId("X"),
                kind=DataKind.TRADES,
                instrument_id=trial.instrument_id,
                request_id=1,
                end=end,
                limit=3,
                ts_init=0,
            )
            found: list[Any] = []
            send, session.data._send = session.data._send, found.append  # pyright: ignore[reportPrivateUsage]
            session.data.request(command)
            await session.until(lambda: found, "an answer")
            session.data._send = send  # pyright: ignore[reportPrivateUsage]
            (response,) = found
            assert not response.error, response.error
            assert 0 < len(response.data) <= 3
            times = [one.ts_event for one in response.data]
            assert times == sorted(times)
            assert times[-1] < end
            assert all(isinstance(one, (Trade, Quote, Bar)) for one in response.data)

        self._go(trial, test, has_orders=False)

    def test_symbols_are_found(self, trial: VenueTrial) -> None:
        """A search finds the instrument by its symbol."""

        async def test(session: VenueSession) -> None:
            if "search_symbols" in session.data.unsupported:
                pytest.skip("it has no search")
            text = trial.instrument_id.partition(".")[0]
            found = await session.data.datad.search_symbols(text, 5)
            assert trial.instrument_id in [match.instrument_id for match in found]
            assert len(found) <= 5

        self._go(trial, test, has_orders=False)

    # Orders

    def test_a_market_order_fills(self, trial: VenueTrial) -> None:
        """It fills whole, and money and fee are what the venue says."""
        self._needs(trial, OrderType.MARKET)

        async def test(session: VenueSession) -> None:
            await self._with_market(trial, session)
            name = session.market("buy")
            await self._until_status(session, name, OrderStatus.FILLED)
            kinds = session.desk.kinds(name)
            assert kinds[:2] == ["OrderInitialized", "OrderSubmitted"]
            assert kinds[2] in ("OrderAccepted", "OrderFilled")
            assert kinds[-1] == "OrderFilled"
            await self._agree(trial, session, name)

        self._go(trial, test)

    def test_a_limit_order_rests_fills_in_part_and_whole(self, trial: VenueTrial) -> None:
        """Each part is one fill."""

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", _LOW)
            await self._until_status(session, name, OrderStatus.ACCEPTED)
            await trial.fill(name, trial.quantity / 2)
            await self._until_status(session, name, OrderStatus.PARTIALLY_FILLED)
            await trial.fill(name, trial.quantity / 2)
            await self._until_status(session, name, OrderStatus.FILLED)
            assert session.desk.kinds(name).count("OrderFilled") == 2
            await self._agree(trial, session, name)

        self._go(trial, test)

    def test_an_order_that_may_not_rest_ends(self, trial: VenueTrial) -> None:
        """An IOC away from the market is cancelled."""
        if TimeInForce.IOC not in trial.plugin.capabilities.time_in_force:
            pytest.skip("it has no IOC")

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", _LOW, time_in_force="ioc")
            await session.until(lambda: session.order(name).is_closed, "it ends")
            assert session.order(name).filled_quantity == 0

        self._go(trial, test)

    def test_a_stop_order_triggers(self, trial: VenueTrial) -> None:
        """It rests until the market is there."""
        self._needs(trial, OrderType.STOP_MARKET)

        async def test(session: VenueSession) -> None:
            await self._with_market(trial, session)
            name = session.stop_market("buy", Decimal(105))
            await self._until_status(session, name, OrderStatus.ACCEPTED)
            await trial.move(Decimal(105), Decimal(106))
            await self._until_status(session, name, OrderStatus.FILLED)
            await self._agree(trial, session, name)

        self._go(trial, test)

    def test_an_order_is_modified(self, trial: VenueTrial) -> None:
        """Price and quantity change, and it is open afterwards."""
        if not trial.plugin.capabilities.amend:
            pytest.skip("it cannot change orders")

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", _LOW)
            await self._until_status(session, name, OrderStatus.ACCEPTED)
            session.desk.modify_order(
                session.order(name), price=Decimal(91), quantity=trial.quantity * 2
            )
            await session.until(lambda: "OrderUpdated" in session.desk.kinds(name), "it is updated")
            order = session.order(name)
            assert (order.price, order.quantity) == (Decimal(91), trial.quantity * 2)
            assert order.status is OrderStatus.ACCEPTED
            await trial.fill(name, trial.quantity * 2)
            await self._until_status(session, name, OrderStatus.FILLED)

        self._go(trial, test)

    def test_an_order_is_cancelled(self, trial: VenueTrial) -> None:
        """A cancel ends it, once."""

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", _LOW)
            await self._until_status(session, name, OrderStatus.ACCEPTED)
            session.desk.cancel_order(session.order(name))
            await self._until_status(session, name, OrderStatus.CANCELED)
            assert session.desk.kinds(name).count("OrderCanceled") == 1

        self._go(trial, test)

    def test_a_cancel_at_once_follows_its_order(self, trial: VenueTrial) -> None:
        """A cancel given in the same breath does not arrive first."""

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", _LOW)
            await session.until(
                lambda: getattr(session.execution.tracking.orders.get(name), "sent_ns", 0),
                "it leaves",
            )
            session.desk.cancel_order(session.order(name))
            await self._until_status(session, name, OrderStatus.CANCELED)

        self._go(trial, test)

    def test_all_orders_of_a_strategy_are_cancelled(self, trial: VenueTrial) -> None:
        """Every resting one, of the side that is meant."""

        async def test(session: VenueSession) -> None:
            buys = [session.limit("buy", _LOW - n) for n in range(3)]
            sell = session.limit("sell", _HIGH)
            for name in [*buys, sell]:
                await self._until_status(session, name, OrderStatus.ACCEPTED)
            session.desk.cancel_all_orders(trial.instrument_id, side="buy")
            for name in buys:
                await self._until_status(session, name, OrderStatus.CANCELED)
            assert session.order(sell).status is OrderStatus.ACCEPTED

        self._go(trial, test)

    def test_a_refused_order_is_rejected_with_its_reason(self, trial: VenueTrial) -> None:
        """The venue's own words come with it."""

        async def test(session: VenueSession) -> None:
            await trial.reject_next()
            name = session.limit("buy", _LOW)
            await self._until_status(session, name, OrderStatus.REJECTED)
            assert session.order(name).reason

        self._go(trial, test)

    def test_a_cancel_of_an_order_that_has_filled_harms_nothing(self, trial: VenueTrial) -> None:
        """It crosses the fill on its way; the order is filled, not cancelled."""

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", _LOW)
            await self._until_status(session, name, OrderStatus.ACCEPTED)
            await trial.fill(name, trial.quantity)
            session.desk.cancel_order(session.order(name))
            await self._until_status(session, name, OrderStatus.FILLED)

        self._go(trial, test)

    # What goes wrong

    def test_a_lost_answer_leaves_one_order(self, trial: VenueTrial) -> None:
        """The order is at the venue once, and is found by its id."""

        async def test(session: VenueSession) -> None:
            await trial.lose_next_answer()
            name = session.limit("buy", _LOW)
            await self._until_status(session, name, OrderStatus.ACCEPTED)
            assert await trial.submits_of(name) == 1

        self._go(trial, test)

    def test_a_lost_request_is_not_sent_again(self, trial: VenueTrial) -> None:
        """The order stays in flight or is proven never to have come; it is never sent twice."""

        async def test(session: VenueSession) -> None:
            await trial.lose_next_request()
            name = session.limit("buy", _LOW)
            await session.until(
                lambda: (
                    name in session.execution.unknown_orders
                    or session.order(name).status is OrderStatus.REJECTED
                ),
                "it is known to be unknown, or never to have come",
            )
            assert await trial.submits_of(name) == 0

        self._go(trial, test)

    def test_a_break_in_the_middle_of_an_order_loses_no_fill(self, trial: VenueTrial) -> None:
        """What fills while there is no connection is counted once it is back."""

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", _LOW)
            await self._until_status(session, name, OrderStatus.ACCEPTED)
            await trial.fill(name, trial.quantity / 4)
            await trial.break_connections()
            await trial.fill(name, trial.quantity / 4)
            await trial.fill(name, trial.quantity / 4)
            await session.until(
                lambda: session.order(name).filled_quantity == trial.quantity * 3 / 4, "three"
            )
            await self._until_reconnected(session, has_data=False)
            await trial.fill(name, trial.quantity / 4)
            await self._until_status(session, name, OrderStatus.FILLED)
            assert session.desk.kinds(name).count("OrderFilled") == 4
            await self._agree(trial, session, name)

        self._go(trial, test)

    def test_an_order_that_ended_while_disconnected_is_found(self, trial: VenueTrial) -> None:
        """It is no longer among the open ones: it is asked for by its id."""

        async def test(session: VenueSession) -> None:
            name = session.limit("buy", _LOW)
            await self._until_status(session, name, OrderStatus.ACCEPTED)
            await trial.break_connections()
            await trial.fill(name, trial.quantity)
            await self._until_status(session, name, OrderStatus.FILLED)
            await self._agree(trial, session, name)

        self._go(trial, test)

    def test_repeated_messages_count_once(self, trial: VenueTrial) -> None:
        """A fill that is told twice is one fill."""

        async def test(session: VenueSession) -> None:
            await trial.repeat_messages()
            name = session.limit("buy", _LOW)
            await self._until_status(session, name, OrderStatus.ACCEPTED)
            await trial.fill(name, trial.quantity / 2)
            await trial.fill(name, trial.quantity / 2)
            await self._until_status(session, name, OrderStatus.FILLED)
            await asyncio.sleep(1.0)
            assert session.desk.kinds(name).count("OrderFilled") == 2
            await self._agree(trial, session, name)

        self._go(trial, test)

    def test_messages_out_of_order_end_in_the_right_state(self, trial: VenueTrial) -> None:
        """An acknowledgement after a fill, and an end before one, change nothing in the end."""

        async def test(session: VenueSession) -> None:
            await trial.shuffle_messages()
            names = [session.limit("buy", _LOW) for _ in range(6)]
            for name in names:
                await session.until(
                    lambda name=name: session.order(name).venue_order_id, "it is at the venue"
                )
                for _ in range(4):
                    await trial.fill(name, trial.quantity / 4)
            for name in names:
                await self._until_status(session, name, OrderStatus.FILLED)
                assert session.desk.kinds(name).count("OrderFilled") == 4
                await self._agree(trial, session, name)

        self._go(trial, test)

    def test_rate_limits_are_kept_on_our_side(self, trial: VenueTrial) -> None:
        """A burst of orders and cancels is not refused for its rate."""

        async def test(session: VenueSession) -> None:
            names = [session.limit("buy", _LOW) for _ in range(12)]
            for name in names:
                await self._until_status(session, name, OrderStatus.ACCEPTED)
            session.desk.cancel_all_orders(trial.instrument_id)
            for name in names:
                await self._until_status(session, name, OrderStatus.CANCELED)

        self._go(trial, test)

    # Reports

    def test_reports_tell_what_is_open_and_what_filled(self, trial: VenueTrial) -> None:
        """A second session finds the first one's order and its fills."""

        async def work() -> None:
            async with VenueSession(trial) as first:
                name = first.limit("buy", _LOW)
                await self._until_status(first, name, OrderStatus.ACCEPTED)
                await trial.fill(name, trial.quantity / 2)
                await self._until_status(first, name, OrderStatus.PARTIALLY_FILLED)
            async with VenueSession(trial, run_tag="2") as second:
                state = await second.execution.venue_state()
                (report,) = [one for one in state.orders if one.client_order_id == name]
                assert report.filled_quantity == trial.quantity / 2
                second.desk.cancel_order(second.order(name))
                await self._until_status(second, name, OrderStatus.CANCELED)

        try:
            trial.run(work())
        except CannotSteerError as reason:
            pytest.skip(str(reason))

    def test_an_order_is_found_by_the_venues_id_alone(self, trial: VenueTrial) -> None:
        """It is asked for so where a report of it names none of ours; also once it has ended."""

        async def test(session: VenueSession) -> None:
            names = [session.limit("buy", _LOW), session.limit("buy", _LOW)]
            for name in names:
                await self._until_status(session, name, OrderStatus.ACCEPTED)
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
                    await self._until_status(session, names[0], OrderStatus.CANCELED)

        self._go(trial, test)

    # What is looked at

    async def _until_status(
        self, session: VenueSession, name: ClientOrderId, status: OrderStatus
    ) -> Order:
        order = session.order(name)
        try:
            await session.until(lambda: order.status is status, f"{name} {status.value}")
        except WorkbenchError as error:
            kinds = ", ".join(session.desk.kinds(name))
            raise AssertionError(f"{error}; it is {order.status.value}: {kinds}") from error
        return order

    async def _with_market(self, trial: VenueTrial, session: VenueSession) -> None:
        """Let prices come, which risk needs for orders that name none."""
        session.desk.subscribe_quotes(trial.instrument_id)
        await self._until_quotes(trial, session)

    async def _agree(self, trial: VenueTrial, session: VenueSession, name: ClientOrderId) -> None:
        """Compare what has filled, and the balances, with the venue, to the last digit."""
        assert session.order(name).filled_quantity == await trial.filled_of(name)
        instrument = session.cache.require_instrument(trial.instrument_id)
        for unit in filter(None, (instrument.base_currency, instrument.quote_currency)):
            truth = await trial.balance_of(unit.code)
            await session.until(
                lambda unit=unit, truth=truth: session.held(unit.code) == truth,
                f"{unit}: {truth} at the venue",
            )
