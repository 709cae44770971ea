"""What of a command's orders must be kept on our side, and whether it can be."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.engines.cache import Cache
from workbench.engines.capabilities import Capabilities
from workbench.engines.clients import ExecutionClient
from workbench.engines.emulation_ports import Venues
from workbench.engines.triggers import AFTER_TRIGGER, TRIGGERED
from workbench.engines.watching import MarketWatch
from workbench.model.commands import SubmitOrder, SubmitOrderList
from workbench.model.enums import AccountType, OrderType, TriggerType
from workbench.model.errors import ClientError
from workbench.model.events import OrderInitialized

WATCHABLE = TRIGGERED | {OrderType.LIMIT}
"""The types of orders that have something to be watched."""


class EmulationNeeds:
    """Says what the client that a command is for lacks.

    Args:
        cache: Where accounts are.
        venues: Where commands go.
        watch: What can be watched.
    """

    def __init__(self, cache: Cache, venues: Venues, watch: MarketWatch) -> None:
        self._cache = cache
        self._venues = venues
        self._watch = watch

    def client(self, command: SubmitOrder | SubmitOrderList) -> ExecutionClient | None:
        """Return the client that a command is for; where there is none, execution denies it."""
        try:
            return self._venues.client_for(command)
        except ClientError:
            return None

    def capabilities(self, command: SubmitOrder | SubmitOrderList) -> Capabilities | None:
        """Return what that client can be given."""
        client = self.client(command)
        return None if client is None else client.capabilities

    def is_cash(self, client: ExecutionClient) -> bool:
        """Return whether a client's account has what it sells only once."""
        account = self._cache.account(client.account_id)
        return account is not None and account.account_type is AccountType.CASH

    def refusal(
        self,
        order: OrderInitialized,
        capabilities: Capabilities,
        watched_by: TriggerType | None,
    ) -> str:
        """Return why an order's trigger cannot be watched here; "" where it can, or need not."""
        if watched_by is None:
            return ""
        becomes = AFTER_TRIGGER.get(order.order_type, order.order_type)
        if becomes not in capabilities.order_types:
            return (
                f"it would be released as a {becomes.value} order, which its client does not take"
            )
        if not self._watch.can_watch(order.instrument_id, watched_by):
            what = f"a {watched_by.value} trigger of {order.instrument_id}"
            return f"no data client has data for {what}"
        return ""


def trigger_type(order: OrderInitialized, capabilities: Capabilities) -> TriggerType | None:
    """Return by which price an order's trigger is watched here; None where the venue does it."""
    if order.order_type not in WATCHABLE or capabilities.missing(order):
        return None
    asked = order.terms.emulation_trigger
    if asked is not None:
        return asked
    return order.terms.trigger_type if capabilities.trigger_to_emulate(order) else None


def is_taken_apart(orders: Sequence[OrderInitialized], capabilities: Capabilities) -> bool:
    """Return whether a list's orders go on alone; one with what its client lacks is denied."""
    return not any(capabilities.missing(order) for order in orders) and any(
        capabilities.to_emulate(order) or trigger_type(order, capabilities) is not None
        for order in orders
    )
