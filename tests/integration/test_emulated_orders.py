"""Orders held on our side trade as the same orders do at a simulated venue, in every set-up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from tests.integration.test_node_identity import assert_identical, bid_and_ask_bars
from tests.node_fakes import PAIR
from workbench.engines.capabilities import Capabilities
from workbench.history import Timeline, load
from workbench.model.enums import OrderType
from workbench.model.events import OrderFilled
from workbench.sim import BacktestEngine

START = 1_767_571_200_000_000_000  # 2026-01-05T00:00:00Z
TRIGGERS = [
    *("bid_ask", "last", "last_or_bid_ask", "mid", "double_last", "double_bid_ask"),
]


def market(count: int = 800, seed: int = 5) -> list[Any]:
    """Return quotes and trades that walk a few ticks at a time, never at the same time."""
    rng = np.random.default_rng(seed)
    mid = 100 + np.round(np.cumsum(rng.normal(0, 0.02, count)), 2)
    bid = np.round(mid - 0.01, 2)
    times = START + np.arange(count) * 1_000_000_000
    quotes = pd.DataFrame(
        {
            "ts": times,
            "bid": bid,
            "ask": np.round(bid + rng.integers(1, 4, count) * 0.01, 2),
            "bid_size": 1e6,
            "ask_size": 1e6,
        }
    )
    trades = pd.DataFrame(
        {"ts": times[::3] + 500_000_000, "price": bid[::3], "size": 5.0, "side": "buy"}
    )
    return [wb.quotes(quotes, PAIR), wb.trades(trades, PAIR)]


class Waits(wb.Strategy):
    """Sends one order that waits every few quotes; held on our side, or left to the venue."""

    kind: str = "stop_market"
    trigger: str = "bid_ask"
    is_held: bool = False
    offset_type: str = "price"
    force: str = "gtc"

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_quotes()

    def on_quote(self, quote: wb.Quote) -> None:
        self.count += 1
        if self.count % 5:
            return
        side = "buy" if self.count % 2 else "sell"
        sign = 1 if side == "buy" else -1
        mid = self.instrument.price((quote.bid + quote.ask) / 2)
        tick = self.instrument.price_increment
        watched = "emulation_trigger" if self.is_held else "trigger_type"
        options: dict[str, Any] = {watched: self.trigger}
        if self.force == "gtd":
            options["expire"] = quote.ts_event + 20_500_000_000
        elif self.force != "gtc":
            options["time_in_force"] = self.force
        away = (4 if "touched" not in self.kind else -4) * sign * tick
        if self.kind.startswith("trailing"):
            offset = {"price": 5 * tick, "ticks": 5, "basis_points": 5}[self.offset_type]
            options["trailing_offset_type"] = self.offset_type
            prices = (offset,) if self.kind == "trailing_stop_market" else (offset, 2)
            if len(prices) == 2 and self.offset_type == "price":
                prices = (offset, 2 * tick)
            if self.count % 3 == 0:
                options["activation_price"] = mid - away
        elif self.kind.endswith("market") or self.kind == "market_if_touched":
            prices = (mid + away,)
        else:
            prices = (mid + away + sign * tick, mid + away)
        make = getattr(self.orders, self.kind)
        self.submit_order(make(quote.instrument_id, side, 1, *prices, **options))


def outcome(
    strategy: wb.Strategy, data: Any = None, capabilities: Capabilities | None = None
) -> list[tuple[Any, ...]]:
    """Return all fills of a run, those of one moment by order.

    Of one moment, because a venue triggers its orders before it fills what rests there, and ours
    come after that.
    """
    timeline = Timeline(load(data or market(), [PAIR]), None, None)
    venue = wb.SimulatedVenue().for_instruments([PAIR])
    engine = BacktestEngine(timeline, [PAIR], [venue], [strategy], run_tag="T")
    if capabilities is not None:
        engine.core.execution.clients[0].capabilities = capabilities
    engine.run()
    assert engine.error is None
    assert not engine.core.execution.refused_events
    fills = [r.message for r in engine.core.log if isinstance(r.message, OrderFilled)]
    return sorted(
        (f.ts_event, f.client_order_id, f.side, f.quantity, f.price, f.liquidity) for f in fills
    )


KINDS = [
    *("stop_market", "stop_limit", "market_if_touched", "limit_if_touched"),
    *("trailing_stop_market", "trailing_stop_limit"),
]


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_held_order_fills_as_the_same_order_at_the_venue(kind: str, trigger: str) -> None:
    at_venue = outcome(Waits(kind=kind, trigger=trigger))
    assert len(at_venue) > 20
    assert outcome(Waits(kind=kind, trigger=trigger, is_held=True)) == at_venue


@pytest.mark.parametrize("offset_type", ["price", "ticks", "basis_points"])
def test_trailing_offsets_of_every_type_are_the_same(offset_type: str) -> None:
    strategy = Waits(kind="trailing_stop_limit", offset_type=offset_type)
    at_venue = outcome(strategy)
    held = Waits(kind="trailing_stop_limit", offset_type=offset_type, is_held=True)
    assert outcome(held) == at_venue


@pytest.mark.parametrize("force", ["gtd", "day", "ioc"])
def test_times_in_force_are_the_same(force: str) -> None:
    at_venue = outcome(Waits(kind="stop_limit", force=force))
    assert len(at_venue) > 5
    assert outcome(Waits(kind="stop_limit", force=force, is_held=True)) == at_venue


SIMPLE = Capabilities(
    order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}), contingencies=frozenset()
)
LIMITED = {
    "no triggers": Capabilities(order_types=frozenset({OrderType.MARKET, OrderType.LIMIT})),
    "no links": Capabilities(contingencies=frozenset()),
    "neither": SIMPLE,
}


class Brackets(wb.Strategy):
    """Opens a bracket every few quotes, with a limit entry every third time.

    By the clock, not when it is flat: it sees a quote after a venue's stops and before ours.
    """

    size: int = 10
    emulation: str | None = None

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_quotes()

    def on_quote(self, quote: wb.Quote) -> None:
        self.count += 1
        if self.count % 15:
            return
        side = "buy" if self.count % 2 else "sell"
        sign = 1 if side == "buy" else -1
        mid = self.instrument.price((quote.bid + quote.ask) / 2)
        tick = self.instrument.price_increment
        entry = {"entry_price": mid - sign * tick} if self.count % 3 == 0 else {}
        self.submit_order_list(
            self.orders.bracket(
                quote.instrument_id,
                side,
                self.size,
                stop_loss=mid - 6 * sign * tick,
                take_profit=mid + 5 * sign * tick,
                emulation_trigger=self.emulation,
                **entry,
            )
        )


@pytest.mark.parametrize("lacking", LIMITED)
def test_brackets_are_the_same_where_the_venue_lacks_something(lacking: str) -> None:
    at_venue = outcome(Brackets())
    assert len(at_venue) > 40
    assert outcome(Brackets(), capabilities=LIMITED[lacking]) == at_venue


class Pairs(wb.Strategy):
    """Puts two limits around the market, linked, every few quotes."""

    how: str = "oco"

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_quotes()

    def on_quote(self, quote: wb.Quote) -> None:
        self.count += 1
        if self.count % 15:
            return
        below, above = self.instrument.price(quote.bid), self.instrument.price(quote.ask)
        tick = self.instrument.price_increment
        link = getattr(self.orders, self.how)
        self.submit_order_list(
            link(
                self.orders.limit(quote.instrument_id, "buy", 3, below - 2 * tick),
                self.orders.limit(quote.instrument_id, "sell", 3, above + 2 * tick),
            )
        )


@pytest.mark.parametrize("how", ["oco", "ouo", "oto"])
def test_linked_orders_are_the_same_where_the_venue_lacks_them(how: str) -> None:
    at_venue = outcome(Pairs(how=how))
    assert len(at_venue) > 20
    assert outcome(Pairs(how=how), capabilities=SIMPLE) == at_venue


# In a backtest and on a replay


@pytest.mark.parametrize("kind", ["stop_limit", "trailing_stop_market"])
@pytest.mark.parametrize("latency_ns", [0, 1_700_000_000])
def test_held_orders_are_the_same_in_a_backtest_and_on_a_replay(kind: str, latency_ns: int) -> None:
    assert_identical(
        Waits(kind=kind, is_held=True, trigger="last_or_bid_ask", force="gtd"),
        market(400),
        instrument=PAIR,
        venue=wb.SimulatedVenue(latency_ns=latency_ns),
        least_fills=20,
    )


@pytest.mark.parametrize("latency_ns", [0, 1_700_000_000])
def test_brackets_taken_apart_are_the_same_in_a_backtest_and_on_a_replay(latency_ns: int) -> None:
    assert_identical(
        Brackets(emulation="bid_ask"),
        market(400),
        instrument=PAIR,
        venue=wb.SimulatedVenue(latency_ns=latency_ns),
        least_fills=10,
    )


class OnBars(wb.Strategy):
    """Keeps a stop below and a target above; the data has bars only."""

    series: str = "1-minute-last"

    def on_start(self) -> None:
        self.subscribe_bars(self.series)

    def on_bar(self, bar: wb.Bar) -> None:
        if self.position() is not None or self.cache.orders_emulated():
            return
        price, tick = self.instrument.price(bar.close), self.instrument.price_increment
        self.submit_order_list(
            self.orders.bracket(
                bar.bar_type.instrument_id,
                "buy",
                1,
                stop_loss=price - 30 * tick,
                take_profit=price + 40 * tick,
                emulation_trigger="bid_ask",
            )
        )


@pytest.mark.parametrize("series", ["1-minute-last", "1-minute-bid"])
def test_held_orders_work_on_bars_alone(series: str) -> None:
    data = wb.sample_bars(600) if series.endswith("last") else bid_and_ask_bars()
    result = assert_identical(OnBars(series=series), data, instrument=PAIR, least_fills=10)
    released = result.orders[result.orders["status"] == "filled"]
    assert len(released) > 10
    assert not result.warnings


class Resting(wb.Strategy):
    """Leaves a stop held when it ends."""

    def on_start(self) -> None:
        self.subscribe_quotes()

    def on_quote(self, quote: wb.Quote) -> None:
        if not self.cache.orders():
            self.submit_order(
                self.orders.stop_market(
                    quote.instrument_id, "buy", 2, 200, emulation_trigger="bid_ask"
                )
            )


def test_a_held_order_is_named_as_left_open_when_a_node_stops() -> None:
    node = wb.sandbox(Resting(), data=market(10), instrument=PAIR)
    node.build()
    node.run(raise_exception=True)
    (line,) = node.left_open
    assert "(emulated): buy 2" in line
    node.dispose()
