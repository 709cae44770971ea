"""A live node over sockets with a shadow beside the exchange: what it tells is what there was."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.waiting import until

D = Decimal
LIMITS = wb.RiskLimits(max_order_quantity=10, max_position=10, max_loss_per_day="1_000 USDT")


class Desk(wb.Strategy):
    """Sends what the test tells it to."""

    instrument_id: str = ""

    def on_start(self) -> None:
        self.quotes: list[wb.Quote] = []
        self.subscribe_quotes(self.instrument_id)

    def on_quote(self, quote: wb.Quote) -> None:
        self.quotes.append(quote)


def test_a_live_node_tells_how_far_the_exchange_is_from_its_simulation(
    local_trial: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trial = local_trial

    async def main() -> None:
        key = trial.exchange.keys["a"]
        monkeypatch.setenv("WORKBENCH_TRIAL_001_API_KEY", key.api_key)
        monkeypatch.setenv("WORKBENCH_TRIAL_001_API_SECRET", key.api_secret)
        options = {"exchange": "binance", "base_url": trial.exchange.addresses.rest}
        data = wb.VenueData("ccxt", **options)
        (pair,) = await data.instruments(trial.instrument_id)
        desk = Desk(instrument_id=pair.id)
        node = wb.live(
            desk,
            venue=wb.VenueAccount("ccxt", trial.account_id, **options),
            instrument=pair,
            limits=LIMITS,
            shadow=True,
            config=wb.TradingNodeConfig(
                journal=str(tmp_path / "journal.sqlite"), data_folder=str(tmp_path)
            ),
        )
        node.build()
        node.run()
        await until(lambda: node.phase == "running", node)
        await trial.move(D("99.99"), D("100.01"))
        await until(lambda: desk.quotes and desk.quotes[-1].ask == 100.01, node)

        # Both fill at the ask.
        bought = desk.orders.market(pair.id, "buy", 1)
        desk.submit_order(bought)
        await until(lambda: bought.is_closed, node)
        # Somebody takes a part of it at the exchange; the market that is seen never comes there.
        resting = desk.orders.limit(pair.id, "buy", 2, "99")
        desk.submit_order(resting)
        await until(lambda: resting.is_open, node)
        await trial.fill(resting.client_order_id, D("0.5"))
        await until(lambda: resting.filled_quantity == D("0.5"), node)
        desk.cancel_order(resting)
        await until(lambda: resting.is_closed, node)

        report = node.shadow()
        await node.stop_async()
        assert report.fault == ""
        first, second = report.orders
        assert (first.venue_price, first.shadow_price) == (D("100.01"), D("100.01"))
        assert first.gap is not None
        assert first.gap.money == 0
        assert first.venue_delay_ns is not None
        assert first.shadow_delay_ns is not None
        assert first.venue_delay_ns > first.shadow_delay_ns >= 0
        assert (second.venue_filled, second.shadow_filled) == (D("0.5"), 0)
        assert (second.missed_in_shadow, second.missed_at_venue) == (D("0.5"), 0)
        assert second.shadow_status == "canceled"
        assert node.shadow().orders == report.orders
        assert set(node.fills()["account_id"]) == {trial.account_id}
        node.dispose()

    trial.run(main())
