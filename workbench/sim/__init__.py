"""Matching engine, simulated exchange, backtest engine and replay."""

from workbench.sim.client import SimulatedExecutionClient
from workbench.sim.engine import BacktestEngine
from workbench.sim.exchange import SimulatedExchange
from workbench.sim.fee_models import (
    FeeModel,
    FillFacts,
    FixedFeeModel,
    MakerTakerFeeModel,
    PerContractFeeModel,
)
from workbench.sim.fill_models import (
    BestPriceFillModel,
    FillModel,
    OneTickSlippageFillModel,
    SizeAwareFillModel,
    ThreeTierFillModel,
    TieredFillModel,
    TwoTierFillModel,
    VolumeSensitiveFillModel,
)
from workbench.sim.history_client import HistoryDataClient
from workbench.sim.latency import LatencyModel
from workbench.sim.replay import OnExhausted, Pacing, ReplayDataClient
from workbench.sim.session import TradingSession
from workbench.sim.simulated_time import SimulatedTime
from workbench.sim.venue import BarPath, FillOn, SimulatedVenue

__all__ = [
    "BacktestEngine",
    "BarPath",
    "BestPriceFillModel",
    "FeeModel",
    "FillFacts",
    "FillModel",
    "FillOn",
    "FixedFeeModel",
    "HistoryDataClient",
    "LatencyModel",
    "MakerTakerFeeModel",
    "OnExhausted",
    "OneTickSlippageFillModel",
    "Pacing",
    "PerContractFeeModel",
    "ReplayDataClient",
    "SimulatedExchange",
    "SimulatedExecutionClient",
    "SimulatedTime",
    "SimulatedVenue",
    "SizeAwareFillModel",
    "ThreeTierFillModel",
    "TieredFillModel",
    "TradingSession",
    "TwoTierFillModel",
    "VolumeSensitiveFillModel",
]
