"""Start-up reconciliation: strategies start only when our books and the venue's agree.

It fails closed. What is compared here is what a session that starts with empty books can hold: the
account, and that the venue has no order or position that we do not know.
"""

from __future__ import annotations

from workbench.engines.cache import Cache
from workbench.engines.clients import ExecutionClient, VenueState
from workbench.model.errors import WorkbenchError


class ReconciliationError(WorkbenchError, RuntimeError):
    """Our books and the venue's do not agree; nothing was started."""


async def reconcile(client: ExecutionClient, cache: Cache) -> None:
    """Compare what a venue holds with what the cache holds.

    Raises:
        ReconciliationError: Naming what differs.
    """
    state = await client.venue_state()
    differences = list(_differences(state, cache))
    if cache.account(client.account_id) is None:
        differences.append(f"no state of account {client.account_id} has come")
    if differences:
        raise ReconciliationError(
            f"{client.client_id}: " + "; ".join(differences) + ". Close or cancel these at the venue, then"
            " start again: a session takes over nothing it does not know"
        )


def _differences(state: VenueState, cache: Cache) -> list[str]:
    found: list[str] = []
    for report in state.orders:
        order = None if report.client_order_id is None else cache.order(report.client_order_id)
        if order is None:
            name = report.client_order_id or report.venue_order_id
            found.append(f"order {name} of {report.instrument_id} is open at the venue, unknown here")
        elif order.filled_quantity != report.filled_quantity:
            found.append(
                f"order {order.client_order_id}: {report.filled_quantity} filled at the venue,"
                f" {order.filled_quantity} here"
            )
    for report in state.positions:
        held = cache.net_quantity(report.instrument_id)
        if held != report.signed_quantity:
            found.append(
                f"position in {report.instrument_id}: {report.signed_quantity} at the venue, {held} here"
            )
    return found
