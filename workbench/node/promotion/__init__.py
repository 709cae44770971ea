"""Promotion: from simulated fills to a real account, and back, with what decides it on record.

`Promoting` does it for a node; `Checklist`, `Certificate` and the reports are what a user sees.
"""

from workbench.node.promotion.certificate import Certificate
from workbench.node.promotion.checklist import Check, Checklist
from workbench.node.promotion.errors import PromotionError
from workbench.node.promotion.evidence import Evidence
from workbench.node.promotion.promoting import Promoting
from workbench.node.promotion.reports import DemotionReport, PromotionReport
from workbench.node.promotion.rules import PromotionRules

__all__ = [
    "Certificate",
    "Check",
    "Checklist",
    "DemotionReport",
    "Evidence",
    "Promoting",
    "PromotionError",
    "PromotionReport",
    "PromotionRules",
]
