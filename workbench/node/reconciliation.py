"""Start-up reconciliation: strategies start only when our books and the venue's agree.

What a real venue tells that we do not know is applied: its account, fills in the order of their
time, then the states of orders, an order of nobody here as one of `EXTERNAL` or of the strategy
that claims its instrument. An order that is open here and not there is asked for. Positions come
last: one that still differs, by as much when it is asked for again (there may have been a fill
between two questions), is told, or aligned where the settings say so.

It fails closed: what does not agree afterwards is an error that names it. A simulated exchange is
only compared: what it has, it has from us.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.clients import ExecutionClient, VenueState
from workbench.model.enums import OrderStatus
from workbench.model.errors import WorkbenchError
from workbench.model.events import (
    OrderCancelRejected,
    OrderModifyRejected,
    about,
)
from workbench.model.identifiers import AccountId, InstrumentId
from workbench.model.money import ZERO
from workbench.model.orders import Order
from workbench.model.reports import OrderStatusReport, PositionReport
from workbench.node.faults import describe
from workbench.trading.core import TradingCore
from workbench.venues.execution_client import VenueExecutionClient
from workbench.venues.tracked import has_other_terms

_log = logging.getLogger(__name__)
_LOOK_S = 0.005
_ANSWER_S = 3.0
_ASKS = 3
_AGAIN_S = 0.5
REFUSALS = {
    OrderStatus.PENDING_CANCEL: OrderCancelRejected,
    OrderStatus.PENDING_UPDATE: OrderModifyRejected,
}
"""What ends the waiting for a cancel or change that nobody answers any more."""


class ReconciliationError(WorkbenchError, RuntimeError):
    """Our books and the venue's do not agree; nothing was started."""


class Reconciliation:
    """Asks every venue what it holds, applies what is new here, then compares.

    One venue's failure does not keep the others from being asked; the error names them all.

    Args:
        core: Our books, and the clients.
        clients: Those that are asked; all of the core's by default.

    Attributes:
        asking: The client whose answer is being waited for.
    """

    def __init__(self, core: TradingCore, clients: Sequence[ExecutionClient] | None = None) -> None:
        self.asking = ""
        self._core = core
        self._clients = core.execution.clients if clients is None else clients
        self._cache = core.cache
        self._states: list[tuple[ExecutionClient, VenueState]] = []
        self._failures: list[ReconciliationError] = []
        self._refused_before = len(core.execution.unreconciled)

    async def ask(self) -> None:
        """Get each venue's state and apply it; a failure is kept for `compare`.

        What is sent meanwhile must be handled, too.
        """
        for client in self._clients:
            self.asking = client.client_id
            try:
                if client.is_simulated:
                    state = await client.venue_state()
                else:
                    state = await self._take_over(client)
                self._states.append((client, state))
            except ReconciliationError as error:
                self._failures.append(error)
            except Exception as error:
                failure = ReconciliationError(
                    f"{client.client_id} did not say what it holds: {describe(error)}"
                )
                failure.__cause__ = error
                self._failures.append(failure)

    # Applying

    async def _take_over(self, client: ExecutionClient) -> VenueState:
        before: dict[InstrumentId, Decimal] = {}
        send = self._core.senders.exec_event.send
        asked = 0
        while True:
            asked += 1
            state = await client.venue_state()
            self._apply(client, state)
            await self._handled()
            if asked == 1:
                await self._answered(client, state)
            differing = {
                report: report.signed_quantity - self._held(report)
                for report in _positions(client, state, self._cache)
                if report.signed_quantity != self._held(report)
            }
            confirmed = [r for r, by in differing.items() if before.get(r.instrument_id) == by]
            for report in confirmed:
                send(report)
            await self._handled()
            if len(confirmed) == len(differing) or asked == _ASKS:
                return state
            before = {report.instrument_id: by for report, by in differing.items()}
            await asyncio.sleep(_AGAIN_S)

    def _held(self, report: PositionReport) -> Decimal:
        return self._cache.net_quantity(report.instrument_id, account_id=report.account_id)

    def _apply(self, client: ExecutionClient, state: VenueState) -> None:
        send = self._core.senders.exec_event.send
        send(state.account)
        for report in state.orders:
            self._prepare(client, report)
        for fill in sorted(state.fills, key=lambda one: (one.ts_event, one.trade_id)):
            send(fill)
        for report in state.orders:
            send(report)
        if state.fills or state.orders:
            _log.info(
                "%s told of %d open orders and %d fills",
                client.client_id,
                len(state.orders),
                len(state.fills),
            )

    def _prepare(self, client: ExecutionClient, report: OrderStatusReport) -> None:
        """Make an order ready for its fills: as large as the venue says, and of a plain state."""
        order = _find(report, self._cache)
        if order is None:
            early = {"status": OrderStatus.ACCEPTED, "filled_quantity": ZERO, "average_price": None}
            self._core.senders.exec_event.send(msgspec.structs.replace(report, **early))
        elif order.status in REFUSALS and report.status not in REFUSALS:
            self._end_pending(client, order, report)

    def _end_pending(
        self, client: ExecutionClient, order: Order, report: OrderStatusReport
    ) -> None:
        """End what an earlier run was waiting for: the order is as the venue says."""
        is_told = isinstance(client, VenueExecutionClient) and has_other_terms(report, order)
        if is_told and order.status is OrderStatus.PENDING_UPDATE:
            return  # what was asked for was done: the client has said so
        reason = "the node that asked for it ended; the venue says how the order is now"
        fields = about(order, self._core.clock.timestamp_ns())
        self._core.senders.exec_event.send(
            REFUSALS[order.status](account_id=client.account_id, reason=reason, **fields)
        )

    async def _handled(self) -> None:
        """Return when what was sent has been handled."""
        while self._core.dispatcher.channels.execution_events.queue:
            await asyncio.sleep(_LOOK_S)

    async def _answered(self, client: ExecutionClient, state: VenueState) -> None:
        """Wait a little for what becomes of orders that are open here and not there.

        Their client asks for them; one that the venue says nothing of stays unknown.
        """
        if not isinstance(client, VenueExecutionClient):
            return
        reported = {
            order.client_order_id
            for report in state.orders
            if (order := _find(report, self._cache)) is not None
        }
        loop = asyncio.get_running_loop()
        end_s = loop.time() + _ANSWER_S
        while loop.time() < end_s and any(
            order.client_order_id not in reported
            and order.client_order_id not in client.unknown_orders
            for order in _working(self._cache, client.account_id)
        ):
            await asyncio.sleep(_LOOK_S)

    # Comparing

    def compare(self) -> None:
        """Compare the venues' states with the cache, which has handled what came by now.

        Raises:
            ReconciliationError: Naming what failed or differs.
        """
        failures = list(self._failures)
        for client, state in self._states:
            differences = list(_differences(client, state, self._cache))
            differences += self._refused(client.account_id)
            if self._cache.account(client.account_id) is None:
                differences.append(f"no state of account {client.account_id} has come")
            if differences:
                failures.append(
                    ReconciliationError(
                        f"{client.client_id}: {'; '.join(dict.fromkeys(differences))}."
                        f" {_advice(client)}"
                    )
                )
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ReconciliationError("; ".join(map(str, failures)))

    def _refused(self, account_id: AccountId) -> Iterator[str]:
        """Yield why reports that came meanwhile do not fit, where a comparison does not say it."""
        for report, reason in self._core.execution.unreconciled[self._refused_before :]:
            is_told = isinstance(report, PositionReport) and reason.endswith(" here")
            if report.account_id == account_id and not is_told:
                yield f"{type(report).__name__} of {report.instrument_id}: {reason}"


