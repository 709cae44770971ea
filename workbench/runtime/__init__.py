"""Clock, channels, runner, bus, lifecycle tables and the event log."""

from workbench.runtime.broadcast import BroadcastChannel, Closed, Lagged
from workbench.runtime.bus import MessageBus
from workbench.runtime.channels import Channel, ChannelName, Channels, ChannelStatistics
from workbench.runtime.clock import Clock, LiveClock, SimulatedClock
from workbench.runtime.dispatch import Dispatcher, Handlers
from workbench.runtime.eventlog import TRADING_KINDS, EventLog, Record, RecordKind
from workbench.runtime.lanes import Lane, LaneName, Lanes
from workbench.runtime.lifecycle import (
    ComponentState,
    ComponentTrigger,
    Lifecycle,
    NodeState,
    NodeTrigger,
)
from workbench.runtime.loop_watch import LoopWatch
from workbench.runtime.runner import (
    AsyncRunner,
    AsyncRunnerChannels,
    AsyncRunnerHandle,
    Pump,
)
from workbench.runtime.senders import (
    AsyncDataCommandSender,
    AsyncDataEventSender,
    AsyncExecEventSender,
    AsyncTimeEventSender,
    AsyncTradingCommandSender,
    Senders,
    get_data_cmd_sender,
    get_data_event_sender,
    get_exec_event_sender,
    get_time_event_sender,
    get_trading_cmd_sender,
)

__all__ = [
    "TRADING_KINDS",
    "AsyncDataCommandSender",
    "AsyncDataEventSender",
    "AsyncExecEventSender",
    "AsyncRunner",
    "AsyncRunnerChannels",
    "AsyncRunnerHandle",
    "AsyncTimeEventSender",
    "AsyncTradingCommandSender",
    "BroadcastChannel",
    "Channel",
    "ChannelName",
    "ChannelStatistics",
    "Channels",
    "Clock",
    "Closed",
    "ComponentState",
    "ComponentTrigger",
    "Dispatcher",
    "EventLog",
    "Handlers",
    "Lagged",
    "Lane",
    "LaneName",
    "Lanes",
    "Lifecycle",
    "LiveClock",
    "LoopWatch",
    "MessageBus",
    "NodeState",
    "NodeTrigger",
    "Pump",
    "Record",
    "RecordKind",
    "Senders",
    "SimulatedClock",
    "get_data_cmd_sender",
    "get_data_event_sender",
    "get_exec_event_sender",
    "get_time_event_sender",
    "get_trading_cmd_sender",
]
