"""Promotion where something else happens meanwhile: nothing is done twice, or to other orders."""

from __future__ import annotations

import asyncio
import os
import signal
from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

import workbench as wb
from tests.integration.test_node_promotion import (
    ACCOUNT,
    LIMITS,
    PAIR,
    PAPER,
    RULES,
    Desk,
    Place,
    play,
)
from tests.waiting import until
from workbench.model.enums import OrderStatus
from workbench.model.identifiers import AccountId, ClientOrderId
from workbench.node.journal import JournalError, JournalKind
from workbench.node.promotion.records import standing

D = Decimal


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


class Stubborn(Desk):
    """Answers the first cancel with a stop that is watched here."""

    stop_order = None

    def on_order_canceled(self, event: Any) -> None:
        if self.stop_order is None:
            self.stop_order = self.protect()

    def protect(self) -> wb.Order:
        order = self.orders.stop_market(
            PAIR.id, "buy", 1, trigger_price="120", emulation_trigger="bid_ask"
        )
        self.submit_order(order)
        return order


class Guarded(Stubborn):
    """Sends a stop that is watched here as it starts, and none later."""

    def on_order_canceled(self, event: Any) -> None:
        pass

    def on_start(self) -> None:
        super().on_start()
        self.stop_order = self.protect()


def test_what_a_strategy_sends_to_the_account_meanwhile_is_not_cancelled(place: Place) -> None:
    desk = Stubborn()
    node = place.node(desk)

    async def act() -> None:
        resting = desk.rest()
        await until(lambda: resting.is_open, node)
        report = await node.promote_async(confirm=ACCOUNT, rules=RULES)
        stop = desk.stop_order
        assert stop is not None
        assert stop.status is OrderStatus.EMULATED
        assert len(report.moved.cancelled) == 1
        assert report.moved.left == (), (report, desk.denials, desk.heard)

    play(place, node, act)


def test_what_a_strategy_sends_as_it_starts_promoted_is_not_cancelled(place: Place) -> None:
    node = place.node(Guarded())

    async def first() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)

    play(place, node, first)
    again = Guarded()
    second = place.node(again)

    async def then() -> None:
        stop = again.stop_order
        assert stop is not None
        await until(lambda: stop.status is OrderStatus.EMULATED, second)
        await asyncio.sleep(0.1)  # what would cancel it has had the time
        assert stop.status is OrderStatus.EMULATED
        place.market.quote(PAIR.id, 119.99, 120.01)
        await until(lambda: stop.is_closed, second)
        assert stop.account_id == ACCOUNT

    play(place, second, then)


def test_what_fills_late_at_the_simulated_exchange_is_closed_too(place: Place) -> None:
    desk = Desk()
    latency = wb.LatencyModel(base_ns=700_000_000)
    node = place.node(desk, venue=wb.SimulatedVenue(latency=latency))

    async def act() -> None:
        held = desk.buy(2)
        await until(lambda: held.is_closed, node)
        late = desk.buy(3)
        await until(lambda: late.status is OrderStatus.SUBMITTED, node)
        report = await node.promote_async(confirm=ACCOUNT, rules=RULES, position="open")
        assert report.moved.left == (), (report, desk.denials, desk.heard)
        assert report.moved.closed == report.moved.opened == {PAIR.id: D(5)}
        await until(lambda: desk.position(PAIR.id) is not None, node)
        assert [p.account_id for p in node.core.cache.positions_open()] == [ACCOUNT]

    play(place, node, act)


