"""When an order's time is over at a simulated exchange, or has come: GTD, DAY and the auctions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from workbench.model.enums import TimeInForce
from workbench.model.events import TimeEvent
from workbench.model.identifiers import ClientOrderId, Venue
from workbench.runtime.clock import Clock
from workbench.sim.desk import AUCTIONS, OrderDesk
from workbench.sim.resting import VenueOrder
from workbench.sim.session import TradingSession

_ENDING = frozenset({TimeInForce.GTD, TimeInForce.DAY})


class OrderTimes:
    """Alerts of one exchange, above all those at which orders end.

    Args:
        name: The exchange's, part of every alert's name.
        clock: Where alerts are set.
        session: The venue's hours.

    Attributes:
        ends: The alerts at which orders end, or trade.
    """

    def __init__(self, name: Venue, clock: Clock, session: TradingSession) -> None:
        self._name = name
        self._clock = clock
        self._session = session
        self._count = 0
        self.ends: dict[ClientOrderId, str] = {}

    def __contains__(self, client_order_id: ClientOrderId) -> bool:
        """Return whether an order's time is watched."""
        return client_order_id in self.ends

    def __len__(self) -> int:
        """Return how many orders' times are watched."""
        return len(self.ends)

    def alert(self, what: str, at_ns: int, callback: Callable[[TimeEvent], None]) -> str:
        """Call back at a time; return the alert's name."""
        self._count += 1
        name = f"{self._name}:{what}:{self._count}"
        self._clock.set_alert(name, at_ns, callback)
        return name

    def watch(self, order: VenueOrder, desk: OrderDesk, *, is_held: bool = False) -> None:
        """End an order, or let it trade, when it is time.

        Args:
            order: Which; most have no such time.
            desk: Where it is.
            is_held: It waits for its parent: an auction's time begins once it works.
        """
        force = order.definition.time_in_force
        is_timed = force in _ENDING or (force in AUCTIONS and not is_held)
        if is_timed and order.client_order_id not in self.ends:
            due, act = self._due(order, desk)
            on_due = partial(self._on_due, order, act)
            self.ends[order.client_order_id] = self.alert("end", due, on_due)

    def forget(self, client_order_id: ClientOrderId) -> None:
        """Watch an order's time no longer."""
        alert = self.ends.pop(client_order_id, None) if self.ends else None
        if alert is not None:
            self._clock.cancel_timer(alert)

    def cancel(self, alert: str) -> None:
        """Take an alert back."""
        self._clock.cancel_timer(alert)

    def _due(self, order: VenueOrder, desk: OrderDesk) -> tuple[int, Callable[[VenueOrder], None]]:
        force, now = order.definition.time_in_force, self._clock.timestamp_ns()
        if force is TimeInForce.AT_THE_OPEN:
            due = self._session.next_open(now)
            return due, partial(desk.arm, now_ns=due)
        # What is stamped with the end itself, the last bar above all, still counts.
        if force is TimeInForce.GTD:
            return (order.definition.terms.expire_ns or now) + 1, desk.expire
        due = self._session.next_close(now) + 1
        return due, desk.expire if force is TimeInForce.DAY else desk.close_session

    def _on_due(self, order: VenueOrder, act: Callable[[VenueOrder], None], _: TimeEvent) -> None:
        self.ends.pop(order.client_order_id, None)
        if not order.is_over:
            act(order)
