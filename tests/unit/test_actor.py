"""Actors and strategies outside a run: lives, timers, bar types, what they refuse."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workbench.model import events as e
from workbench.model.data import BarType, Quote
from workbench.model.errors import (
    ConfigError,
    InstrumentError,
    LifecycleError,
    StrategyError,
)
from workbench.model.instruments import CurrencyPair
from workbench.runtime.channels import Channels
from workbench.runtime.clock import SimulatedClock
from workbench.runtime.lifecycle import ComponentState
from workbench.runtime.senders import Senders
from workbench.sim.simulated_time import SimulatedTime
from workbench.trading import Actor, Strategy, TradingCore

PAIR = CurrencyPair.define("AUD/USD.SIM")
OTHER = CurrencyPair.define("EUR/USD.SIM")


def core_with(*actors: Actor, instruments: tuple[CurrencyPair, ...] = (PAIR,)) -> TradingCore:
    channels = Channels.plain()
    core = TradingCore(SimulatedClock(10), channels, Senders(channels, "test"), run_tag="T")
    for instrument in instruments:
        core.cache.add_instrument(instrument)
    for actor in actors:
        core.add_actor(actor)
    return core


def pass_time(core: TradingCore, to_ns: int) -> None:
    clock: Any = core.clock
    SimulatedTime(clock, core.senders.time_event.send, core.dispatcher.drain).advance(to_ns)


class Lives(Strategy):
    """Writes its life into a list outside itself."""

    diary: Any = None

    def __init__(self) -> None:
        self.made = "new"

    def on_start(self) -> None:
        self.diary.lines.append(f"start {self.made}")
        self.made = "used"

    def on_stop(self) -> None:
        self.diary.lines.append("stop")

    def on_reset(self) -> None:
        self.diary.lines.append("reset")

    def on_dispose(self) -> None:
        self.diary.lines.append("dispose")


class Page:
    def __init__(self) -> None:
        self.lines: list[str] = []


def test_one_object_begins_each_life_as_it_was_made() -> None:
    page = Page()
    strategy = Lives(diary=page)
    for _ in range(2):
        core = core_with(strategy)
        core.start_actors()
        core.stop_actors()
        for actor in core.actors:
            actor.dispose()
    assert page.lines == [
        *("start new", "stop", "dispose"),
        *("reset", "start new", "stop", "dispose"),
    ]
    strategy.reset()
    assert (strategy.state, strategy.made) == (ComponentState.READY, "new")


def test_a_running_strategy_cannot_be_part_of_something_else_or_be_reset() -> None:
    strategy = Lives(diary=Page())
    core_with(strategy).start_actors()
    with pytest.raises(LifecycleError, match="Lives-001 is RUNNING elsewhere"):
        core_with(strategy)
    with pytest.raises(LifecycleError, match="cannot reset a RUNNING Lives-001"):
        strategy.reset()


def test_an_exception_in_on_reset_names_the_strategy() -> None:
    class Broken(Strategy):
        def on_reset(self) -> None:
            raise ValueError("no")

    broken = Broken()
    core_with(broken)
    with pytest.raises(StrategyError, match="Broken-001 raised ValueError in on_reset"):
        core_with(broken)


def test_a_changed_parameter_is_refused_with_what_to_do() -> None:
    class Cross(Strategy):
        fast: int = 10
        names: list[str] = ["a"]  # noqa: RUF012 - a parameter's default

    changed = Cross()
    changed.fast = 20
    with pytest.raises(ConfigError, match="'fast' is a parameter of Cross and was changed to 20"):
        core_with(changed)
    grown = Cross()
    grown.names.append("b")
    with pytest.raises(ConfigError, match=r"make a new object with names=\.\.\. instead"):
        core_with(grown)
    kept = Cross()
    core_with(kept)
    core_with(kept)


def test_outside_a_node_it_says_what_to_do() -> None:
    strategy = Strategy()
    for use in (
        lambda: strategy.cache,
        lambda: strategy.portfolio,
        lambda: strategy.position("AUD/USD.SIM"),
    ):
        with pytest.raises(LifecycleError, match="not in a node or backtest yet"):
            use()


def test_names_count_up_and_the_representation_shows_parameters_and_state() -> None:
    class Cross(Strategy):
        fast: int = 10

    first, second = Cross(), Cross(fast=3)
    core = core_with(first, second)
    assert [first.component_id, second.strategy_id] == ["Cross-001", "Cross-002"]
    assert repr(second) == "Cross(fast=3)"
    core.start_actors()
    assert "<b>Cross-002</b> (running)" in second._repr_html_()
    assert second.log.name == "workbench.strategy.Cross-002"
    assert core.portfolio is first.portfolio


def test_the_only_instrument_need_not_be_named() -> None:
    actor = Actor()
    core_with(actor)
    assert actor.instrument is PAIR
    assert actor.bar_type("1-minute-last") == BarType.parse("AUD/USD.SIM-1-minute-last")
    both = Actor()
    core_with(both, instruments=(PAIR, OTHER))
    with pytest.raises(InstrumentError, match=r"2 instruments are known \(AUD/USD\.SIM, EUR"):
        both.subscribe_quotes()
    kind = BarType.parse("EUR/USD.SIM-1-minute-last")
    assert both.bar_type("EUR/USD.SIM-1-minute-last") == both.bar_type(kind) == kind


# Timers


class Sized(Strategy):
    """With a required parameter, and one that is a container."""

    size: int
    names: list[str] = ["a"]  # noqa: RUF012 - a parameter's default

    def __init__(self) -> None:
        self.count = 0

    def on_start(self) -> None:
        self.count = 7
        self.clock.set_timer("t", 100)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, copy.copy, lambda one: pickle.loads(pickle.dumps(one))],
    ids=["deepcopy", "copy", "pickle"],
)
def test_a_copy_is_a_fresh_object_with_the_same_parameters(
    copied: Callable[[Sized], Sized],
) -> None:
    original = Sized(size=3, names=["x", "y"])
    core = core_with(original)
    core.start_actors()
    made = copied(original)
    assert type(made) is Sized
    assert made.parameters == original.parameters
    assert (made.size, made.names, made.count) == (3, ["x", "y"], 0)
    assert made.names is not original.names
    assert made.state is ComponentState.READY
    assert made.component_id == ""
    with pytest.raises(LifecycleError, match="not in a node or backtest yet"):
        _ = made.core
    assert original.state is ComponentState.RUNNING
    core_with(made).start_actors()
    assert made.count == 7


class Timed(Actor):
    def on_start(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def on_time_event(self, event: e.TimeEvent) -> None:
        self.heard.append((event.name, event.ts_event))

    def other(self, event: e.TimeEvent) -> None:
        self.heard.append((f"other {event.name}", event.ts_event))


def test_timers_belong_to_their_actor_and_end_with_it() -> None:
    first, second = Timed(), Timed()
    core = core_with(first, second)
    core.start_actors()
    first.clock.set_timer("tick", 10, stop_ns=45)
    first.clock.set_alert("once", 25, first.other)
    second.clock.set_timer("tick", timedelta(microseconds=1))
    second.clock.set_alert("then", datetime(1970, 1, 1, 0, 0, 0, 2, tzinfo=UTC))
    assert (first.clock.timer_names, second.clock.timer_names) == (
        ["once", "tick"],
        ["then", "tick"],
    )
    pass_time(core, 100)
    assert first.heard == [("tick", 20), ("other once", 25), ("tick", 30), ("tick", 40)]
    pass_time(core, 2_000)
    assert second.heard == [("tick", 1_010), ("then", 2_000)]
    assert second.clock.cancel_timer("tick")
    assert not second.clock.cancel_timer("tick")
    second.clock.set_timer("tick", 10)
    core.stop_actors()
    assert core.clock.timer_names == []


def test_a_timer_that_fell_due_before_the_stop_is_not_called_after_it() -> None:
    actor = Timed()
    core = core_with(actor)
    core.start_actors()
    actor.clock.set_alert("late", 20)
    clock: Any = core.clock
    core.senders.time_event.send(clock.advance(20))
    core.stop_actors()
    assert actor.heard == []


def test_an_exception_in_a_timers_own_callback_names_it() -> None:
    class Broken(Timed):
        def boom(self, event: e.TimeEvent) -> None:
            raise ValueError("no")

    actor = Broken()
    core = core_with(actor)
    core.start_actors()
    actor.clock.set_alert("late", 20, actor.boom)
    with pytest.raises(StrategyError) as raised:
        pass_time(core, 20)
    assert (raised.value.callback, raised.value.strategy_id) == ("boom", "Broken-001")
    assert raised.value.event == e.TimeEvent("late", 20, 20)


def test_the_clock_tells_the_time_and_refuses_times_without_a_zone() -> None:
    actor = Timed()
    core = core_with(actor)
    pass_time(core, 1_500_000_001)
    assert actor.clock.timestamp_ns() == 1_500_000_001
    assert actor.clock.utc_now() == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    with pytest.raises(ConfigError, match="nanoseconds or a datetime with a zone"):
        actor.clock.set_alert("x", datetime(2030, 1, 1))


# Orders


def test_orders_take_exact_numbers_text_and_floats_that_mean_a_step() -> None:
    strategy = Strategy()
    core_with(strategy)
    order = strategy.orders.limit(PAIR.id, "BUY", 10.0, 1.1, time_in_force="IOC", post_only=True)
    assert (str(order.quantity), str(order.price)) == ("10", "1.10000")
    assert (order.side, order.time_in_force, order.post_only) == ("buy", "ioc", True)
    assert str(strategy.orders.market(PAIR.id, "sell", "0.5").quantity) == "0.5"
    unknown = strategy.orders.limit("NO/PE.SIM", "sell", 0.5, 1.23456789)
    assert (str(unknown.quantity), str(unknown.price)) == ("0.5", "1.23456789")
    assert order.client_order_id == "O-T-1-1"


@pytest.mark.parametrize(
    ("side", "quantity", "more", "text"),
    [
        ("up", 1, {}, "side must be one of 'buy', 'sell'"),
        ("buy", "x", {}, "quantity must be a number"),
        ("buy", float("nan"), {}, "quantity must be a finite number"),
        ("buy", 1, {"time_in_force": "good"}, "time_in_force must be one of"),
    ],
)
def test_words_and_numbers_that_cannot_be_read_are_refused(
    side: str, quantity: Any, more: dict[str, Any], text: str
) -> None:
    strategy = Strategy()
    core_with(strategy)
    with pytest.raises(ConfigError, match=text):
        strategy.orders.market(PAIR.id, side, quantity, **more)


def test_closing_when_flat_does_nothing() -> None:
    strategy = Strategy()
    core = core_with(strategy)
    core.start_actors()
    strategy.close_position()
    strategy.close_all_positions()
    strategy.cancel_all_orders()
    assert core.cache.orders() == []


def test_callbacks_that_nobody_overrides_are_not_called() -> None:
    strategy = Strategy()
    core_with(strategy)
    assert set(strategy._callbacks.values()) == {()}


def test_default_callbacks_take_everything_and_do_nothing() -> None:
    strategy = Strategy()
    core = core_with(strategy)
    core.start_actors()
    quote = Quote(PAIR.id, 1.0, 1.1, 1.0, 1.0, 1, 1)
    names = [name for name in dir(Strategy) if name.startswith("on_")]
    without = {"on_start", "on_stop", "on_reset", "on_dispose", "on_fault"}
    for name in names:
        getattr(strategy, name)(*(() if name in without else (quote,)))
    assert len(names) > 20


def test_a_misspelt_callback_is_refused_with_the_one_that_was_meant() -> None:
    class Hopeful(Strategy):
        def on_bars(self, bar: object) -> None:
            raise AssertionError("never called")

    with pytest.raises(ConfigError, match=r"Hopeful\.on_bars is no callback.*mean on_bar\?"):
        core_with(Hopeful())


@pytest.mark.parametrize("name", ["start", "stop", "reset", "dispose", "fault"])
@pytest.mark.parametrize("what", [lambda self: None, 0.02])
def test_what_would_hide_a_part_of_its_life_is_refused_by_name(name: str, what: object) -> None:
    kind = type("Stopper", (Strategy,), {name: what})
    with pytest.raises(ConfigError, match=rf"Stopper\.{name} would take .* write on_{name}"):
        core_with(kind())


def test_a_method_that_resembles_no_callback_is_left_alone() -> None:
    class Own(Strategy):
        def on_bar(self, bar: object) -> None:
            self.on_bars([bar])

        def on_bars(self, bars: list[object]) -> None:
            """Stand beside the callback it resembles."""

        def on_breakout(self) -> None:
            """Resemble nothing."""

    assert len(core_with(Own()).actors) == 1


def test_a_timer_with_a_text_for_an_interval_is_refused_with_what_to_write() -> None:
    actor = Actor()
    core_with(actor)
    with pytest.raises(ConfigError, match=r"timedelta\(seconds=2\); got '2s'"):
        actor.clock.set_timer("often", "2s")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"nanoseconds or a datetime with a zone, .*; got 'noon'"):
        actor.clock.set_alert("lunch", "noon")  # type: ignore[arg-type]


def test_an_actor_of_a_core_that_is_in_use_cannot_join_another() -> None:
    actor = Actor()
    first = core_with(actor)
    first.is_in_use = True
    with pytest.raises(LifecycleError, match="in a node or backtest that runs"):
        core_with(actor)
    assert actor.core is first
    first.is_in_use = False
    assert actor in core_with(actor).actors
