"""Risk: what is checked before anything leaves, the limits that hold, and what is refused."""

from workbench.engines.risk.engine import RiskEngine
from workbench.engines.risk.limits import OnExcess, OnLoss, PositionScope, RiskLimits

__all__ = ["OnExcess", "OnLoss", "PositionScope", "RiskEngine", "RiskLimits"]
