"""Small real clients and strategies for the tests of the node: slow, failing, hanging, refusing."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeVar

import workbench as wb
from tests.waiting import GUARD_S
from workbench.engines.clients import DataClient, ExecutionClient, VenueState
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.enums import AccountType, LiquiditySide
from workbench.model.identifiers import AccountId, ClientId, TradeId, Venue, VenueOrderId
from workbench.model.money import currency
from workbench.node import BuildContext
from workbench.runtime import senders
from workbench.sim import SimulatedVenue

T = TypeVar("T")
Step = Callable[[], Awaitable[None]]
USDT = currency("USDT")
PAIR = wb.CurrencyPair.define("BTC/USDT.SIM", price_increment="0.01", quantity_increment="0.001")
OTHER = wb.CurrencyPair.define("ETH/USDT.SIM", price_increment="0.01", quantity_increment="0.001")
ROOT = Path(__file__).resolve().parent.parent


async def nothing() -> None:
    """Do nothing."""


async def forever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()


class Stubborn:
    """A step that does not heed its cancellation, until it is released."""

    def __init__(self) -> None:
        self.is_released = False

    async def __call__(self) -> None:
        end = time.monotonic() + GUARD_S
        while not self.is_released and time.monotonic() < end:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)


class Feed:
    """A factory of a data client, and what a test steers it by.

    Attributes:
        log: What the client was asked for, in order; may be shared with others.
        client: The client made last.
    """

    def __init__(
        self,
        *instruments: wb.Instrument,
        name: str = "FEED",
        connect: Step = nothing,
        disconnect: Step = nothing,
        stream: Step = forever,
        log: list[str] | None = None,
    ) -> None:
        self.instruments = instruments or (PAIR,)
        self.name = name
        self.connect = connect
        self.disconnect = disconnect
        self.stream = stream
        self.log: list[str] = [] if log is None else log
        self.client: FeedClient

    def __call__(self, context: BuildContext) -> DataClient:
        self.client = FeedClient(self, context)
        return self.client


class FeedClient(DataClient):
    """Sends what a test tells it to."""

    def __init__(self, feed: Feed, context: BuildContext) -> None:
        self.client_id = ClientId(feed.name)
        self.venues = frozenset(i.venue for i in feed.instruments)
        self.feed = feed
        self.clock = context.clock
        self.send = senders.get_data_event_sender().send
        self.is_connected = False

    async def connect(self) -> None:
        self.feed.log.append(f"{self.client_id} connects")
        await self.feed.connect()
        for instrument in self.feed.instruments:
            self.send(instrument)
        self.is_connected = True
        self.feed.log.append(f"{self.client_id} connected")

    async def disconnect(self) -> None:
        self.feed.log.append(f"{self.client_id} disconnects")
        await self.feed.disconnect()
        self.is_connected = False
        self.feed.log.append(f"{self.client_id} disconnected")

    def subscribe(self, command: c.Subscribe) -> None:
        self.feed.log.append(f"{self.client_id} subscribes {command.instrument_id}")

    def unsubscribe(self, command: c.Unsubscribe) -> None:
        self.feed.log.append(f"{self.client_id} unsubscribes {command.instrument_id}")

    def request(self, command: c.RequestData) -> None:
        return None

    async def run(self) -> None:
        self.feed.log.append(f"{self.client_id} streams")
        await self.feed.stream()

    def quote(
        self, bid: float = 100.0, *, instrument: wb.Instrument = PAIR, age_s: float = 0.0
    ) -> None:
        """Send a quote, 0.02 wide, that is so old."""
        now = self.clock.timestamp_ns() - int(age_s * 1e9)
        self.send(wb.Quote(instrument.id, bid, round(bid + 0.02, 2), 1000.0, 1000.0, now, now))


class Market:
    """A factory of an execution client that fills market orders at 100, and what steers it.

    Attributes:
        answers: `"fill"`, `"hold"` (an order stays in flight), or `"raise"` on each submit.
        held: The submits that were held.
        is_simulated: Whether no real venue stands behind it; for one a node needs a journal.
    """

    def __init__(
        self,
        *,
        venue: str = "SIM",
        connect: Step = nothing,
        disconnect: Step = nothing,
        state: Callable[[VenueState], Awaitable[VenueState]] | None = None,
        answers: str = "fill",
        sends_account: bool = True,
        is_simulated: bool = True,
        log: list[str] | None = None,
    ) -> None:
        self.venue = venue
        self.is_simulated = is_simulated
        self.connect = connect
        self.disconnect = disconnect
        self.state = state
        self.answers = answers
        self.sends_account = sends_account
        self.log: list[str] = [] if log is None else log
        self.held: list[c.SubmitOrder] = []
        self.client: MarketClient

    def __call__(self, context: BuildContext) -> ExecutionClient:
        self.client = MarketClient(self, context)
        return self.client


class MarketClient(ExecutionClient):
    """Answers orders at once, or not at all."""

    def __init__(self, market: Market, context: BuildContext) -> None:
        self.client_id = ClientId(f"{market.venue}-EXEC")
        self.venue = Venue(market.venue)
        self.account_id = AccountId(f"{market.venue}-001")
        self.is_simulated = market.is_simulated
        self.market = market
        self.clock = context.clock
        self.send = senders.get_exec_event_sender().send
        self._count = 0

    async def connect(self) -> None:
        self.market.log.append(f"{self.client_id} connects")
        await self.market.connect()
        if self.market.sends_account:
            self.send(self.account())
        self.market.log.append(f"{self.client_id} connected")

    async def disconnect(self) -> None:
        self.market.log.append(f"{self.client_id} disconnects")
        await self.market.disconnect()
        self.market.log.append(f"{self.client_id} disconnected")

    async def venue_state(self) -> VenueState:
        self.market.log.append(f"{self.client_id} is asked")
        state = VenueState(account=self.account())
        return state if self.market.state is None else await self.market.state(state)

    def account(self) -> e.AccountState:
        now = self.clock.timestamp_ns()
        return e.AccountState(
            account_id=self.account_id,
            account_type=AccountType.MARGIN,
            base_currency=None,
            balances=(e.Balance(USDT, Decimal(1_000_000)),),
            ts_event=now,
            ts_init=now,
        )

    def submit_order(self, command: c.SubmitOrder) -> None:
        self.market.log.append(f"{self.client_id} submits {command.client_order_id}")
        if self.market.answers == "raise":
            raise ConnectionError("the line is dead")
        self._send(e.OrderSubmitted, command, account_id=self.account_id)
        if self.market.answers == "hold":
            self.market.held.append(command)
        else:
            self.fill(command)

    def fill(self, command: c.SubmitOrder, price: str = "100") -> None:
        """Accept and fill an order, from whichever thread."""
        self._count += 1
        venue_order_id = VenueOrderId(f"V-{self._count}")
        self._send(
            e.OrderAccepted, command, account_id=self.account_id, venue_order_id=venue_order_id
        )
        self._send(
            e.OrderFilled,
            command,
            account_id=self.account_id,
            venue_order_id=venue_order_id,
            trade_id=TradeId(f"T-{self._count}"),
            side=command.order.side,
            order_type=command.order.order_type,
            quantity=command.order.quantity,
            price=Decimal(price),
            commission=Decimal(0),
            commission_currency=USDT,
            liquidity=LiquiditySide.TAKER,
        )

    def _send(self, kind: Any, command: c.SubmitOrder, **more: Any) -> None:
        now = self.clock.timestamp_ns()
        self.send(
            kind(
                strategy_id=command.strategy_id,
                instrument_id=command.instrument_id,
                client_order_id=command.client_order_id,
                ts_event=now,
                ts_init=now,
                **more,
            )
        )

    def modify_order(self, command: c.ModifyOrder) -> None:
        raise NotImplementedError

    def cancel_order(self, command: c.CancelOrder) -> None:
        raise NotImplementedError

    def cancel_all_orders(self, command: c.CancelAllOrders) -> None:
        raise NotImplementedError

    def query_order(self, command: c.QueryOrder) -> None:
        raise NotImplementedError


class Watcher(wb.Strategy):
    """Subscribes to quotes and notes its callbacks."""

    def on_start(self) -> None:
        self.seen: list[str] = ["on_start"]
        self.quotes: list[wb.Quote] = []
        for instrument in self.cache.instruments():
            self.subscribe_quotes(instrument.id)

    def on_quote(self, quote: wb.Quote) -> None:
        self.quotes.append(quote)

    def on_stop(self) -> None:
        self.seen.append("on_stop")


class Trader(Watcher):
    """Buys one on its first quote, and more when told to."""

    def on_quote(self, quote: wb.Quote) -> None:
        super().on_quote(quote)
        if len(self.quotes) == 1:
            self.buy()

    def buy(self) -> None:
        self.submit_order(self.orders.market(PAIR.id, "buy", 1))

    def on_order_event(self, event: Any) -> None:
        self.seen.append(type(event).__name__)


def make_node(
    *strategies: wb.Actor,
    feed: Any = None,
    market: Any = None,
    log: list[str] | None = None,
    **settings: Any,
) -> wb.TradingNode:
    """Return a CREATED node of fakes."""
    node = wb.TradingNode(wb.TradingNodeConfig(**{"delay_post_stop_s": 0.2, **settings}))
    node.add_data_client_factory(feed or Feed(log=log))
    node.add_exec_client_factory(market or Market(log=log))
    for strategy in strategies:
        node.add_strategy(strategy)
    return node


def simulated(*instruments: wb.Instrument) -> wb.Simulated:
    """Return a factory of the simulated exchange."""
    listed = list(instruments or (PAIR,))
    return wb.Simulated(SimulatedVenue().for_instruments(listed), listed)


def run(work: Coroutine[Any, Any, T], *, collects: bool = True) -> T:
    """Run in a fresh loop; nothing is left behind and no task's exception goes unseen."""
    unseen: list[dict[str, Any]] = []

    async def main() -> T:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unseen.append(context))
        result = await work
        await asyncio.sleep(0.01)
        left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        assert not left, f"tasks left: {left}"
        if collects:
            gc.collect()
        return result

    gc.freeze()  # what was there before is not looked through at each collection here
    try:
        # Not `asyncio.run`: a test of the nested run may have patched that.
        with asyncio.Runner() as runner:
            result = runner.run(main())
        if collects:
            gc.collect()
    finally:
        gc.unfreeze()
    assert not unseen, unseen
    assert senders.current() is None
    threads = [t.name for t in threading.enumerate() if t.name.startswith("workbench")]
    assert not threads, threads
    return result


def in_another_process(script: str) -> str:
    """Run a script in a process of its own, and return what it printed.

    For what changes a process for good, such as the nested run, which patches asyncio.
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", dedent(script)],
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "never retrieved" not in done.stderr, done.stderr
    return done.stdout
