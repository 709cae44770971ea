"""What the codec refuses, and how; that it round-trips is a property."""

from __future__ import annotations

import math
import pickle

import msgspec
import pytest

from workbench.model import (
    commands,
    custom_data,
    data,
    errors,
    events,
    instruments,
    orders,
    reports,
    risk_events,
)
from workbench.model.codec import (
    MESSAGE_TYPES,
    decode,
    decode_json,
    encode,
    encode_json,
)
from workbench.model.data import Quote
from workbench.model.errors import CodecError, StrategyError, WorkbenchError
from workbench.model.events import TimeEvent
from workbench.model.instruments import CurrencyPair
from workbench.model.money import Currency

QUOTE = Quote("AUD/USD.SIM", 1.0, 1.1, 5.0, 6.0, 1, 2)


MODULES = (commands, custom_data, data, events, instruments, orders, reports, risk_events)
SHARED = (custom_data.CustomData, events.OrderEvent, events.PositionEvent, instruments.Instrument)


class Stranger(msgspec.Struct, tag=True):
    """A Struct that is no message."""


def test_a_message_carries_its_class_name() -> None:
    assert msgspec.json.decode(encode_json(QUOTE))["type"] == "Quote"
    assert msgspec.msgpack.decode(encode(QUOTE))["type"] == "Quote"
    assert len({kind.__name__ for kind in MESSAGE_TYPES}) == len(MESSAGE_TYPES)


def test_every_tagged_type_of_the_model_can_be_encoded() -> None:
    tagged = {
        kind
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, msgspec.Struct)
        and kind.__struct_config__.tag is not None
        and kind not in SHARED
    }
    assert tagged == set(MESSAGE_TYPES)


@pytest.mark.parametrize("message", [Stranger(), Currency("USD", 2)])
def test_what_is_no_message_is_not_encoded(message: msgspec.Struct) -> None:
    for write in (encode, encode_json):
        with pytest.raises(CodecError, match=f"{type(message).__name__} is not a message type"):
            write(message)


@pytest.mark.parametrize(
    "message", [TimeEvent("\ud800", 1, 2), TimeEvent(object(), 1, 2)], ids=["surrogate", "object"]
)
def test_a_value_that_no_format_takes_is_a_codec_error(message: TimeEvent) -> None:
    for write in (encode, encode_json):
        with pytest.raises(CodecError, match="cannot encode TimeEvent"):
            write(message)


def test_an_integer_beyond_64_bits_is_a_codec_error() -> None:
    with pytest.raises(CodecError, match="cannot encode TimeEvent"):
        encode(TimeEvent("x", 2**64, 1))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b"null",
        b'{"type":"Quote"}',
        b'{"type":"Stranger"}',
        b'{"type":"TimeEvent","name":"\xff","ts_event":1,"ts_init":1}',
        b"[" * 100_000,
        b"\x91" * 100_000,
        encode(QUOTE)[:-3],
        encode_json(QUOTE)[:-3],
        encode_json(QUOTE).replace(b"1.1", b'"x"'),
    ],
    ids=range(12),
)
def test_bytes_that_are_no_message_are_a_codec_error(content: bytes) -> None:
    for read in (decode, decode_json):
        with pytest.raises(CodecError, match="not a workbench message"):
            read(content)


@pytest.mark.parametrize("bad", [b'"-1"', b'"NaN"', b'"x"', b'"0"'])
def test_an_instrument_that_could_not_be_defined_cannot_be_decoded(bad: bytes) -> None:
    content = encode_json(CurrencyPair.define("AUD/USD.SIM")).replace(b'"0.00001"', bad)
    with pytest.raises(CodecError, match="not a workbench message"):
        decode_json(content)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_msgpack_keeps_floats_that_are_not_finite_and_json_refuses_to_read_them(
    value: float,
) -> None:
    quote = Quote("AUD/USD.SIM", value, 1.1, 5.0, 6.0, 1, 2)
    assert math.isclose(decode(encode(quote)).bid, value) or math.isnan(value)
    assert math.isnan(decode(encode(quote)).bid) == math.isnan(value)
    with pytest.raises(CodecError, match="Expected `float`, got `null`"):
        decode_json(encode_json(quote))


def test_a_strategy_error_names_strategy_callback_and_event_and_survives_pickling() -> None:
    error = StrategyError("S-1", "on_quote", QUOTE, ZeroDivisionError("division by zero"))
    back = pickle.loads(pickle.dumps(error))
    for one in (error, back):
        assert str(one) == (
            f"S-1 raised ZeroDivisionError in on_quote handling {QUOTE!r}: division by zero"
        )
        assert (one.strategy_id, one.callback, one.event) == ("S-1", "on_quote", QUOTE)
    assert str(StrategyError("S-1", "on_start", None, KeyError("x"))) == (
        "S-1 raised KeyError in on_start: 'x'"
    )


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in vars(errors).values()
        if getattr(kind, "__module__", None) == errors.__name__
        and isinstance(kind, type)
        # What breaks off a callback that hangs: an `except Exception` of its must not stop it.
        and kind is not errors.BrokenOffError
    ],
)
def test_every_error_is_a_workbench_error_and_all_but_the_root_also_a_builtin_one(
    kind: type[Exception],
) -> None:
    assert issubclass(kind, WorkbenchError)
    if kind is not WorkbenchError:
        assert issubclass(kind, (ValueError, LookupError, RuntimeError))


class Weather(custom_data.CustomData, frozen=True):
    """A user's own data."""

    degrees: float
    places: tuple[str, ...] = ()


def test_custom_data_comes_back_as_the_class_that_is_defined_now() -> None:
    message = Weather(3.5, ("A", "B"), ts_event=1, ts_init=2)
    assert decode(encode(message)) == decode_json(encode_json(message)) == message
    older = encode(message)

    def again() -> type:
        class Weather(custom_data.CustomData, frozen=True):
            degrees: float

        return Weather

    kept = custom_data.CUSTOM_TYPES["Weather"]
    newer = again()
    assert type(decode(older)) is newer
    del custom_data.CUSTOM_TYPES["Weather"]
    with pytest.raises(CodecError, match="not a workbench message"):
        decode(older)
    custom_data.CUSTOM_TYPES["Weather"] = kept
    with pytest.raises(CodecError, match="not a workbench message"):
        decode(older.replace(b"degrees", b"degreeZ"))


def test_a_users_class_is_never_taken_for_one_of_ours() -> None:
    class Quote(custom_data.CustomData, frozen=True):
        text: str

    message = Quote("x", ts_event=1, ts_init=1)
    assert decode(encode(message)) == message
    assert decode(encode(QUOTE)) == QUOTE
    del custom_data.CUSTOM_TYPES["Quote"]
