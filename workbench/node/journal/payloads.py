"""Payloads to bytes and back, and nothing secret among them.

A message of the model is encoded by its codec, the journal's own structs likewise. A value that
neither knows is refused where it is appended: a wrapped secret, for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import msgspec

from workbench.model.codec import decode as decode_message
from workbench.model.codec import encode as encode_message
from workbench.model.custom_data import TAG_PREFIX, CustomData
from workbench.model.errors import CodecError, ConfigError
from workbench.node.journal.records import PAYLOADS

Redact = Callable[[str], str]
"""Returns a text without what must not be written; as it is, if so."""

HIDDEN = "***"

_OWN = frozenset(PAYLOADS)
_encoder = msgspec.msgpack.Encoder()
_decoders: dict[str, Any] = {kind.__name__: msgspec.msgpack.Decoder(kind) for kind in PAYLOADS}


def type_name(message: object) -> str:
    """Return what a payload's type is called in the journal."""
    kind = type(message)
    return f"{TAG_PREFIX}{kind.__name__}" if issubclass(kind, CustomData) else kind.__name__


def encode(message: Any) -> bytes:
    """Return a payload as msgpack.

    Raises:
        CodecError: If it is neither a message nor a payload of the journal, or holds a value that
            cannot be written, such as a wrapped secret.
    """
    if type(message) not in _OWN:
        return encode_message(message)
    try:
        return _encoder.encode(message)
    except (OverflowError, TypeError, UnicodeEncodeError) as error:
        raise CodecError(f"cannot journal a {type(message).__name__}: {error}") from error


def decode(name: str, data: bytes) -> Any:
    """Return the payload of a type that `encode` wrote.

    Raises:
        CodecError: If the bytes are not such a payload.
    """
    decoder = _decoders.get(name)
    if decoder is None:
        return decode_message(data)
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CodecError(f"not a {name}: {error}") from error


def hide(secrets: Iterable[str]) -> Redact:
    """Return what puts `***` in the place of each of these texts.

    Raises:
        ConfigError: If one has less than four characters: it would be found everywhere.

    >>> hide(["k3y-of-mine"])("apiKey=k3y-of-mine&x=1")
    'apiKey=***&x=1'
    """
    known = sorted(set(secrets), key=len, reverse=True)
    if any(len(secret) < 4 for secret in known):
        raise ConfigError("a secret to hide has four characters or more")

    def redact(text: str) -> str:
        for secret in known:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return text

    return redact


def redacted(data: bytes, redact: Redact) -> bytes:
    """Return an encoded payload with every text and every bytes in it redacted."""
    # Texts stand in it as they are; what is between them is no part of a character of theirs.
    if _redacted_bytes(data, redact) == data:
        return data  # as nearly always: nothing is taken apart
    return _encoder.encode(_walk(msgspec.msgpack.decode(data), redact))


def _redacted_bytes(data: bytes, redact: Redact) -> bytes:
    text = data.decode(errors="surrogateescape")  # and back to the same bytes
    return redact(text).encode(errors="surrogateescape")


def _walk(value: Any, redact: Redact) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bytes):
        return _redacted_bytes(value, redact)
    if isinstance(value, list):
        return [_walk(item, redact) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {_walk(key, redact): _walk(item, redact) for key, item in items}
    return value
