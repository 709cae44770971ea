"""A venue in memory that keeps the contract: scriptable, seeded, and able to misbehave."""

from workbench.venues.fake.market import FakeMarket, FakeOrder
from workbench.venues.fake.venue import FAKE, FakeBrokerd, FakeDatad, FakeVenue
from workbench.venues.fake.wire import Faults, Wire

__all__ = [
    "FAKE",
    "FakeBrokerd",
    "FakeDatad",
    "FakeMarket",
    "FakeOrder",
    "FakeVenue",
    "Faults",
    "Wire",
]
