"""The value that a plug-in registers: what a venue can do, before anything of it is imported.

A plug-in's package names one `VenuePlugin` under the entry-point group `workbench.venues`:

    [project.entry-points."workbench.venues"]
    example = "workbench_example:PLUGIN"

The module it is in must be light: it is imported to list what is installed. The two endpoint
classes are named as text and imported when they are first used.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from workbench.engines.capabilities import ALL_CAPABILITIES, Capabilities
from workbench.model.commands import DataKind
from workbench.model.data import BarSpec
from workbench.model.enums import parse_enum
from workbench.model.errors import ConfigError
from workbench.model.identifiers import parse_name
from workbench.model.settings import SettingsMeta
from workbench.venues.contract import EndpointKind, check_endpoints
from workbench.venues.errors import PluginError, VenueError


class RateLimit(msgspec.Struct, frozen=True, kw_only=True, metaclass=SettingsMeta):
    """At most `count` requests in any window of `interval_s` seconds; kept on our side.

    Attributes:
        count: How many, a whole number.
        interval_s: The window.
        orders_only: Whether only submits and modifications count (not queries and cancels).
    """

    count: int
    interval_s: float
    orders_only: bool = False

    def __post_init__(self) -> None:
        """Check that it allows something."""
        if self.count < 1 or self.interval_s <= 0:
            raise ConfigError(
                f"a rate is at least 1 in more than 0 s; got {self.count} in {self.interval_s} s"
            )


class VenuePlugin(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    repr_omit_defaults=True,
    metaclass=SettingsMeta,
):
    """A venue, or a family of venues, that workbench can speak to.

    Attributes:
        name: What users call it by.
        summary: One line about it.
        extra: The extra of the distribution that brings what it needs.
        requires: The modules that extra brings; one that cannot be found is told by `wb.venues()`.
        datad: `"module:class"` of its `DataEndpoints`; empty for none.
        brokerd: `"module:class"` of its `BrokerEndpoints`; empty for none.
        credentials: What its orders need, such as `("api_key", "api_secret")`.
        optional_credentials: What is used where it is there, such as `("passphrase",)`.
        data_kinds: The market data it has.
        bars: The bars it has, such as `("1-minute-last", "1-hour-last")`.
        capabilities: What orders it takes; `amend` says whether it has `modify`.
        rate_limits: What it allows, all of which hold.
        silence_s: A connection that is silent so long is taken for dead; half of it before, `ping`
            is called. None where the plug-in watches that itself.
        submit_expiry_s: An order request that is older than this when it arrives is refused by the
            venue; that it then does not know the order proves that it never came. None where a
            request may arrive at any time: such an order stays unknown.

    Raises:
        ConfigError: If a field is wrong, or there are neither `datad` nor `brokerd`.
    """

    name: str
    summary: str = ""
    extra: str = ""
    requires: tuple[str, ...] = ()
    datad: str = ""
    brokerd: str = ""
    credentials: tuple[str, ...] = ()
    optional_credentials: tuple[str, ...] = ()
    data_kinds: frozenset[DataKind] = frozenset({DataKind.QUOTES, DataKind.TRADES})
    bars: tuple[str, ...] = ()
    capabilities: Capabilities = ALL_CAPABILITIES
    rate_limits: tuple[RateLimit, ...] = ()
    silence_s: float | None = None
    submit_expiry_s: float | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        parse_name(self.name, "a plug-in's name")
        kinds = frozenset(parse_enum(DataKind, kind, "data_kinds") for kind in self.data_kinds)
        msgspec.structs.force_setattr(self, "data_kinds", kinds)
        for bars in self.bars:
            BarSpec.parse(bars)
        if not self.datad and not self.brokerd:
            raise ConfigError(f"venue plug-in {self.name!r} names neither a datad nor a brokerd")
        for kind in EndpointKind:
            path: str = getattr(self, kind.value)
            if path and not all(path.partition(":")):
                raise ConfigError(
                    f"venue plug-in {self.name!r}: {kind.value} is 'module:class'; got {path!r}"
                )

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the modules it needs that cannot be found; nothing is imported."""
        return tuple(name for name in self.requires if not _is_there(name))

    def endpoint_class(self, kind: EndpointKind) -> Callable[..., Any]:
        """Import and return what makes endpoints of a kind; only this one is imported.

        Raises:
            VenueError: If it has none of this kind, or lacks its extra.
            PluginError: If it cannot be imported or does not keep the contract.
        """
        path: str = getattr(self, kind.value)
        if not path:
            what = "market data" if kind is EndpointKind.DATAD else "orders"
            raise VenueError(f"venue plug-in {self.name!r} has no {kind.value}: it has no {what}")
        if self.missing:
            raise VenueError(
                f"venue plug-in {self.name!r} needs {', '.join(self.missing)}, which is not"
                f" installed: {self.install_hint}"
            )
        module, _, attribute = path.partition(":")
        try:
            found: Any = getattr(importlib.import_module(module), attribute)
        except Exception as error:
            raise PluginError(
                f"venue plug-in {self.name!r}: its {kind.value}, {path}, cannot be imported:"
                f" {type(error).__name__}: {error}"
            ) from error
        if not callable(found):
            raise PluginError(
                f"venue plug-in {self.name!r}: its {kind.value}, {path}, must be a class;"
                f" it is {found!r}"
            )
        if inspect.isclass(found):
            check_endpoints(self.name, kind, found)
        return found

    def check_options(self, kind: EndpointKind, options: Mapping[str, Any]) -> None:
        """Check that endpoints of a kind take these options.

        Raises:
            ConfigError: Naming the option that is wrong or missing, and those there are.
        """
        known = self.options(kind)
        if known is None:
            return
        whose = f"venue plug-in {self.name!r}: its {kind.value}"
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise ConfigError(
                f"{whose} has no option {unknown[0]!r}; it has: {', '.join(known) or 'none'}"
            )
        missing = sorted(name for name, needed in known.items() if needed and name not in options)
        if missing:
            raise ConfigError(f"{whose} needs the option {missing[0]}=...")

    def options(self, kind: EndpointKind) -> dict[str, bool] | None:
        """Return the options of endpoints of a kind, and whether each is needed.

        None if any are taken.
        """
        given = list(inspect.signature(self.endpoint_class(kind)).parameters.values())[1:]
        if any(p.kind is p.VAR_KEYWORD for p in given):
            return None
        return {p.name: p.default is p.empty for p in given}

    @property
    def install_hint(self) -> str:
        """Return how what it needs is installed."""
        if self.extra:
            return f"pip install 'trading-workbench[{self.extra}]'"
        return f"pip install {' '.join(self.requires)}"


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
