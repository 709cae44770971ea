"""What a live node costs: `bench_live.py`.

Two figures. How long it takes from a strategy's `submit_order` to the bytes of the order on the
socket, over a bare TCP connection and through ccxt, with the journal on and beside it without one
(which a node with a real account refuses: here the client is said to be simulated). And how long a
node takes from `build()` to its phase `running` with 100,000 journaled events behind it.

Each run is a process of its own; what it talks to is another one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench_journal import messages
from measuring import interleaved, median, report

HERE = Path(__file__).resolve()
ORDERS = 1_000
PAUSE_NS = 5_000_000
EVENTS = 100_000
FIRST = 50  # orders that are left out: until everything has been imported and made once


# A venue over a bare TCP connection: a line of JSON a message


async def serve() -> None:
    """Take orders, and say so."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            name = json.loads(line)["name"]
            writer.write(json.dumps({"name": name, "is": "accepted"}).encode() + b"\n")

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


SENT: dict[str, int] = {}
"""When an order's bytes were written, on the monotonic clock."""


def bare_plugin() -> Any:
    """Return the plug-in of the bare venue."""
    from workbench.venues import VenuePlugin

    return VenuePlugin(name="bare", datad="bench_live:BareDatad", brokerd="bench_live:BareBrokerd")


class BareDatad:
    """Definitions and nothing else."""

    def __init__(self, context: Any, *, port: int) -> None:
        self.venue = "SIM"
        del context, port

    async def connect(self, sink: Any) -> None:
        del sink

    async def disconnect(self) -> None: ...

    async def load_instruments(self, instrument_ids: Any) -> list[Any]:
        from workbench.model.instruments import CurrencyPair

        return [CurrencyPair.define(one) for one in instrument_ids]

    async def subscribe(self, subscription: Any) -> None:
        del subscription

    async def unsubscribe(self, subscription: Any) -> None:
        del subscription


class BareBrokerd:
    """Orders as lines of JSON."""

    def __init__(self, context: Any, *, port: int) -> None:
        self.venue = "SIM"
        self._port = port
        self._clock_ns = context.clock_ns
        self._account_id = context.account_id
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def connect(self, sink: Any) -> None:
        del sink
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        async for line in reader:
            self._waiting.pop(json.loads(line)["name"]).set_result(None)

    async def disconnect(self) -> None:
        if hasattr(self, "_writer"):
            self._reading.cancel()
            self._writer.close()

    async def submit(self, order: Any) -> Any:
        from workbench.model.enums import OrderStatus
        from workbench.model.identifiers import VenueOrderId
        from workbench.model.reports import OrderStatusReport

        name = order.client_order_id
        answered = self._waiting[name] = asyncio.get_running_loop().create_future()
        line = {"name": name, "side": order.side.value, "quantity": str(order.quantity)}
        self._writer.write(json.dumps({**line, "price": str(order.price)}).encode() + b"\n")
        SENT[name] = time.perf_counter_ns()
        await answered
        now = self._clock_ns()
        return OrderStatusReport(
            account_id=self._account_id,
            instrument_id=order.instrument_id,
            client_order_id=name,
            venue_order_id=VenueOrderId(f"V-{name}"),
            side=order.side,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            status=OrderStatus.ACCEPTED,
            quantity=order.quantity,
            price=order.price,
            filled_quantity=Decimal(0),
            ts_event=now,
            ts_init=now,
        )

    async def cancel(self, target: Any) -> Any:
        raise NotImplementedError

    async def order_status_reports(self, query: Any) -> list[Any]:
        del query
        return []

    async def fill_reports(self, query: Any) -> list[Any]:
        del query
        return []

    async def account_state(self) -> Any:
        from workbench.model.enums import AccountType
        from workbench.model.events import AccountState, Balance
        from workbench.model.money import currency

        now = self._clock_ns()
        return AccountState(
            account_id=self._account_id,
            account_type=AccountType.MARGIN,
            base_currency=None,
            balances=(Balance(currency("USD"), Decimal(1_000_000)),),
            ts_event=now,
            ts_init=now,
        )


# From the strategy to the socket


