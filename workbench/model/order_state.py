"""The order state table: one dict from (status, trigger) to status, one function applies it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType

from workbench.model.enums import OrderStatus as S
from workbench.model.errors import OrderStateError


class OrderTrigger(StrEnum):
    """What can happen to an order."""

    DENY = "deny"
    EMULATE = "emulate"
    RELEASE = "release"
    SUBMIT = "submit"
    REJECT = "reject"
    ACCEPT = "accept"
    CANCEL = "cancel"
    EXPIRE = "expire"
    TRIGGER = "trigger"
    PEND_UPDATE = "pend_update"
    PEND_CANCEL = "pend_cancel"
    FILL_PART = "fill_part"
    FILL_REST = "fill_rest"


T = OrderTrigger

TARGET: Mapping[OrderTrigger, S] = MappingProxyType(
    {
        T.DENY: S.DENIED,
        T.EMULATE: S.EMULATED,
        T.RELEASE: S.RELEASED,
        T.SUBMIT: S.SUBMITTED,
        T.REJECT: S.REJECTED,
        T.ACCEPT: S.ACCEPTED,
        T.CANCEL: S.CANCELED,
        T.EXPIRE: S.EXPIRED,
        T.TRIGGER: S.TRIGGERED,
        T.PEND_UPDATE: S.PENDING_UPDATE,
        T.PEND_CANCEL: S.PENDING_CANCEL,
        T.FILL_PART: S.PARTIALLY_FILLED,
        T.FILL_REST: S.FILLED,
    }
)

_FILL = (T.FILL_PART, T.FILL_REST)
_PENDING = (T.PEND_UPDATE, T.PEND_CANCEL)

_ALLOWED: dict[S, tuple[OrderTrigger, ...]] = {
    # The last five are for orders that were found at the venue, not sent from here.
    S.INITIALIZED: (
        *(T.DENY, T.SUBMIT, T.EMULATE, T.RELEASE),
        *(T.REJECT, T.ACCEPT, T.CANCEL, T.EXPIRE, T.TRIGGER),
    ),
    S.EMULATED: (T.RELEASE, T.CANCEL, T.EXPIRE),
    S.RELEASED: (T.SUBMIT, T.DENY, T.CANCEL),
    S.SUBMITTED: (*_PENDING, T.REJECT, T.CANCEL, T.ACCEPT, *_FILL),
    S.ACCEPTED: (*_PENDING, T.REJECT, T.CANCEL, T.TRIGGER, T.EXPIRE, *_FILL),
    S.TRIGGERED: (*_PENDING, T.REJECT, T.CANCEL, T.EXPIRE, *_FILL),
    S.PARTIALLY_FILLED: (*_PENDING, T.CANCEL, T.EXPIRE, T.ACCEPT, *_FILL),
    S.PENDING_UPDATE: (
        *(T.ACCEPT, T.REJECT, T.CANCEL, T.EXPIRE, T.TRIGGER),
        *_PENDING,
        *_FILL,
    ),
    S.PENDING_CANCEL: (T.ACCEPT, T.REJECT, T.CANCEL, T.EXPIRE, T.PEND_CANCEL, *_FILL),
    # A fill that was already on its way.
    S.CANCELED: _FILL,
}


def _rows() -> Iterator[tuple[tuple[S, OrderTrigger], S]]:
    for status, triggers in _ALLOWED.items():
        for trigger in triggers:
            yield (status, trigger), TARGET[trigger]


TRANSITIONS: Mapping[tuple[S, OrderTrigger], S] = MappingProxyType(dict(_rows()))
"""The whole table."""

OPEN = frozenset({S.ACCEPTED, S.TRIGGERED, S.PENDING_UPDATE, S.PENDING_CANCEL, S.PARTIALLY_FILLED})
IN_FLIGHT = frozenset({S.SUBMITTED, S.PENDING_UPDATE, S.PENDING_CANCEL})
PENDING = frozenset({S.PENDING_UPDATE, S.PENDING_CANCEL})
CLOSED = frozenset({S.DENIED, S.REJECTED, S.CANCELED, S.EXPIRED, S.FILLED})


def allowed_now(status: S) -> str:
    """Return the triggers that the table has for a status, for a message.

    >>> allowed_now(S.CANCELED)
    'fill_part, fill_rest'
    """
    return ", ".join(trigger.value for trigger in _ALLOWED.get(status, ())) or "nothing"


def next_status(status: S, trigger: OrderTrigger, client_order_id: str = "") -> S:
    """Return the status that `trigger` leads to.

    Raises:
        OrderStateError: If the table has no such row; names what is allowed now.

    >>> next_status(S.SUBMITTED, OrderTrigger.ACCEPT)
    <OrderStatus.ACCEPTED: 'accepted'>
    """
    found = TRANSITIONS.get((status, trigger))
    if found is None:
        order = f"order {client_order_id}" if client_order_id else "an order"
        raise OrderStateError(
            f"{order} is {status.value} and cannot {trigger.value};"
            f" allowed now: {allowed_now(status)}"
        )
    return found
