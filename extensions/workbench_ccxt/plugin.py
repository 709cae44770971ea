"""What is registered: what ccxt's exchanges can do, before any of them is asked."""

from __future__ import annotations

from workbench.engines.capabilities import Capabilities
from workbench.model.commands import DataKind
from workbench.model.enums import OrderType, TimeInForce, TriggerType
from workbench.venues.plugin import RateLimit, VenuePlugin

BARS = {
    "1-minute-last": "1m",
    "3-minute-last": "3m",
    "5-minute-last": "5m",
    "15-minute-last": "15m",
    "30-minute-last": "30m",
    "1-hour-last": "1h",
    "2-hour-last": "2h",
    "4-hour-last": "4h",
    "6-hour-last": "6h",
    "8-hour-last": "8h",
    "12-hour-last": "12h",
    "1-day-last": "1d",
}
"""The bars there may be, with ccxt's word for each; after `connect` those of the exchange."""

CAPABILITIES = Capabilities(
    order_types=frozenset(
        {OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_MARKET, OrderType.STOP_LIMIT}
    ),
    time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
    trigger_types=frozenset({TriggerType.DEFAULT}),
    trailing_offset_types=frozenset(),
    contingencies=frozenset(),
    display_quantity=False,
    reduce_only=False,  # of derivatives only
)
"""Those of most exchanges; the rest is watched on our side, or denied."""

CAUTIOUS = (RateLimit(count=5, interval_s=1.0),)
"""For an exchange whose limits are not known here: pass `rate_limits` of your own."""

RATE_LIMITS: dict[str, tuple[RateLimit, ...]] = {
    # 100 orders in 10 s; 6,000 of weight a minute, and most requests weigh 1 to 20.
    "binance": (
        RateLimit(count=90, interval_s=10.0, orders_only=True),
        RateLimit(count=40, interval_s=1.0),
    ),
    "binanceusdm": (
        RateLimit(count=270, interval_s=10.0, orders_only=True),
        RateLimit(count=30, interval_s=1.0),
    ),
    "bybit": (RateLimit(count=9, interval_s=1.0),),
    "kraken": (RateLimit(count=1, interval_s=1.0),),
    "kucoin": (RateLimit(count=12, interval_s=1.0),),
    "okx": (RateLimit(count=25, interval_s=1.0),),
}
"""By exchange, a little less than it allows; of each a tenth is kept for cancels."""

EXPIRIES_S = {"binance": 5.0, "binanceusdm": 5.0, "binancecoinm": 5.0, "bybit": 5.0}
"""By exchange, the age at which it refuses a signed request: its `recvWindow`."""

AMENDING = frozenset(
    {"binancecoinm", "binanceusdm", "bitmex", "bybit", "deribit", "myokx", "okx", "okxus"}
)
"""The exchanges that change a resting order and keep its id; elsewhere one is made anew."""

PLUGIN = VenuePlugin(
    name="ccxt",
    summary="Any exchange of ccxt: options exchange='binance', market='spot', sandbox=True",
    extra="ccxt",
    requires=("ccxt",),
    datad="workbench_ccxt.datad:CcxtDatad",
    brokerd="workbench_ccxt.brokerd:CcxtBrokerd",
    credentials=("api_key", "api_secret"),
    optional_credentials=("passphrase", "uid"),
    data_kinds=frozenset({DataKind.QUOTES, DataKind.TRADES, DataKind.BARS}),
    bars=tuple(BARS),
    capabilities=CAPABILITIES,
    rate_limits=CAUTIOUS,
    silence_s=4.0,
)
"""The plug-in."""
