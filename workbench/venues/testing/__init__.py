"""The conformance suite that a plug-in's tests inherit, and what it runs on.

Not imported by `workbench.venues`: it needs pytest.
"""

from workbench.venues.testing.conformance import VenueConformance
from workbench.venues.testing.session import Desk, VenueSession
from workbench.venues.testing.trial import CannotSteerError, FakeTrial, VenueTrial

__all__ = [
    "CannotSteerError",
    "Desk",
    "FakeTrial",
    "VenueConformance",
    "VenueSession",
    "VenueTrial",
]
