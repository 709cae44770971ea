"""Stored market data: loading it from anywhere, checking it, and merging it by time."""

from workbench.history.columns import BarColumns, QuoteColumns, TradeColumns
from workbench.history.dataset import DataEvent, Dataset
from workbench.history.loaders import bars, quotes, trades
from workbench.history.loading import load
from workbench.history.messages import MessageList
from workbench.history.moments import Moment, to_ns
from workbench.history.timeline import Stream, Timeline
from workbench.model.display import format_ns

__all__ = [
    "BarColumns",
    "DataEvent",
    "Dataset",
    "MessageList",
    "Moment",
    "QuoteColumns",
    "Stream",
    "Timeline",
    "TradeColumns",
    "bars",
    "format_ns",
    "load",
    "quotes",
    "to_ns",
    "trades",
]
