"""The conformance suite on the venue in memory, as plug-ins run it."""

from __future__ import annotations

import pytest

from workbench.venues.testing import FakeTrial, VenueConformance, VenueTrial


class TestFakeVenue(VenueConformance):
    @pytest.fixture
    def trial(self) -> VenueTrial:
        return FakeTrial()


class TestFakeVenueThatOnlyTellsByItsStream(VenueConformance):
    @pytest.fixture
    def trial(self) -> VenueTrial:
        return FakeTrial(answers=False)


class TestFakeVenueWhoseFillsNameNoOrder(VenueConformance):
    @pytest.fixture
    def trial(self) -> VenueTrial:
        return FakeTrial(names_orders=False)
