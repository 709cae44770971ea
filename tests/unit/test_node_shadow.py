"""A shadow beside a venue: exact gaps, and a live path that never hears of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import workbench as wb
from tests.node_fakes import PAIR, Feed, Market, Trader, make_node, run, simulated
from tests.waiting import until, until_running
from workbench.model.errors import BrokenOffError
from workbench.model.identifiers import AccountId, ClientOrderId, StrategyId, Venue
from workbench.node.shadow import Shadow
from workbench.node.shadow_gaps import OrderGap
from workbench.node.shadow_report import FILL_COLUMNS, ORDER_COLUMNS, ShadowReport
from workbench.venues.fake import FAKE
from workbench.venues.testing import FakeTrial, VenueSession

D = Decimal
VENUE = wb.SimulatedVenue(name=Venue("FAKE"))
MS = 1_000_000

Play = Callable[[FakeTrial, VenueSession], Awaitable[None]]


def shadowed(play: Play, venue: wb.SimulatedVenue = VENUE, limit: int = 5_000) -> ShadowReport:
    """Play a session with a shadow, in virtual time, and return what it found."""
    trial = FakeTrial()

    async def work() -> ShadowReport:
        session = VenueSession(trial)
        shadow = Shadow(session.core, [venue], limit)
        shadow.attach()
        async with session:
            session.desk.subscribe_quotes(trial.instrument_id)
            await asyncio.sleep(0.1)
            await trial.move(D("99.99"), D("100.01"))
            await asyncio.sleep(0.1)
            await play(trial, session)
            await asyncio.sleep(1)
            return shadow.report()

    return trial.run(work())


def only(report: ShadowReport) -> OrderGap:
    (order,) = report.orders
    return order


def see_quote(trial: FakeTrial, bid: float, ask: float) -> None:
    """Let a quote be published that the venue's own orders do not meet."""
    now = trial.fake.market.now()
    trial.fake.market.publish(wb.Quote(trial.instrument_id, bid, ask, 1000.0, 1000.0, now, now))


def test_a_fill_at_a_worse_price_is_measured_to_the_last_digit() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        # The venue fills what it can take at the limit, the simulated exchange at the ask.
        session.limit("buy", "100.05", 2)
        await asyncio.sleep(0.1)

    report = shadowed(play)
    order = only(report)
    assert (order.venue_price, order.shadow_price) == (D("100.05"), D("100.01"))
    assert order.gap is not None
    assert (order.gap.price, order.gap.ticks, order.gap.money) == (D("0.04"), 4, D("0.08"))
    assert round(order.gap.bps, 6) == D("3.999600")
    assert (order.missed_at_venue, order.missed_in_shadow) == (0, 0)
    assert report.money == {"USDT": D("0.08")}
    assert "1 order, 1 filled at both; the venue cost 0.08 USDT more" in repr(report)


def test_selling_for_more_than_the_shadow_is_a_gap_below_zero() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        name = session.limit("sell", "101", 1)
        await asyncio.sleep(0.1)
        see_quote(trial, 101.0, 101.02)
        trial.fake.market.fill(trial.account_id, name, price="101.30")
        await asyncio.sleep(0.1)

    report = shadowed(play)
    order = only(report)
    assert (order.venue_price, order.shadow_price) == (D("101.30"), D("101"))
    assert order.gap is not None
    assert (order.gap.ticks, order.gap.money) == (-30, D("-0.30"))
    assert "the venue cost 0.3 USDT less" in repr(report)


def test_a_fill_that_comes_later_at_the_venue_is_a_longer_delay() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        name = session.limit("buy", "99", 1)
        await asyncio.sleep(0.5)
        see_quote(trial, 98.98, 99.0)
        await asyncio.sleep(2)
        trial.fake.market.fill(trial.account_id, name)
        await asyncio.sleep(0.1)

    order = only(shadowed(play))
    assert (order.venue_delay_ns, order.shadow_delay_ns) == (2500 * MS, 500 * MS)
    assert order.gap is not None
    assert order.gap.price == 0


def test_latency_in_the_shadow_is_that_of_its_settings() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        session.market("buy", 1)
        await asyncio.sleep(0.01)
        await trial.move(D("100.09"), D("100.11"))  # before the order has come to the shadow
        await asyncio.sleep(0.05)

    venue = wb.SimulatedVenue(name=Venue("FAKE"), latency_ns=30 * MS)
    order = only(shadowed(play, venue))
    assert (order.venue_price, order.shadow_price) == (D("100.01"), D("100.11"))
    assert order.shadow_delay_ns == 30 * MS


