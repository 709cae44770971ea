"""Linked orders at the simulated exchange: OCO, OTO, OUO and brackets, whole and in part."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.test_exchange import SHARE, Script, Step, bar, quote, run
from workbench.model import events as e
from workbench.model.enums import OrderStatus
from workbench.model.instruments import Equity

D = Decimal
GOLD = Equity.define("GOLD.SIM", price_increment="1")


def q(ts: int, bid: float, ask: float, *sizes: float) -> Any:
    return quote(ts, bid, ask, *sizes, instrument=SHARE)


def submit(s: Script, made: Any) -> None:
    s.mine.extend(made)
    s.submit_order_list(made)


def bracket(side: str = "buy", quantity: int = 10, **prices: Any) -> Step:
    chosen = {"stop_loss": "9.50", "take_profit": "10.50", **prices}
    return lambda s: submit(s, s.orders.bracket(SHARE.id, side, quantity, **chosen))


def siblings(kind: str, *quantities: int) -> Step:
    """Return a step that sends a sale above and a stop below, linked."""

    def step(s: Script) -> None:
        above, below = quantities
        submit(
            s,
            getattr(s.orders, kind)(
                s.orders.limit(SHARE.id, "sell", above, "10.50"),
                s.orders.stop_market(SHARE.id, "sell", below, "9.50"),
            ),
        )

    return step


def states(script: Script) -> list[str]:
    return [order.status.value for order in script.mine]


def fills(script: Script) -> list[tuple[int, Decimal, Decimal]]:
    """Return (order, quantity, price) of every fill."""
    number = {order.client_order_id: n for n, order in enumerate(script.mine)}
    return [
        (number[x.client_order_id], x.quantity, x.price)
        for x in script.heard
        if isinstance(x, e.OrderFilled)
    ]


START = q(1, 10.0, 10.1)


def test_a_market_entry_fills_before_its_exits_work_and_each_is_there_once() -> None:
    script, engine = run([bracket()], [START], SHARE)
    assert states(script) == ["filled", "accepted", "accepted"]
    assert script.told(1) == script.told(2) == ["Initialized", "Submitted", "Accepted"]
    exchange = engine.exchanges[0]
    exchange.process(q(2, 10.6, 10.7))
    exchange.process(q(3, 9.0, 9.1))
    assert exchange.open_orders() == []
    # What was filled once is not there a second time.
    assert exchange.held.quantities() == []


@pytest.mark.parametrize(
    ("then", "filled"), [(q(2, 10.5, 10.6), (2, "10.50")), (q(2, 9.4, 9.5), (1, "9.40"))]
)
def test_one_exit_of_a_bracket_fills_and_the_other_is_cancelled(
    then: Any, filled: tuple[int, str]
) -> None:
    script, engine = run([bracket()], [START, then], SHARE)
    number, price = filled
    assert fills(script) == [(0, D(10), D("10.10")), (number, D(10), D(price))]
    assert script.mine[3 - number].status is OrderStatus.CANCELED
    assert engine.core.portfolio.net_position(SHARE.id) == 0


def gold(**prices: Any) -> Step:
    return lambda s: submit(s, s.orders.bracket(GOLD.id, "buy", 1, **prices))


class GoldScript(Script):
    def on_start(self) -> None:
        super().on_start()
        self.subscribe_bars(f"{GOLD.id}-1-minute-last")


def gold_bars(*rows: tuple[float, float, float, float]) -> list[Any]:
    from workbench.model.data import BarType

    kind = BarType.parse(f"{GOLD.id}-1-minute-last")
    return [bar(n, row, kind=kind) for n, row in enumerate(rows, 1)]


@pytest.mark.parametrize(
    ("prices", "path", "expected"),
    [
        # Down to 1480: the entry, then its stop.
        ((1495, 1490, 1520), (1500, 1510, 1480, 1495), [(0, 1495), (1, 1490)]),
        # The take-profit is above the entry, where the bar had been before: only the close is left.
        ((1495, 1470, 1505), (1500, 1510, 1480, 1495), [(0, 1495)]),
        ((1495, 1470, 1490), (1500, 1510, 1480, 1495), [(0, 1495), (2, 1495)]),
        # Down to the entry and up again to the take-profit.
        ((1485, 1470, 1492), (1500, 1510, 1480, 1495), [(0, 1485), (2, 1492)]),
    ],
)
def test_entry_and_exit_in_one_bar_go_by_its_path(
    prices: tuple[int, int, int], path: tuple[float, float, float, float], expected: list[Any]
) -> None:
    entry, stop, profit = prices
    step = gold(entry_price=entry, stop_loss=stop, take_profit=profit)
    flat = (1500.0, 1500.0, 1500.0, 1500.0)
    script, _ = run([GoldScript(steps=[step])], gold_bars(flat, path), GOLD)
    assert [(number, int(price)) for number, _, price in fills(script)] == expected


def test_with_adaptive_bars_the_nearer_low_comes_first() -> None:
    step = gold(entry_price=1495, stop_loss=1470, take_profit=1505)
    bars = gold_bars((1500, 1500, 1500, 1500), (1500, 1520, 1490, 1510))
    script, _ = run([GoldScript(steps=[step])], bars, GOLD, bar_path="adaptive")
    assert [int(price) for _, _, price in fills(script)] == [1495, 1505]


def test_exits_work_for_as_much_as_the_entry_has_filled() -> None:
    data = [START, q(2, 9.8, 9.9, 5, 4), q(3, 9.7, 9.8, 5, 5), q(4, 9.4, 9.45, 5, 5)]
    script, engine = run([bracket(entry_price="9.90")], data, SHARE)
    assert fills(script)[:2] == [(0, D(4), D("9.90")), (0, D(6), D("9.90"))]
    assert sum(quantity for number, quantity, _ in fills(script) if number == 1) == 10
    assert engine.core.portfolio.net_position(SHARE.id) == 0


def test_after_a_partial_entry_the_stop_closes_only_what_was_opened() -> None:
    script, _ = run(
        [bracket(entry_price="9.90"), None, lambda s: s.cancel_order(s.mine[0])],
        [START, q(2, 9.8, 9.9, 5, 4), q(3, 9.8, 9.95), q(4, 9.4, 9.45)],
        SHARE,
    )
    assert states(script) == ["canceled", "filled", "canceled"]
    assert script.mine[1].filled_quantity == 4


def test_a_take_profit_filled_in_part_leaves_the_stop_as_much_as_it_has_left() -> None:
    data = [START, q(2, 10.5, 10.6, 4, 4), q(3, 9.0, 9.1)]
    script, engine = run([bracket()], data, SHARE)
    assert fills(script)[1:] == [(2, D(4), D("10.50")), (1, D(6), D("9.00"))]
    assert states(script) == ["filled", "filled", "canceled"]
    assert engine.core.portfolio.net_position(SHARE.id) == 0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("oco", ["partially_filled", "canceled"]), ("ouo", ["partially_filled", "accepted"])],
)
def test_a_partial_fill_of_siblings(kind: str, expected: list[str]) -> None:
    script, _ = run([siblings(kind, 10, 10)], [START, q(2, 10.5, 10.6, 4, 4)], SHARE)
    assert states(script) == expected
    if kind == "ouo":
        assert script.mine[1].quantity == 6


def test_siblings_that_fill_while_they_are_placed_cancel_those_not_there_yet() -> None:
    def step(s: Script) -> None:
        orders = s.orders
        submit(
            s, orders.oco(orders.market(SHARE.id, "buy", 1), orders.limit(SHARE.id, "buy", 1, 9))
        )

    script, _ = run([step], [START], SHARE)
    assert script.told(1) == ["Initialized", "Submitted", "Canceled"]


def test_a_rejected_entry_takes_its_exits_with_it() -> None:
    def step(s: Script) -> None:
        o = s.orders
        parent = o.stop_market(SHARE.id, "buy", 1, "11.00", time_in_force="at_the_open")
        submit(s, o.oto(parent, o.limit(SHARE.id, "sell", 1, "12.00", reduce_only=True)))

    script, engine = run([step], [START, q(2, 12.5, 12.6)], SHARE)
    assert states(script) == ["rejected", "canceled"]
    assert engine.exchanges[0].open_orders() == []


@pytest.mark.parametrize("how", ["cancel", "expire", "ioc"])
def test_an_entry_that_ends_unfilled_takes_its_exits_with_it(how: str) -> None:
    options: dict[str, Any] = {
        "cancel": {},
        "expire": {"expire": 5},
        "ioc": {"time_in_force": "ioc"},
    }[how]
    end = (lambda s: s.cancel_order(s.mine[0])) if how == "cancel" else None
    script, _ = run(
        [bracket(entry_price="9.90", **options), end],
        [START, q(2, 10.0, 10.1), q(9, 9.0, 9.1)],
        SHARE,
    )
    assert states(script)[1:] == ["canceled", "canceled"]
    assert script.fills() == []


def test_a_child_that_waits_can_be_changed_and_cancelled() -> None:
    def change(s: Script) -> None:
        s.modify_order(s.mine[1], trigger_price="9.60")
        s.modify_order(s.mine[2], price="9.00")  # would take, if it worked already
        s.cancel_order(s.mine[2])

    data = [START, q(2, 10.0, 10.1), q(3, 9.8, 9.9), q(4, 9.55, 9.65)]
    script, engine = run([bracket(entry_price="9.90"), change], data, SHARE)
    assert states(script) == ["filled", "filled", "canceled"]
    assert script.mine[1].trigger_price == D("9.60")
    assert "ModifyRejected" not in script.told(2)
    assert engine.core.portfolio.net_position(SHARE.id) == 0


def test_a_child_that_waits_locks_nothing_even_when_it_is_changed() -> None:
    def two(s: Script) -> None:
        o = s.orders
        parent = o.limit(SHARE.id, "buy", 10, "9.00")
        submit(s, o.oto(parent, o.limit(SHARE.id, "buy", 10, "8.00")))

    script, engine = run(
        [two, lambda s: s.modify_order(s.mine[1], price="8.50")],
        [START, q(2, 10.0, 10.1)],
        SHARE,
        account_type="cash",
        starting_balances="1_000 USD",
    )
    (balance,) = engine.exchanges[0].account.state(0).balances
    assert balance.locked == 90
    assert script.mine[1].price == D("8.50")


def test_children_that_do_not_only_reduce_wait_for_all_of_their_parent() -> None:
    def step(s: Script) -> None:
        o = s.orders
        child = o.market(SHARE.id, "buy", 3)
        submit(s, o.oto(o.limit(SHARE.id, "buy", 10, "9.90"), child))

    data = [START, q(2, 9.8, 9.9, 5, 4), q(3, 9.7, 9.8)]
    script, _ = run([step], data[:2], SHARE)
    assert states(script) == ["partially_filled", "accepted"]
    script, _ = run([step], data, SHARE)
    assert fills(script)[-1] == (1, D(3), D("9.80"))


def test_an_auction_child_waits_for_its_parent_then_for_the_next_auction() -> None:
    from tests.unit.test_exchange_orders import NEW_YORK, timed

    def step(s: Script) -> None:
        o = s.orders
        child = o.market(SHARE.id, "sell", 1, time_in_force="at_the_close", reduce_only=True)
        submit(s, o.oto(o.limit(SHARE.id, "buy", 1, "9.00"), child))

    # The first close passes before the entry fills.
    data = timed(("19:00", 10.0), ("20:30", 10.0), ("21:00", 8.9))
    script, engine = run([step], data, SHARE, session=NEW_YORK)
    assert states(script) == ["filled", "accepted"]
    assert len(engine.exchanges[0].times) == 1


def test_hedged_exits_close_the_position_of_their_own_entry() -> None:
    script, engine = run(
        [bracket(), bracket("sell", stop_loss="10.80", take_profit="9.80")],
        [START, q(2, 10.0, 10.1), q(3, 10.5, 10.6)],
        SHARE,
        order_management="hedging",
    )
    assert states(script) == ["filled", "canceled", "filled", "filled", "accepted", "accepted"]
    assert engine.exchanges[0].held.quantities() == [-10]
    (left,) = engine.core.cache.positions_open()
    assert (left.signed_quantity, left.position_id) == (-10, f"P-{script.mine[3].client_order_id}")


def test_what_goes_beyond_a_named_position_opens_one_of_the_orders_own() -> None:
    def beyond(s: Script) -> None:
        (held,) = s.cache.positions_open()
        s.send(s.orders.market(SHARE.id, "sell", 25, position_id=held.position_id))

    def reduce(s: Script) -> None:
        (held,) = s.cache.positions_open()
        s.send(
            s.orders.limit(
                SHARE.id, "buy", 15, "10.50", position_id=held.position_id, reduce_only=True
            )
        )

    script, engine = run(
        [lambda s: s.market("buy", 10, SHARE), beyond, reduce],
        [q(ts, 10.0, 10.1) for ts in range(1, 5)],
        SHARE,
        order_management="hedging",
    )
    assert script.mine[1].filled_quantity == 25
    assert [order.status.value for order in script.mine] == ["filled", "filled", "filled"]
    assert engine.exchanges[0].held.quantities() == []
    assert engine.core.portfolio.net_position(SHARE.id) == 0
