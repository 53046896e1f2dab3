"""One search text on its way through the embedder: cut into pieces if need be, and answered by its deadline."""

import math
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from service.embedder import Embedder, Vector
from service.embedding.deadline import all_within
from service.embedding.model import Generation
from service.embedding.passages import split_query
from service.errors import EmbedderUnavailable
from service.telemetry.stages import stage

Result = TypeVar("Result")

RETRY_AFTER_S = 2
"""What callers are told after a failure: by then there has been a probe."""


async def embed_text(embedder: Embedder, generation: Generation, text: str, *, timeout_s: float) -> Vector:
    """The vector of a search text, within `timeout_s` in all; raises EmbedderUnavailable or TextRefused.

    One that is longer than the model takes is embedded in pieces, all at once, and searched by the direction of their
    sum.
    """
    pieces = split_query(text, generation=generation, tokenizer=embedder)
    with stage(
        "embed",
        gen_ai_provider_name=generation.provider,
        gen_ai_request_model=generation.model,
        gen_ai_embeddings_dimension_count=generation.dimensions,
        jobsense_embed_texts=len(pieces),
    ):
        vectors = await in_time(timeout_s, *(embedder.embed_query(piece) for piece in pieces))
    return direction_of_sum(vectors)


async def in_time(timeout_s: float, *work: Coroutine[Any, Any, Result]) -> list[Result]:
    """What the embedder answers within `timeout_s`; else raises EmbedderUnavailable (reason timeout)."""
    try:
        return await all_within(timeout_s, *work)
    except TimeoutError as error:
        raise EmbedderUnavailable(
            f"the embedder did not answer within {max(0.0, timeout_s):.2g} s, the deadline of a query",
            reason="timeout",
            retry_after_s=RETRY_AFTER_S,
        ) from error


def direction_of_sum(vectors: Sequence[Vector]) -> Vector:
    """The vector of a text that was embedded in pieces: of unit length, in the direction of their sum."""
    if len(vectors) == 1:
        return vectors[0]
    total = [sum(values) for values in zip(*vectors, strict=True)]
    norm = math.hypot(*total)
    return [value / norm for value in total] if norm else list(vectors[0])
