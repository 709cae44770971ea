"""Indicators: one `update(value)` per bar or tick, constant time."""

from workbench.trading.indicators.moving_averages import EMA, SMA

__all__ = ["EMA", "SMA"]