def test_two_promotions_at_once_are_one(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        bought = desk.buy(3)
        await until(lambda: bought.is_closed, node)
        results = await asyncio.gather(
            *(node.promote_async(confirm=ACCOUNT, rules=RULES, position="open") for _ in range(2)),
            return_exceptions=True,
        )
        refused = [one for one in results if isinstance(one, wb.PromotionError)]
        assert len(refused) == 1, results
        await until(lambda: desk.position(PAIR.id) is not None, node)
        await asyncio.sleep(0.1)
        assert [p.signed_quantity for p in node.core.cache.positions_open()] == [D(3)]
        assert len(place.placed) == 1

    play(place, node, act)
    said = list(node.journal().messages(JournalKind.PROMOTION))
    assert [r.message.action for r in said].count("promoted") == 1


@pytest.mark.parametrize("turns", range(12))
def test_a_promotion_that_is_broken_off_is_on_record_as_it_ended(place: Place, turns: int) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        task = asyncio.ensure_future(node.promote_async(confirm=ACCOUNT, rules=RULES))
        journaling = node._journaling
        assert journaling is not None
        real = journaling.journal.durable

        async def slowly(sequence: int | None = None) -> None:
            await real(sequence)
            for _ in range(6):
                await asyncio.sleep(0)

        journaling.journal.durable = slowly  # type: ignore[method-assign]
        await until(lambda: list(node.journal().messages(JournalKind.PROMOTION)), node)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        said = standing(node.journal())
        assert {n: p.account_id for n, p in said.items()} == node.promoted
        assert {r.account_id for r in node.core.routes.all().values()} == set(
            node.promoted.values()
        )

    play(place, node, act)


def test_a_journal_that_fails_promotes_nothing(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        journaling = node._journaling
        assert journaling is not None

        async def fail(sequence: int | None = None) -> None:
            raise JournalError("no space left")

        journaling.journal.durable = fail  # type: ignore[method-assign]
        with pytest.raises(JournalError, match="no space left"):
            await node.promote_async(confirm=ACCOUNT, rules=RULES)
        assert node.promoted == {}
        assert not node.core.routes.all()

    play(place, node, act)
    assert standing(node.journal()) == {}


def test_a_list_grows_nothing_behind_an_order_that_only_reduces(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)
        bought = desk.buy(2)
        await until(lambda: bought.is_closed, node)
        await node.demote_async(position="leave")
        count = len(place.placed)
        out = desk.orders.limit(PAIR.id, "sell", 1, "150", reduce_only=True)
        more = desk.orders.market(PAIR.id, "buy", 5)
        desk.submit_order_list(desk.orders.together(out, more), account_id=ACCOUNT)
        await until(lambda: more.is_closed, node)
        assert more.status is OrderStatus.DENIED
        assert "NOT_PROMOTED" in [denial.code for denial in desk.denials]
        assert len(place.placed) == count

    play(place, node, act)


def test_quantities_are_exact_whatever_the_callers_decimal_context(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        bought = desk.orders.market(PAIR.id, "buy", "12.345")
        desk.submit_order(bought)
        await until(lambda: bought.is_closed, node)
        with localcontext(Context(prec=3)):
            report = await node.promote_async(confirm=ACCOUNT, rules=RULES, position="open")
        assert report.moved.closed == report.moved.opened == {PAIR.id: D("12.345")}
        await until(lambda: desk.position(PAIR.id) is not None, node)
        held = desk.position(PAIR.id)
        assert held is not None
        assert held.signed_quantity == D("12.345")

    play(place, node, act)


def test_a_promoted_strategy_goes_on_only_with_limits(place: Place) -> None:
    node = place.node(Desk())

    async def act() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)

    play(place, node, act)
    other = place.node(Desk(), settings={"limits": wb.RiskLimits()})
    with pytest.raises(wb.PromotionError, match="max_position"):
        other.build()


def test_a_demotion_waits_for_nothing_at_the_simulated_exchange(place: Place) -> None:
    desk = Stubborn()
    node = place.node(desk)

    async def act() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)
        resting = desk.rest()
        await until(lambda: resting.is_open, node)
        report = await node.demote_async()
        assert report.moved.left == (), (report, desk.denials, desk.heard)
        await until(lambda: desk.stop_order is not None, node)
        stop = desk.stop_order
        assert stop is not None
        await until(lambda: stop.status is OrderStatus.EMULATED, node)

    play(place, node, act)


def test_a_sandbox_without_the_account_goes_on_after_demotion(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)
        bought = desk.buy(2)
        await until(lambda: bought.is_closed, node)
        await node.demote_async(position="leave")

    play(place, node, act)
    again = Desk()
    bare = place.node(again, account=None)

    async def then() -> None:
        bought = again.buy(1)
        await until(lambda: bought.is_closed, bare)
        assert bought.status is OrderStatus.FILLED
        assert bought.account_id != ACCOUNT

    play(place, bare, then)


class Claiming(Desk):
    """Claims what others send."""

    external_order_claims = (PAIR.id,)


def test_what_others_send_is_claimed_only_by_a_promoted_strategy(place: Place) -> None:
    for name, owner in (("PHONE-1", "EXTERNAL"), ("PHONE-2", "Claiming-001")):
        desk = Claiming()
        node = place.node(desk)

        async def act(
            desk: Desk = desk, node: wb.TradingNode = node, name: str = name, owner: str = owner
        ) -> None:
            made = desk.orders.limit(PAIR.id, "buy", 1, "80").to_initialized()
            key = ClientOrderId(name)
            place.market.place(AccountId(ACCOUNT), structs.replace(made, client_order_id=key))
            await until(lambda: node.core.cache.order(key), node)
            order = node.core.cache.order(key)
            assert order is not None
            assert order.strategy_id == owner
            if not node.promoted:
                await node.promote_async(confirm=ACCOUNT, rules=RULES)

        play(place, node, act)


def test_a_strategy_hears_after_its_start_of_what_filled_while_it_was_away(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def first() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)
        resting = desk.rest("90")
        await until(lambda: resting.is_open, node)

    play(place, node, first)
    place.market.quote(PAIR.id, 88.0, 88.1)
    again = Desk()
    second = place.node(again)

    async def then() -> None:
        assert again.heard == ["OrderFilled", "PositionOpened"]
        held = again.position(PAIR.id)
        assert held is not None
        assert held.signed_quantity == D(2)

    play(place, second, then)


def test_a_demotion_closes_what_fills_while_it_is_cancelled(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        bought = desk.buy(3)
        await until(lambda: bought.is_closed, node)
        await node.promote_async(confirm=ACCOUNT, rules=RULES, position="open")
        report = await node.demote_async(position="close")
        assert report.moved.left == (), (report, desk.denials, desk.heard)
        assert not node.core.cache.positions_open()
        held = place.market.position_reports(AccountId(ACCOUNT))
        assert all(not one.signed_quantity for one in held)

    play(place, node, act)


@pytest.mark.parametrize("meanwhile", ["kill", "stop"])
def test_a_kill_or_stop_while_the_promotion_is_written_down_undoes_it(
    place: Place, meanwhile: str
) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        journaling = node._journaling
        assert journaling is not None
        real = journaling.journal.durable

        async def durable(sequence: int | None = None) -> None:
            journaling.journal.durable = real  # type: ignore[method-assign]
            await real(sequence)
            if meanwhile == "kill":
                node.kill()
            else:
                await node.stop_async()

        journaling.journal.durable = durable  # type: ignore[method-assign]
        expected = wb.PromotionError if meanwhile == "kill" else JournalError
        with pytest.raises(expected, match=r"✗ node|node\.demote\('Desk-001'\) before"):
            await node.promote_async(confirm=ACCOUNT, rules=RULES)
        assert node.promoted == {}
        assert not node.core.routes.all()

    play(place, node, act)
    # A journal that was closed by then cannot be told any more; the error says what to do.
    assert list(standing(node.journal())) == ([] if meanwhile == "kill" else ["Desk-001"])


def test_what_is_held_here_and_what_a_bracket_guards_with_goes_with_the_position(
    place: Place,
) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        bracket = desk.orders.bracket(PAIR.id, "buy", 1, stop_loss="90", take_profit="120")
        desk.submit_order_list(bracket)
        trailing = desk.orders.trailing_stop_market(
            PAIR.id, "sell", 1, trailing_offset="5", emulation_trigger="bid_ask"
        )
        desk.submit_order(trailing)
        await until(lambda: bracket[1].is_open and bracket[2].is_open, node)
        await until(lambda: trailing.status is OrderStatus.EMULATED, node)
        report = await node.promote_async(confirm=ACCOUNT, rules=RULES)
        assert {o.status for o in (*bracket.orders[1:], trailing)} == {OrderStatus.CANCELED}
        assert report.moved.closed == {PAIR.id: D(1)}
        assert report.moved.left == (), (report, desk.denials, desk.heard)
        assert place.placed == []

    play(place, node, act)


def test_positions_that_are_kept_apart_are_closed_one_by_one(place: Place) -> None:
    desk = Desk()
    node = place.node(desk, venue=wb.SimulatedVenue(order_management="hedging"))

    async def act() -> None:
        bought = [desk.buy(3), desk.buy(2)]
        await until(lambda: all(order.is_closed for order in bought), node)
        assert len(node.core.cache.positions_open()) == 2
        report = await node.promote_async(confirm=ACCOUNT, rules=RULES, position="open")
        assert report.moved.closed == report.moved.opened == {PAIR.id: D(5)}
        assert report.moved.left == (), (report, desk.denials, desk.heard)

    play(place, node, act)


def test_what_waits_for_the_rate_is_never_sent(place: Place) -> None:
    desk = Desk()
    hour_ns = 3_600_000_000_000
    limits = structs.replace(LIMITS, orders=1, orders_interval_ns=hour_ns, on_excess="buffer")
    node = place.node(desk, settings={"limits": limits})

    async def act() -> None:
        sent, waiting = desk.rest("90"), desk.rest("91")
        await until(lambda: sent.is_open, node)
        assert waiting.status is OrderStatus.INITIALIZED
        report = await node.promote_async(confirm=ACCOUNT, rules=RULES)
        assert (sent.status, waiting.status) == (OrderStatus.CANCELED, OrderStatus.DENIED)
        assert report.moved.left == (), (report, desk.denials, desk.heard)
        assert place.placed == []

    play(place, node, act)


class Monitor(wb.Actor):
    """Takes a number, and trades nothing."""


def test_a_promoted_strategy_with_another_number_is_refused(place: Place) -> None:
    node = place.node([Desk(), Desk(period=7)])  # type: ignore[arg-type]

    async def act() -> None:
        await node.promote_async("Desk-001", confirm=ACCOUNT, rules=RULES)

    play(place, node, act)
    for actors, problem in (
        ([Desk(period=7), Desk()], "period 5 -> 7"),
        ([Monitor(), Desk()], "has Desk-002 instead"),
    ):
        other = place.node(actors)  # type: ignore[arg-type]
        with pytest.raises(wb.PromotionError, match=problem):
            other.build()
        assert other.state == "CREATED"


def test_a_demotion_without_a_connection_says_what_is_still_open(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)
        bought, resting = desk.buy(2), desk.rest("80")
        await until(lambda: bought.is_closed and resting.is_open, node)
        place.fake.freeze()
        place.fake.break_connections()
        report = await node.demote_async(position="close")
        assert report.moved.cancelled == ()
        assert report.moved.closed == {}
        order, position = report.moved.left
        assert "pending_cancel" in order
        assert position == f"position 2 {PAIR.id}"
        new = desk.buy(1)
        await until(lambda: new.is_closed, node)
        assert new.account_id == PAPER
        place.fake.freeze(is_frozen=False)
        await until(lambda: resting.is_closed, node)
        assert resting.status is OrderStatus.CANCELED

    play(place, node, act)


@pytest.mark.alone
def test_an_interrupted_cell_promotes_nothing(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        journaling = node._journaling
        assert journaling is not None
        real = journaling.journal.durable

        async def durable(sequence: int | None = None) -> None:
            journaling.journal.durable = real  # type: ignore[method-assign]
            await real(sequence)
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()

        journaling.journal.durable = durable  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt, match=r"node\.promoted"):
            node.promote(confirm=ACCOUNT, rules=RULES)
        assert node.promoted == {}
        assert standing(node.journal()) == {}
        node.promote(confirm=ACCOUNT, rules=RULES)
        assert node.promoted == {"Desk-001": ACCOUNT}

    play(place, node, act)


def test_what_a_node_held_that_died_while_it_promoted_is_closed_when_there_is_a_price(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.node.promotion.auditions._LOOK_NS", 300_000_000)
    desk = Desk()
    node = place.node(desk)

    async def first() -> None:
        bought, resting = desk.buy(3), desk.rest("80")
        await until(lambda: bought.is_closed and resting.is_open, node)
        journaling = node._journaling
        assert journaling is not None
        real = journaling.journal.durable

        async def durable(sequence: int | None = None) -> None:
            journaling.journal.durable = real  # type: ignore[method-assign]
            await real(sequence)
            await node.stop_async()

        journaling.journal.durable = durable  # type: ignore[method-assign]
        with pytest.raises(JournalError):
            await node.promote_async(confirm=ACCOUNT, rules=RULES)

    play(place, node, first)
    second = place.node(Desk())

    async def then() -> None:
        await until(lambda: not second.core.cache.positions_open(), second)
        assert not second.core.cache.orders_open()
        assert second.promoted == {"Desk-001": ACCOUNT}
        assert place.placed == []

    play(place, second, then)
