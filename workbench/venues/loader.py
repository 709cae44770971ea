"""Finding the plug-ins that are installed; one that is broken does not hide the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from workbench.model.display import grid_html
from workbench.venues.contract import ENDPOINTS, EndpointKind
from workbench.venues.errors import PluginError, VenueError
from workbench.venues.plugin import VenuePlugin

if TYPE_CHECKING:
    import pandas as pd

GROUP = "workbench.venues"
"""The entry-point group that plug-ins register under."""

_COLUMNS = ("venue", "state", "data", "bars", "orders", "time in force", "credentials", "about")


class Venues(Mapping[str, VenuePlugin]):
    """The plug-ins by name, with what each supports; a table where it is shown.

    Attributes:
        broken: By name, why a plug-in that is registered cannot be used.
    """

    def __init__(self, plugins: Mapping[str, VenuePlugin], broken: Mapping[str, str]) -> None:
        self._plugins = dict(sorted(plugins.items()))
        self.broken = dict(sorted(broken.items()))

    def __getitem__(self, name: str) -> VenuePlugin:
        """Return a plug-in.

        Raises:
            VenueError: Saying which there are, or what is wrong with it.
        """
        found = self._plugins.get(name)
        if found is not None:
            return found
        if name in self.broken:
            raise PluginError(f"venue plug-in {name!r} cannot be used: {self.broken[name]}")
        known = ", ".join(self._plugins) or "none"
        raise VenueError(
            f"no venue plug-in {name!r}; installed: {known}. One registers under the entry-point"
            f" group {GROUP!r} of its distribution"
        )

    def __contains__(self, name: object) -> bool:
        """Return whether a plug-in of this name can be used."""
        return name in self._plugins

    def get(self, name: str, default: Any = None) -> Any:
        """Return a plug-in, or the default."""
        return self._plugins.get(name, default)

    def __iter__(self) -> Iterator[str]:
        """Go through the names, sorted."""
        return iter(self._plugins)

    def __len__(self) -> int:
        """Return how many can be used."""
        return len(self._plugins)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a plug-in: its state, what it supports, what it needs."""
        import pandas as pd  # a second of import time, for a table only

        return pd.DataFrame(self._rows(), columns=list(_COLUMNS)).set_index("venue")

    def __repr__(self) -> str:
        """Return a line for each."""
        if not self._plugins and not self.broken:
            return "no venue plug-in is installed"
        return "\n".join(f"{row[0]}: {row[1]}; {row[-1]}" for row in self._rows())

    def _repr_html_(self) -> str:
        return grid_html(_COLUMNS, self._rows(), "Venues")

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [_row(plugin) for plugin in self._plugins.values()]
        rows += [(name, f"broken: {why}", *[""] * 6) for name, why in self.broken.items()]
        return sorted(rows)


def _row(plugin: VenuePlugin) -> tuple[str, ...]:
    missing = plugin.missing
    state = f"needs {', '.join(missing)}: {plugin.install_hint}" if missing else "installed"
    orders = plugin.capabilities if plugin.brokerd else None
    return (
        plugin.name,
        state,
        _words(plugin.data_kinds) if plugin.datad else "none",
        ", ".join(plugin.bars),
        "none" if orders is None else _words(orders.order_types),
        "" if orders is None else _words(orders.time_in_force),
        ", ".join(plugin.credentials),
        plugin.summary,
    )


def _words(values: Iterable[Any]) -> str:
    return ", ".join(sorted(value.value for value in values)) or "none"


def venues(entries: Callable[[], Iterable[EntryPoint]] | None = None) -> Venues:
    """Return the venue plug-ins that are installed, those that are broken among them.

    No endpoints are imported.

    Args:
        entries: Where entry points come from; by default what is installed.
    """
    found: dict[str, VenuePlugin] = {}
    broken: dict[str, str] = {}
    for entry in entry_points(group=GROUP) if entries is None else entries():
        try:
            plugin = _load(entry)
            if plugin.name in found and found[plugin.name] is not plugin:
                raise PluginError(
                    f"two distributions register a plug-in {plugin.name!r}; uninstall one"
                )
            found[plugin.name] = plugin
        except Exception as error:
            broken[entry.name] = f"{type(error).__name__}: {error}"
    return Venues({name: p for name, p in found.items() if name not in broken}, broken)


def _load(entry: EntryPoint) -> VenuePlugin:
    plugin = entry.load()
    if not isinstance(plugin, VenuePlugin):
        raise PluginError(f"{entry.value} must be a VenuePlugin; it is {plugin!r}")
    if plugin.name != entry.name:
        raise PluginError(
            f"it is registered as {entry.name!r}, but its plug-in is named {plugin.name!r}"
        )
    return plugin


def as_plugin(venue: str | VenuePlugin) -> VenuePlugin:
    """Return a plug-in by its name; one that is given is returned as it is.

    Raises:
        VenueError: If there is none of this name, or it cannot be used.
    """
    if isinstance(venue, VenuePlugin):
        return venue
    return venues()[venue]


def unsupported(plugin: VenuePlugin, kind: EndpointKind) -> frozenset[str]:
    """Return the optional endpoints that a plug-in has not; all of them where it has no such kind.

    Raises:
        VenueError: If what has them cannot be imported.
    """
    rows = ENDPOINTS[kind].values()
    if not getattr(plugin, kind.value):
        return frozenset(row.name for row in rows)
    made = plugin.endpoint_class(kind)
    return frozenset(
        row.name for row in rows if not row.is_required and not hasattr(made, row.name)
    )
