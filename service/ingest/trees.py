"""Read JSON objects: one from a line, or many from an array that is too large to hold."""

import io
import json
from collections.abc import Iterator
from typing import Protocol

import ijson  # type: ignore[import-untyped] # it ships no types
import msgspec

from service.ingest.encodings import decode_lenient, open_text
from service.ingest.model import SourceRow

_DEEPEST = 32
_READ_CHARS = 64 * 1024
_OPENING = frozenset({"start_map", "start_array"})
_CLOSING = frozenset({"end_map", "end_array"})


class Progress(Protocol):
    """Something that knows how many bytes were consumed."""

    @property
    def consumed(self) -> int:
        """Bytes consumed so far."""


class _Utf8Stream:
    """Bytes for the parser, which takes UTF-8 only, from text in any encoding that `open_text` reads."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text

    def read(self, size: int) -> bytes:
        """Read about `size` bytes; the parser asks for none at first, to see what it gets."""
        return self._text.read(min(size, _READ_CHARS)).encode("utf-8", "replace")


def parse_object(line: bytes) -> dict[str, object] | str:
    """Read one object, or say in a sentence why it is none."""
    try:
        found = _parse(line)
    except (ValueError, RecursionError) as fault:
        return f"not JSON: {fault}"
    if not isinstance(found, dict):
        return f"a JSON object is wanted, this is {_name(found)}"
    return found


def _parse(line: bytes) -> object:
    try:
        return msgspec.json.decode(line)
    except UnicodeDecodeError:
        return msgspec.json.decode(decode_lenient(line))
    except msgspec.DecodeError:
        # Python's own writer puts NaN where a table has a hole; the strict reader knows no such word.
        if b"NaN" not in line:
            raise
        return json.loads(decode_lenient(line))


def read_array(content: io.BufferedReader, progress: Progress) -> Iterator[SourceRow]:
    """Read the elements of a top-level array, or objects one after another, without holding more than one.

    After a fault in the syntax no element can be told from the next, so that one ends the file, with an error row.
    """
    line = 0
    try:
        for line, element in enumerate(_elements(_Utf8Stream(open_text(content))), start=1):
            if isinstance(element, dict):
                yield SourceRow(line, element, progress.consumed)
            else:
                yield SourceRow(line, {}, progress.consumed, f"a JSON object is wanted, this is {_name(element)}")
    except (ijson.JSONError, UnicodeError, _TooDeepError) as fault:
        reason = " ".join(str(fault).split())[:200]
        yield SourceRow(line + 1, {}, progress.consumed, f"not JSON from here on: {reason}", True)


class _TooDeepError(ValueError):
    """A value nests deeper than any posting does."""


def _elements(stream: _Utf8Stream) -> Iterator[object]:
    """Build the values one level below the top-level array; a top-level object is an element itself."""
    depth = 0
    in_array = False
    builder = ijson.ObjectBuilder()
    # Not ijson.items: it carries the path of every level along, so its cost grows with the square of the depth.
    for event, value in ijson.basic_parse(stream, multiple_values=True, buf_size=_READ_CHARS):
        if depth == 0 and event == "start_array":
            in_array, depth = True, 1
            continue
        if in_array and depth == 1 and event == "end_array":
            in_array, depth = False, 0
            continue
        builder.event(event, value)
        if event in _OPENING:
            depth += 1
            if depth > _DEEPEST:
                raise _TooDeepError(f"values nest deeper than {_DEEPEST} levels")
        elif event in _CLOSING:
            depth -= 1
        if depth == int(in_array):
            yield builder.value
            builder = ijson.ObjectBuilder()


def _name(value: object) -> str:
    if isinstance(value, list):
        return "an array"
    return "null" if value is None else "a text" if isinstance(value, str) else "a single value"
