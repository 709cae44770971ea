"""Start-up reconciliation: strategies start only when our books and the venue's agree.

It fails closed. What is compared here is what a session that starts with empty books can hold: the
account, and that the venue has no order or position that we do not know.
"""

from __future__ import annotations

from collections.abc import Iterable

from workbench.engines.cache import Cache
from workbench.engines.clients import ExecutionClient, VenueState
from workbench.model.errors import WorkbenchError
from workbench.node.faults import describe


class ReconciliationError(WorkbenchError, RuntimeError):
    """Our books and the venue's do not agree; nothing was started."""


class Reconciliation:
    """Asks every venue what it holds, then compares.

    One venue's failure does not keep the others from being asked; the error names them all.

    Args:
        clients: The execution clients.
        cache: Our books.

    Attributes:
        asking: The client whose answer is being waited for.
    """

    def __init__(self, clients: Iterable[ExecutionClient], cache: Cache) -> None:
        self.asking = ""
        self._clients = list(clients)
        self._cache = cache
        self._states: list[tuple[ExecutionClient, VenueState]] = []
        self._failures: list[ReconciliationError] = []

    async def ask(self) -> None:
        """Get each venue's state; a failure is kept for `compare`."""
        for client in self._clients:
            self.asking = client.client_id
            try:
                self._states.append((client, await client.venue_state()))
            except ReconciliationError as error:
                self._failures.append(error)
            except Exception as error:
                failure = ReconciliationError(
                    f"{client.client_id} did not say what it holds: {describe(error)}"
                )
                failure.__cause__ = error
                self._failures.append(failure)

    def compare(self) -> None:
        """Compare the venues' states with the cache, which has handled what came by now.

        Raises:
            ReconciliationError: Naming what failed or differs.
        """
        failures = list(self._failures)
        for client, state in self._states:
            differences = list(_differences(state, self._cache))
            if self._cache.account(client.account_id) is None:
                differences.append(f"no state of account {client.account_id} has come")
            if differences:
                failures.append(
                    ReconciliationError(
                        f"{client.client_id}: {'; '.join(differences)}. Close or cancel these at"
                        " the venue, then start again: a session takes over nothing unknown to it"
                    )
                )
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ReconciliationError("; ".join(map(str, failures)))


def _differences(state: VenueState, cache: Cache) -> list[str]:
    found: list[str] = []
    for report in state.orders:
        order = None if report.client_order_id is None else cache.order(report.client_order_id)
        if order is None:
            name = report.client_order_id or report.venue_order_id
            found.append(
                f"order {name} of {report.instrument_id} is open at the venue, unknown here"
            )
        elif order.filled_quantity != report.filled_quantity:
            found.append(
                f"order {order.client_order_id}: {report.filled_quantity} filled at the venue,"
                f" {order.filled_quantity} here"
            )
    for report in state.positions:
        held = cache.net_quantity(report.instrument_id)
        if held != report.signed_quantity:
            found.append(
                f"position in {report.instrument_id}: {report.signed_quantity} at the venue,"
                f" {held} here"
            )
    return found
