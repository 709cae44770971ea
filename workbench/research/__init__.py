"""Backtests and their results."""

from workbench.research.backtest import backtest
from workbench.research.result import BacktestResult
from workbench.research.samples import sample_bars, sample_quotes

__all__ = ["BacktestResult", "backtest", "sample_bars", "sample_quotes"]
