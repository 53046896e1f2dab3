"""Reads and writes `traceparent` by W3C Trace Context level 2 (https://www.w3.org/TR/trace-context-2/)."""

import re
from typing import NamedTuple

FLAG_SAMPLED = 0x01
FLAG_RANDOM = 0x02

_FORMAT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_LONGEST = 512


class Traceparent(NamedTuple):
    """A span somewhere: its trace (128 bits), itself (64 bits) and the W3C flags."""

    trace_id: int
    span_id: int
    flags: int

    @property
    def sampled(self) -> bool:
        """Whether the caller keeps its trace."""
        return bool(self.flags & FLAG_SAMPLED)


def parse_traceparent(text: str) -> Traceparent | None:
    """Read a `traceparent`; None when the rules say to start a new trace.

    A version above 00 may carry more fields; version ff, zero ids, upper case and anything else are refused.
    """
    if len(text) > _LONGEST or (match := _FORMAT.fullmatch(text)) is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more):
        return None
    parsed = Traceparent(int(trace_id, 16), int(span_id, 16), int(flags, 16) & (FLAG_SAMPLED | FLAG_RANDOM))
    return parsed if parsed.trace_id and parsed.span_id else None


def format_traceparent(trace_id: int, span_id: int, flags: int) -> str:
    """Write a version 00 `traceparent`."""
    return f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"
