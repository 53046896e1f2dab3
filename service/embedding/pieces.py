"""Embeds a long text, such as a résumé, piece by piece; nothing of it is left out.

Its pieces go in the line of passages, in one call: in that of queries, a search behind them would be late.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from service.embedder import Embedder, Vector
from service.embedding.deadline import all_within
from service.embedding.domain import LiveEmbedder
from service.embedding.model import Generation, Passage
from service.embedding.passages import split_query, split_text
from service.embedding.query import direction_of_sum
from service.errors import EmbedderUnavailable, TextRefused
from service.telemetry.stages import stage

FIRST_S, EACH_S, MOST_S = 2.0, 0.5, 20.0
"""How long a text may take: that and so much for each input of the model, up to a limit. On one core MiniLM takes about
0.14 s for 256 tokens."""


class EmbeddedPiece(msgspec.Struct, frozen=True):
    """Characters `start` to `end` of a text, and their vector; None where the model refuses them."""

    start: int
    end: int
    vector: Vector | None


class EmbeddedText(msgspec.Struct, frozen=True):
    """The pieces of a text in order, bound to the generation whose vectors they may be compared with."""

    generation: Generation
    pieces: list[EmbeddedPiece]


async def embed_pieces(live: LiveEmbedder, text: str, most: int) -> EmbeddedText:
    """At most `most` pieces, cut as postings are, or larger; raises EmbedderUnavailable or DatabaseUnavailable."""
    if (absence := live.standstill) is not None:
        raise EmbedderUnavailable(absence.detail, reason=absence.reason)
    embedder, generation = await live.ready()
    try:
        # Fifty kilobytes take a tenth of a second, which the callers of others must not wait for.
        pieces, parts = await asyncio.to_thread(_cut, text, most, generation, embedder)
        vectors = await _embed(embedder, generation, [part for own in parts for part in own])
    except TextRefused as error:
        raise EmbedderUnavailable(error.detail, reason="text_refused") from error
    except EmbedderUnavailable as error:
        if error.reason != "timeout":
            live.note_absence(error)
        raise
    left = iter(vectors)
    joined = [_joined([next(left) for _ in own]) for own in parts]
    return EmbeddedText(
        generation,
        [EmbeddedPiece(piece.start, piece.end, vector) for piece, vector in zip(pieces, joined, strict=True)],
    )


def _cut(text: str, most: int, generation: Generation, embedder: Embedder) -> tuple[list[Passage], list[list[str]]]:
    """The pieces, and of each the parts that the model takes whole; nearly always one."""
    pieces = split_text(text, most, generation=generation, tokenizer=embedder)
    return pieces, [split_query(piece.text, generation=generation, tokenizer=embedder) for piece in pieces]


async def _embed(embedder: Embedder, generation: Generation, texts: list[str]) -> Sequence[Vector | TextRefused]:
    timeout_s = min(MOST_S, FIRST_S + EACH_S * len(texts))
    with stage(
        "embed",
        gen_ai_provider_name=generation.provider,
        gen_ai_request_model=generation.model,
        gen_ai_embeddings_dimension_count=generation.dimensions,
        jobsense_embed_texts=len(texts),
    ):
        try:
            (vectors,) = await all_within(timeout_s, embedder.embed_documents(texts))
        except TimeoutError as error:
            raise EmbedderUnavailable(
                f"the embedder did not answer within {timeout_s:g} s", reason="timeout"
            ) from error
    return vectors


def _joined(parts: Sequence[Vector | TextRefused]) -> Vector | None:
    """The vector of a piece from those of its parts; none where the model refuses one, so that nothing goes unsaid."""
    vectors = [part for part in parts if not isinstance(part, TextRefused)]
    return direction_of_sum(vectors) if len(vectors) == len(parts) else None
