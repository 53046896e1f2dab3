"""Cuts a long text, such as a résumé, into pieces to be looked for one by one; nothing of it is left out."""

import asyncio

from service.embedding.domain import LiveEmbedder
from service.embedding.model import Passage
from service.embedding.passages import split_text


async def cut(live: LiveEmbedder, text: str, most: int) -> list[Passage]:
    """At most `most` pieces, cut as the live generation cuts postings; raises EmbedderUnavailable without a model."""
    embedder, generation = await live.ready()
    # Fifty kilobytes take tens of milliseconds, which the callers of others must not wait for.
    return await asyncio.to_thread(split_text, text, most, generation=generation, tokenizer=embedder)
