"""Whatever is traded: accounts, positions and the portfolio tell the same money."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb

D = Decimal
PERP = wb.CryptoPerpetual.define(
    "BTC/USDT-PERP.SIM", price_increment="0.01", margin_init="0.01", taker_fee="0.001"
)
INVERSE = wb.CryptoPerpetual.define(
    "BTC/USD-PERP.SIM", price_increment="0.01", quantity_increment=1, is_inverse=True
)
COUNT = 12

Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 5), st.integers(-1, 6)),
    min_size=1,
    max_size=COUNT,
)
PRICES = st.lists(st.integers(50, 200), min_size=COUNT + 2, max_size=COUNT + 2)
# Some sizes fill in parts: half of them find less than they ask for.
SIZES = st.sampled_from([1.0, 2.0, 100.0])


class Trader(wb.Strategy):
    """At each quote a step: an order that names a position there was, open or closed, or none."""

    instrument_id: str = PERP.id
    steps: tuple[Step, ...] = ()

    def on_start(self) -> None:
        self.left = iter(self.steps)
        self.names: list[str] = []
        self.subscribe_quotes(self.instrument_id)

    def on_position_opened(self, event: wb.PositionOpened) -> None:
        self.names.append(event.position_id)

    def on_quote(self, quote: wb.Quote) -> None:
        side, quantity, which = next(self.left, ("", 0, -1))
        if side:
            named = self.names[which] if 0 <= which < len(self.names) else None
            price = quote.ask if side == "buy" else quote.bid
            self.submit_order(
                self.orders.limit(self.instrument_id, side, quantity, price, position_id=named)
            )


@pytest.mark.parametrize("instrument", [PERP, INVERSE], ids=["linear", "inverse"])
@pytest.mark.parametrize("positions", ["netting", "hedging"])
@settings(max_examples=40)
@given(steps=STEPS, prices=PRICES, size=SIZES)
def test_balance_is_start_and_realised_and_equity_adds_what_is_open(
    instrument: wb.Instrument, positions: str, steps: list[Step], prices: list[int], size: float
) -> None:
    quotes: list[Any] = [
        wb.Quote(instrument.id, p, p, size, size, ts, ts) for ts, p in enumerate(prices, 10**18)
    ]
    trader = Trader(instrument_id=instrument.id, steps=tuple(steps))
    unit = instrument.settlement_currency.code
    result = wb.backtest(
        trader,
        quotes,
        instrument=instrument,
        venue=wb.SimulatedVenue(
            starting_balances=f"100_000 {unit}",  # type: ignore[arg-type]
            order_management=positions,  # type: ignore[arg-type]
        ),
        progress=False,
    )
    portfolio, cache = trader.portfolio, trader.cache
    realized = portfolio.realized_pnl().get(unit, D(0))
    assert abs(result.balances[unit] - 100_000 - realized) <= D("1e-12")
    assert abs(sum((p.realized_pnl for p in cache.positions()), D(0)) - realized) <= D("1e-12")
    fills = {"buy": 1, "sell": -1}
    net = sum((fills[f["side"]] * f["quantity"] for _, f in result.fills.iterrows()), D(0))
    assert portfolio.net_position(instrument.id) == net
    worth = portfolio.equity("SIM")[unit]
    opened = portfolio.unrealized_pnl().get(unit, D(0))
    assert abs(worth - result.balances[unit] - opened) <= D("1e-12")
    assert result.equity[unit].iloc[-1] == pytest.approx(float(worth), rel=1e-12)
    gross = sum(
        (instrument.notional(p.quantity, p.average_open) for p in cache.positions_open()), D(0)
    )
    initial, _ = portfolio.margins("SIM").get(instrument.id, (D(0), D(0)))
    assert abs(initial - gross * instrument.margin_init) <= D("1e-12")
    assert portfolio.is_flat() == (not cache.positions_open())
