"""Every message comes back from msgpack and from JSON exactly as it was."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.model.codec import MESSAGE_TYPES, decode, decode_json, encode, encode_json
from workbench.model.data import BarAggregation, BarSpec, BarType, PriceType
from workbench.model.errors import CodecError
from workbench.model.instruments import Instrument
from workbench.model.money import Currency

# A lone surrogate is no character and has no UTF-8 form.
CHARACTERS = st.characters(codec="utf-8")
TEXTS = st.text(CHARACTERS, max_size=40)
WORDS = st.text(CHARACTERS.filter(lambda c: not c.isspace()), min_size=1, max_size=12)
DECIMALS = st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=28).map(tuple),
    st.integers(-60, 30),
)
POSITIVE = DECIMALS.map(abs).filter(lambda number: number > 0)
ORDERED = st.tuples(DECIMALS.map(abs), DECIMALS.map(abs)).map(sorted)
INSTRUMENT_IDS = st.builds(
    "{}.{}".format,
    WORDS,
    st.from_regex(r"[A-Za-z0-9][\w-]{0,8}", fullmatch=True).filter(str.isascii),
)
SPECS = st.builds(
    BarSpec,
    st.integers(1, 2**63 - 1),
    st.sampled_from(BarAggregation),
    st.sampled_from(PriceType),
)

st.register_type_strategy(Decimal, DECIMALS)
st.register_type_strategy(int, st.integers(-(2**63), 2**64 - 1))
st.register_type_strategy(str, TEXTS)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(Currency, st.builds(Currency, WORDS, st.integers(0, 18)))
st.register_type_strategy(BarType, st.builds(BarType, TEXTS, SPECS))


def messages(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Messages of one type, each field drawn from what its annotation allows."""
    fields = {field.name: st.from_type(field.type) for field in msgspec.structs.fields(kind)}
    if not issubclass(kind, Instrument):
        return st.builds(kind, **fields)
    fields["id"] = INSTRUMENT_IDS
    for name in ("price_increment", "quantity_increment", "multiplier"):
        fields[name] = POSITIVE
    for name in ("margin_init", "margin_maint"):
        fields[name] = DECIMALS.map(abs)

    def consistent(quantities: Any, notionals: Any, **given: Any) -> Any:
        given["min_quantity"], given["max_quantity"] = quantities
        given["min_notional"], given["max_notional"] = notionals
        return kind(**given)

    limits = ORDERED | st.tuples(st.none(), st.none() | POSITIVE)
    for name in ("min_quantity", "max_quantity", "min_notional", "max_notional"):
        del fields[name]
    return st.builds(consistent, quantities=limits, notionals=limits, **fields)


def exact(value: Any) -> Any:
    """A value in a form that tells 1.0 from 1.00, 0.0 from -0.0 and a list from a tuple."""
    if isinstance(value, msgspec.Struct):
        names = type(value).__struct_fields__
        return type(value), [(name, exact(getattr(value, name))) for name in names]
    if isinstance(value, Decimal):
        return Decimal, value.as_tuple()
    if isinstance(value, float):
        return float, value.hex(), math.copysign(1, value)
    if isinstance(value, (tuple, list)):
        return type(value), [exact(item) for item in value]
    return type(value), value


@pytest.mark.parametrize("kind", MESSAGE_TYPES, ids=lambda kind: kind.__name__)
def test_a_message_round_trips_exactly_through_msgpack_and_json(
    kind: type[msgspec.Struct],
) -> None:
    @settings(max_examples=max(10, settings.default.max_examples // 4))
    @given(messages(kind))
    def check(message: msgspec.Struct) -> None:
        for back in (decode(encode(message)), decode_json(encode_json(message))):
            assert exact(back) == exact(message)
            assert back == message
            assert type(back) is kind

    check()


@given(st.binary(max_size=200) | st.text(CHARACTERS, max_size=100).map(str.encode))
def test_arbitrary_bytes_are_a_codec_error_and_nothing_else(data: bytes) -> None:
    for read in (decode, decode_json):
        with pytest.raises(CodecError):
            read(data)
