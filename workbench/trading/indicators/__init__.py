"""Indicators: one update per bar or tick, constant time, and warm-up from arrays and bars."""

from workbench.trading.indicators.channels import DonchianChannel
from workbench.trading.indicators.indicator import Indicator, PriceIndicator
from workbench.trading.indicators.momentum import MACD, RSI
from workbench.trading.indicators.moving_averages import EMA, SMA, WilderAverage
from workbench.trading.indicators.volatility import ATR, BollingerBands
from workbench.trading.indicators.volume import VWAP

__all__ = [
    "ATR",
    "EMA",
    "MACD",
    "RSI",
    "SMA",
    "VWAP",
    "BollingerBands",
    "DonchianChannel",
    "Indicator",
    "PriceIndicator",
    "WilderAverage",
]
