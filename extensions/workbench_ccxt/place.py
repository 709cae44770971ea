"""Which exchange, and how it is reached."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from workbench.model.errors import ConfigError
from workbench.model.identifiers import parse_name
from workbench.model.settings import SettingsMeta

MARKETS = ("spot", "margin", "swap", "future")
"""The kinds of market; one client trades one of them."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SECRETS = re.compile(r"(api_?)?key|secret|password|passphrase|uid|private_?key|token", re.I)
_DISTRUST = re.compile(
    r"verify\w*|ssl\w*|insecure\w*|tls\w*|ca_?(file|path)|reject_?unauthorized|url", re.I
)
_BINANCE = frozenset({"binance", "binanceus"})


class Place(
    msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True, metaclass=SettingsMeta
):
    """Which exchange, and how it is reached.

    Attributes:
        exchange: Its id in ccxt, such as `"binance"`.
        market: The kind of market: `"spot"`, `"margin"`, `"swap"` or `"future"`.
        venue: The venue in instrument ids; by default the exchange's id in capitals.
        sandbox: Whether its testnet is used. Keys of a testnet are other keys.
        base_url: Of a server that speaks Binance's spot protocol, such as
            `"http://127.0.0.1:8080"`; REST, streams and WS-API are found from it.
        urls: What replaces parts of ccxt's `urls["api"]`, for any other server.
        options: What is merged into ccxt's `options`; never a secret.

    Raises:
        ConfigError: If something cannot be used, or a secret is among the options.
    """

    exchange: str
    market: str = "spot"
    venue: str = ""
    sandbox: bool = False
    base_url: str = ""
    urls: Mapping[str, Any] = msgspec.field(default_factory=dict[str, Any])
    options: Mapping[str, Any] = msgspec.field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """Check what can be checked without ccxt."""
        parse_name(self.exchange, "exchange")
        if self.market not in MARKETS:
            raise ConfigError(f"market must be one of {', '.join(MARKETS)}; got {self.market!r}")
        msgspec.structs.force_setattr(self, "venue", self.venue or self.exchange.upper())
        parse_name(self.venue, "venue")
        if self.base_url and (self.exchange not in _BINANCE or self.market != "spot"):
            raise ConfigError(
                "base_url is for exchanges of Binance's spot protocol (exchange='binance',"
                f" market='spot'); for {self.exchange} {self.market} pass urls={{...}}"
            )
        if self.sandbox and (self.base_url or self.urls):
            raise ConfigError("pass either sandbox=True or addresses of your own, not both")
        for url in texts([self.base_url, self.urls]):
            check_url(url)
        for name in _names(self.options):
            if _SECRETS.fullmatch(name):
                raise ConfigError(
                    f"options must hold no secret; got {name!r}. Credentials are read from the"
                    " environment or the keyring: see workbench.venues.secrets"
                )
            if _DISTRUST.fullmatch(name):
                raise ConfigError(
                    f"options cannot change where requests go or whom they trust; got {name!r}."
                    " Addresses are given as base_url or urls, and certificates always checked"
                )

    @property
    def is_derivative(self) -> bool:
        """Return whether it has positions."""
        return self.market in ("swap", "future")

    @property
    def api_urls(self) -> dict[str, Any]:
        """Return what replaces parts of ccxt's addresses."""
        if not self.base_url:
            return dict(self.urls)
        rest = self.base_url.rstrip("/")
        socket = re.sub(r"^http", "ws", rest)
        api = dict.fromkeys(("public", "private", "v1"), f"{rest}/api/v3")
        streams = {"spot": f"{socket}/ws", "ws-api": {"spot": f"{socket}/ws-api/v3"}}
        return {**api, "ws": streams}

    @property
    def ccxt_options(self) -> dict[str, Any]:
        """Return ccxt's `options`: ours, then the user's."""
        options: dict[str, Any] = {
            "defaultType": self.market,
            "adjustForTimeDifference": False,  # `server_time` keeps the difference
            "warnOnFetchOpenOrdersWithoutSymbol": False,
            "maxRetriesOnFailure": 0,  # an order is sent once
        }
        if self.exchange.startswith("binance"):
            kind = {"spot": "spot", "margin": "spot"}.get(self.market, "linear")
            options |= {"fetchMarkets": {"types": [kind]}, "fetchMargins": False}
            options["recvWindow"] = 5000
        return {**options, **self.options}


def place_of(given: Mapping[str, Any]) -> Place:
    """Return the place that options of an endpoint class describe; None is left out."""
    return Place(**{name: value for name, value in given.items() if value is not None})


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield str(name)  # pyright: ignore[reportUnknownArgumentType]
            yield from _names(one)
    elif isinstance(value, list):
        for one in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _names(one)


def texts(value: Any) -> Iterator[str]:
    """Yield the texts in mappings and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:  # pyright: ignore[reportUnknownVariableType]
            yield from texts(one)


def check_url(url: str) -> None:
    """Check that what is sent to an address can be read by nobody on the way.

    Raises:
        ConfigError: If it is neither of TLS nor of this machine's loopback, or holds a password.
    """
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ConfigError(f"an address holds no user and no password; got one at {parts.hostname}")
    if not url or (parts.scheme in ("https", "wss") and parts.hostname):
        return
    if parts.scheme in ("http", "ws") and parts.hostname in _LOOPBACK:
        return
    raise ConfigError(
        "an address begins with https:// or wss://, on this machine's loopback also with http:// or"
        f" ws://; got {url!r}"
    )
