"""The plug-in for ccxt holds to the contract, at the local exchange over real sockets."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.venues.testing import VenueConformance, VenueTrial


class TestCcxt(VenueConformance):
    @pytest.fixture
    def trial(self, local_trial: Any) -> VenueTrial:
        return local_trial
