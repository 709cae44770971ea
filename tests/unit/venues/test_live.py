"""Factories and `wb.live`: what a node is given, and what it refuses to start without."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import workbench as wb
from tests.waiting import GUARD_S
from workbench.model.enums import OrderType
from workbench.runtime.clock import SimulatedClock
from workbench.venues import CredentialsError, VenueError
from workbench.venues.fake import FAKE, FakeVenue

PAIR = wb.CurrencyPair.define(
    "BTC/USDT.FAKE", price_increment="0.01", quantity_increment="0.001", taker_fee="0.001"
)
LIMITS = wb.RiskLimits(max_order_quantity=10, max_position=10, max_loss_per_day="1_000 USDT")
KEYED = msgspec.structs.replace(FAKE, credentials=("api_key",))


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Forget what was heard, and keep to a folder of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    HEARD.clear()


@pytest.fixture
def fake() -> FakeVenue:
    return FakeVenue([PAIR], clock_ns=time.time_ns, balances={"USDT": 100_000})


def account(fake: FakeVenue, plugin: Any = FAKE) -> wb.VenueAccount:
    return wb.VenueAccount(plugin, "FAKE-001", fake=fake)


HEARD: list[Any] = []
"""What strategies were told, since the test began."""


class Buyer(wb.Strategy):
    """Buys one on its first quote."""

    def on_start(self) -> None:
        self.is_done = False
        self.subscribe_quotes(PAIR.id)

    def on_quote(self, quote: wb.Quote) -> None:
        if not self.is_done:
            self.is_done = True
            self.submit_order(self.orders.market(PAIR.id, "buy", 1))

    def on_order_denied(self, event: wb.OrderDenied) -> None:
        HEARD.append(event)

    def on_order_filled(self, event: wb.OrderFilled) -> None:
        HEARD.append(event)


def play(node: wb.TradingNode, fake: FakeVenue, condition: Any) -> None:
    """Run a node and let the market move until something holds."""

    async def main() -> None:
        node.build()
        task = asyncio.create_task(node.run_async())
        end = time.monotonic() + GUARD_S
        while not condition():
            assert time.monotonic() < end, "it never came to be"
            assert not task.done(), node.fault
            fake.market.quote(PAIR.id, 99.99, 100.01)
            await asyncio.sleep(0.01)
        await node.stop_async()
        await task
        left = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        assert not left, left

    asyncio.run(main())
    node.dispose()
    assert node.fault is None


def test_a_live_node_trades_at_the_venue(fake: FakeVenue) -> None:
    strategy = Buyer()
    node = wb.live(strategy, venue=account(fake), instrument=PAIR, limits=LIMITS)
    play(node, fake, lambda: HEARD)
    (order,) = strategy.cache.orders()
    (placed,) = fake.market.orders.values()
    assert order.filled_quantity == placed.filled == 1
    assert order.client_order_id == placed.order.client_order_id
    assert fake.market.submits == {order.client_order_id: 1}
    held = strategy.cache.account("FAKE-001")
    assert held is not None
    assert {b.currency.code: b.total for b in held.balances} == {
        c.code: amount for c, amount in fake.market.balances(placed.account_id).items()
    }
    assert order.commission == Decimal("0.10001")


def test_a_sandbox_takes_a_venues_data_and_imports_no_orders(fake: FakeVenue) -> None:
    plugin = msgspec.structs.replace(KEYED, brokerd="never_imported:Broker")
    strategy = Buyer()
    node = wb.sandbox(strategy, wb.VenueData(plugin, fake=fake), instrument=PAIR)
    play(node, fake, lambda: HEARD)
    assert "never_imported" not in sys.modules
    assert fake.market.orders == {}


def test_an_order_beyond_what_a_venue_can_do_is_denied_with_the_reason(fake: FakeVenue) -> None:
    limited = msgspec.structs.replace(
        FAKE, capabilities=wb.Capabilities(order_types=frozenset({OrderType.LIMIT}))
    )
    strategy = Buyer()
    node = wb.live(strategy, venue=account(fake, limited), instrument=PAIR, limits=LIMITS)
    play(node, fake, lambda: HEARD)
    (denied,) = HEARD
    assert denied.code == "CAPABILITY_MISSING"
    assert "takes no market orders, only limit" in denied.reason
    assert fake.market.submits == {}


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (None, "max_order_quantity or max_notional, max_position, max_loss_per_day"),
        (wb.RiskLimits(max_notional=5_000, max_position=1), "with max_loss_per_day"),
        (wb.RiskLimits(max_order_quantity=5, max_loss_per_day="5 USDT"), "with max_position"),
    ],
)
def test_no_live_node_without_limits(fake: FakeVenue, limits: Any, said: str) -> None:
    with pytest.raises(wb.ConfigError, match=said):
        wb.live(Buyer(), venue=account(fake), instrument=PAIR, limits=limits)


def test_limits_may_come_with_the_config(fake: FakeVenue) -> None:
    config = wb.TradingNodeConfig(limits=LIMITS)
    assert wb.live(Buyer(), venue=account(fake), instrument=PAIR, config=config).state == "CREATED"


def test_no_live_node_without_credentials(fake: FakeVenue, monkeypatch: Any) -> None:
    monkeypatch.delenv("WORKBENCH_FAKE_001_API_KEY", raising=False)
    with pytest.raises(CredentialsError, match="WORKBENCH_FAKE_001_API_KEY"):
        wb.live(Buyer(), venue=account(fake, KEYED), instrument=PAIR, limits=LIMITS)
    monkeypatch.setenv("WORKBENCH_FAKE_001_API_KEY", "very-secret-key")
    node = wb.live(Buyer(), venue=account(fake, KEYED), instrument=PAIR, limits=LIMITS)
    assert "very-secret-key" not in repr(node) + repr(account(fake, KEYED))


def test_no_live_node_without_an_account_or_on_made_up_data(fake: FakeVenue) -> None:
    with pytest.raises(TypeError, match="account"):
        wb.VenueAccount(FAKE, fake=fake)  # pyright: ignore
    given: Any = "fake"
    with pytest.raises(wb.ConfigError, match="venue is the account to trade"):
        wb.live(Buyer(), venue=given, instrument=PAIR, limits=LIMITS)
    for data in (wb.Synthetic(PAIR), "synthetic"):
        with pytest.raises(wb.ConfigError, match="data"):
            wb.live(Buyer(), venue=account(fake), instrument=PAIR, limits=LIMITS, data=data)


def test_a_plugin_or_option_that_is_not_there_is_named_at_once(fake: FakeVenue) -> None:
    with pytest.raises(VenueError, match="no venue plug-in 'nowhere'"):
        wb.VenueData("nowhere")
    with pytest.raises(wb.ConfigError, match="no option 'exchange'"):
        wb.VenueData(FAKE, exchange="x", fake=fake)
    with pytest.raises(wb.ConfigError, match="instruments is a list"):
        wb.VenueData(FAKE, instruments="BTC/USDT.FAKE", fake=fake)


def test_a_venue_needs_the_live_clock(fake: FakeVenue) -> None:
    class Context:
        clock = SimulatedClock()

    for factory in (wb.VenueData(FAKE, fake=fake), account(fake)):
        with pytest.raises(wb.ConfigError, match="real time"):
            factory(Context())


def test_definitions_can_be_asked_for_without_a_node(fake: FakeVenue) -> None:
    data = wb.VenueData(FAKE, fake=fake)
    assert asyncio.run(data.instruments("BTC/USDT.FAKE")) == [PAIR]
    with pytest.raises(wb.ClientError, match="has no instrument NO/SUCH"):
        asyncio.run(data.instruments("NO/SUCH.FAKE"))


def test_importing_workbench_imports_neither_the_suite_nor_the_fake() -> None:
    code = (
        "import sys, workbench as wb; wb.venues(); wb.VenueData;"
        " print([n for n in sys.modules if n.startswith(('workbench.venues.testing',"
        " 'workbench.venues.fake', 'pytest', 'keyring'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
