"""Messages to bytes and back: msgpack for machines, JSON for people. Round-trips are exact."""

from __future__ import annotations

from typing import Any

import msgspec

from workbench.model import commands as c
from workbench.model import custom_data as u
from workbench.model import data as d
from workbench.model import events as e
from workbench.model import instruments as i
from workbench.model import reports as r
from workbench.model import risk_events as k
from workbench.model.errors import CodecError, InstrumentError
from workbench.model.orders import Order

MESSAGE_TYPES: tuple[type[msgspec.Struct], ...] = (
    d.Quote,
    d.Trade,
    d.Bar,
    d.BidAskBar,
    d.DataGap,
    d.MarkPrice,
    d.FundingRate,
    d.InstrumentStatus,
    u.Signal,
    i.CurrencyPair,
    i.CryptoPerpetual,
    i.Equity,
    i.Future,
    e.OrderInitialized,
    e.OrderDenied,
    e.OrderSubmitted,
    e.OrderAccepted,
    e.OrderRejected,
    e.OrderCanceled,
    e.OrderExpired,
    e.OrderTriggered,
    e.OrderEmulated,
    e.OrderReleased,
    e.OrderPendingUpdate,
    e.OrderPendingCancel,
    e.OrderModifyRejected,
    e.OrderCancelRejected,
    e.OrderUpdated,
    e.OrderFilled,
    e.PositionOpened,
    e.PositionChanged,
    e.PositionClosed,
    e.AccountState,
    e.TimeEvent,
    e.LoopStalled,
    e.StrategySwapped,
    k.TradingStateChanged,
    k.LossDayBegan,
    k.LossLimitReached,
    c.Subscribe,
    c.Unsubscribe,
    c.RequestData,
    c.DataResponse,
    c.SubmitOrder,
    c.SubmitOrderList,
    c.ModifyOrder,
    c.CancelOrder,
    c.CancelAllOrders,
    c.QueryOrder,
    c.ShutdownSystem,
    r.OrderStatusReport,
    r.FillReport,
    r.PositionReport,
    Order,
)
"""Every type that can be encoded, beside subclasses of `CustomData`; its class name is its tag."""

_union: Any = MESSAGE_TYPES[0]
for _kind in MESSAGE_TYPES[1:]:
    _union = _union | _kind

_msgpack = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder()
_from_msgpack: Any = msgspec.msgpack.Decoder(_union)
_from_json: Any = msgspec.json.Decoder(_union)


def encode(message: msgspec.Struct) -> bytes:
    """Return a message as msgpack.

    Raises:
        CodecError: If it is not one of `MESSAGE_TYPES` (or a subclass of `CustomData`), or a value
            does not fit (integers: 64 bit).
    """
    return _checked(_msgpack, message)


def encode_json(message: msgspec.Struct) -> bytes:
    """Return a message as UTF-8 JSON.

    JSON has no word for a float that is not finite: it becomes `null`, which `decode_json` does
    not read as a float.

    Raises:
        CodecError: If it is not one of `MESSAGE_TYPES`, or a value has no JSON form.
    """
    return _checked(_json, message)


def decode(data: bytes) -> Any:
    """Return the message that `encode` wrote.

    Raises:
        CodecError: If the bytes are not a message.
    """
    return _read(_from_msgpack, data, msgspec.msgpack.Decoder)


def decode_json(data: bytes) -> Any:
    """Return the message that `encode_json` wrote.

    Raises:
        CodecError: If the bytes are not a message.
    """
    return _read(_from_json, data, msgspec.json.Decoder)


def _checked(encoder: Any, message: msgspec.Struct) -> bytes:
    if type(message) not in _KNOWN and not isinstance(message, u.CustomData):
        raise CodecError(f"{type(message).__name__} is not a message type")
    try:
        return encoder.encode(message)
    except (OverflowError, TypeError, UnicodeEncodeError) as error:
        raise CodecError(f"cannot encode {message!r}: {error}") from error


def _read(decoder: Any, data: bytes, kind: Any) -> Any:
    try:
        return decoder.decode(data)
    except _UNREADABLE as error:
        if u.TAG_PREFIX.encode() in data and (custom := _custom(data, kind)) is not None:
            return custom
        raise CodecError(f"not a workbench message: {error}") from error


def _custom(data: bytes, kind: Any) -> u.CustomData | None:
    """Return a user's own data; None where it is none, or its class is not defined here."""
    try:
        tag = kind(_Tagged).decode(data).type
        custom = u.CUSTOM_TYPES.get(tag.removeprefix(u.TAG_PREFIX))
        return None if custom is None else kind(custom).decode(data)
    except _UNREADABLE:
        return None


class _Tagged(msgspec.Struct):
    """The tag of a message, whatever else it holds."""

    type: str


_KNOWN = frozenset(MESSAGE_TYPES)

_UNREADABLE = (
    msgspec.DecodeError,
    UnicodeDecodeError,
    InstrumentError,  # an instrument's own check
    ArithmeticError,  # a comparison with a Decimal that is not a number
    RecursionError,
)
