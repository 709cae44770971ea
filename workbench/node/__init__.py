"""The composition root: the node, its settings, its session, and the factories of its clients."""

from workbench.node.clients import (
    BuildContext,
    DataClientFactory,
    ExecClientFactory,
    Replay,
    Simulated,
)
from workbench.node.config import ClockKind, TradingNodeConfig
from workbench.node.live import live
from workbench.node.node import TradingNode
from workbench.node.phases import NodePhase
from workbench.node.promotion import (
    Certificate,
    Check,
    Checklist,
    DemotionReport,
    Evidence,
    PromotionError,
    PromotionReport,
    PromotionRules,
)
from workbench.node.reconciliation import ReconciliationError
from workbench.node.registry import nodes
from workbench.node.setups import as_strategies, as_venues, sandbox
from workbench.node.shadow_report import ShadowReport
from workbench.node.snapshots import KillReport, NodeSnapshot
from workbench.node.swapping import SwapReport
from workbench.node.synthetic import Synthetic
from workbench.node.verification import Difference, StrategyVerification, Verification, verify

__all__ = [
    "BuildContext",
    "Certificate",
    "Check",
    "Checklist",
    "ClockKind",
    "DataClientFactory",
    "DemotionReport",
    "Difference",
    "Evidence",
    "ExecClientFactory",
    "KillReport",
    "NodePhase",
    "NodeSnapshot",
    "PromotionError",
    "PromotionReport",
    "PromotionRules",
    "ReconciliationError",
    "Replay",
    "ShadowReport",
    "Simulated",
    "StrategyVerification",
    "SwapReport",
    "Synthetic",
    "TradingNode",
    "TradingNodeConfig",
    "Verification",
    "as_strategies",
    "as_venues",
    "live",
    "nodes",
    "sandbox",
    "verify",
]