def test_what_the_venue_does_not_fill_before_a_cancel_is_missed_there() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        name = session.limit("buy", "99", 1)
        await asyncio.sleep(0.1)
        trial.fake.market.fill(trial.account_id, name, "0.4")
        see_quote(trial, 98.98, 99.0)
        await asyncio.sleep(0.1)
        session.desk.cancel_order(session.order(name))
        await asyncio.sleep(0.1)

    report = shadowed(play)
    order = only(report)
    assert (order.venue_filled, order.shadow_filled) == (D("0.4"), 1)
    assert (order.missed_at_venue, order.missed_in_shadow) == (D("0.6"), 0)
    assert (order.venue_status.value, order.shadow_status.value) == ("canceled", "filled")
    (total,) = report.instruments
    assert (total.filled_at_both, total.missed_at_venue) == (1, D("0.6"))


def test_of_a_fill_counts_what_the_shadow_has_of_its_order_too() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        name = session.limit("buy", "99", 4)
        await asyncio.sleep(0.1)
        now = trial.fake.market.now()
        trial.fake.market.publish(wb.Quote(trial.instrument_id, 98.9, 99.0, 1.0, 1.0, now, now))
        for price in ("99", "98"):
            trial.fake.market.fill(trial.account_id, name, 2, price)
        await asyncio.sleep(0.1)

    report = shadowed(play)
    order = only(report)
    assert (order.venue_filled, order.shadow_filled, order.missed_in_shadow) == (4, 1, 3)
    assert order.gap is not None
    assert (order.gap.price, order.gap.money) == (D("-0.5"), D("-0.5"))
    assert list(report.fills()["money"]) == [0, D("-0.5")]


def test_while_an_order_works_at_the_venue_nothing_is_missed_yet() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        session.limit("buy", "99", 1)
        await asyncio.sleep(0.1)
        see_quote(trial, 98.98, 99.0)

    report = shadowed(play)
    order = only(report)
    assert order.is_working
    assert (order.shadow_filled, order.missed_at_venue) == (1, 0)
    assert "1 still working" in repr(report)


def test_what_only_the_venue_fills_is_missed_in_the_shadow() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        name = session.limit("buy", "99", 1)
        await asyncio.sleep(0.1)
        trial.fake.market.fill(trial.account_id, name)
        await asyncio.sleep(0.1)

    report = shadowed(play)
    order = only(report)
    assert (order.missed_at_venue, order.missed_in_shadow) == (0, 1)
    assert order.gap is None
    assert order.shadow_delay_ns is None
    assert "1 filled at the venue only" in repr(report)
    assert report.money == {"USDT": 0}


def test_a_rejection_that_the_shadow_would_not_make_is_told() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        trial.fake.market.reject_next("not today")
        session.limit("buy", "99", 1)
        await asyncio.sleep(0.1)
        see_quote(trial, 98.98, 99.0)  # the shadow's order ended with that at the venue
        await asyncio.sleep(0.1)

    report = shadowed(play)
    order = only(report)
    assert "not today" in order.venue_rejection
    assert (order.shadow_rejection, order.shadow_status.value) == ("", "canceled")
    assert order.shadow_filled == 0
    (total,) = report.instruments
    assert (total.rejected_at_venue_only, total.rejected_in_shadow_only) == (1, 0)


def test_a_rejection_of_the_shadow_alone_is_told() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        see_quote(trial, 98.98, 99.0)
        await asyncio.sleep(0.1)
        session.limit("buy", "99.50", 1, post_only=True)
        await asyncio.sleep(0.1)
        session.desk.cancel_all_orders(trial.instrument_id)
        await asyncio.sleep(0.1)

    report = shadowed(play)
    order = only(report)
    assert (order.venue_status.value, order.shadow_status.value) == ("canceled", "rejected")
    assert order.shadow_rejection
    assert report.instruments[0].rejected_in_shadow_only == 1


def test_changes_and_cancels_reach_the_shadow_too() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        first, second = session.limit("buy", "98", 1), session.limit("buy", "97", 1)
        await asyncio.sleep(0.1)
        session.desk.modify_order(session.order(first), quantity=3, price="99")
        session.desk.cancel_order(session.order(second))
        await asyncio.sleep(0.1)
        see_quote(trial, 96.0, 96.5)
        trial.fake.market.fill(trial.account_id, first)
        await asyncio.sleep(0.1)

    changed, cancelled = shadowed(play).orders
    assert (changed.shadow_filled, changed.shadow_price, changed.quantity) == (3, 99, 3)
    assert (cancelled.shadow_status.value, cancelled.shadow_filled) == ("canceled", 0)


