"""Actors, strategies, the order factory, indicators, and the core that wires them."""

from workbench.trading.actor import Actor
from workbench.trading.core import TradingCore
from workbench.trading.indicators import (
    ATR,
    EMA,
    MACD,
    RSI,
    SMA,
    VWAP,
    BollingerBands,
    DonchianChannel,
    Indicator,
)
from workbench.trading.order_factory import OrderFactory
from workbench.trading.parameters import Parameters
from workbench.trading.strategy import Strategy

__all__ = [
    "ATR",
    "EMA",
    "MACD",
    "RSI",
    "SMA",
    "VWAP",
    "Actor",
    "BollingerBands",
    "DonchianChannel",
    "Indicator",
    "OrderFactory",
    "Parameters",
    "Strategy",
    "TradingCore",
]
