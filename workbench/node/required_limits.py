"""The limits that a node needs before it trades a real account."""

from __future__ import annotations

from workbench.engines.risk import RiskLimits

REQUIRED_LIMITS = ("max_order_quantity", "max_notional", "max_position", "max_loss_per_day")
"""How large an order, a position and a loss may be; one of the first two will do."""


def missing_limits(limits: RiskLimits) -> list[str]:
    """Return which of them are not set."""
    there = {name for name in REQUIRED_LIMITS if getattr(limits, name) is not None}
    missing = [name for name in REQUIRED_LIMITS[2:] if name not in there]
    if not there & set(REQUIRED_LIMITS[:2]):
        missing.insert(0, "max_order_quantity or max_notional")
    return missing
