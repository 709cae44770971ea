"""Ready-made nodes: the synthetic market, and what `wb.sandbox` refuses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import workbench as wb
from tests.node_fakes import OTHER, PAIR, Watcher, run, simulated
from tests.waiting import until, until_running
from workbench.model.errors import ConfigError
from workbench.node import ClockKind


class Collector(Watcher):
    """Keeps what comes, and asks for what cannot."""

    def on_start(self) -> None:
        super().on_start()
        self.trades: list[wb.Trade] = []
        self.answers: list[Any] = []
        self.subscribe_trades(PAIR.id)
        self.request_bars(f"{PAIR.id}-1-minute-last")

    def on_trade(self, trade: wb.Trade) -> None:
        self.trades.append(trade)

    def on_historical_data(self, response: Any) -> None:
        self.answers.append(response)


async def collected(seed: int) -> Collector:
    strategy = Collector()
    node = wb.sandbox(
        strategy, data=wb.Synthetic([PAIR, OTHER], rate=2000, seed=seed), instrument=[PAIR, OTHER]
    )
    node.build()
    node.run()
    await until_running(node)
    await until(lambda: len(strategy.quotes) >= 100 and strategy.trades)
    await node.stop_async()
    node.dispose()
    return strategy


def test_a_seed_makes_the_same_market_again() -> None:
    def prices(strategy: Collector) -> list[tuple[str, float]]:
        return [(quote.instrument_id, quote.bid) for quote in strategy.quotes[:100]]

    first, again, other = (run(collected(seed)) for seed in (1, 1, 2))
    assert prices(first) == prices(again) != prices(other)
    quotes = first.quotes
    assert {quote.instrument_id for quote in quotes} == {PAIR.id, OTHER.id}
    assert all(round((quote.ask - quote.bid) / 0.01) == 2 for quote in quotes)
    assert all(trade.size > 0 for trade in first.trades)
    assert [answer.error for answer in first.answers] == ["a synthetic market has no history"]


def test_mark_prices_of_a_synthetic_market_are_refused_with_what_to_do() -> None:
    class WantsMarkPrices(wb.Strategy):
        def on_start(self) -> None:
            self.subscribe_mark_prices()

    async def main() -> None:
        node = wb.sandbox(WantsMarkPrices(), instrument=PAIR)
        node.build()
        with pytest.raises(wb.ClientError, match="replay stored data instead"):
            await node.run_async()
        node.dispose()

    run(main())


@pytest.mark.parametrize(
    "settings",
    [{"rate": 0}, {"rate": 10_001}, {"spread_ticks": 0}, {"step_ticks": 0}, {"start_price": -1}],
)
def test_a_synthetic_market_that_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        wb.Synthetic(PAIR, **settings)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"strategy": Watcher}, "not the class"),
        ({"strategy": []}, "at least one strategy"),
        ({"strategy": ["x"]}, r"wb\.Strategy or wb\.Actor"),
        ({"instrument": []}, "at least one instrument"),
        ({"instrument": ["BTC"]}, "instrument is a definition"),
        ({"venue": "SIM"}, r"venue is a wb\.SimulatedVenue"),
        ({"venue": wb.SimulatedVenue(name="X", starting_balances="1 USD")}, "no simulated venue"),
        ({"config": {"trader_id": "A"}}, "config is a"),
        ({"data": wb.Synthetic}, "not the class"),
        ({"speed": 3.0}, "speed= is for history"),
        ({"data": wb.sample_bars(3), "speed": -1.0}, "speed must be positive"),
        ({"data": wb.sample_bars(3), "on_exhausted": "wait"}, "on_exhausted must be"),
        ({"on_exhausted": "bogus"}, "on_exhausted= is for history"),
        ({"on_exhausted": "idle"}, "on_exhausted= is for history"),
        (
            {"data": wb.Replay(wb.sample_bars(3), PAIR), "on_exhausted": "idle"},
            r"on_exhausted= .* wb\.Replay\(\.\.\.\) has its own",
        ),
        (
            {"data": wb.sample_bars(3), "config": wb.TradingNodeConfig(conflate_above=100)},
            "must be lossless",
        ),
    ],
)
def test_what_a_sandbox_cannot_use_is_refused_before_there_is_a_node(
    given: dict[str, Any], said: str
) -> None:
    before = len(wb.nodes())
    arguments: dict[str, Any] = {"strategy": Watcher(), "instrument": PAIR, **given}
    with pytest.raises(ConfigError, match=said):
        wb.sandbox(arguments.pop("strategy"), **arguments)
    assert len(wb.nodes()) <= before


def test_a_second_replay_in_one_node_is_refused_when_it_is_built() -> None:
    node = wb.TradingNode(wb.TradingNodeConfig(clock=ClockKind.SIMULATED))
    for _ in range(2):
        node.add_data_client_factory(wb.Replay(wb.sample_bars(3), PAIR))
    with pytest.raises(ConfigError, match=r"two replays.*give one replay all the data"):
        node.build()
    assert node.state == "CREATED"
    node.dispose()


def test_a_sandbox_takes_a_factory_and_keeps_the_clock_it_needs() -> None:
    replayed = wb.Replay(wb.sample_bars(3), PAIR)
    assert "Replay(" in repr(replayed)
    node = wb.sandbox(Watcher(), data=replayed, instrument=PAIR)
    assert node.config.clock == "simulated"
    node = wb.sandbox(Watcher(), data=wb.Synthetic(PAIR), instrument=PAIR)
    assert node.config.clock == "live"
    assert repr(simulated()) == "Simulated(SIM)"
    assert repr(wb.Synthetic(PAIR)) == "Synthetic(BTC/USDT.SIM, seed=1)"


def test_a_sandbox_takes_limits_as_a_backtest_does() -> None:
    given = wb.RiskLimits(max_position=5)
    config = wb.TradingNodeConfig(trader_id="DESK-7")
    node = wb.sandbox(Watcher(), instrument=PAIR, limits=given, config=config)
    assert (node.config.limits, node.config.trader_id) == (given, "DESK-7")
    with pytest.raises(ConfigError, match=r"limits is a wb.RiskLimits; got 5"):
        wb.sandbox(Watcher(), instrument=PAIR, limits=5)  # type: ignore[arg-type]


def test_cells_keep_their_turn_while_data_floods_in() -> None:
    """The loop's other work goes on: the node is a guest."""

    async def main() -> None:
        strategy = Collector()
        node = wb.sandbox(strategy, data=wb.Synthetic(PAIR, rate=10_000), instrument=PAIR)
        node.build()
        node.run()
        await until_running(node)
        await until(lambda: strategy.quotes)
        for _ in range(20):
            handled = len(strategy.quotes)
            await asyncio.sleep(0)  # comes back without waiting for the flood's end
            await until(lambda handled=handled: len(strategy.quotes) > handled)
        await node.stop_async()
        node.dispose()

    run(main())
