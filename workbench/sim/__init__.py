"""Matching engine, simulated exchange, backtest engine and replay."""

from workbench.sim.client import SimulatedExecutionClient
from workbench.sim.engine import BacktestEngine
from workbench.sim.exchange import SimulatedExchange
from workbench.sim.history_client import HistoryDataClient
from workbench.sim.replay import OnExhausted, Pacing, ReplayDataClient
from workbench.sim.simulated_time import SimulatedTime
from workbench.sim.venue import BarPath, FillOn, SimulatedVenue

__all__ = [
    "BacktestEngine",
    "BarPath",
    "FillOn",
    "HistoryDataClient",
    "OnExhausted",
    "Pacing",
    "ReplayDataClient",
    "SimulatedExchange",
    "SimulatedExecutionClient",
    "SimulatedTime",
    "SimulatedVenue",
]
