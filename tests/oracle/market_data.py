"""Bars and quotes that are not made here, as rows in ticks; where they are absent tests skip.

The prices of bars are even ticks, so that an odd one is never that of a close.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.bench.workloads import CrossRule, bars
from tests.oracle.scenario import Action, Bar, BidAsk, Quote, Submit, Ticket

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"


def _found(name: str) -> Path:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the real data are not here: {path}")
    return path


def made_bars(count: int) -> tuple[Bar, ...]:
    """Return the bars that engines are timed with: each open is the close before."""
    arrays = bars(count)
    columns = [(2 * (arrays[name] * 100).round().astype(int)).tolist() for name in Bar._fields[:4]]
    volumes = arrays["volume"].astype(int).tolist()
    return tuple(Bar(*row) for row in zip(*columns, volumes, strict=True))


def pound_bars(count: int) -> tuple[Bar, ...]:
    """Return GBP/USD minutes of February 2012, the bid; a tick is half a tenth of a pip."""
    frame = pd.read_csv(_found("gbpusd-m1-bid-2012.csv.gz"), nrows=count)
    return _rows(frame, 100_000)


def pound_pairs(count: int) -> tuple[BidAsk, ...]:
    """Return the same minutes of both sides."""
    ask = pd.read_csv(_found("gbpusd-m1-ask-2012.csv.gz"), nrows=count).set_index("timestamp")
    bid = pd.read_csv(_found("gbpusd-m1-bid-2012.csv.gz"), nrows=count).set_index("timestamp")
    both = bid.index.intersection(ask.index)
    sides = (_rows(frame.loc[both], 100_000) for frame in (bid, ask))
    return tuple(BidAsk(*pair) for pair in zip(*sides, strict=True))


def bitcoin_bars(count: int) -> tuple[Bar, ...]:
    """Return minutes of a bitcoin perpetual of December 2021; a tick is a nickel."""
    frame = pd.read_csv(_found("btcusdt-perp-1m.csv.gz"), nrows=count)
    return _rows(frame, 10)


def _rows(frame: pd.DataFrame, scale: int) -> tuple[Bar, ...]:
    names = list(Bar._fields[:4])
    return tuple(
        Bar(*row) for row in (frame[names] * scale).round().astype(int).to_numpy().tolist()
    )


def bitcoin_quotes() -> tuple[Quote, ...]:
    """Return quotes of BTC/USDT, with ample sizes: those of the file are fractions of a coin."""
    frame = pd.read_parquet(_found("btcusdt-quotes.parquet"))
    ticks = (frame[["bid", "ask"]].astype(float) * 100).round().astype(int)
    return tuple(Quote(*row) for row in ticks.to_numpy().tolist())


def crossings(rows: tuple[Bar, ...], first: int = 1) -> tuple[Action, ...]:
    """Return market orders that are always long 1 or short 1, by the cross of two averages."""
    rule, held = CrossRule(), 0
    actions: list[Action] = []
    for index, row in enumerate(rows[:-2]):
        target = rule.update(row.close / 100)
        if index < first or target is None or target == held:
            continue
        side = "buy" if target > held else "sell"
        actions.append(Submit(index, Ticket(f"o{index}", "market", side, abs(target - held))))
        held = target
    return tuple(actions)