def sender(instrument: Any, price: float, quantity: str) -> Any:
    """Return a strategy that rests one order after another, and notes when it asked for it."""
    import workbench as wb

    class Sender(wb.Strategy):
        def on_start(self) -> None:
            self.asked: dict[str, int] = {}
            self.wait()

        def wait(self) -> None:
            if len(self.asked) < ORDERS + FIRST:
                self.clock.set_alert("order", self.clock.timestamp_ns() + PAUSE_NS)

        def on_order_accepted(self, _: Any) -> None:
            self.wait()

        def on_time_event(self, _: Any) -> None:
            order = self.orders.limit(instrument.id, "buy", quantity, price)
            self.asked[order.client_order_id] = time.perf_counter_ns()
            self.submit_order(order)

    return Sender()


def make_node(strategy: Any, account: Any, instrument: Any, folder: Path, journal: bool) -> Any:
    """Return a node, with a journal or without."""
    import workbench as wb

    class Unwritten:
        """A factory of a client that counts as simulated, so that no journal is asked for."""

        def __call__(self, context: Any) -> Any:
            client = account(context)
            client.is_simulated = True
            return client

    limits = wb.RiskLimits(
        orders=10**6,
        max_order_quantity=10**9,
        max_position=10**12,
        max_loss_per_day="900_000_000 USD",
    )
    config = wb.TradingNodeConfig(
        limits=limits,
        journal=str(folder / "journal.sqlite") if journal else None,
        data_folder=str(folder),
        stall_threshold_s=60,
    )
    node = wb.TradingNode(config)
    node.add_data_client_factory(account.for_instruments([instrument]).data())
    node.add_exec_client_factory(account if journal else Unwritten())
    node.add_strategy(strategy)
    return node


async def lives(node: Any, until: Any) -> None:
    """Run a node until something holds."""
    task = asyncio.create_task(node.run_async())
    while not until() and not task.done():
        await asyncio.sleep(0.01)
    if not task.done():
        await node.stop_async()
    await task


