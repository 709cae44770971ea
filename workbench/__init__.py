"""A trading node that lives inside the running Jupyter kernel.

>>> import workbench as wb
>>> wb.CurrencyPair.define("BTC/USDT.BINANCE", price_increment="0.01").price(64_123.456)
Decimal('64123.46')
"""

from __future__ import annotations

from typing import Any

from workbench.engines.capabilities import Capabilities
from workbench.engines.risk import RiskLimits
from workbench.history import Dataset, bars, quotes, trades
from workbench.model.commands import DataResponse
from workbench.model.custom_data import CustomData, Signal
from workbench.model.data import (
    Bar,
    BarSpec,
    BarType,
    BidAskBar,
    DataGap,
    FundingRate,
    InstrumentStatus,
    MarketStatus,
    MarkPrice,
    Quote,
    Trade,
)
from workbench.model.enums import (
    AccountType,
    AggressorSide,
    BarAggregation,
    ContingencyType,
    LiquiditySide,
    OrderManagement,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionSide,
    PriceType,
    TimeInForce,
    TradingState,
    TrailingOffsetType,
    TriggerType,
)
from workbench.model.errors import (
    ClientError,
    ConfigError,
    DataError,
    InstrumentError,
    LifecycleError,
    PriceError,
    StrategyError,
    WorkbenchError,
)
from workbench.model.events import (
    AccountState,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderEmulated,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderModifyRejected,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderRejected,
    OrderReleased,
    OrderSubmitted,
    OrderTriggered,
    OrderUpdated,
    PositionChanged,
    PositionClosed,
    PositionEvent,
    PositionOpened,
    TimeEvent,
)
from workbench.model.instruments import (
    CryptoPerpetual,
    CurrencyPair,
    Equity,
    Future,
    Instrument,
)
from workbench.model.money import Currency, Money
from workbench.model.order_lists import Bracket, OrderList
from workbench.model.orders import Order
from workbench.model.positions import Position
from workbench.model.risk_events import LossLimitReached, TradingStateChanged
from workbench.node import (
    KillReport,
    NodeSnapshot,
    Replay,
    ShadowReport,
    Simulated,
    SwapReport,
    Synthetic,
    TradingNode,
    TradingNodeConfig,
    live,
    nodes,
    sandbox,
)
from workbench.research import BacktestResult, backtest, sample_bars, sample_quotes
from workbench.runtime.lifecycle import NodeState
from workbench.runtime.runner import AsyncRunner, AsyncRunnerChannels, AsyncRunnerHandle
from workbench.runtime.senders import (
    AsyncDataCommandSender,
    AsyncTimeEventSender,
    AsyncTradingCommandSender,
    get_data_cmd_sender,
    get_data_event_sender,
    get_exec_event_sender,
    get_time_event_sender,
    get_trading_cmd_sender,
)
from workbench.sim import (
    BestPriceFillModel,
    FeeModel,
    FillModel,
    FixedFeeModel,
    LatencyModel,
    MakerTakerFeeModel,
    OneTickSlippageFillModel,
    PerContractFeeModel,
    SimulatedVenue,
    SizeAwareFillModel,
    ThreeTierFillModel,
    TieredFillModel,
    TradingSession,
    TwoTierFillModel,
    VolumeSensitiveFillModel,
)
from workbench.trading import (
    ATR,
    EMA,
    MACD,
    RSI,
    SMA,
    VWAP,
    Actor,
    BollingerBands,
    DonchianChannel,
    Indicator,
    Strategy,
)
from workbench.venues import VenueAccount, VenueData, VenueError, venues

__version__ = "0.1.0"

__all__ = [
    "ATR",
    "EMA",
    "MACD",
    "RSI",
    "SMA",
    "VWAP",
    "AccountState",
    "AccountType",
    "Actor",
    "AggressorSide",
    "AsyncDataCommandSender",
    "AsyncRunner",
    "AsyncRunnerChannels",
    "AsyncRunnerHandle",
    "AsyncTimeEventSender",
    "AsyncTradingCommandSender",
    "BacktestResult",
    "Bar",
    "BarAggregation",
    "BarSpec",
    "BarType",
    "BestPriceFillModel",
    "BidAskBar",
    "BollingerBands",
    "Bracket",
    "Capabilities",
    "ClientError",
    "ConfigError",
    "ContingencyType",
    "CryptoPerpetual",
    "Currency",
    "CurrencyPair",
    "CustomData",
    "DataError",
    "DataGap",
    "DataResponse",
    "Dataset",
    "DonchianChannel",
    "Equity",
    "FeeModel",
    "FillModel",
    "FixedFeeModel",
    "FundingRate",
    "Future",
    "Indicator",
    "Instrument",
    "InstrumentError",
    "InstrumentStatus",
    "KillReport",
    "LatencyModel",
    "LifecycleError",
    "LiquiditySide",
    "LossLimitReached",
    "MakerTakerFeeModel",
    "MarkPrice",
    "MarketStatus",
    "Money",
    "NodeSnapshot",
    "NodeState",
    "OneTickSlippageFillModel",
    "Order",
    "OrderAccepted",
    "OrderCancelRejected",
    "OrderCanceled",
    "OrderDenied",
    "OrderEmulated",
    "OrderEvent",
    "OrderExpired",
    "OrderFilled",
    "OrderInitialized",
    "OrderList",
    "OrderManagement",
    "OrderModifyRejected",
    "OrderPendingCancel",
    "OrderPendingUpdate",
    "OrderRejected",
    "OrderReleased",
    "OrderSide",
    "OrderStatus",
    "OrderSubmitted",
    "OrderTriggered",
    "OrderType",
    "OrderUpdated",
    "PerContractFeeModel",
    "Position",
    "PositionChanged",
    "PositionClosed",
    "PositionEvent",
    "PositionOpened",
    "PositionSide",
    "PriceError",
    "PriceType",
    "Quote",
    "Replay",
    "RiskLimits",
    "ShadowReport",
    "Signal",
    "Simulated",
    "SimulatedVenue",
    "SizeAwareFillModel",
    "Strategy",
    "StrategyError",
    "SwapReport",
    "Synthetic",
    "ThreeTierFillModel",
    "TieredFillModel",
    "TimeEvent",
    "TimeInForce",
    "Trade",
    "TradingNode",
    "TradingNodeConfig",
    "TradingSession",
    "TradingState",
    "TradingStateChanged",
    "TrailingOffsetType",
    "TriggerType",
    "TwoTierFillModel",
    "VenueAccount",
    "VenueData",
    "VenueError",
    "VolumeSensitiveFillModel",
    "WorkbenchError",
    "backtest",
    "bars",
    "get_data_cmd_sender",
    "get_data_event_sender",
    "get_exec_event_sender",
    "get_time_event_sender",
    "get_trading_cmd_sender",
    "live",
    "load_ipython_extension",
    "nodes",
    "quotes",
    "sample_bars",
    "sample_quotes",
    "sandbox",
    "trades",
    "unload_ipython_extension",
    "venues",
]


def load_ipython_extension(shell: Any) -> None:
    """Add the magics to a notebook; called by `%load_ext workbench`."""
    from workbench.jupyter import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics away; called by `%unload_ext workbench`."""
    from workbench.jupyter import unload

    unload(shell)
