"""The node's settings: frozen, checked, and a field that does not exist is refused by name."""

from __future__ import annotations

import math
import os
from enum import StrEnum
from typing import Any, cast

import msgspec

from workbench.engines.risk import RiskLimits
from workbench.model.enums import parse_enum
from workbench.model.errors import ConfigError
from workbench.model.identifiers import TraderId, parse_name
from workbench.model.settings import SettingsMeta
from workbench.runtime.runner import BUDGET_S, PAUSE_S

_SHORTEST_S = 1e-6
_LEAST_S = {"budget_s": _SHORTEST_S, "pause_s": PAUSE_S, "stall_threshold_s": _SHORTEST_S}
_OPTIONAL = frozenset({"purge_closed_after_s"})


class ClockKind(StrEnum):
    """Whose time a node keeps."""

    LIVE = "live"
    SIMULATED = "simulated"


class TradingNodeConfig(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    repr_omit_defaults=True,
    metaclass=SettingsMeta,
):
    """How a node runs.

    Attributes:
        trader_id: The trader; letters, digits, `_` and `-`.
        clock: `"live"`, or `"simulated"` for a node that a replay drives.
        limits: What risk enforces.
        timeout_connection_s: For all clients of a kind to connect.
        timeout_reconciliation_s: For the venues to say what they hold.
        timeout_history_s: For a client to answer a request for what bars are made of; then their
            subscriber goes on without history.
        timeout_disconnection_s: For all clients to disconnect, and for `dispose` to wait.
        delay_post_stop_s: How long events that are still on their way are handled after the
            strategies stopped; it ends as soon as nothing is in flight.
        budget_s: How long messages are handled before the loop's other work gets its turn.
        pause_s: That turn; at least 0.0005.
        conflate_above: From this many waiting data events on keep only the latest of each
            instrument, and report the gap; None keeps everything, as a replay must.
        stall_threshold_s: From how long on a loop that does not run is a stall.
        max_quote_age_s: After a stall, how old a quote may have been at its end to count as fresh.
        allow_overfills: Whether a fill that goes beyond its order's quantity counts; it is warned
            of. Else it is refused, and that is warned of.
        purge_closed_after_s: How long after its end an order or position is forgotten, so that a
            node may run for months; realised profit stays counted. None keeps everything, as the
            simulated clock always does: a replay's results are those of its backtest.
        journal: The file in which everything that is asked for and happens is kept, so that a node
            goes on after the death of its kernel: a path, or `"default"` for one in `data_folder`.
            None keeps nothing, which a node with a real account refuses.
        journal_data: Whether market data is journaled too, as verifying a run needs.
        data_folder: Where default journals and the leases of accounts are, the same for all nodes
            of a machine; None for the user's folder for data.
        align_positions: Whether a position that a venue reports differently is made equal to it by
            a synthetic fill, marked as such; else a node does not start on one.
        log_limit: How many records the event log in memory keeps, the newest; None for all, as the
            simulated clock always does.

    >>> TradingNodeConfig(trader="X")
    Traceback (most recent call last):
    workbench.model.errors.ConfigError: TradingNodeConfig has no field 'trader'; it has: ...
    """

    trader_id: TraderId = TraderId("TRADER-001")
    clock: ClockKind = ClockKind.LIVE
    limits: RiskLimits = RiskLimits()
    timeout_connection_s: float = 10.0
    timeout_reconciliation_s: float = 10.0
    timeout_history_s: float = 30.0
    timeout_disconnection_s: float = 5.0
    delay_post_stop_s: float = 1.0
    budget_s: float = BUDGET_S
    pause_s: float = PAUSE_S
    conflate_above: int | None = None
    stall_threshold_s: float = 0.25
    max_quote_age_s: float = 1.0
    allow_overfills: bool = False
    purge_closed_after_s: float | None = 86_400.0
    journal: str | None = None
    journal_data: bool = False
    data_folder: str | None = None
    align_positions: bool = False
    log_limit: int | None = 200_000

    def __post_init__(self) -> None:
        """Check every field."""
        parse_name(self.trader_id, "trader_id")
        msgspec.structs.force_setattr(self, "clock", parse_enum(ClockKind, self.clock, "clock"))
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name.endswith("_s") and (value is not None or name not in _OPTIONAL):
                _check_seconds(name, value, _LEAST_S.get(name, 0.0))
        for name in ("journal", "data_folder"):
            value = getattr(self, name)
            if value is not None:
                msgspec.structs.force_setattr(self, name, _path(name, value))
        above = self.conflate_above
        for name in ("conflate_above", "log_limit"):
            count = getattr(self, name)
            if count is not None and (type(count) is not int or count < 1):
                raise ConfigError(f"{name} is a whole number, 1 or more, or None; got {count!r}")
        if above is not None and self.clock is ClockKind.SIMULATED:
            raise ConfigError(
                "conflate_above drops market data, and a replay into a node with clock='simulated'"
                f" must be lossless; leave it out, or use the live clock. Got {above}"
            )
        if not isinstance(self.limits, RiskLimits):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"limits is a wb.RiskLimits; got {self.limits!r}")

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> TradingNodeConfig:
        """Return the settings in a mapping, as read from TOML or JSON.

        Raises:
            ConfigError: Naming a field that is unknown or does not fit.
        """
        limits = fields.get("limits")
        if isinstance(limits, dict):
            known = list(RiskLimits.__struct_fields__)
            unknown = sorted(set(map(str, cast("dict[Any, Any]", limits))) - set(known))
            if unknown:
                raise ConfigError(
                    f"limits has no field {', '.join(map(repr, unknown))};"
                    f" it has: {', '.join(known)}"
                )
        try:
            return msgspec.convert(fields, TradingNodeConfig)
        except msgspec.ValidationError as error:
            raise ConfigError(f"the node's settings do not fit: {error}") from None


def _path(name: str, value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        default = "'default', " if name == "journal" else ""
        raise ConfigError(f"{name} is a path, {default}or None; got {value!r}")
    return str(os.fspath(cast("str", value)))


def _check_seconds(name: str, value: Any, least: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < least:
        raise ConfigError(f"{name} is a number of seconds, {least:g} or more; got {value!r}")
