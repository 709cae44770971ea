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
        account_id=AccountId("SIM-001"),
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


def test_what_is_free_is_exact_whatever_the_callers_context_is() -> None:
    with localcontext(prec=4):
        frame = frames.accounts_frame([state("123456.789", "0.000001", 5)])
    assert frame["free"].iloc[0] == Decimal("123456.788999")


@pytest.mark.parametrize(
    ("made", "columns"),
    [
        (frames.orders_frame([]), frames.ORDER_COLUMNS),
        (frames.fills_frame([]), frames.FILL_COLUMNS),
        (frames.positions_frame([]), frames.POSITION_COLUMNS),
        (frames.accounts_frame([]), frames.ACCOUNT_COLUMNS),
    ],
    ids=["orders", "fills", "positions", "accounts"],
)
def test_an_empty_frame_has_its_columns_and_zoned_times(
    made: pd.DataFrame, columns: tuple[str, ...]
) -> None:
    assert tuple(made.columns) == columns
    times = [name for name in made if name in ("time", "created", "updated", "opened", "closed")]
    assert times
    assert {str(made[name].dtype) for name in times} == {"datetime64[ns, UTC]"}


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
