"""Promotion at the venue in memory: the same strategy, from simulated fills to an account."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.waiting import until
from workbench.model.enums import OrderStatus
from workbench.model.errors import ConfigError, LifecycleError
from workbench.model.events import OrderDenied
from workbench.node.journal import JournalKind
from workbench.node.promotion.records import standing
from workbench.venues import ExecutionSettings, InquirySettings, LinkSettings
from workbench.venues.contract import Permissions
from workbench.venues.fake import FAKE, FakeVenue

PAIR = wb.CurrencyPair.define(
    "BTC/USDT.FAKE", price_increment="0.01", quantity_increment="0.001", taker_fee="0.001"
)
LIMITS = wb.RiskLimits(max_order_quantity=100, max_position=100, max_loss_per_day="10_000 USDT")
RULES = wb.PromotionRules(min_duration_s=0, min_orders=0, min_fills=0, max_stall_s=60)
QUICK = ExecutionSettings(
    request_timeout_s=0.2,
    fill_grace_s=0.05,
    inquiry=InquirySettings(first_wait_s=0.05, wait_s=0.05),
    link=LinkSettings(first_back_off_s=0.02),
)
D = Decimal
ACCOUNT, PAPER = "FAKE-001", "FAKE-PAPER"


class Desk(wb.Strategy):
    """Sends what a test tells it to, and keeps an average and what it hears."""

    period: int = 5

    def on_start(self) -> None:
        self.average = wb.SMA(self.period)
        self.heard: list[str] = []
        self.denials: list[OrderDenied] = []
        self.subscribe_quotes(PAIR.id)

    def on_quote(self, quote: wb.Quote) -> None:
        self.average.update(quote.bid)

    def on_order_event(self, event: Any) -> None:
        self.heard.append(type(event).__name__)

    def on_order_denied(self, event: OrderDenied) -> None:
        self.denials.append(event)

    def on_position_event(self, event: Any) -> None:
        self.heard.append(type(event).__name__)

    def buy(self, quantity: int = 1, **named: str) -> wb.Order:
        order = self.orders.market(PAIR.id, "buy", quantity)
        self.submit_order(order, **named)
        return order

    def rest(self, price: str = "90") -> wb.Order:
        order = self.orders.limit(PAIR.id, "buy", 2, price)
        self.submit_order(order)
        return order


class Changed(Desk):
    """The same to look at, with other code."""

    def on_quote(self, quote: wb.Quote) -> None:
        self.average.update(quote.ask)


class Place:
    """A venue, and the folder that nodes keep their journals in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fake = FakeVenue([PAIR], clock_ns=time.time_ns, balances={"USDT": 100_000})
        self.market = self.fake.market

    def quote(self) -> None:
        self.market.quote(PAIR.id, 99.99, 100.01)

    def account(self) -> wb.VenueAccount:
        return wb.VenueAccount(FAKE, ACCOUNT, settings=QUICK, fake=self.fake)

    def node(self, desk: wb.Strategy, **given: Any) -> wb.TradingNode:
        settings = {"journal": "default", "data_folder": self.folder, "limits": LIMITS}
        settings |= {"stall_threshold_s": 60}  # a slow machine makes no price stale
        given = {"account": self.account(), "data": self.account().data(), **given}
        venue = given.pop("venue", wb.SimulatedVenue())
        settings |= given.pop("settings", {})
        config = wb.TradingNodeConfig(**settings)
        return wb.sandbox(desk, instrument=PAIR, venue=venue, config=config, **given)

    @property
    def placed(self) -> list[Any]:
        return list(self.market.orders.values())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def play(place: Place, node: wb.TradingNode, act: Callable[[], Awaitable[None]]) -> None:
    """Run a node, let a test act, and stop it."""

    async def main() -> None:
        node.build()
        task = asyncio.create_task(node.run_async())
        try:
            await until(lambda: node.phase == "running", node)
            while node.core.cache.quote(PAIR.id) is None:
                place.quote()
                await asyncio.sleep(0.005)
            await act()
        finally:
            await node.stop_async()
            await task

    asyncio.run(main())
    node.dispose()


def _holds(node: wb.TradingNode, account_id: str) -> set[str]:
    """Return the currencies of an account, as its venue has told of it."""
    account = node.core.cache.account(account_id)
    assert account is not None
    return {one.currency.code for one in account.balances if one.total}


