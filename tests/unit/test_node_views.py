"""The node's views: DataFrames with the same columns and dtypes, empty or full, in every state."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

import workbench as wb
from tests.node_fakes import PAIR, make_node

COLUMNS = {
    "orders": [
        *("client_order_id", "strategy_id", "instrument_id", "side", "order_type", "quantity"),
        *("price", "trigger_price", "time_in_force", "status", "filled_quantity", "average_price"),
        *("commission", "reason", "created", "updated", "expires", "post_only", "reduce_only"),
        *("trailing_offset", "contingency", "order_list_id", "parent_order_id", "tags"),
        "account_id",
    ],
    "order_events": [
        *("time", "event", "client_order_id", "strategy_id", "instrument_id"),
        *("quantity", "price", "trigger_price", "code", "reason"),
    ],
    "fills": [
        *("time", "trade_id", "client_order_id", "strategy_id", "instrument_id", "side"),
        *("quantity", "price", "commission", "commission_currency", "liquidity"),
        *("account_id", "position_id"),
    ],
    "positions": [
        *("position_id", "strategy_id", "instrument_id", "entry", "side"),
        *("quantity", "peak_quantity"),
        *("average_open", "average_close", "realized_pnl", "commission", "currency"),
        *("opened", "closed", "account_id"),
    ],
    "accounts": ["time", "account_id", "currency", "total", "locked", "free"],
    "channels": [
        *("count_in", "count_out", "depth", "high_water", "oldest_age_ns", "drops"),
        *("hop_p50_ns", "hop_p99_ns"),
    ],
    "lanes": ["count_in", "count_out", "depth", "high_water", "is_closed"],
}
TIMES = {"created", "updated", "expires", "opened", "closed", "time"}
NAMES = list(COLUMNS)


class BuyAndSell(wb.Strategy):
    """Buys on the first bar, sells on the second, leaves a limit."""

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_bars("1-minute-last")

    def on_bar(self, bar: wb.Bar) -> None:
        self.count += 1
        if self.count == 1:
            self.submit_order(self.orders.market(PAIR.id, "buy", "0.5"))
        elif self.count == 2:
            self.close_position()
        elif self.count == 3:
            self.submit_order(self.orders.limit(PAIR.id, "buy", 1, 50))


def expected_dtype(view: str, column: str) -> str:
    if column in TIMES:
        return "datetime64[ns, UTC]"
    if view in ("channels", "lanes"):
        return "bool" if column == "is_closed" else "Int64"
    return "object"


def check(view: str, frame: pd.DataFrame) -> None:
    assert list(frame.columns) == COLUMNS[view]
    found = {column: str(dtype) for column, dtype in frame.dtypes.items()}
    assert found == {column: expected_dtype(view, column) for column in COLUMNS[view]}


@pytest.fixture(scope="module")
def ran() -> wb.TradingNode:
    node = wb.sandbox(BuyAndSell(), data=wb.sample_bars(5), instrument=PAIR)
    node.build()
    node.run(raise_exception=True)
    return node


@pytest.mark.parametrize("view", NAMES)
def test_a_view_has_its_columns_and_dtypes_before_anything_happened(view: str) -> None:
    node = make_node()
    frame = getattr(node, view)()
    check(view, frame)
    assert frame.empty
    node.build()
    check(view, getattr(node, view)())
    node.dispose()
    check(view, getattr(node, view)())


@pytest.mark.parametrize("view", NAMES)
def test_a_view_has_its_columns_and_dtypes_after_a_run(view: str, ran: wb.TradingNode) -> None:
    frame = getattr(ran, view)()
    check(view, frame)
    assert not frame.empty
    assert frame.attrs["as_of_ns"] == ran.core.clock.timestamp_ns()


def test_amounts_are_decimals_and_times_are_utc(ran: wb.TradingNode) -> None:
    orders, fills, positions = ran.orders(), ran.fills(), ran.positions()
    assert orders["status"].tolist() == ["filled", "filled", "accepted"]
    amounts: list[Any] = [
        *orders["quantity"],
        *orders["commission"],
        *fills["price"],
        *positions["realized_pnl"],
        *ran.accounts()["total"],
    ]
    assert all(isinstance(amount, Decimal) for amount in amounts)
    assert orders["quantity"].tolist()[:2] == [Decimal("0.5")] * 2
    assert positions["quantity"].tolist() == [0]
    assert positions["peak_quantity"].tolist() == [Decimal("0.5")]
    assert positions["closed"].notna().all()
    assert str(fills["time"].iloc[0]) == "2026-01-05 00:01:00+00:00"


def test_every_message_is_counted(ran: wb.TradingNode) -> None:
    channels, lanes = ran.channels(), ran.lanes()
    assert channels.index.tolist() == [
        *("time_events", "execution_events", "trading_commands", "data_commands", "data_events"),
    ]
    assert len(lanes) == 8
    assert lanes["is_closed"].all()
    counted = channels["count_out"] + channels["depth"] + channels["drops"]
    assert (channels["count_in"] == counted).all()
    assert channels["depth"].sum() == 0
    assert lanes.loc["data", "count_in"] == 6  # five bars and the instrument


def test_a_position_that_is_open_has_no_closing_time() -> None:
    class Hold(BuyAndSell):
        def on_bar(self, bar: wb.Bar) -> None:
            if not self.cache.orders():
                self.submit_order(self.orders.market(PAIR.id, "buy", 1))

    node = wb.sandbox(Hold(), data=wb.sample_bars(3), instrument=PAIR)
    node.build()
    node.run(raise_exception=True)
    positions = node.positions()
    check("positions", positions)
    assert positions["closed"].isna().all()
    assert positions["average_close"].tolist() == [None]
    assert node.left_open == [f"position {positions.loc[0, 'position_id']}: 1 {PAIR.id}"]
    node.dispose()
