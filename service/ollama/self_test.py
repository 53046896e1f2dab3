"""The self-test at start: a model is trusted when one text has one vector, alone, in a batch and among requests."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from service.embedder import Vector
from service.ollama.faults import Permanent, Transient, WireFault

LEAST_COSINE = 0.999
COMPANION_TEXT = "night nurse in a small hospital, part time"
"""Unlike the probe in words and length, so that mixing both up shows."""

Answer = TypeVar("Answer")
Other = TypeVar("Other")
Embed = Callable[[Sequence[str]], Coroutine[Any, Any, list[Vector | None]]]
"""Embed some texts in one request, with retries. Raises WireFault."""


async def require_stable(embed: Embed, probe: str, companion: str) -> Vector:
    """Embed `probe` alone, in a batch and beside a concurrent request, and return its vector.

    Four requests with five short texts. Raises WireFault: unstable_vectors where they differ (some servers mix up
    what they serve together, and search over such vectors finds at random), bad_vectors where one is no vector.
    """
    alone = _good(await embed([probe]), 0)
    in_batch = _good(await embed([companion, probe]), 1)
    concurrent, _ = await both(embed([probe]), embed([companion]))
    _require_same(alone, in_batch, "in a batch with another text")
    _require_same(alone, _good(concurrent, 0), "while another request ran")
    return alone


async def both(one: Coroutine[Any, Any, Answer], other: Coroutine[Any, Any, Other]) -> tuple[Answer, Other]:
    """Run two calls at the same time; the first fault ends both and is raised as it is, not in a group."""
    try:
        async with asyncio.TaskGroup() as tasks:
            first, second = tasks.create_task(one), tasks.create_task(other)
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    return first.result(), second.result()


def _good(vectors: Sequence[Vector | None], position: int) -> Vector:
    vector = vectors[position]
    if vector is None:
        raise WireFault(Transient("bad_vectors", "Ollama gave a harmless text a vector that is not of unit length"))
    return vector


def _require_same(alone: Vector, other: Vector, where: str) -> None:
    cosine = math.fsum(one * two for one, two in zip(alone, other, strict=True)) if len(alone) == len(other) else 0.0
    if not cosine > LEAST_COSINE:
        raise WireFault(
            Permanent(
                "unstable_vectors",
                f"the model gives one text another vector {where}: their cosine is {cosine:.4f}, "
                f"of {LEAST_COSINE} at least; try another version of Ollama",
            )
        )
