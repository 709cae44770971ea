"""What an execution client can be given, and what of an order must be kept on our side."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec

from workbench.engines.triggers import AFTER_TRIGGER, TRAILING
from workbench.model.enums import (
    ContingencyType,
    OrderType,
    TimeInForce,
    TrailingOffsetType,
    TriggerType,
    parse_enum,
)
from workbench.model.errors import ConfigError
from workbench.model.events import OrderInitialized
from workbench.model.settings import SettingsMeta


class Capabilities(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    repr_omit_defaults=True,
    metaclass=SettingsMeta,
):
    """What an execution client can be given; by default everything. Words are taken for members.

    Triggers, contingencies and reduce-only that it lacks are kept on our side (`to_emulate`); an
    order that lacks anything else (`missing`) is denied.

    Attributes:
        order_types: The types it takes.
        time_in_force: How long orders may rest there.
        trigger_types: The prices its triggers can be compared with.
        trailing_offset_types: What its trailing offsets can be counted in.
        contingencies: What linked orders may have to do with each other.
        post_only: Whether it keeps an order from taking liquidity.
        reduce_only: Whether it keeps an order from growing or turning a position; else such orders
            leave as plain ones, and are cut back from here (`workbench.engines.reduce_only`).
        display_quantity: Whether it can show a part of an order only.
        amend: Whether a resting order can be changed; else it must be cancelled and made anew.

    >>> from workbench.model.enums import OrderType
    >>> spot = Capabilities(order_types={"market", "limit"})
    >>> OrderType.STOP_MARKET in spot.order_types
    False
    """

    order_types: frozenset[OrderType] = frozenset(OrderType)
    time_in_force: frozenset[TimeInForce] = frozenset(TimeInForce)
    trigger_types: frozenset[TriggerType] = frozenset(TriggerType)
    trailing_offset_types: frozenset[TrailingOffsetType] = frozenset(TrailingOffsetType)
    contingencies: frozenset[ContingencyType] = frozenset(ContingencyType)
    post_only: bool = True
    reduce_only: bool = True
    display_quantity: bool = True
    amend: bool = True

    def __post_init__(self) -> None:
        """Make the sets exact."""
        for name, kind in _KINDS.items():
            msgspec.structs.force_setattr(self, name, _members(kind, getattr(self, name), name))

    def missing(self, order: OrderInitialized) -> str:
        """Return what an order needs that is neither there nor can be emulated; "" for nothing."""
        kind = order.order_type
        if kind not in self.order_types and AFTER_TRIGGER.get(kind) not in self.order_types:
            return f"it takes no {kind.value} orders, only {_words(self.order_types)}"
        force = order.time_in_force
        if force not in self.time_in_force:
            return f"it takes no {force.value} orders, only {_words(self.time_in_force)}"
        if order.post_only and not self.post_only:
            return "it has no post-only orders"
        if order.terms.display_quantity is not None and not self.display_quantity:
            return "it always shows all of an order"
        return ""

    def to_emulate(self, order: OrderInitialized) -> str:
        """Return what must be kept on our side for an order it can be given; "" for nothing."""
        return (
            self.trigger_to_emulate(order)
            or self.link_to_emulate(order)
            or self.reduction_to_emulate(order)
        )

    def reduction_to_emulate(self, order: OrderInitialized) -> str:
        """Return whether an order must be kept from growing a position; "" where not."""
        return "it has no reduce-only orders" if order.reduce_only and not self.reduce_only else ""

    def trigger_to_emulate(self, order: OrderInitialized) -> str:
        """Return what of an order's trigger it lacks; "" for nothing."""
        kind, terms = order.order_type, order.terms
        if kind not in AFTER_TRIGGER:
            return ""
        if kind not in self.order_types:
            return f"it takes no {kind.value} orders, only {_words(self.order_types)}"
        if terms.trigger_type not in self.trigger_types:
            return (
                f"it has no triggers by {terms.trigger_type.value}, only by"
                f" {_words(self.trigger_types)}"
            )
        offset = terms.trailing_offset_type
        if kind in TRAILING and offset not in self.trailing_offset_types:
            return (
                f"it has no trailing offsets in {offset.value}, only in"
                f" {_words(self.trailing_offset_types)}"
            )
        return ""

    def link_to_emulate(self, order: OrderInitialized) -> str:
        """Return which of an order's links it lacks; "" for none.

        Links of what only reduces hold where the position is known: here, if it has no reduce-only.
        """
        terms = order.terms
        wanted = set[ContingencyType]() if terms.contingency is None else {terms.contingency}
        if terms.parent_order_id is not None:
            wanted.add(ContingencyType.OTO)
        lacking = wanted - self.contingencies
        if not lacking:
            return self.reduction_to_emulate(order) if wanted else ""
        return f"it has no {_words(lacking)} orders, only {_words(self.contingencies)}"


_KINDS: dict[str, type[StrEnum]] = {
    "order_types": OrderType,
    "time_in_force": TimeInForce,
    "trigger_types": TriggerType,
    "trailing_offset_types": TrailingOffsetType,
    "contingencies": ContingencyType,
}


def _members(kind: type[StrEnum], given: Any, name: str) -> frozenset[StrEnum]:
    if isinstance(given, frozenset) and all(type(one) is kind for one in given):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return given  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(given, (frozenset, set, list, tuple)):
        first = next(iter(kind)).value
        raise ConfigError(
            f"{name} must be a set of {kind.__name__}, such as {{{first!r}}}; got {given!r}"
        )
    return frozenset(parse_enum(kind, one, name) for one in given)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _words(values: Iterable[StrEnum]) -> str:
    return ", ".join(sorted(value.value for value in values)) or "none"


ALL_CAPABILITIES = Capabilities()
"""Those of a client that takes everything."""
