"""What the journal costs: `bench_journal.py`.

Each run is a process of its own and a file of its own: single commands that are waited for, events
appended as fast as they come with a command waited for now and then (as a busy node does), reading
them back, and the restart of a node: opening, checking and folding a journal of so many events. The
same disk takes bare commits of SQLite beside it, for comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from measuring import interleaved, median, report

HERE = Path(__file__).resolve()
COMMANDS = 500
EVENTS = 100_000
RATE = 25_000  # events a second, where it is given
COMMAND_EVERY = 250  # events


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """Return p50 and p99 in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return round(cuts[49] * 1e3, 3), round(cuts[98] * 1e3, 3)


def bare(folder: Path) -> tuple[float, float]:
    """Return the durable latency of SQLite alone, of commits of 77 bytes."""
    connection = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE record (sequence INTEGER PRIMARY KEY, payload BLOB)")
    taken: list[float] = []
    for _ in range(COMMANDS):
        began = time.perf_counter()
        connection.execute("INSERT INTO record (payload) VALUES (?)", (b"x" * 77,))
        taken.append(time.perf_counter() - began)
        time.sleep(0.001)
    connection.close()
    return percentiles(taken)


def messages(count: int, account_id: str = "SIM-PAPER") -> Iterator[tuple[str, Any]]:
    """Yield what a run would journal: orders that are submitted, accepted and filled."""
    from workbench.model import commands as c
    from workbench.model import events as e
    from workbench.model.enums import AccountType, LiquiditySide, OrderSide, OrderType
    from workbench.model.identifiers import AccountId, TradeId, VenueOrderId
    from workbench.model.instruments import CurrencyPair
    from workbench.model.money import currency

    rng = random.Random(1)
    pair = CurrencyPair.define("AUD/USD.SIM")
    account = AccountId(account_id)
    yield "instrument", pair
    yield (
        "event",
        e.AccountState(
            account_id=account,
            account_type=AccountType.MARGIN,
            base_currency=None,
            balances=(e.Balance(currency("USD"), Decimal(1_000_000)),),
            ts_event=1,
            ts_init=1,
        ),
    )
    for number in range(count // 4):
        about: dict[str, Any] = {
            "strategy_id": "Desk-001",
            "instrument_id": pair.id,
            "client_order_id": f"O-260101120000000-001-1-{number}",
            "ts_event": number,
            "ts_init": number,
        }
        side = rng.choice((OrderSide.BUY, OrderSide.SELL))
        price = Decimal(rng.randrange(90_000, 110_000)).scaleb(-5)
        quantity = Decimal(rng.randrange(1, 1_000))
        made = e.OrderInitialized(
            side=side, order_type=OrderType.LIMIT, quantity=quantity, price=price, **about
        )
        asked = {name: about[name] for name in about if name != "ts_event"}
        at = {"account_id": account, "venue_order_id": VenueOrderId(f"V-{number}")}
        yield "command", c.SubmitOrder(order=made, **asked)
        yield "event", e.OrderSubmitted(account_id=account, **about)
        yield "event", e.OrderAccepted(**at, **about)
        yield (
            "event",
            e.OrderFilled(
                trade_id=TradeId(f"T-{number}"),
                side=side,
                order_type=OrderType.LIMIT,
                quantity=quantity,
                price=price,
                commission=Decimal("0.05"),
                commission_currency=currency("USD"),
                liquidity=LiquiditySide.MAKER,
                **at,
                **about,
            ),
        )


def open_journal(folder: Path) -> Any:
    """Return the journal of the run's folder."""
    from workbench.node.journal import Journal

    return Journal.open(folder / "journal.sqlite", "TRADER-001")


async def single(journal: Any, items: list[tuple[str, Any]]) -> list[float]:
    """Return how long single commands take to be durable, one after another."""
    taken: list[float] = []
    for kind, message in items[:COMMANDS]:
        began = time.perf_counter()
        await journal.durable(journal.append(kind, message))
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(0.001)
    return taken


async def stream(
    journal: Any, items: list[tuple[str, Any]], rate: int | None
) -> tuple[list[float], float, float]:
    """Append all; return latencies of what is waited for, seconds until all is durable, CPU µs."""
    taken: list[float] = []
    waiting: set[asyncio.Task[None]] = set()

    async def wait(sequence: int, began: float) -> None:
        await journal.durable(sequence)
        taken.append(time.perf_counter() - began)

    start, spent = time.perf_counter(), 0.0
    for index, (kind, message) in enumerate(items):
        began = time.perf_counter()
        sequence = journal.append(kind, message, number=index)
        spent += time.perf_counter() - began
        if index % COMMAND_EVERY == 0:
            task = asyncio.create_task(wait(sequence, began))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
            ahead = 0.0 if rate is None else start + index / rate - time.perf_counter()
            await asyncio.sleep(max(ahead, 0.0005))
            await journal.room()
    await journal.durable()
    return taken, time.perf_counter() - start, spent / len(items) * 1e6


def timed(what: Callable[[], Any]) -> tuple[float, Any]:
    """Return how many seconds something takes, and what it gives."""
    began = time.perf_counter()
    made = what()
    return time.perf_counter() - began, made


def run(rate: int | None) -> None:
    """Measure once."""
    from workbench.model.identifiers import AccountId, ClientId, Venue
    from workbench.node.journal import Journal, TradedAccount
    from workbench.runtime.switching import quick_switching

    with tempfile.TemporaryDirectory(dir=HERE.parents[2]) as name:
        folder = Path(name)
        bare_p50, bare_p99 = bare(folder)
        account = TradedAccount(
            client_id=ClientId("SIM"), venue=Venue("SIM"), account_id=AccountId("SIM-PAPER")
        )
        items = list(messages(EVENTS))
        journal = open_journal(folder / "single")
        one_p50, one_p99 = percentiles(asyncio.run(single(journal, items)))
        journal.close()
        journal = open_journal(folder)
        journal.begin_run("t", accounts=[account])
        with quick_switching():  # as while a node runs
            taken, seconds, append_us = asyncio.run(stream(journal, items, rate))
        stream_p50, stream_p99 = percentiles(taken)
        journal.close()
        replay_s, count = timed(lambda: sum(1 for _ in Journal.read_only(journal.path).messages()))
        open_s, journal = timed(lambda: open_journal(folder))
        fold_s, state = timed(journal.state)
        journal.close()
        assert len(state.fills) == EVENTS // 4
        report(
            rate=rate or "all at once",
            bare_p50_ms=bare_p50,
            bare_p99_ms=bare_p99,
            single_p50_ms=one_p50,
            single_p99_ms=one_p99,
            events_a_second=round(len(items) / seconds),
            append_us=round(append_us, 2),
            stream_p50_ms=stream_p50,
            stream_p99_ms=stream_p99,
            replay_us=round(replay_s / count * 1e6, 2),
            open_s=round(open_s, 3),
            fold_s=round(fold_s, 3),
            megabytes=round(journal.path.stat().st_size / 2**20, 1),
        )


def compare(rounds: int) -> None:
    """Run both rates interleaved and print medians."""
    base = [sys.executable, str(HERE), "--one"]
    runs = interleaved(
        {f"{RATE:,} a second": [*base, "--rate", str(RATE)], "all at once": base}, rounds
    )
    columns = [name for name in next(iter(runs.values()))[0] if name not in ("rate", "peak_mb")]
    print("\n| events | " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * len(columns))
    for name, rows in runs.items():
        print(f"| {name} | " + " | ".join(f"{median(rows, one):,}" for one in columns) + " |")


def main() -> None:
    """Run once, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", action="store_true")
    parser.add_argument("--rate", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.one:
        run(arguments.rate)
    else:
        compare(arguments.rounds)


if __name__ == "__main__":
    main()
