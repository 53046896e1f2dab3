"""What a search text costs at most, and what its pieces come to: the deadline of a query, and the sum of vectors."""

import math
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from service.embedder import Vector
from service.embedding.deadline import all_within
from service.errors import EmbedderUnavailable

Result = TypeVar("Result")

RETRY_AFTER_S = 2
"""What callers are told after a failure: by then there has been a probe."""


async def in_time(timeout_s: float, *work: Coroutine[Any, Any, Result]) -> list[Result]:
    """What the embedder answers within `timeout_s`; else raises EmbedderUnavailable (reason timeout)."""
    try:
        return await all_within(timeout_s, *work)
    except TimeoutError as error:
        raise late(timeout_s) from error


def late(timeout_s: float) -> EmbedderUnavailable:
    """The error that says that the embedder did not answer within `timeout_s`."""
    return EmbedderUnavailable(
        f"the embedder did not answer within {max(0.0, timeout_s):.2g} s, the deadline of a query",
        reason="timeout",
        retry_after_s=RETRY_AFTER_S,
    )


def direction_of_sum(vectors: Sequence[Vector]) -> Vector:
    """The vector of a text that was embedded in pieces: of unit length, in the direction of their sum."""
    if len(vectors) == 1:
        return vectors[0]
    total = [sum(values) for values in zip(*vectors, strict=True)]
    norm = math.hypot(*total)
    return [value / norm for value in total] if norm else list(vectors[0])
