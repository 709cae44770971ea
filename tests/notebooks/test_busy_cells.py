"""A cell that computes for long stalls the node's loop: nothing is lost, and prices are stale."""

from __future__ import annotations

import pytest

from tests.notebooks.kernels import Kernel

FEED = """
import threading

class Feed:
    '''Sends quotes from a thread of its own, as a venue does, whatever the loop is doing.'''

    def __init__(self, context):
        self.client = wb.Synthetic(PAIR, rate=200)(context)
        self.sent = 0
        self.is_ended = threading.Event()
        self.thread = None
        self.client.run = self.run
        self.client.disconnect = self.disconnect
        Feed.latest = self

    async def run(self):
        self.thread = threading.Thread(target=self.send)
        self.thread.start()
        await asyncio.Event().wait()

    def send(self):
        while not self.is_ended.wait(0.005):
            self.client._send(self.client._quote(PAIR))
            self.sent += 1

    def end(self):
        self.is_ended.set()
        self.thread.join()

    async def disconnect(self):
        self.end()


class Trader(wb.Strategy):
    def on_start(self):
        self.quotes = []
        self.outcomes = []
        self.subscribe_quotes()

    def on_quote(self, quote):
        self.quotes.append(quote.ts_event)
        if len(self.quotes) % 5 == 0:
            self.submit_order(self.orders.market(quote.instrument_id, "buy", 0.01))

    def on_order_denied(self, event):
        self.outcomes.append(event.code)

    def on_order_filled(self, event):
        self.outcomes.append("accepted")


def feeding(**more):
    node = wb.sandbox(Trader(), data=lambda context: Feed(context).client, instrument=PAIR,
        config=wb.TradingNodeConfig(**more))
    node.build()
    node.run()
    return node
"""

BUSY = {
    "asleep": "time.sleep({seconds})",
    "in pure Python": "end = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass",
}


@pytest.fixture(scope="module", autouse=True)
def feed(kernel: Kernel) -> None:
    kernel.run(FEED).ok()


@pytest.mark.parametrize("how", BUSY)
def test_nothing_is_lost_the_stall_is_noted_and_stale_prices_are_not_traded_on(
    kernel: Kernel, how: str, request: pytest.FixtureRequest
) -> None:
    seconds = 5 if request.config.getoption("--full") else 1.5
    kernel.run(
        "node = feeding()\n"
        "trader = node.strategies[0]\n"
        "await until(lambda: len(getattr(trader, 'outcomes', ())) > 3)\n"
        "stalls_before = len(node.stalls)"
    ).ok()
    busy = BUSY[how].format(seconds=seconds)
    kernel.run(
        "handled = len(trader.quotes)\n"
        f"{busy}\n"
        "assert len(trader.quotes) == handled  # the loop did stand still\n"
        "sent = Feed.latest.sent"
    ).ok()
    kernel.run(
        "await until(lambda: len(trader.quotes) > sent and trader.outcomes[-1] == 'accepted')"
    )
    stalls = kernel.value("[s.duration_ns for s in node.stalls[stalls_before:]]")
    assert max(stalls) >= (seconds - 0.2) * 1e9
    logged = kernel.value(
        "[r.message.duration_ns for r in node.core.log if r.kind == 'stall'][stalls_before:]"
    )
    assert logged == stalls
    outcomes = kernel.value("trader.outcomes")
    denials = [o for o in outcomes if o != "accepted"]
    assert denials
    assert all(o == "QUOTE_STALE" for o in denials), denials
    assert outcomes[0] == outcomes[-1] == "accepted"
    if len(stalls) == 1:  # one block of denials, from the stall to the first fresh quote
        first = outcomes.index(denials[0])
        assert outcomes[first : first + len(denials)] == denials
    assert kernel.value("node.stale_instruments") == []
    kernel.run(
        "Feed.latest.end()\nawait until(lambda: len(trader.quotes) >= Feed.latest.sent)\n%node stop"
    ).ok()
    assert kernel.value("len(trader.quotes) == Feed.latest.sent")
    assert kernel.value("trader.quotes == sorted(trader.quotes)")
    drops = kernel.value("int(node.channels().loc['data_events', 'drops'])")
    assert drops == 0
    kernel.run("%node dispose").ok()


def test_an_order_at_the_busy_cells_own_end_is_denied_too(kernel: Kernel) -> None:
    # Before the loop has had a turn: the price the cell decides on is as old as the stall.
    kernel.run(
        "node = feeding(max_quote_age_s=0.1)\n"
        "trader = node.strategies[0]\n"
        "await until(lambda: len(getattr(trader, 'outcomes', ())) > 3)"
    ).ok()
    kernel.run(
        "time.sleep(0.8)\n"
        "order = trader.orders.market(PAIR.id, 'buy', 0.5)\n"
        "trader.submit_order(order)\n"
        "await until(lambda: order.is_closed)\n"
        "assert order.status == 'denied', order\n"
        "assert 'no fresh quote' in order.reason, order.reason"
    ).ok()
    kernel.run(
        "await until(lambda: not node.stale_instruments)\n"
        "order = trader.orders.market(PAIR.id, 'buy', 0.5)\n"
        "trader.submit_order(order)\n"
        "await until(lambda: order.is_closed)\n"
        "assert order.status == 'filled', order"
    ).ok()
    kernel.run("%node stop\n%node dispose").ok()
