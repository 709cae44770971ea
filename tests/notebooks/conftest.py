"""Kernels for the tests of this folder; every test here is marked `kernel`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.notebooks.kernels import Kernel

SETUP = """
%load_ext workbench
import asyncio, time
import workbench as wb
from decimal import Decimal

PAIR = wb.CurrencyPair.define("BTC/USDT.SIM", price_increment="0.01", quantity_increment="0.001")


class Ticker(wb.Strategy):
    '''Counts quotes.'''
    every: int = 0

    def on_start(self):
        self.count = 0
        self.stopped = False
        self.subscribe_quotes()

    def on_quote(self, quote):
        self.count += 1
        if self.every and self.count % self.every == 0:
            self.submit_order(self.orders.market(quote.instrument_id, "buy", 0.5))

    def on_stop(self):
        self.stopped = True


def make(strategy=None, name="TRADER-001", rate=200.0, **more):
    return wb.sandbox(
        strategy or Ticker(),
        data=wb.Synthetic(PAIR, rate=rate),
        instrument=PAIR,
        config=wb.TradingNodeConfig(trader_id=name, **more),
    )


def started(*arguments, **more):
    node = make(*arguments, **more)
    node.build()
    node.run()
    return node


def ticking(node, count=3):
    return all(getattr(s, "count", 0) > count for s in node.strategies)


async def until(condition):
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.005)
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("kernel")


@pytest.fixture(scope="module")
def kernel() -> Generator[Kernel]:
    """A kernel shared by a module's tests, with `workbench` loaded and `make` to make nodes."""
    kernel = Kernel(SETUP)
    yield kernel
    kernel.close()


@pytest.fixture
def new_kernel() -> Generator[Callable[[], Kernel]]:
    """Makes kernels for one test alone."""
    made: list[Kernel] = []

    def make() -> Kernel:
        made.append(Kernel(SETUP))
        return made[-1]

    yield make
    for kernel in made:
        kernel.close()


@pytest.fixture
def bare_kernel() -> Generator[Kernel]:
    """A kernel in which nothing was run."""
    kernel = Kernel()
    yield kernel
    kernel.close()


@pytest.fixture
def directory() -> Generator[Path]:
    """A directory with a short path, as the sockets of a kernel need."""
    made = Path(tempfile.mkdtemp(prefix="wb"))
    yield made
    shutil.rmtree(made, ignore_errors=True)
