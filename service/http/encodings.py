"""Which content coding a request asks for (RFC 9110, section 12.5.3)."""

import re
from functools import lru_cache
from typing import Literal

import msgspec

Coding = Literal["zstd", "gzip"]
CODINGS: tuple[Coding, ...] = ("zstd", "gzip")
"""In our order, which decides where the caller has none."""

_ITEM = re.compile(rb"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*[qQ]\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?")
_ALIASES = {b"x-gzip": b"gzip"}
_USUAL_LENGTH = 256


class Choice(msgspec.Struct, frozen=True):
    """The coding that suits the caller best, or None; `only` where a plain answer is ruled out."""

    coding: Coding | None
    only: bool = False


PLAIN = Choice(None)


def choose(accepted: bytes | None) -> Choice:
    """Choose for the value of Accept-Encoding; without the header, plain. A part that cannot be read counts as none."""
    if accepted is None:
        return PLAIN
    # What is remembered is of usual length, so that callers cannot fill memory with others.
    return _remembered(accepted) if len(accepted) <= _USUAL_LENGTH else _choose(accepted)


def _choose(accepted: bytes) -> Choice:
    weights = _weights(accepted)
    other = weights.get(b"*", 0.0)
    # Said nothing of, a plain answer is always good, and wanted least; `*;q=0` rules it out as well.
    plain = weights.get(b"identity", 0.0 if weights.get(b"*") == 0 else None)
    best: Coding | None = None
    weight = 0.0
    for coding in CODINGS:
        if (own := weights.get(coding.encode(), other)) > weight:
            best, weight = coding, own
    if best is None or (plain is not None and plain > weight):
        return PLAIN
    return Choice(best, only=plain == 0)


def _weights(accepted: bytes) -> dict[bytes, float]:
    weights: dict[bytes, float] = {}
    for part in accepted.split(b","):
        if (found := _ITEM.fullmatch(part)) is not None:
            name = found[1].lower()
            weights[_ALIASES.get(name, name)] = float(found[2]) if found[2] is not None else 1.0
    return weights


_remembered = lru_cache(maxsize=256)(_choose)


def takes_gzip(accepted: str | None) -> bool:
    """Whether a caller likes gzip no less than a plain answer, for what is kept in this coding only."""
    if accepted is None:
        return False
    weights = _weights(accepted.encode("latin-1"))
    other = weights.get(b"*", 0.0)
    weight = weights.get(b"gzip", other)
    return weight > 0 and weight >= weights.get(b"identity", 0.0)
