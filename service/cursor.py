"""Opaque, URL-safe cursors: what a page ended with, bound to the query that made it."""

import binascii
import math
from base64 import b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

from service.errors import FieldError, Invalid, Stale

T = TypeVar("T")

MOST_CHARACTERS = 4_000
_FINGERPRINT_BYTES = 8
_INT64 = 2**63


def encode(query: object, position: object) -> str:
    """A cursor at `position` within the results of `query` (anything that msgspec encodes)."""
    packed = msgspec.msgpack.encode((_fingerprint(query), position))
    return urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(text: str, query: object, kind: type[T]) -> T:
    """The position in a cursor of this very query.

    Raises Invalid for what was never a cursor, and Stale for a cursor of another query. Numbers of a position are
    finite and fit into 64 bits, its texts hold no NUL: whatever a caller makes up, the database can take it.
    """
    try:
        fingerprint, packed = _unpack(text)
        if fingerprint != _fingerprint(query):
            raise Stale("the cursor belongs to another query; start again without it")
        _require_storable(msgspec.msgpack.decode(packed))
        return msgspec.msgpack.decode(packed, type=kind)
    except (binascii.Error, TypeError, ValueError, msgspec.MsgspecError, RecursionError):
        raise Invalid([FieldError("invalid", "not a cursor of this service", parameter="cursor")]) from None


def _unpack(text: str) -> tuple[bytes, msgspec.Raw]:
    if len(text) > MOST_CHARACTERS:
        raise ValueError(len(text))
    packed = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    fingerprint, position = msgspec.msgpack.decode(packed, type=tuple[bytes, msgspec.Raw])
    if len(fingerprint) != _FINGERPRINT_BYTES:
        raise ValueError(len(fingerprint))
    return fingerprint, position


def _require_storable(value: Any) -> None:
    """Raises ValueError for what no position can be."""
    match value:
        case list() | tuple():
            for item in value:
                _require_storable(item)
        case dict():
            _require_storable(list(value.items()))
        case int() if not -_INT64 <= value < _INT64:
            raise ValueError(value)
        case float() if not math.isfinite(value):
            raise ValueError(value)
        case str() if "\0" in value:
            raise ValueError(value)


def _fingerprint(query: object) -> bytes:
    return blake2b(msgspec.msgpack.encode(query), digest_size=_FINGERPRINT_BYTES).digest()