@contextmanager
def bare_venue() -> Generator[int]:
    """Run the bare venue in a process of its own; give its port."""
    process = subprocess.Popen(
        [sys.executable, str(HERE), "--serve"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate()


def percentiles(nanoseconds: list[int]) -> dict[str, float]:
    """Return p50 and p99 in microseconds."""
    cuts = statistics.quantiles(nanoseconds, n=100)
    return {"p50_us": round(cuts[49] / 1e3), "p99_us": round(cuts[98] / 1e3)}


def run_bare(journal: bool) -> None:
    """Measure over the bare connection."""
    import workbench as wb
    from workbench.model.instruments import CurrencyPair

    pair = CurrencyPair.define("AUD/USD.SIM")
    with bare_venue() as port, tempfile.TemporaryDirectory(dir=HERE.parents[2]) as folder:
        account = wb.VenueAccount(bare_plugin(), "SIM-001", port=port)
        strategy = sender(pair, 0.5, "1000")
        node = make_node(strategy, account, pair, Path(folder), journal)
        node.build()
        asyncio.run(lives(node, lambda: len(SENT) >= ORDERS + FIRST))
        node.dispose()
    told(strategy, "bare", journal)


def run_ccxt(journal: bool) -> None:
    """Measure through ccxt at the local exchange."""
    from asyncio import selector_events

    from bench_exchange import running
    from workbench_ccxt import PLUGIN

    import workbench as wb
    from workbench.venues import RateLimit
    from workbench.venues.secrets import variable_of

    Transport: Any = selector_events._SelectorSocketTransport  # noqa: N806
    write = Transport.write

    def noted(self: Any, data: Any) -> None:
        write(self, data)
        _, found, rest = bytes(data).partition(b"newClientOrderId=")
        if found:
            SENT.setdefault(rest.partition(b"&")[0].decode(), time.perf_counter_ns())

    Transport.write = noted

    async def main(folder: Path) -> Any:
        async with running() as held:
            key = held["accounts"]["trader"]
            for name in ("api_key", "api_secret"):
                os.environ[variable_of("TRADER-1", name)] = key[name]
            account = wb.VenueAccount(
                PLUGIN,
                "TRADER-1",
                instruments=["BTC/USDT.BINANCE"],
                exchange="binance",
                base_url=held["rest"],
                rate_limits=(RateLimit(count=10**6, interval_s=1.0),),
            )
            (pair,) = await account.data().instruments("BTC/USDT.BINANCE")
            strategy = sender(pair, 40_000.0, "0.001")
            node = make_node(strategy, account, pair, folder, journal)
            node.build()
            await lives(node, lambda: len(SENT) >= ORDERS + FIRST)
            node.dispose()
            return strategy

    with tempfile.TemporaryDirectory(dir=HERE.parents[2]) as folder:
        strategy = asyncio.run(main(Path(folder)))
    told(strategy, "ccxt", journal)


def told(strategy: Any, over: str, journal: bool) -> None:
    """Print how long the orders took."""
    names = list(strategy.asked)[FIRST:]
    taken = [SENT[name] - strategy.asked[name] for name in names if name in SENT]
    report(over=over, journal=journal, orders=len(taken), **percentiles(taken))


# Restart


def run_restart() -> None:
    """Measure the start of a node with a journal behind it."""
    import workbench as wb
    from workbench.model.identifiers import AccountId, ClientId, Venue
    from workbench.model.instruments import CurrencyPair
    from workbench.node.journal import Journal, TradedAccount

    pair = CurrencyPair.define("AUD/USD.SIM")
    traded = TradedAccount(
        client_id=ClientId("SIM-001"),
        venue=Venue("SIM"),
        account_id=AccountId("SIM-001"),
        is_simulated=False,
    )
    with bare_venue() as port, tempfile.TemporaryDirectory(dir=HERE.parents[2]) as name:
        folder = Path(name)
        with Journal.open(folder / "journal.sqlite", "TRADER-001") as journal:
            journal.begin_run("t", accounts=[traded])
            for index, (kind, message) in enumerate(messages(EVENTS, traded.account_id)):
                journal.append(kind, message, number=index)
            journal.end_run()
        account = wb.VenueAccount(bare_plugin(), "SIM-001", port=port)
        node = make_node(wb.Strategy(), account, pair, folder, True)
        phases: dict[str, float] = {}
        began = time.perf_counter()

        def see(node: Any) -> None:
            phases.setdefault(node.phase, time.perf_counter() - began)

        node.on_change(see)
        node.build()
        built = time.perf_counter() - began
        asyncio.run(lives(node, lambda: node.phase == "running"))
        orders = len(node.core.cache.orders())
        node.dispose()
    report(
        events=EVENTS,
        orders=orders,
        build_s=round(built, 3),
        running_s=round(phases["running"], 3),
    )


RUNS: dict[str, list[str]] = {
    "bare, journal": ["--over", "bare"],
    "bare, none": ["--over", "bare", "--unwritten"],
    "ccxt, journal": ["--over", "ccxt"],
    "ccxt, none": ["--over", "ccxt", "--unwritten"],
    "restart": ["--restart"],
}


def compare(rounds: int) -> None:
    """Run all of it interleaved and print medians."""
    base = [sys.executable, str(HERE)]
    before = os.getloadavg()[0]
    runs = interleaved({name: [*base, *more] for name, more in RUNS.items()}, rounds)
    print(f"\nload {before:.2f} before, {os.getloadavg()[0]:.2f} after; {rounds} rounds\n")
    print("| command to socket | p50 µs | p99 µs |\n|---|---:|---:|")
    for name, rows in _but_restart(runs):
        print(f"| {name} | {median(rows, 'p50_us'):,} | {median(rows, 'p99_us'):,} |")
    rows = runs["restart"]
    print(f"\n{EVENTS:,} journaled events: built after {median(rows, 'build_s')} s,", end=" ")
    print(f"running after {median(rows, 'running_s')} s")


def _but_restart(runs: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[str, list[Any]]]:
    yield from ((name, rows) for name, rows in runs.items() if name != "restart")


def main() -> None:
    """Run once, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="be the bare venue")
    parser.add_argument("--over", choices=["bare", "ccxt"])
    parser.add_argument("--unwritten", action="store_true", help="without a journal")
    parser.add_argument("--restart", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
    elif arguments.over:
        # By its name: a plug-in's endpoints are imported, and are to be these very ones.
        import bench_live

        run = bench_live.run_bare if arguments.over == "bare" else bench_live.run_ccxt
        run(not arguments.unwritten)
    elif arguments.restart:
        run_restart()
    else:
        compare(arguments.rounds)


if __name__ == "__main__":
    main()
