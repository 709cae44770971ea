"""Code that changes while its strategy is promoted: nothing of it opens anything any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest

import workbench as wb
from tests.integration.test_node_promotion import ACCOUNT, PAIR, RULES, Changed, Desk, Place, play
from tests.waiting import until
from workbench.model.enums import OrderStatus

D = Decimal
ChangeCode = Callable[[wb.TradingNode], Awaitable[None]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def change_code(monkeypatch: pytest.MonkeyPatch) -> ChangeCode:
    """Return what changes the code of a promoted `Desk`, and ends once its node has seen it."""
    every = "workbench.node.promotion.auditions._LOOK_NS"
    monkeypatch.setattr(every, 300_000_000)  # a look takes longer where coverage is measured

    async def change(node: wb.TradingNode) -> None:
        monkeypatch.setattr(Desk, "on_quote", Changed.on_quote)
        await until(lambda: any(r.code for r in node.core.routes.all().values()), node)
        monkeypatch.setattr(every, 5_000_000_000)

    return change


def test_code_that_changes_while_promoted_sends_nothing_new(
    place: Place, change_code: ChangeCode
) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)
        order = desk.buy(2)
        await until(lambda: order.is_closed, node)
        await change_code(node)
        denied = desk.buy(1)
        await until(lambda: denied.is_closed, node)
        assert desk.denials[-1].code == "STRATEGY_CHANGED"
        assert "on_quote" in desk.denials[-1].reason
        held = desk.position(PAIR.id)
        desk.close_position(held)  # what reduces may still leave
        await until(lambda: desk.position(PAIR.id) is None, node)

    play(place, node, act)


def test_of_what_is_held_here_when_the_code_changes_only_what_reduces_leaves(
    place: Place, change_code: ChangeCode
) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)
        bought = desk.buy(2)
        await until(lambda: bought.is_closed, node)
        held = {"emulation_trigger": "bid_ask"}
        entry = desk.orders.stop_market(PAIR.id, "buy", 1, "110", **held)  # type: ignore[arg-type]
        stop = desk.orders.stop_market(PAIR.id, "sell", 2, "90", reduce_only=True, **held)  # type: ignore[arg-type]
        desk.submit_order(entry)
        desk.submit_order(stop)
        await until(lambda: len(node.core.emulator.held) == 2, node)
        await change_code(node)
        count = len(place.placed)
        place.market.quote(PAIR.id, 110.0, 110.5)
        await until(lambda: entry.is_closed, node)
        assert entry.reason.startswith("STRATEGY_CHANGED: it is not what was promoted: Desk.on_q")
        assert len(place.placed) == count
        place.market.quote(PAIR.id, 89.5, 90.0)
        await until(lambda: stop.status is OrderStatus.FILLED, node)
        assert stop.account_id == ACCOUNT

    play(place, node, act)


def test_a_changed_strategy_grows_no_order_of_the_account(
    place: Place, change_code: ChangeCode
) -> None:
    desk = Desk()
    node = place.node(desk)

    async def act() -> None:
        await node.promote_async(confirm=ACCOUNT, rules=RULES)
        resting = desk.rest("80")
        await until(lambda: resting.is_open, node)
        await change_code(node)
        desk.modify_order(resting, quantity=50)
        await until(lambda: "OrderModifyRejected" in desk.heard, node)
        assert resting.quantity == D(2)
        desk.cancel_order(resting)
        await until(lambda: resting.is_closed, node)

    play(place, node, act)
