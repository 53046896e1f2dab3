"""Take a body of many parts apart before any of them is read, so that one which is wrong is no fault of the others."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from service.errors import FieldError, Invalid, UnreadableBody
from service.http.decoding import NDJSON, decode_json, read_json
from service.http.field_errors import all_errors

T = TypeVar("T")

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape in JSON: a whole surrogate pair, half of one, or the beginning of any other."""
_STAND_IN = rb"\u0000"
"""In place of half a pair, of its length, and refused as text likewise."""
_NOT_READ = FieldError(code="invalid", detail="The value cannot be read", pointer="")
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])


def decode_rows(body: bytes, media_type: str, annotation: type[T]) -> list[T | list[FieldError]]:
    """Decode a batch, a JSON array or NDJSON, row by row: each becomes its value or the list of its errors.

    Empty lines of NDJSON are passed over. Raises UnreadableBody or Invalid where an array cannot be read at all.
    """
    if media_type == NDJSON:
        return [decode_row(line, annotation) for line in body.split(b"\n") if line.strip()]
    return [decode_row(row, annotation) for row in take_apart(body, _ARRAY.decode, list[Any])]


def decode_row(row: bytes, annotation: type[T]) -> T | list[FieldError]:
    """Decode one part of a body: its value, or the list of its errors with pointers into it."""
    try:
        return decode_json(row, annotation)
    except Invalid as error:
        return list(error.errors)
    except UnreadableBody as error:
        return [FieldError(code=error.code, detail=error.detail, pointer="")]


def take_apart(body: bytes, split: Callable[[bytes], Sequence[msgspec.Raw]], shape: type[Any]) -> list[bytes]:
    """The parts of a body as they came, in their order; `split` finds them with msgspec.

    msgspec takes half a surrogate pair for broken JSON, also in a part that it leaves unread. Such a part is given as
    it came too: only finding the parts needs something else in its place. Raises UnreadableBody where the body is no
    JSON, Invalid where it is not of the `shape`.
    """
    with suppress(ValueError, RecursionError):
        return [bytes(part) for part in split(body)]
    mended = _ESCAPE.sub(lambda found: found[0] if found["half"] is None else _STAND_IN, body)
    if mended != body:
        with suppress(ValueError, RecursionError):
            return list(_same_places([bytes(part) for part in split(mended)], mended, body))
    raise Invalid(all_errors(shape, read_json(body)) or [_NOT_READ])


def _same_places(parts: Sequence[bytes], mended: bytes, body: bytes) -> Iterator[bytes]:
    """What stands in `body` where these parts of `mended`, which is as long, were found one after the other."""
    end = 1  # behind the bracket
    for part in parts:
        start = mended.index(part, end)
        end = start + len(part)
        yield body[start:end]
