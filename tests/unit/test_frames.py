"""Frames made of messages alone."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pandas as pd
import pytest

import workbench as wb
from workbench.model.events import AccountState, Balance
from workbench.model.identifiers import AccountId
from workbench.model.money import currency
from workbench.node import frames


def state(total: str, locked: str, ts: int) -> AccountState:
    return AccountState(
        account_id=AccountId("SIM-PAPER"),
        account_type=wb.AccountType.CASH,
        base_currency=None,
        balances=(
            Balance(currency("USD"), Decimal(total), Decimal(locked)),
            Balance(currency("BTC"), Decimal(1)),
        ),
        ts_event=ts,
        ts_init=ts,
    )


def test_each_currency_of_an_account_is_a_row() -> None:
    frame = frames.accounts_frame([state("100", "1", 5), state("90", "2", 6)])
    assert frame["currency"].tolist() == ["USD", "BTC", "USD", "BTC"]
    assert frame["free"].tolist() == [Decimal(99), Decimal(1), Decimal(88), Decimal(1)]
    assert [time.value for time in frame["time"]] == [5, 5, 6, 6]


def test_a_fill_tells_its_account_and_every_position_it_moved() -> None:
    pair = wb.CurrencyPair.define("AUD/USD.SIM")

    class Turns(wb.Strategy):
        def on_start(self) -> None:
            self.subscribe_quotes()

        def on_quote(self, quote: wb.Quote) -> None:
            side, size = ("sell", 100_000) if quote.ts_event == 1 else ("buy", 200_000)
            self.submit_order(self.orders.market(pair.id, side, size))

    quotes = [wb.Quote(pair.id, 1.0, 1.1, 1e6, 1e6, ts, ts) for ts in (1, 2)]
    result = wb.backtest(Turns(), quotes, instrument=pair, progress=False)
    assert result.fills["position_id"].tolist() == ["P-Turns-001-1", "P-Turns-001-1, P-Turns-001-2"]
    assert set(result.fills["account_id"]) == set(result.positions["account_id"]) == {"SIM-PAPER"}


def test_what_is_free_is_exact_whatever_the_callers_context_is() -> None:
    with localcontext(prec=4):
        frame = frames.accounts_frame([state("123456.789", "0.000001", 5)])
    assert frame["free"].iloc[0] == Decimal("123456.788999")


@pytest.mark.parametrize(
    ("made", "columns"),
    [
        (frames.orders_frame([]), frames.ORDER_COLUMNS),
        (frames.order_events_frame([]), frames.ORDER_EVENT_COLUMNS),
        (frames.fills_frame([]), frames.FILL_COLUMNS),
        (frames.positions_frame([]), frames.POSITION_COLUMNS),
        (frames.accounts_frame([]), frames.ACCOUNT_COLUMNS),
    ],
    ids=["orders", "order_events", "fills", "positions", "accounts"],
)
def test_an_empty_frame_has_its_columns_and_zoned_times(
    made: pd.DataFrame, columns: tuple[str, ...]
) -> None:
    assert tuple(made.columns) == columns
    times = [name for name in made if name in ("time", "created", "updated", "opened", "closed")]
    assert times
    assert {str(made[name].dtype) for name in times} == {"datetime64[ns, UTC]"}


class Bracketed(wb.Strategy):
    """Sends a bracket with a tag, one order off the grid and one that ends, then sells short."""

    def on_start(self) -> None:
        self.is_sent = False
        self.subscribe_quotes()

    def on_quote(self, quote: wb.Quote) -> None:
        if self.is_sent:
            return
        self.is_sent = True
        pair, orders = quote.instrument_id, self.orders
        self.submit_order(orders.limit(pair, "buy", 1, "90.005"))
        self.submit_order(orders.limit(pair, "buy", 1, 90, expire=quote.ts_event + 1))
        entry = orders.bracket(pair, "sell", 1, stop_loss=200, take_profit=2, tags=("a", "b"))
        self.submit_order_list(entry)
        self.submit_order(orders.trailing_stop_market(pair, "buy", 1, 50))


@pytest.fixture(scope="module")
def bracketed() -> wb.BacktestResult:
    pair = wb.CurrencyPair.define("BTC/USD.SIM", price_increment="0.01")
    return wb.backtest(Bracketed(), wb.sample_quotes(20), instrument=pair)


def test_orders_show_their_terms(bracketed: wb.BacktestResult) -> None:
    orders = bracketed.orders
    _, ending, entry, stop, limit, trailing = (orders.loc[i] for i in range(6))
    assert ending["expires"].value == ending["created"].value + 1
    assert ending["time_in_force"] == "gtd"
    assert pd.isna(entry["expires"])
    assert [o["contingency"] for o in (entry, stop, limit)] == ["oto", "ouo", "ouo"]
    assert [o["tags"] for o in (entry, stop, trailing)] == ["a, b", "a, b", ""]
    assert stop["parent_order_id"] == limit["parent_order_id"] == entry["client_order_id"]
    assert entry["order_list_id"] == stop["order_list_id"] is not None
    assert entry["parent_order_id"] is trailing["contingency"] is None
    assert stop["trigger_price"] == 200
    assert [bool(o["reduce_only"]) for o in (entry, stop, limit)] == [False, True, True]
    assert trailing["trailing_offset"] == 50


def test_order_events_tell_denials_with_code_and_sentence(bracketed: wb.BacktestResult) -> None:
    events = bracketed.order_events
    (denied,) = events[events["event"] == "OrderDenied"].itertuples()
    assert denied.code == "PRICE_OFF_GRID"
    assert denied.reason == "price 90.005 is not a multiple of 0.01; nothing was rounded"
    assert "OrderInitialized" not in set(events["event"])
    trailing = events[events["client_order_id"] == bracketed.orders["client_order_id"].iloc[-1]]
    assert list(trailing["event"])[:3] == ["OrderSubmitted", "OrderAccepted", "OrderUpdated"]
    first, fill = trailing.iloc[2], bracketed.fills.iloc[0]
    assert abs(first["trigger_price"] - 50 - fill["price"]) < 1
    filled = events[events["event"] == "OrderFilled"]
    assert list(filled["price"]) == list(bracketed.fills["price"])
    assert list(filled["time"]) == list(bracketed.fills["time"])


def test_a_position_says_which_side_opened_it(bracketed: wb.BacktestResult) -> None:
    assert bracketed.positions["entry"].tolist() == ["sell"]


def test_a_nodes_order_events_are_those_of_its_backtest(bracketed: wb.BacktestResult) -> None:
    pair = wb.CurrencyPair.define("BTC/USD.SIM", price_increment="0.01")
    node = wb.sandbox(Bracketed(), wb.sample_quotes(20), instrument=pair)
    assert node.order_events().empty
    node.build()
    node.run(raise_exception=True)
    assert node.order_events().equals(bracketed.order_events)
    node.dispose()


def test_counters_have_a_row_for_each_channel_and_lane() -> None:
    node = wb.sandbox(
        wb.Actor(), data=wb.sample_quotes(5), instrument=wb.CurrencyPair.define("BTC/USD.SIM")
    )
    node.build()
    channels, lanes = node.channels(), node.lanes()
    node.dispose()
    assert len(channels) == 5
    assert len(lanes) == 8
    assert channels.index.name == lanes.index.name == "name"
    empty = frames.channels_frame([])
    assert list(empty.columns) == list(channels.columns)
    assert list(empty.dtypes) == list(channels.dtypes)
