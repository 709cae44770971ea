"""Order entry: how a command leaves, once, and what its answer means.

See `workbench.venues.execution_client` for the rules.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from workbench.model.commands import CancelAllOrders, CancelOrder, ModifyOrder, SubmitOrder
from workbench.model.errors import ConfigError
from workbench.model.events import (
    OrderCanceled,
    OrderCancelRejected,
    OrderModifyRejected,
    OrderRejected,
    OrderSubmitted,
    OrderUpdated,
    about,
)
from workbench.model.identifiers import AccountId, ClientOrderId
from workbench.model.order_state import CLOSED
from workbench.model.reports import OrderStatusReport
from workbench.model.settings import SettingsMeta
from workbench.runtime.clock import Clock
from workbench.venues.connection import (
    Link,
    LinkSettings,
    LinkState,
    check_seconds,
    told_error,
)
from workbench.venues.contract import BrokerEndpoints
from workbench.venues.errors import (
    NotSentError,
    OrderNotFoundError,
    RateLimitedError,
    VenueRejectedError,
)
from workbench.venues.inquiries import Inquiries, InquirySettings
from workbench.venues.outbox import Outbox, Priority, Request
from workbench.venues.rates import Rates
from workbench.venues.secrets import redact
from workbench.venues.tasks import OwnedTasks, is_cancelled
from workbench.venues.tracked import Tracked, change_of, has_other_terms, has_terms
from workbench.venues.tracking import Tracking

_log = logging.getLogger(__name__)


class Durable(Protocol):
    """Where commands and reports are written down."""

    def append(self, kind: str, payload: msgspec.Struct) -> int:
        """Write down a `"request"` (the command) or a `"report"`; return its number at once."""
        ...

    async def durable(self, sequence: int) -> None:
        """Wait until what has this number, and all before it, is safe.

        Raises:
            Exception: If it never will be. No order leaves then; a cancel leaves all the same.
        """
        ...


class NotWritten:
    """Writes nothing down."""

    def append(self, kind: str, payload: msgspec.Struct) -> int:  # noqa: ARG002
        """Return 0."""
        return 0

    async def durable(self, sequence: int) -> None:
        """Return at once."""


class ExecutionSettings(
    msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True, metaclass=SettingsMeta
):
    """How an execution client waits, in seconds.

    Attributes:
        request_timeout_s: For the answer to a request; then its outcome is unknown.
        wait_timeout_s: How long an order may wait to leave, for the rate; then it is rejected.
        fill_grace_s: How long fills that a state tells of may be on their way before they are
            asked for.
        fill_overlap_s: How far before the newest known fill the next question for fills begins.
        check_interval_s: How often orders, fills, positions and account are asked for though
            nothing seems to be missing; None for never.
        close_timeout_s: For requests that are on their way when the client disconnects.
        inquiry: How the venue is asked about unknown outcomes.
        link: How the connection waits.
    """

    request_timeout_s: float = 5.0
    wait_timeout_s: float = 5.0
    fill_grace_s: float = 0.5
    fill_overlap_s: float = 60.0
    check_interval_s: float | None = 30.0
    close_timeout_s: float = 2.0
    inquiry: InquirySettings = InquirySettings()
    link: LinkSettings = LinkSettings()

    def __post_init__(self) -> None:
        """Check that the times are positive."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name.endswith("_s") and not (value is None and name == "check_interval_s"):
                check_seconds(name, value)
        for name, kind in (("inquiry", InquirySettings), ("link", LinkSettings)):
            if not isinstance(getattr(self, name), kind):
                given = getattr(self, name)
                raise ConfigError(f"{name} is wb.{kind.__name__}(...); got {given!r}")


