"""Actors, strategies, the order factory, indicators, and the core that wires them."""

from workbench.trading.actor import Actor
from workbench.trading.core import TradingCore
from workbench.trading.indicators import EMA, SMA
from workbench.trading.order_factory import OrderFactory
from workbench.trading.parameters import Parameters
from workbench.trading.strategy import Strategy

__all__ = ["EMA", "SMA", "Actor", "OrderFactory", "Parameters", "Strategy", "TradingCore"]
