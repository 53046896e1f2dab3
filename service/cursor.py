"""Opaque, URL-safe cursors: what a page ended with, bound to the query that made it."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import TypeVar

import msgspec

from service.errors import FieldError, Invalid, Stale

T = TypeVar("T")


def encode(query: object, position: object) -> str:
    """A cursor at `position` within the results of `query` (anything that msgspec encodes)."""
    packed = msgspec.msgpack.encode((_fingerprint(query), position))
    return urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(text: str, query: object, kind: type[T]) -> T:
    """The position in a cursor of this very query.

    Raises Invalid for what was never a cursor, and Stale for a cursor of another query.
    """
    try:
        packed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        fingerprint, position = msgspec.msgpack.decode(packed, type=tuple[bytes, kind])  # type: ignore[valid-type]  # a type made from a value
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise Invalid([FieldError("invalid", "not a cursor of this service", parameter="cursor")]) from None
    if fingerprint != _fingerprint(query):
        raise Stale("the cursor belongs to another query; start again without it")
    return position


def _fingerprint(query: object) -> bytes:
    return blake2b(msgspec.msgpack.encode(query), digest_size=8).digest()
