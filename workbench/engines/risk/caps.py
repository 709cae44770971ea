"""The limits of `RiskLimits` as checks; one that is not set is not among them and costs nothing."""

from __future__ import annotations

from collections.abc import Callable

from workbench.engines.cache import Cache
from workbench.engines.risk.definition import is_resting
from workbench.engines.risk.exposure import Exposure
from workbench.engines.risk.limits import PositionScope, RiskLimits, of_instrument
from workbench.engines.risk.refusals import Refusal
from workbench.engines.throttler import RateWindow
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import InstrumentId
from workbench.runtime.clock import Clock

Check = Callable[[OrderInitialized], Refusal | None]

_MINUTE_NS = 60_000_000_000


def size_checks(limits: RiskLimits) -> tuple[Check, ...]:
    """Return the checks of how large one order is."""
    if limits.max_order_quantity is None:
        return ()

    def quantity(order: OrderInitialized) -> Refusal | None:
        most = of_instrument(limits.max_order_quantity, order.instrument_id)
        if most is None or order.quantity <= most:
            return None
        return Refusal(
            "ORDER_TOO_LARGE",
            f"quantity {order.quantity} is above the configured limit of {most} an order",
        )

    return (quantity,)


def exposure_checks(limits: RiskLimits, cache: Cache, exposure: Exposure) -> tuple[Check, ...]:
    """Return the checks of what an order adds to what is held and works; they let reductions be."""
    checks: list[Check] = []
    if limits.max_position is not None:
        checks.append(_position_check(limits, cache, exposure))
    if limits.max_open_orders is not None:
        checks.append(_open_orders_check(limits, exposure))
    return tuple(checks)


def _position_check(limits: RiskLimits, cache: Cache, exposure: Exposure) -> Check:
    is_of_all = limits.position_scope is PositionScope.ACCOUNT

    def position(order: OrderInitialized) -> Refusal | None:
        most = of_instrument(limits.max_position, order.instrument_id)
        if most is None or order.reduce_only:
            return None
        owner = None if is_of_all else order.strategy_id
        parent = exposure.parent(order)
        held = cache.net_quantity(order.instrument_id, owner, exposure.among)
        if parent is not None and parent.side is not order.side:
            held += parent.side.sign * parent.quantity  # a child trades once its parent has
        if is_of_all:
            working = exposure.working_of_all(order)
        else:
            working = exposure.working(order, with_reduce_only=False)
        worst = held * order.side.sign + working + order.quantity
        if worst <= most:
            return None
        whose = "all strategies" if is_of_all else order.strategy_id
        return Refusal(
            "POSITION_TOO_LARGE",
            f"with a position of {held} and {working} that work on its side, this"
            f" {order.side.value} of {order.quantity} could leave {whose} with"
            f" {worst * order.side.sign}, beyond the configured limit of {most}",
        )

    return position


def _open_orders_check(limits: RiskLimits, exposure: Exposure) -> Check:
    def open_orders(order: OrderInitialized) -> Refusal | None:
        where = order.instrument_id if isinstance(limits.max_open_orders, dict) else None
        most = of_instrument(limits.max_open_orders, order.instrument_id)
        if most is None or order.reduce_only or not is_resting(order):
            return None
        names = exposure.resting_beside(order, where)
        names.discard(order.client_order_id)
        if len(names) < most:
            return None
        of_what = "" if where is None else f" of {where}"
        return Refusal(
            "TOO_MANY_OPEN_ORDERS",
            f"{len(names)} orders{of_what} rest or are on their way, and {most} may",
        )

    return open_orders


class MinuteRate:
    """How many orders left in the last 60 seconds, all together or by instrument.

    Those for accounts that count apart are counted apart.

    Args:
        limits: With `orders_per_minute`.
        clock: For the time.
        exposure: Looks at the account of the order that is checked or leaves.
    """

    def __init__(self, limits: RiskLimits, clock: Clock, exposure: Exposure | None = None) -> None:
        self._clock = clock
        self._exposure = exposure
        self._most = limits.orders_per_minute
        self._windows: dict[tuple[str, bool], RateWindow] = {}

    def _window(self, instrument_id: InstrumentId) -> RateWindow | None:
        most = of_instrument(self._most, instrument_id)
        if most is None:
            return None
        is_apart = self._exposure is not None and self._exposure.is_apart(instrument_id)
        key = (instrument_id if isinstance(self._most, dict) else ""), is_apart
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = RateWindow(most, _MINUTE_NS)
        return window

    def check(self, instrument_id: InstrumentId, count: int) -> Refusal | None:
        """Refuse orders that would be too many."""
        window = self._window(instrument_id)
        if window is None or window.has_room(self._clock.timestamp_ns(), count):
            return None
        of_what = f" of {instrument_id}" if isinstance(self._most, dict) else ""
        return Refusal(
            "ORDERS_PER_MINUTE_EXCEEDED", f"more than {window.limit} orders{of_what} in a minute"
        )

    def count(self, instrument_id: InstrumentId, count: int) -> None:
        """Count orders that leave."""
        window = self._window(instrument_id)
        if window is not None:
            window.count(self._clock.timestamp_ns(), count)
