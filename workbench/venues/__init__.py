"""Venues as plug-ins: what one must have, how it is found, and how a node trades through it.

How to build on this. A plug-in is a package with a light module that holds a `VenuePlugin`, and
two classes that keep `DataEndpoints` and `BrokerEndpoints` of `workbench.venues.contract`. It
speaks to its venue and turns what comes into instruments, market data and reports; it decides
nothing. `VenueDataClient` and `VenueExecutionClient` make a node's clients of them, once for all
plug-ins: they own the tasks, reconnect, keep the rates, ask what became of an order whose outcome
is unknown, and see to it that a fill counts once. The composition root gives `VenueAccount.journal`
(`Durable`) where commands are to be written down first, and `VenueExecutionClient.fills_since_ns`
where books were read back; `refresh()` asks for everything again at any time. A plug-in's tests
inherit `workbench.venues.testing.VenueConformance`; `workbench.venues.fake` has a venue in memory
that keeps the same contract and misbehaves when told to.
"""

from workbench.venues.connection import LinkSettings, LinkState
from workbench.venues.contract import (
    ENDPOINTS,
    BrokerContext,
    BrokerEndpoints,
    BrokerSink,
    DataContext,
    DataEndpoints,
    DataSink,
    Endpoint,
    EndpointKind,
    FillQuery,
    HistoryRequest,
    OrderChange,
    OrderQuery,
    OrderTarget,
    Subscription,
    SymbolMatch,
    check_endpoints,
)
from workbench.venues.data_client import VenueDataClient
from workbench.venues.errors import (
    CredentialsError,
    NotSentError,
    OrderNotFoundError,
    PluginError,
    RateLimitedError,
    VenueError,
    VenueRejectedError,
)
from workbench.venues.execution_client import VenueExecutionClient
from workbench.venues.factory import VenueAccount, VenueData
from workbench.venues.inquiries import InquirySettings
from workbench.venues.loader import GROUP, Venues, as_plugin, unsupported, venues
from workbench.venues.order_entry import Durable, ExecutionSettings
from workbench.venues.plugin import RateLimit, VenuePlugin
from workbench.venues.secrets import Credentials, Secret, read_credentials, redact

__all__ = [
    "ENDPOINTS",
    "GROUP",
    "BrokerContext",
    "BrokerEndpoints",
    "BrokerSink",
    "Credentials",
    "CredentialsError",
    "DataContext",
    "DataEndpoints",
    "DataSink",
    "Durable",
    "Endpoint",
    "EndpointKind",
    "ExecutionSettings",
    "FillQuery",
    "HistoryRequest",
    "InquirySettings",
    "LinkSettings",
    "LinkState",
    "NotSentError",
    "OrderChange",
    "OrderNotFoundError",
    "OrderQuery",
    "OrderTarget",
    "PluginError",
    "RateLimit",
    "RateLimitedError",
    "Secret",
    "Subscription",
    "SymbolMatch",
    "VenueAccount",
    "VenueData",
    "VenueDataClient",
    "VenueError",
    "VenueExecutionClient",
    "VenuePlugin",
    "VenueRejectedError",
    "Venues",
    "as_plugin",
    "check_endpoints",
    "read_credentials",
    "redact",
    "unsupported",
    "venues",
]