def test_an_emulated_order_reaches_the_shadow_when_it_is_released() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        desk = session.desk
        order = desk.orders.stop_market(
            trial.instrument_id, "buy", 1, "100.50", emulation_trigger="bid_ask"
        )
        desk.submit_order(order)
        await asyncio.sleep(3)
        await trial.move(D("100.58"), D("100.60"))
        await asyncio.sleep(0.1)

    order = only(shadowed(play))
    assert order.order_type.value == "market"
    assert (order.venue_price, order.shadow_price) == (D("100.60"), D("100.60"))
    assert order.shadow_delay_ns == 0


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_bracket_is_followed_in_the_shadow_whole_or_taken_apart(is_whole: bool) -> None:
    """At a venue that knows linked orders it goes there whole; else they are linked here."""
    more = {"contingencies": frozenset(wb.ContingencyType)} if is_whole else {}
    capabilities = msgspec.structs.replace(FAKE.capabilities, reduce_only=True, **more)
    trial = FakeTrial(plugin=msgspec.structs.replace(FAKE, capabilities=capabilities))

    async def work() -> ShadowReport:
        session = VenueSession(trial)
        shadow = Shadow(session.core, [VENUE])
        shadow.attach()
        async with session:
            desk = session.desk
            desk.subscribe_quotes(trial.instrument_id)
            await asyncio.sleep(0.1)
            await trial.move(D("99.99"), D("100.01"))
            await asyncio.sleep(0.1)
            bracket = desk.orders.bracket(
                trial.instrument_id, "buy", 1, stop_loss="95", take_profit="105"
            )
            desk.submit_order_list(bracket)
            await asyncio.sleep(0.2)
            await trial.move(D("105.00"), D("105.02"))
            await asyncio.sleep(0.2)
            desk.cancel_all_orders(trial.instrument_id)
            await asyncio.sleep(0.2)
            return shadow.report()

    report = trial.run(work())
    assert report.fault == ""
    orders = {order.order_type.value: order for order in report.orders}
    assert set(orders) == {"market", "limit", "stop_market"}
    for kind in ("market", "limit"):
        assert (orders[kind].venue_filled, orders[kind].shadow_filled) == (1, 1), kind
        gap = orders[kind].gap
        assert gap is not None
        assert gap.price == 0
    assert orders["stop_market"].venue_status.value == "canceled"
    assert orders["stop_market"].shadow_status.value == "canceled"


def test_a_reduce_only_exit_is_judged_by_itself() -> None:
    plugin = msgspec.structs.replace(
        FAKE, capabilities=msgspec.structs.replace(FAKE.capabilities, reduce_only=True)
    )
    trial = FakeTrial(plugin=plugin)

    async def work() -> ShadowReport:
        session = VenueSession(trial)
        shadow = Shadow(session.core, [VENUE])
        shadow.attach()
        async with session:
            session.desk.subscribe_quotes(trial.instrument_id)
            name = session.limit("buy", "99", 1)
            await asyncio.sleep(0.1)
            trial.fake.market.fill(trial.account_id, name)  # the shadow's entry rests
            await trial.move(D("99.99"), D("100.01"))
            await asyncio.sleep(0.1)
            session.limit("sell", "99.99", 1, reduce_only=True)
            await asyncio.sleep(0.1)
            return shadow.report()

    entry, exit_ = trial.run(work()).orders
    assert entry.shadow_filled == 0
    assert (exit_.venue_filled, exit_.shadow_filled) == (1, 1)


# What must not be


