"""Search texts that were embedded of late, from memory; the others through the live embedder.

Searches repeat: the same words come with other filters, from the next page, or from many callers at once. A vector that
is remembered costs no call, and it is as right as a new one: it is served while the embedder is away too, and the
search is then not degraded, since nothing of it is missing. The outage is noticed all the same, by the probes and by
every text that is new.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

import msgspec
from pgvector import HalfVector

from service.embedding.domain import LiveEmbedder
from service.embedding.model import Generation, QueryVector
from service.errors import DatabaseUnavailable, EmbedderUnavailable, TextRefused
from service.telemetry.stages import annotate, count

MOST_KNOWN = 4096
"""Texts that are remembered: about 8 MB at 768 dimensions of two bytes."""

Source = Literal["hit", "shared", "miss"]
"""Where a vector comes from: memory, a call that is under way for an equal text, or a call of its own."""
Failure = EmbedderUnavailable | DatabaseUnavailable | TextRefused
"""Why a text has no vector now."""


class _Known(msgspec.Struct, frozen=True):
    """A vector and when it was there, in seconds of the event loop."""

    vector: HalfVector
    at: float


class QueryCache:
    """Vectors of one generation by text, those used last; what is of another generation is dropped.

    Holds a digest in place of the text, so that an entry takes as much whatever its text does.
    """

    def __init__(self, most: int = MOST_KNOWN) -> None:
        self._most = most
        self._generation: int | None = None
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._doubted_at = float("-inf")

    def __len__(self) -> int:
        return len(self._known)

    def find(self, generation: Generation, text: str) -> QueryVector | None:
        """The vector of a text in the live generation, if it is remembered."""
        if generation.id != self._generation:
            self._generation = generation.id
            self.clear()
        key = _digest(text)
        if (known := self._known.get(key)) is None:
            return None
        self._known.move_to_end(key)
        return QueryVector(generation, known.vector)

    def keep(self, text: str, vector: QueryVector, *, asked_at: float, now: float) -> None:
        """Remember a vector that was asked for at a time; not that of another generation, nor one that is in doubt."""
        if vector.generation.id != self._generation or asked_at <= self._doubted_at:
            return
        key = _digest(text)
        self._known[key] = _Known(vector.vector, now)
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def doubt(self, since: float, *, now: float) -> None:
        """Forget what was made after `since`, and do not keep what is under way: another model may have made it."""
        self._doubted_at = now
        for key in [key for key, known in self._known.items() if known.at > since]:
            del self._known[key]

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()


class KnownQueries:
    """Embeds search texts for whoever searches; `cache` is this process's memory of them."""

    def __init__(self, live: LiveEmbedder, cache: QueryCache | None = None) -> None:
        self.cache = QueryCache() if cache is None else cache
        self._live = live
        live.on_exchange = lambda since: self.cache.doubt(since, now=_now())

    async def embed_query(self, text: str) -> QueryVector:
        """The vector of a search text; raises EmbedderUnavailable, DatabaseUnavailable or TextRefused."""
        found, source = await self._look_up(text)
        annotate(jobsense_embed_cache=source)
        return found or await self._embed(text)

    async def embed_queries(self, texts: Sequence[str]) -> list[QueryVector | Failure]:
        """The vectors of many search texts in their order: equal ones once, and those that are new together.

        Each has the deadline of a query, and its failure is its own; only where the database does not say which
        generation is live, all fail: raises DatabaseUnavailable.
        """
        found = {text: (await self._look_up(text))[0] for text in dict.fromkeys(texts)}
        annotate(jobsense_embed_cache="hit" if all(found.values()) else "miss")

        async def outcome(text: str) -> QueryVector | Failure:
            try:
                return found[text] or await self._embed(text)
            except (EmbedderUnavailable, DatabaseUnavailable, TextRefused) as error:
                return error

        outcomes = dict(zip(found, await asyncio.gather(*map(outcome, found)), strict=True))
        return [outcomes[text] for text in texts]

    async def _look_up(self, text: str) -> tuple[QueryVector | None, Source]:
        """What is remembered, and where the vector comes from, which is counted."""
        generation = await self._live.live_generation()
        found = None if generation is None else self.cache.find(generation, text)
        source: Source = "hit" if found else "shared" if self._live.under_way(text) else "miss"
        count("jobsense_query_cache_total", source)
        return found, source

    async def _embed(self, text: str) -> QueryVector:
        asked_at = _now()
        vector = await self._live.embed_query(text)
        self.cache.keep(text, vector, asked_at=asked_at, now=_now())
        return vector


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _now() -> float:
    return asyncio.get_running_loop().time()