def test_the_same_strategy_object_goes_on_at_the_account(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        bought, resting = desk.buy(3), desk.rest()
        await until(lambda: bought.is_closed and resting.is_open, node)
        assert place.placed == []
        for _ in range(7):
            place.quote()
        await until(lambda: desk.average.is_ready, node)
        average, strategies = desk.average, node.strategies
        report = await node.promote_async(confirm=ACCOUNT, rules=RULES)
        assert node.strategies[0] is desk is strategies[0]
        assert desk.average is average
        assert average.is_ready
        assert node.promoted == {"Desk-001": ACCOUNT}
        assert resting.status is OrderStatus.CANCELED
        assert not node.core.cache.positions_open()
        assert report.moved.closed == {PAIR.id: D(3)}
        assert len(report.moved.cancelled) == 1
        assert report.moved.left == ()
        assert desk.heard[-2:] == ["PositionClosed", "OrderFilled"] or desk.heard[-2:] == [
            "OrderFilled",
            "PositionClosed",
        ]
        assert place.placed == []
        live = desk.buy(2)
        await until(lambda: live.is_closed, node)
        assert live.status is OrderStatus.FILLED, desk.denials
        assert live.account_id == ACCOUNT
        assert len(place.placed) == 1
        held = desk.position(PAIR.id)
        assert held is not None
        assert (held.account_id, held.signed_quantity) == (ACCOUNT, D(2))
        assert node.core.cache.account(PAPER) is not None
        await until(lambda: _holds(node, ACCOUNT) == {"BTC", "USDT"}, node)
        assert report.certificate is not None
        assert report.certificate.verify(desk) == []

    play(place, node, act)
    said = list(node.journal().messages(JournalKind.PROMOTION))
    assert [record.message.action for record in said] == ["promoted"]


def test_a_dry_run_shows_everything_and_changes_nothing(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        bought = desk.buy(3)
        await until(lambda: bought.is_closed, node)
        report = await node.promote_async(dry_run=True, rules=RULES, position="open")
        assert report.is_dry_run
        assert report.checklist.passed
        assert report.moved.closed == report.moved.opened == {PAIR.id: D(3)}
        assert report.certificate is None
        assert "may be promoted" in repr(report)
        assert "<table" in report._repr_html_()
        assert node.promoted == {}
        assert desk.position(PAIR.id) is not None

    play(place, node, act)
    assert not list(node.journal().messages(JournalKind.PROMOTION))


def test_an_equal_position_is_opened_at_the_venue_by_choice(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        bought = desk.buy(3)
        await until(lambda: bought.is_closed, node)
        await node.promote_async(confirm=ACCOUNT, rules=RULES, position="open")
        await until(lambda: desk.position(PAIR.id) is not None, node)
        held = desk.position(PAIR.id)
        assert held is not None
        assert (held.account_id, held.signed_quantity) == (ACCOUNT, D(3))

    play(place, node, act)


def test_what_is_on_its_way_to_the_simulated_exchange_ends_there(place: Place) -> None:
    desk = Desk()
    slow = wb.SimulatedVenue(latency=wb.LatencyModel(base_ns=3_600_000_000_000))
    node = place.node(desk, venue=slow)

    async def act() -> None:
        order = desk.buy(3)
        await until(lambda: order.status is OrderStatus.SUBMITTED, node)
        report = await node.promote_async(confirm=ACCOUNT, rules=RULES)
        assert order.is_closed
        assert report.moved.left == ()
        assert not node.core.cache.positions_open()

    play(place, node, act)


def test_no_order_reaches_the_account_without_promotion(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        for named in ({"account_id": ACCOUNT}, {"client_id": ACCOUNT}):
            order = desk.buy(1, **named)
            await until(lambda order=order: order.is_closed, node)  # type: ignore[misc]
            assert order.status is OrderStatus.DENIED
        assert [denial.code for denial in desk.denials] == ["NOT_PROMOTED"] * 2
        assert "node.promote" in desk.denials[0].reason
        assert place.placed == []

    play(place, node, act)


Break = Callable[[Place, wb.TradingNode, Desk], object]


@pytest.mark.parametrize(
    ("point", "rules", "spoil"),
    [
        ("duration", {"min_duration_s": 3600}, None),
        ("orders", {"min_fills": 1}, None),
        ("orders", {"min_orders": 1}, None),
        ("stalls", {"max_stall_s": 0}, lambda *_: time.sleep(0.6)),
        ("venue", {}, lambda place, *_: _cut(place)),
        ("clock", {"max_clock_skew_s": 0.5}, None),
        ("credentials", {}, lambda place, *_: _forbid(place)),
        ("node", {}, lambda _, node, __: node.set_trading_state("reducing")),
        ("code", {}, lambda *_: setattr(Desk, "rest", lambda self: None)),
        ("lease", {}, lambda _, node, __: _lose_lease(node)),
    ],
)
def test_each_point_refuses_by_name(
    place: Place,
    point: str,
    rules: dict[str, Any],
    spoil: Break | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Desk, "rest", Desk.rest)  # put back afterwards
    if point == "clock":
        place.fake.skew_ns = 2_000_000_000
    desk = Desk()
    node = place.node(desk, settings={"stall_threshold_s": 0.25} if point == "stalls" else {})
    asked = wb.PromotionRules(
        **{"min_duration_s": 0, "min_orders": 0, "min_fills": 0, "max_stall_s": 60, **rules}
    )

    async def act() -> None:
        if spoil is not None:
            spoil(place, node, desk)
            await asyncio.sleep(0.05)
            await until(lambda: node.stalls or point != "stalls", node)
        with pytest.raises(wb.PromotionError) as caught:
            await node.promote_async(confirm=ACCOUNT, rules=asked)
        checklist = caught.value.checklist
        assert checklist is not None
        assert point in checklist.failed
        assert node.promoted == {}
        assert f"✗ {point}" in str(caught.value)

    play(place, node, act)


def _cut(place: Place) -> None:
    place.fake.freeze()
    place.fake.break_connections()


def _forbid(place: Place) -> None:
    place.fake.permissions = Permissions(may_trade=False)


def _lose_lease(node: wb.TradingNode) -> None:
    journaling = node._journaling
    assert journaling is not None
    lease = journaling.port(ACCOUNT).lease  # type: ignore[arg-type]
    assert lease is not None
    lease.give_back()


def test_the_account_must_be_named_once_more(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        for confirm in ("", "FAKE-002", PAPER):
            with pytest.raises(wb.PromotionError, match="confirm='FAKE-001'"):
                await node.promote_async(confirm=confirm, rules=RULES)
        assert (await node.checklist_async(rules=RULES)).passed

    play(place, node, act)
    actions = [r.message.action for r in node.journal().messages(JournalKind.PROMOTION)]
    assert actions == ["refused"] * 3


def test_limits_must_be_set(place: Place) -> None:
    node = place.node(Desk(), settings={"limits": wb.RiskLimits()})

    async def act() -> None:
        with pytest.raises(wb.PromotionError, match="max_order_quantity or max_notional"):
            await node.promote_async(confirm=ACCOUNT, rules=RULES)

    play(place, node, act)


def test_made_up_markets_and_replays_promote_nothing(place: Place) -> None:
    with pytest.raises(ConfigError, match="promotes nothing"):
        place.node(Desk(), data=wb.Synthetic(PAIR))
    with pytest.raises(ConfigError, match="promotes nothing"):
        place.node(Desk(), data="synthetic")


def test_a_swap_begins_the_evidence_anew(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        order = desk.buy()
        await until(lambda: order.is_closed, node)
        before = (await node.checklist_async(rules=RULES))["orders"]
        assert before.found == "1 orders, 1 fills"
        node.swap_strategy(desk, Changed)
        after = await node.checklist_async(rules=RULES)
        assert after["orders"].found == "0 orders, 0 fills"
        assert after["code"].passed
        await node.promote_async(confirm=ACCOUNT, rules=RULES)
        with pytest.raises(LifecycleError, match="trades live"):
            node.swap_strategy(desk, Desk)

    play(place, node, act)


def test_a_restart_goes_on_at_the_account(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def first() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)
        order = desk.buy(2)
        await until(lambda: order.is_closed, node)

    play(place, node, first)
    again = Desk()
    second = place.node(again)

    async def then() -> None:
        assert second.promoted == {"Desk-001": ACCOUNT}
        held = again.position(PAIR.id)
        assert held is not None
        assert held.signed_quantity == 2
        order = again.buy(1)
        await until(lambda: order.is_closed, second)
        assert order.account_id == ACCOUNT
        assert len(place.placed) == 2

    play(place, second, then)


def test_changed_code_is_refused_until_demoted(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def first() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)

    play(place, node, first)
    changed = type("Desk", (Changed,), {})
    for strategy, problem in ((changed(), "on_quote"), (Desk(period=7), "period")):
        other = place.node(strategy)
        with pytest.raises(wb.PromotionError, match=problem):
            other.build()
        assert other.state == "CREATED"
    other = place.node(changed())
    report = other.demote("Desk-001")
    assert report.account_id == ACCOUNT
    other.build()
    assert other.promoted == {}
    other.dispose()


def test_a_promoted_strategy_without_its_account_is_refused(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)

    async def first() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)

    play(place, node, first)
    bare = place.node(Desk(), account=None)
    with pytest.raises(wb.PromotionError, match=r"account=wb\.VenueAccount"):
        bare.build()
    live = wb.live(Desk(), venue=place.account(), instrument=PAIR, config=bare.config)
    live.build()
    assert live.promoted == {"Desk-001": ACCOUNT}
    live.dispose()


@pytest.mark.parametrize("position", ["leave", "close"])
def test_demotion_is_the_way_back(place: Place, position: str) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        with pytest.raises(wb.PromotionError, match="not promoted"):
            await node.demote_async()
        await node.promote_async(confirm=ACCOUNT, rules=RULES)
        bought, resting = desk.buy(2), desk.rest()
        await until(lambda: bought.is_closed and resting.is_open, node)
        report = await node.demote_async(position=position)
        assert resting.status is OrderStatus.CANCELED
        assert node.promoted == {}
        if position == "close":
            assert report.moved.left == ()
            assert not node.core.cache.positions_open()
        else:
            left = f"position 2 {PAIR.id}"
            assert report.moved.left == (left,)
            assert not node.is_live  # the mark says nevertheless where real money is
            assert f"orders: PAPER {PAPER}, LIVE {ACCOUNT} (left open: {left})" in repr(node)
            assert f"LIVE {ACCOUNT} (left open: {left})" in node._repr_html_()  # pyright: ignore[reportPrivateUsage]
            assert [one.left for one in node.snapshot().strategies[0].destinations] == [(), (left,)]
        count = len(place.placed)
        order = desk.buy(1)
        await until(lambda: order.is_closed, node)
        assert order.account_id == PAPER
        assert len(place.placed) == count
        for one in node.core.cache.positions_open():
            if one.account_id == ACCOUNT:
                desk.close_position(one)
        await until(lambda: all(p.account_id == PAPER for p in node.core.cache.positions_open()))
        assert f"orders: PAPER {PAPER};" in repr(node) + ";"

    play(place, node, act)
    assert standing(node.journal()) == {}


def test_promotion_in_words_that_do_not_fit_is_refused(place: Place) -> None:
    desk = Desk()
    node = place.node(desk)
    with pytest.raises(LifecycleError):
        node.promote(confirm=ACCOUNT)

    async def act() -> None:
        with pytest.raises(ConfigError, match="'close' or 'open'"):
            await node.promote_async(confirm=ACCOUNT, position="keep")
        with pytest.raises(ConfigError, match="no strategy 'Other'; its strategies: Desk-001"):
            await node.promote_async("Other", confirm=ACCOUNT)
        with pytest.raises(ConfigError, match=r"account is one of FAKE-001; got 'X'"):
            await node.promote_async(account="X", confirm="X")
        with pytest.raises(ConfigError, match=r"wb\.PromotionRules"):
            await node.promote_async(confirm=ACCOUNT, rules={"min_fills": 1})  # type: ignore[arg-type]
        await node.promote_async(confirm=ACCOUNT, rules=RULES)
        with pytest.raises(wb.PromotionError, match="promoted to account FAKE-001 already"):
            await node.promote_async(confirm=ACCOUNT, rules=RULES)

    play(place, node, act)


def test_two_strategies_of_one_node_are_promoted_one_by_one(place: Place) -> None:
    one, other = Desk(), Desk()
    node = place.node([one, other])  # type: ignore[arg-type]

    async def act() -> None:
        with pytest.raises(ConfigError, match="several strategies; say which: Desk-001, Desk-002"):
            await node.promote_async(confirm=ACCOUNT, rules=RULES)
        await node.promote_async(other, confirm=ACCOUNT, rules=RULES)
        mine, theirs = one.buy(1), other.buy(2)
        await until(lambda: mine.is_closed and theirs.is_closed, node)
        assert (mine.account_id, theirs.account_id) == (PAPER, ACCOUNT)
        assert node.promoted == {"Desk-002": ACCOUNT}

    play(place, node, act)
