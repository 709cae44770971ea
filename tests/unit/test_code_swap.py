"""Exchanging a strategy's code: what stays, what follows the new class, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

import workbench as wb
from workbench.model.errors import ConfigError
from workbench.trading.code_swap import CodeSwap

BARS = wb.sample_bars(40)
PAIR = wb.CurrencyPair.define("BTC/USDT.SIM", price_increment="0.01", quantity_increment="0.001")


class Before(wb.Strategy):
    limit: float = 1.0
    size: int = 3
    names: list[str] = ["a"]  # noqa: RUF012 - a parameter's default

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_bars("1-minute-last")

    def on_bar(self, bar: wb.Bar) -> None:
        self.count += 1


def ran(**parameters: Any) -> Before:
    """An object that has run, and so has state."""
    strategy = Before(**parameters)
    wb.backtest(strategy, BARS, instrument=PAIR)
    assert strategy.count == 40
    return strategy


def after(**members: Any) -> type[wb.Strategy]:
    """A subclass of `wb.Strategy` called After with these annotations and members."""
    annotations = {name: type(value) for name, value in members.items() if not callable(value)}
    return type("After", (wb.Strategy,), {"__annotations__": annotations, **members})


def test_state_stays_and_the_code_is_the_new_one() -> None:
    strategy = ran(limit=2.0)

    class After(wb.Strategy):
        limit: float = 1.0
        size: int = 3
        names: list[str] = ["a"]  # noqa: RUF012 - a parameter's default

        def doubled(self) -> float:
            return self.limit * 2

    swap = CodeSwap(strategy, After)
    swap.do()
    assert type(strategy) is After
    assert strategy.doubled() == 4.0  # pyright: ignore
    assert strategy.count == 40
    assert swap.changes == ()
    assert swap.old != swap.new
    swap.undo()
    assert type(strategy) is Before
    assert strategy.parameters == {"limit": 2.0, "size": 3, "names": ["a"]}


def test_a_default_follows_the_class_and_what_was_given_stays() -> None:
    strategy = ran(size=7)
    swap = CodeSwap(strategy, after(limit=2.5, size=4, names=["a"]))
    swap.do()
    assert (strategy.limit, strategy.size, strategy.names) == (2.5, 7, ["a"])
    assert dict(strategy.parameters) == {"limit": 2.5, "size": 7, "names": ["a"]}
    assert swap.changes == (
        "limit=2.5, which was 1.0",
        "size=7 as it was given, though the default is 4",
    )
    swap.undo()
    assert (strategy.limit, strategy.size, strategy.parameters["limit"]) == (1.0, 7, 1.0)


def test_new_parameters_have_their_defaults_and_those_that_are_gone_are_named() -> None:
    strategy = ran()
    swap = CodeSwap(strategy, after(limit=1.0, floor=0.5, names=["a"]))
    swap.do()
    assert strategy.floor == 0.5  # pyright: ignore
    assert swap.changes == ("floor=0.5 is new", "size is no parameter any more")
    assert "size" not in strategy.parameters
    swap.undo()
    assert not hasattr(strategy, "floor")
    assert strategy.parameters["size"] == 3


def test_a_parameter_that_becomes_a_constant_of_the_class_is_that_constant() -> None:
    strategy = ran(size=7)
    kind = type("After", (wb.Strategy,), {"size": 9})
    swap = CodeSwap(strategy, kind)
    swap.do()
    assert strategy.size == 9
    swap.undo()
    assert strategy.size == 7


def test_what_was_swapped_is_as_it_was_made_in_its_next_life() -> None:
    strategy = ran(size=7)
    CodeSwap(strategy, after(limit=5.0, size=4)).do()
    wb.backtest(strategy, BARS, instrument=PAIR)
    assert (strategy.limit, strategy.size) == (5.0, 7)
    assert not hasattr(strategy, "count")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (wb.Actor, "goes on with another subclass of wb.Strategy"),
        (wb.Strategy, "goes on with a class of your own"),
        (object, "goes on with another subclass of wb.Strategy"),
        (7, "goes on with another subclass of wb.Strategy; got 7"),
        (type("A", (wb.Strategy,), {"__annotations__": {"must": int}}), "needs a value for its"),
        (type("A", (wb.Strategy,), {"__annotations__": {"size": str}}), "size=7 does not fit"),
        (type("A", (wb.Strategy,), {"__annotations__": {"cache": int}}), "choose another name"),
        (type("A", (wb.Strategy,), {"on_quotes": print}), "did you mean on_quote"),
        (type("A", (wb.Strategy,), {"__slots__": ("own",)}), "cannot become a A"),
    ],
)
def test_a_class_that_cannot_take_over_changes_nothing(kind: Any, said: str) -> None:
    strategy = ran(size=7)
    known = dict(vars(strategy))
    with pytest.raises(ConfigError, match=said):
        CodeSwap(strategy, kind).do()
    assert type(strategy) is Before
    assert vars(strategy) == known


def test_an_actor_does_not_become_a_strategy() -> None:
    with pytest.raises(ConfigError, match="sends no orders"):
        CodeSwap(wb.Actor(), Before)


def test_what_only_on_start_would_set_is_asked_for_before() -> None:
    class After(Before):
        def on_start(self) -> None:
            super().on_start()
            self.average = wb.EMA(3)
            self.unread = 1

        def on_bar(self, bar: wb.Bar) -> None:
            self.later = self.average.update(bar.close)

        def on_quote(self, quote: wb.Quote) -> None:
            print(self.later)

    strategy = ran()
    with pytest.raises(ConfigError, match=r"on_bar reads self\.average, which is not there yet"):
        CodeSwap(strategy, After)
    strategy.average = wb.EMA(3)  # pyright: ignore
    CodeSwap(strategy, After).do()
    assert type(strategy) is After
    CodeSwap(Before(), After).do()  # its on_start is still to come


def test_what_an_own_init_sets_is_asked_for_too() -> None:
    class After(Before):
        def __init__(self) -> None:
            self.seen = 0

        def on_bar(self, bar: wb.Bar) -> None:
            self.seen += 1

    with pytest.raises(ConfigError, match=r"self\.seen, which is not there yet"):
        CodeSwap(ran(), After)


CELL = """
import workbench as wb

def near(value):
    return value < 1

class Cross(wb.Strategy):
    def on_bar(self, bar):
        return near(bar.close)
"""


def test_a_swap_sees_what_the_code_calls_and_an_equal_cell_is_the_same_code() -> None:
    def defined(cell: str) -> type[wb.Strategy]:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(cell, namespace)
        return namespace["Cross"]

    strategy = defined(CELL)()
    same = CodeSwap(strategy, defined("# a comment\n\n" + CELL))
    assert (len(same.old), same.new) == (12, same.old)
    assert CodeSwap(strategy, defined(CELL.replace("value < 1", "value < 2"))).new != same.old