def _advice(client: ExecutionClient) -> str:
    if client.is_simulated:
        return (
            "Close or cancel these at the venue, then start again: a session takes over nothing"
            " unknown to it"
        )
    return (
        "Bring them together at the venue, then start again; TradingNodeConfig(align_positions="
        "True) takes a venue's positions for right"
    )


def _working(cache: Cache, account_id: AccountId) -> Iterator[Order]:
    for order in (*cache.orders_open(), *cache.orders_in_flight()):
        if order.account_id == account_id:
            yield order


def _find(report: OrderStatusReport, cache: Cache) -> Order | None:
    order = None if report.client_order_id is None else cache.order(report.client_order_id)
    if order is None:
        order = cache.order_at_venue(report.instrument_id, report.venue_order_id)
    return order


def _positions(
    client: ExecutionClient, state: VenueState, cache: Cache
) -> Iterator[PositionReport]:
    """Yield the positions a venue reports; what it could report and does not is flat."""
    yield from state.positions
    # A spot venue reports balances, and no positions at all.
    if not isinstance(client, VenueExecutionClient) or "position_reports" in client.unsupported:
        return
    reported = {report.instrument_id for report in state.positions}
    held = {p.instrument_id for p in cache.positions_open() if p.account_id == client.account_id}
    for instrument_id in sorted(held - reported):
        yield PositionReport(
            account_id=client.account_id,
            instrument_id=instrument_id,
            signed_quantity=Decimal(0),
            ts_event=state.account.ts_event,
            ts_init=state.account.ts_init,
        )


def _differences(client: ExecutionClient, state: VenueState, cache: Cache) -> Iterator[str]:
    for report in state.orders:
        order = _find(report, cache)
        if order is None:
            name = report.client_order_id or report.venue_order_id
            yield f"order {name} of {report.instrument_id} is open at the venue, unknown here"
        elif order.filled_quantity < report.filled_quantity:
            yield (
                f"order {order.client_order_id}: {report.filled_quantity} filled at the venue,"
                f" {order.filled_quantity} here"
            )
    for report in _positions(client, state, cache):
        held = cache.net_quantity(report.instrument_id, account_id=client.account_id)
        if held != report.signed_quantity:
            yield (
                f"position in {report.instrument_id}: {report.signed_quantity} at the venue,"
                f" {held} here"
            )