@pytest.mark.parametrize("error", [RuntimeError("a bug in the simulation"), BrokenOffError("KILL")])
def test_a_shadow_that_fails_ends_and_says_so_and_the_node_goes_on(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def raising(_: Any) -> None:
        raise error

    trial = FakeTrial()

    async def work() -> tuple[ShadowReport, wb.Order]:
        session = VenueSession(trial)
        shadow = Shadow(session.core, [VENUE])
        shadow.attach()
        async with session:
            session.desk.subscribe_quotes(trial.instrument_id)
            await asyncio.sleep(0.1)
            await trial.move(D("99.99"), D("100.01"))
            await asyncio.sleep(0.1)
            shadow._see = (raising,)  # pyright: ignore[reportPrivateUsage]
            for _ in range(3):
                await trial.move(D("99.99"), D("100.02"))
                await asyncio.sleep(0.1)
            name = session.limit("buy", "100.05", 1)
            await asyncio.sleep(0.1)
            return shadow.report(), session.order(name)

    report, order = trial.run(work())
    assert order.filled_quantity == 1
    assert report.orders == ()
    assert report.fault == f"{type(error).__name__}: {error}"
    assert f"it has ended: {type(error).__name__}" in repr(report)
    assert "it has ended" in report._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert len([r for r in caplog.records if "the shadow has ended" in r.message]) == 1


async def busy_session(trial: FakeTrial, session: VenueSession, seed: int) -> bytes:
    """Play a session of all kinds of commands; return all that was handled, to the byte."""
    rng, names = random.Random(seed), list[ClientOrderId]()
    session.desk.subscribe_quotes(trial.instrument_id)
    await asyncio.sleep(0.1)
    for _ in range(60):
        mid = D(rng.randrange(9_900, 10_100)) / 100
        await trial.move(mid, mid + D("0.02"))
        step = rng.randrange(5)
        open_here = [n for n in names if session.order(n).is_open]
        if step < 2:
            side = rng.choice(["buy", "sell"])
            names.append(session.limit(side, D(rng.randrange(9_850, 10_150)) / 100))
        elif step == 2:
            names.append(session.market(rng.choice(["buy", "sell"])))
        elif step == 3 and open_here:
            session.desk.modify_order(session.order(rng.choice(open_here)), quantity=2)
        elif open_here:
            session.desk.cancel_order(session.order(rng.choice(open_here)))
        await asyncio.sleep(rng.random() / 10)
    session.desk.cancel_all_orders(trial.instrument_id)
    await asyncio.sleep(1)
    return session.core.log.to_bytes() + str(session.core.dispatcher.number).encode()


@pytest.mark.parametrize("seed", range(5))
def test_the_live_path_is_the_same_to_the_byte_with_and_without_a_shadow(seed: int) -> None:
    found: list[bytes] = []
    reports: list[ShadowReport] = []
    for has_shadow in (False, True):
        trial = FakeTrial()

        async def work(trial: FakeTrial = trial, has_shadow: bool = has_shadow) -> bytes:
            session = VenueSession(trial)
            latency = wb.SimulatedVenue(name=Venue("FAKE"), latency_ns=7 * MS)
            shadow = Shadow(session.core, [latency]) if has_shadow else None
            if shadow is not None:
                shadow.attach()
            async with session:
                result = await busy_session(trial, session, seed)
                if shadow is not None:
                    reports.append(shadow.report())
                return result

        found.append(trial.run(work()))
    assert found[0] == found[1]
    assert len(reports[0].orders) > 10
    assert reports[0].fault == ""
    assert reports[0].unseen_fills == 0


# What is kept


def test_older_orders_are_in_the_sums_alone_and_hold_no_memory() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        for _ in range(30):
            session.limit("buy", "100.05", 1)
            await asyncio.sleep(0.05)

    report = shadowed(play, limit=10)
    assert (len(report.orders), report.dropped, len(report.fill_gaps)) == (10, 20, 10)
    (total,) = report.instruments
    assert (total.orders, total.filled_at_both, total.venue_filled) == (30, 30, 30)
    assert (total.ticks, total.money) == (4, D("1.20"))
    assert total.venue_delay_ns == sum(o.venue_delay_ns or 0 for o in report.orders) // 10


def test_an_order_that_rests_in_the_shadow_alone_ends_when_it_is_dropped() -> None:
    trial = FakeTrial()

    async def work() -> int:
        session = VenueSession(trial)
        shadow = Shadow(session.core, [VENUE], limit=5)
        shadow.attach()
        async with session:
            session.desk.subscribe_quotes(trial.instrument_id)
            for _ in range(20):
                name = session.limit("buy", "99", 1)
                await asyncio.sleep(0.05)
                trial.fake.market.fill(trial.account_id, name)
                await asyncio.sleep(0.05)
            shadow.report()
            (exchange,) = shadow._exchanges.values()  # pyright: ignore[reportPrivateUsage]
            return len(exchange.open_orders())

    assert trial.run(work()) == 5


def test_fills_of_orders_that_the_shadow_was_not_given_are_counted() -> None:
    trial = FakeTrial()

    async def work() -> ShadowReport:
        session = VenueSession(trial)
        shadow = Shadow(session.core, [VENUE])
        async with session:
            name = session.limit("buy", "99", 1)
            await asyncio.sleep(0.1)
            shadow.attach()
            trial.fake.market.fill(trial.account_id, name)
            await asyncio.sleep(0.1)
            return shadow.report()

    report = trial.run(work())
    assert (report.orders, report.unseen_fills) == ((), 1)
    assert "fills of orders it does not know: 1" in repr(report)


# Frames and looks


def test_frames_hold_orders_fills_and_sums() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        session.limit("buy", "100.05", 2)
        await asyncio.sleep(0.1)
        session.limit("buy", "99", 1)
        await asyncio.sleep(0.1)

    report = shadowed(play)
    frame, fills, summary = report.frame(), report.fills(), report.summary()
    assert tuple(frame.columns) == ORDER_COLUMNS
    assert tuple(fills.columns) == FILL_COLUMNS
    assert list(frame["gap"]) == [D("0.04"), None]
    assert list(frame["venue_status"]) == ["filled", "accepted"]
    assert str(frame["given"].dtype) == "datetime64[ns, UTC]"
    assert str(frame["venue_delay_ns"].dtype) == "Int64"
    assert list(fills["money"]) == [D("0.08")]
    assert summary.loc["orders", "BTC/USDT.FAKE"] == 2
    assert summary.loc["money", "BTC/USDT.FAKE"] == D("0.08")
    shown: str = report._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert shown.count("<circle") == 1
    assert shown.count("<svg") == 2
    assert "+0.08 USDT" in shown


def test_a_shadow_without_orders_looks_well_too() -> None:
    async def play(trial: FakeTrial, session: VenueSession) -> None:
        await asyncio.sleep(0)

    report = shadowed(play)
    assert "0 orders, 0 filled at both" in repr(report)
    assert "<svg" not in report._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert report.frame().empty
    assert tuple(report.fills().columns) == FILL_COLUMNS
    assert report.summary().empty


# As part of a node


def test_only_a_real_venue_has_a_shadow() -> None:
    node = make_node()
    node.add_shadow(wb.SimulatedVenue(name=Venue("SIM")))
    with pytest.raises(wb.ConfigError, match="no account at SIM is traded here"):
        node.build()
    with pytest.raises(wb.ConfigError, match=r"shadow is a wb\.SimulatedVenue"):
        make_node().add_shadow("SIM")  # pyright: ignore[reportArgumentType]
    without = make_node()
    with pytest.raises(wb.ConfigError, match="this node has no shadow"):
        without.shadow()


def test_a_node_tells_of_its_shadow_once_it_is_built(tmp_path: Path) -> None:
    node = make_node(
        feed=Feed(), market=Market(is_simulated=False), journal=str(tmp_path / "j.sqlite")
    )
    node.add_shadow(wb.SimulatedVenue(name=Venue("SIM")))
    with pytest.raises(wb.LifecycleError, match="call build"):
        node.shadow()
    node.build()
    assert node.shadow().orders == ()
    assert node.shadow().venues == ("SIM",)
    with pytest.raises(wb.LifecycleError, match="add a shadow to"):
        node.add_shadow(wb.SimulatedVenue(name=Venue("SIM")))
    again = node.reset()
    again.build()
    assert again.shadow().venues == ("SIM",)
    again.dispose()


def test_only_what_goes_to_the_real_account_is_shadowed(tmp_path: Path) -> None:
    strategy, feed = Trader(), Feed()
    node = make_node(strategy, feed=feed, market=simulated(), journal=str(tmp_path / "j.sqlite"))
    node.add_exec_client_factory(Market(is_simulated=False), promotable=True)
    node.add_shadow(wb.SimulatedVenue(name=Venue("SIM")))

    async def main() -> None:
        node.build()
        node.run()
        await until_running(node)
        feed.client.quote(99.98)
        await until(lambda: "OrderFilled" in strategy.seen)
        assert node.shadow().orders == ()
        node.core.routes.set(StrategyId("Trader-001"), Venue("SIM"), AccountId("SIM-001"))
        strategy.seen.clear()
        strategy.buy()
        await until(lambda: "OrderFilled" in strategy.seen)
        order = only(node.shadow())
        assert (order.account_id, order.venue_price, order.shadow_price) == ("SIM-001", 100, 100)
        assert node.shadow().unseen_fills == 0
        await node.stop_async()

    run(main())
    assert node.shadow().instruments[0].orders == 1
    node.dispose()


def test_a_shadow_needs_a_real_account_beside_it() -> None:
    with pytest.raises(wb.ConfigError, match="pass account="):
        wb.sandbox(Trader(), instrument=PAIR, shadow=True)
    with pytest.raises(wb.ConfigError, match=r"shadow is True, False or a wb\.SimulatedVenue"):
        wb.sandbox(Trader(), instrument=PAIR, shadow="yes")  # pyright: ignore[reportArgumentType]
