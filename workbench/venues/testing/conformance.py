"""The conformance suite: a plug-in's tests inherit it, with one fixture.

    class TestMyVenue(VenueConformance):
        @pytest.fixture
        def trial(self) -> VenueTrial:
            return MyTrial()

Every test runs a trading core with the venue's two clients against the trial's venue. What the
trial cannot make its venue do is skipped, and said so; what the plug-in does not offer as well.
"""

from __future__ import annotations

import pytest

from workbench.venues.testing.connections import ConnectionConformance
from workbench.venues.testing.faults import FaultConformance
from workbench.venues.testing.market_data import MarketDataConformance
from workbench.venues.testing.orders import OrderConformance
from workbench.venues.testing.trial import VenueTrial


class VenueConformance(
    ConnectionConformance, MarketDataConformance, OrderConformance, FaultConformance
):
    """What every plug-in must hold to."""

    @pytest.fixture
    def trial(self) -> VenueTrial:
        """Return the venue; a subclass overrides this."""
        raise NotImplementedError("a conformance test has a fixture `trial`")
