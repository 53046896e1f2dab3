"""Writes spans in the protobuf form of OTLP; the SDK makes an object of each value, which takes thirty times as long.

Sources: https://protobuf.dev/programming-guides/encoding/ and trace.proto, common.proto and resource.proto of
https://github.com/open-telemetry/opentelemetry-proto. A test compares the bytes with what the SDK's exporter writes.
"""

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

Event = tuple[str, int, Mapping[str, Any]]
"""Its name, when it was (nanoseconds since 1970), and its attributes."""
Link = tuple[int, int, Mapping[str, Any]]
"""Trace, span, attributes."""

LONGEST = 8192
"""Characters that are kept of a string."""
_KEPT_CHARS = 64
"""Strings up to here come again and again, such as names, and are encoded once."""
_DOUBLE = struct.Struct("<d").pack
_TIMES = struct.Struct("<BQBQ").pack
_64_BITS = (1 << 64) - 1
_OF_SPAN, _OF_EVENT, _OF_LINK, _OF_RESOURCE = 0x4A, 0x1A, 0x22, 0x0A
"""The tags of attributes: number of the field and kind of its content, as in all numbers below."""
_LOCAL, _REMOTE = b"\x00\x01\x00\x00", b"\x00\x03\x00\x00"
"""Flags: it is known whether what the span hangs on is of another process; and it is."""


def encode_span(
    *,
    trace_id: int,
    span_id: bytes,
    parent_id: bytes,
    name: str,
    kind: int,
    started: int,
    ended: int,
    attributes: Mapping[str, Any],
    written: bytes = b"",
    events: Iterable[Event] = (),
    links: Iterable[Link] = (),
    failed: bool = False,
    remote: bool = False,
    state: str = "",
) -> bytes:
    """A span with its tag, as one of a scope's: requests are these, one after the other.

    `kind` is OpenTelemetry's own number, less one; `written` are further attributes from `encode_attributes`; `remote`
    says that the parent is of another process.
    """
    parts = [b"\x0a\x10", trace_id.to_bytes(16, "big"), b"\x12\x08", span_id]
    if state:
        parts.append(_field(0x1A, _bytes(state)))
    if parent_id:
        parts += (b"\x22\x08", parent_id)
    parts += (_named(name, kind + 1), _TIMES(0x39, started, 0x41, ended), written)
    parts.append(encode_attributes(attributes))
    parts += [_event(*event) for event in events]
    parts += [_link(*link) for link in links]
    parts += (b"\x7a\x02\x18\x02" if failed else b"\x7a\x00", b"\x85\x01", _REMOTE if remote else _LOCAL)
    return _field(0x12, b"".join(parts))


def encode_attributes(attributes: Mapping[str, Any]) -> bytes:
    """Attributes as they stand in a span, for those that many spans share."""
    return b"".join([_attribute(_OF_SPAN, key, value) for key, value in attributes.items()])


def encode_request(resource: Mapping[str, Any], scope: str, spans: Iterable[bytes]) -> bytes:
    """What a collector is sent: spans of one resource and one instrumentation."""
    of_resource = b"".join(_attribute(_OF_RESOURCE, key, value) for key, value in resource.items())
    of_scope = _field(0x0A, _field(0x0A, _bytes(scope)))
    return _field(0x0A, _field(0x0A, of_resource) + _field(0x12, of_scope + b"".join(spans)))


def _event(name: str, moment: int, attributes: Mapping[str, Any]) -> bytes:
    parts = [b"\x09", moment.to_bytes(8, "little"), _field(0x12, _bytes(name))]
    parts += [_attribute(_OF_EVENT, key, value) for key, value in attributes.items()]
    return _field(0x5A, b"".join(parts))


def _link(trace_id: int, span_id: int, attributes: Mapping[str, Any]) -> bytes:
    parts = [b"\x0a\x10", trace_id.to_bytes(16, "big"), b"\x12\x08", span_id.to_bytes(8, "big")]
    parts += [_attribute(_OF_LINK, key, value) for key, value in attributes.items()]
    return _field(0x6A, b"".join([*parts, b"\x35", _REMOTE]))


def _attribute(tag: int, key: str, value: Any) -> bytes:
    kind: type = type(value)
    if kind is float:
        return _before_double(tag, key) + _DOUBLE(value)
    if kind is not str and kind is not int and kind is not bool:
        value, kind = str(value), str
    if kind is str and len(value) > _KEPT_CHARS:
        return _key_value(tag, key, kind, value[:LONGEST])
    return _kept_key_value(tag, key, kind, value)


def _key_value(tag: int, key: str, kind: type, value: Any) -> bytes:
    if kind is str:
        content = _field(0x0A, _bytes(value))
    elif kind is bool:
        content = b"\x10\x01" if value else b"\x10\x00"
    else:
        content = b"\x18" + _varint(value & _64_BITS)
    return _field(tag, _field(0x0A, _bytes(key)) + _field(0x12, content))


_kept_key_value = lru_cache(maxsize=4096)(_key_value)


@lru_cache(maxsize=512)
def _before_double(tag: int, key: str) -> bytes:
    """All of an attribute but the eight bytes of its number."""
    body = _field(0x0A, _bytes(key)) + b"\x12\x09\x21"
    return bytes((tag,)) + _varint(len(body) + 8) + body


@lru_cache(maxsize=1024)
def _named(name: str, kind: int) -> bytes:
    return _field(0x2A, _bytes(name)) + bytes((0x30, kind))


def _field(tag: int, content: bytes) -> bytes:
    return bytes((tag,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; each but the last has its highest bit set."""
    if number < 0x80:  # noqa: PLR2004 -- seven bits
        return bytes((number,))
    written = bytearray()
    while number >= 0x80:  # noqa: PLR2004 -- likewise
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
