"""Backtests and their results."""

from workbench.research.backtest import backtest
from workbench.research.result import BacktestResult

__all__ = ["BacktestResult", "backtest"]