class OrderEntry:
    """Lets commands leave and takes their answers.

    Args:
        account_id: The account.
        brokerd: The endpoints.
        clock: The node's clock.
        send_event: Takes execution events.
        take: Takes a report that came as an answer.
        journal: Where commands are written down first.
        settings: How it waits.
        tasks: Where requests run.
        rates: The venue's limits.

    Attributes:
        tracking, inquiries, link, outbox: What it works with; `connect_to` sets them.
    """

    tracking: Tracking
    inquiries: Inquiries
    link: Link
    outbox: Outbox

    def __init__(
        self,
        account_id: AccountId,
        brokerd: BrokerEndpoints,
        clock: Clock,
        send_event: Callable[[Any], None],
        take: Callable[[OrderStatusReport], None],
        journal: Durable,
        settings: ExecutionSettings,
        tasks: OwnedTasks,
        rates: Rates,
    ) -> None:
        self._account_id = account_id
        self._brokerd = brokerd
        self._clock = clock
        self._send = send_event
        self._take = take
        self._journal = journal
        self._settings = settings
        self._tasks = tasks
        self._rates = rates
        self._last: dict[ClientOrderId, asyncio.Task[None]] = {}

    def connect_to(self, tracking: Tracking, inquiries: Inquiries, link: Link) -> None:
        """Take what it works with."""
        self.tracking = tracking
        self.inquiries = inquiries
        self.link = link
        self.outbox = Outbox(self._rates, link.up, self._journal.durable, self._leave)

    async def close(self) -> None:
        """Refuse what has not left, and wait a little for what has."""
        self.outbox.refuse_all("the client disconnected before it left")
        on_their_way = [task for task in self._last.values() if not task.done()]
        if on_their_way:
            await asyncio.wait(on_their_way, timeout=self._settings.close_timeout_s)

    def submit(self, command: SubmitOrder) -> None:
        """Write the order down and let it leave."""
        order = command.order
        tracked = self.tracking.begin(order)
        tracked.awaits_submit = True
        self._tell(OrderSubmitted, tracked)

        def refuse(reason: str) -> None:
            tracked.settle()
            self._end(tracked)
            self._tell(OrderRejected, tracked, reason=f"it was not sent: {redact(reason)}")

        async def send() -> None:
            tracked.sent_ns = self._clock.timestamp_ns()
            await self._request(
                tracked,
                self._brokerd.submit(order),
                refuse,
                lambda why: self.rejected(tracked, why),
            )

        self._put(command, tracked, send, refuse, is_submit=True)

    def rejected(self, tracked: Tracked, reason: str) -> None:
        """Take note that the venue refused an order for certain."""
        if tracked.venue_order_id is not None:
            # It says two things: that it has the order, and that it refused it.
            self.inquiries.begin(tracked, at_once=True)
            return
        tracked.settle()
        self._end(tracked)
        self._tell(OrderRejected, tracked, reason=reason)

    def _end(self, tracked: Tracked) -> None:
        """Forget an order that never was."""
        tracked.has_ended = True
        self.tracking.orders.pop(tracked.client_order_id, None)
        self.inquiries.end(tracked)
        self.tracking.look_again()

    def modify(self, command: ModifyOrder) -> None:
        """Write the change down and let it leave; refused at once where it could only be late."""
        tracked = self.tracking.known(command.client_order_id)
        if tracked is None:
            self._tell_unknown(OrderModifyRejected, command)
            return

        def refuse(reason: str) -> None:
            # An earlier change may be on its way: it stays so.
            code = "" if tracked.change is None else "NOT_SENT"
            text = f"it was not sent: {redact(reason)}"
            self._tell(OrderModifyRejected, tracked, reason=text, code=code)

        def rejected(reason: str) -> None:
            self._tell(OrderModifyRejected, tracked, reason=reason)
            self._drop_change(tracked)

        async def send() -> None:
            if tracked.is_over or tracked.awaits_cancel:
                refuse("the order has ended, or is about to")
                return
            change = change_of(tracked, command)
            tracked.change = change
            await self._request(
                tracked,
                self._brokerd.modify(change),
                lambda reason: rejected(f"it was not sent: {reason}"),
                rejected,
                takes_silence=True,
            )

        self._put(command, tracked, send, refuse)

    def cancel(self, command: CancelOrder) -> None:
        """Write the cancel down and let it leave first; without a connection it waits."""
        tracked = self.tracking.known(command.client_order_id)
        if tracked is None:
            self._tell_unknown(OrderCancelRejected, command)
            return
        if self.outbox.take_back(tracked):
            tracked.settle()
            self._end(tracked)
            self._tell(OrderCanceled, tracked, reason="it was cancelled before it was sent")
            return
        if not self.outbox.has_cancel(tracked):
            self._cancel(tracked, command)

    def _cancel(self, tracked: Tracked, command: CancelOrder | CancelAllOrders) -> None:
        tracked.awaits_cancel = True

        def rejected(reason: str) -> None:
            tracked.awaits_cancel = False
            self._tell(OrderCancelRejected, tracked, reason=reason)

        async def send() -> None:
            if tracked.is_over:
                rejected("the order has ended")
                return
            cancel = self._brokerd.cancel(tracked.target())
            await self._request(tracked, cancel, rejected, rejected)

        self._put(command, tracked, send, rejected, priority=Priority.CANCEL)

    def cancel_all(self, command: CancelAllOrders) -> None:
        """Cancel a strategy's orders one by one; those of others in the account stay."""
        of = {"instrument_id": command.instrument_id, "strategy_id": command.strategy_id}
        for order in self.tracking.lookup.orders_open(**of):
            self.tracking.known(order.client_order_id)
        for tracked in self.tracking.unfinished():
            if (tracked.instrument_id, tracked.strategy_id) != (
                command.instrument_id,
                command.strategy_id,
            ) or command.side not in (None, tracked.side):
                continue
            self.cancel(
                CancelOrder(
                    strategy_id=command.strategy_id,
                    instrument_id=command.instrument_id,
                    client_order_id=tracked.client_order_id,
                    client_id=command.client_id,
                    account_id=command.account_id,
                    ts_init=command.ts_init,
                )
            )

    def _put(
        self,
        command: SubmitOrder | ModifyOrder | CancelOrder | CancelAllOrders,
        tracked: Tracked,
        send: Callable[[], Awaitable[None]],
        refuse: Callable[[str], None],
        *,
        is_submit: bool = False,
        priority: Priority = Priority.ORDER,
    ) -> None:
        is_down = self.link.state not in (LinkState.UP, LinkState.RESTORING)
        if is_down and priority is not Priority.CANCEL:
            refuse(f"there is no connection: {self.link.reason or self.link.state.value}")
            return
        sequence = 0
        try:
            sequence = self._journal.append("request", command)
        except Exception as error:
            if priority is not Priority.CANCEL:
                refuse(f"it could not be written down: {told_error(error)}")
                return
            _log.warning("a cancel leaves all the same: %s", told_error(error))
        deadline_s = None
        if priority is not Priority.CANCEL:
            deadline_s = asyncio.get_running_loop().time() + self._settings.wait_timeout_s
        self.outbox.put(
            Request(
                tracked,
                priority,
                send,
                refuse,
                is_submit=is_submit,
                sequence=sequence,
                deadline_s=deadline_s,
            )
        )

    def _leave(self, request: Request) -> None:
        """Start the sending of a request, after what was sent for the same order is answered."""
        key = request.tracked.client_order_id
        before = self._last.get(key)

        async def work() -> None:
            if before is not None and not before.done():
                await asyncio.wait([before])
            await request.send()

        task = self._tasks.spawn(work(), f"a request for {key}")
        self._last[key] = task
        task.add_done_callback(lambda done: self._forget(key, done))

    def _forget(self, key: ClientOrderId, task: asyncio.Task[None]) -> None:
        if self._last.get(key) is task:
            del self._last[key]

    async def _request(
        self,
        tracked: Tracked,
        work: Awaitable[OrderStatusReport | None],
        refuse: Callable[[str], None],
        rejected: Callable[[str], None],
        *,
        takes_silence: bool = False,
    ) -> None:
        """Await an endpoint, and tell what is certain; what is not is inquired about."""
        at_once = False
        try:
            report = await self._answer(work)
        except NotSentError as error:
            refuse(redact(str(error)))
        except OrderNotFoundError:
            at_once = True  # it may have ended: which way is asked
        except VenueRejectedError as error:
            self._heed(error)
            rejected(redact(str(error)))
        except Exception as error:
            name = tracked.client_order_id
            _log.warning("%s: outcome unknown of %s: %s", self._account_id, name, told_error(error))
        else:
            if report is not None:
                self._take(report)
            elif takes_silence:
                self._changed(tracked)
        if tracked.awaits_answer:
            self.inquiries.begin(tracked, at_once=at_once)

    async def _answer(self, work: Awaitable[OrderStatusReport | None]) -> OrderStatusReport | None:
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                return await work
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise ConnectionError("the request was broken off") from None

    def _heed(self, error: VenueRejectedError) -> None:
        if isinstance(error, RateLimitedError):
            now = asyncio.get_running_loop().time()
            self._rates.block(round((now + error.retry_after_s) * 1e9))

    def _changed(self, tracked: Tracked) -> None:
        """Take a modification for done that the venue confirmed without more."""
        change = tracked.change
        if change is None:
            return
        tracked.take_terms(change)
        terms = {"quantity": change.quantity, "price": change.price}
        self._tell(OrderUpdated, tracked, trigger_price=change.trigger_price, **terms)
        self._drop_change(tracked)

    def _drop_change(self, tracked: Tracked) -> None:
        tracked.change = None
        self.tracking.release(tracked)

    # What answers say

    def settle(self, tracked: Tracked, report: OrderStatusReport) -> None:
        """Take note of what a state answers, before it goes on."""
        tracked.awaits_submit = False
        change = tracked.change
        if change is None or not has_terms(report, change):
            self._take_terms(tracked, report)
        if report.status in CLOSED:
            tracked.settle()
        elif change is not None and has_terms(report, change):
            tracked.change = None
            self._tell(
                OrderUpdated,
                tracked,
                quantity=change.quantity,
                price=change.price,
                trigger_price=change.trigger_price,
                venue_order_id=report.venue_order_id,
            )
        if not tracked.awaits_answer:
            self.inquiries.end(tracked)

    def _take_terms(self, tracked: Tracked, report: OrderStatusReport) -> None:
        """Tell of terms that are not those that are waited for: else fills would not fit.

        They are of a change whose answer was lost, that an earlier run did not live to hear of, or
        that was made by another hand. Times do not tell here: our own events have our clock's.
        """
        if not has_other_terms(report, tracked):
            return  # as they were, or told of already
        order = self.tracking.lookup.order(tracked.client_order_id)
        if order is None or not order.is_open or not has_other_terms(report, order):
            return
        self._tell(
            OrderUpdated,
            tracked,
            quantity=report.quantity,
            price=report.price,
            trigger_price=report.trigger_price,
            venue_order_id=report.venue_order_id,
            is_unasked=not tracked.was_changing,
        )
        tracked.was_changing = False
        tracked.take_terms(report)

    def not_there(self, tracked: Tracked, expiry_s: float | None) -> None:
        """Reject an order that the venue does not know, where that proves that it never came."""
        if expiry_s is None or not tracked.awaits_submit or not tracked.sent_ns:
            return
        age_ns = self._clock.timestamp_ns() - tracked.sent_ns - abs(self.link.skew_ns or 0)
        margin_s = self._settings.request_timeout_s + self._settings.wait_timeout_s
        if age_ns > (expiry_s + margin_s) * 1e9:
            reason = f"it never came to the venue, which takes none that is {expiry_s:g} s old"
            self.rejected(tracked, reason)

    def unanswered(self, tracked: Tracked) -> None:
        """Refuse a cancel or change that the venue shows no sign of, of an order it knows."""
        if tracked.awaits_submit or tracked.last is None or tracked.last.status in CLOSED:
            return
        reason = "the venue did not answer, and says that the order is as it was"
        if tracked.change is not None:
            self._drop_change(tracked)
            self._tell(OrderModifyRejected, tracked, reason=reason)
        if tracked.awaits_cancel:
            tracked.awaits_cancel = False
            self._tell(OrderCancelRejected, tracked, reason=reason)

    # Events made here

    def _tell(self, kind: Any, tracked: Tracked, **more: Any) -> None:
        fields = about(tracked, self._clock.timestamp_ns())
        self._send(kind(account_id=self._account_id, **fields, **more))

    def _tell_unknown(self, kind: Any, command: ModifyOrder | CancelOrder) -> None:
        fields = about(command, self._clock.timestamp_ns())
        reason = f"{self._account_id} knows no order {command.client_order_id}"
        self._send(kind(code="ORDER_UNKNOWN", reason=reason, **fields))
