"""Verification: a run's record is fed to a fresh copy of its strategies, and all is compared.

What is fed is what came from outside: market data, time, a venue's events, in the order they were
handled. What the strategies and the core around them do with it must be what the run did, to the
byte: every order, change and cancel, every denial, subscription and request. A strategy whose
commands depend on anything else (the wall clock, randomness of its own, what another thread did) is
found by the first one that differs.

What the copy's callbacks do beside giving commands (write files, send messages) they do again.
"""

from workbench.node.verification.results import (
    Difference,
    FieldDifference,
    StrategyVerification,
    Verification,
)
from workbench.node.verification.verifying import verify

__all__ = [
    "Difference",
    "FieldDifference",
    "StrategyVerification",
    "Verification",
    "verify",
]
