"""Stand-ins for the outside world: an embedder whose vectors follow from the words of a text."""

import asyncio
import math
import re
from collections.abc import Sequence
from hashlib import blake2b

from service.embedder import Identity, QueryOutcome, Vector, each_alone
from service.errors import EmbedderUnavailable, TextRefused

_WORD = re.compile(r"\w+")
REFUSED = "unembeddable"
"""A text with this word is refused by the model, as some texts are by real ones."""


class WordEmbedder:
    """Texts that share words are near one another; fails on demand; counts what it is asked."""

    gathers_queries = False

    def __init__(
        self, *, dimensions: int = 64, max_tokens: int = 64, model: str = "words", digest: str = "words-1"
    ) -> None:
        self.identity = Identity(
            provider="local", model=model, digest=digest, dimensions=dimensions, max_tokens=max_tokens
        )
        self.down: str | None = None
        self.swapped = False
        self.queries: list[str] = []
        self.query_calls: list[list[str]] = []
        self.documents: list[str] = []
        self.calls = 0
        self.started = self.closed = False

    async def start(self) -> None:
        """Be reachable, or not."""
        self._fail_if_down()
        self.started = True

    async def check_identity(self) -> bool:
        """The same as at the start, unless a test says otherwise."""
        self._fail_if_down()
        return not self.swapped

    def count_tokens(self, text: str) -> int:
        """One token a word, and two special ones."""
        return len(_WORD.findall(text)) + 2

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """The words' places."""
        return [found.span() for found in _WORD.finditer(text)]

    async def embed_query(self, text: str) -> Vector:
        """The text's words, hashed."""
        self._fail_if_down()
        self.queries.append(text)
        return self.vector(text)

    async def embed_queries(self, texts: Sequence[str]) -> list[QueryOutcome]:
        """All at once; one is refused by itself."""
        self.query_calls.append(list(texts))
        return await each_alone(self.embed_query, texts)

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector | TextRefused]:
        """The texts' words, hashed; one is refused by itself."""
        self.calls += 1
        self._fail_if_down()
        self.documents.extend(texts)
        return [TextRefused("the model yields no number") if REFUSED in text else self.vector(text) for text in texts]

    async def close(self) -> None:
        """Remember it."""
        self.closed = True

    def vector(self, text: str) -> Vector:
        """A unit vector; each word adds to a few places of it."""
        values = [1e-3] * self.identity.dimensions
        for word in _WORD.findall(text.casefold()):
            digest = blake2b(word.encode(), digest_size=8).digest()
            for at in range(0, 8, 2):
                place = int.from_bytes(digest[at : at + 2], "big")
                values[place % self.identity.dimensions] += 1.0 if place & 1 else -1.0
        norm = math.sqrt(sum(value * value for value in values))
        return [value / norm for value in values]

    def _fail_if_down(self) -> None:
        if self.down is not None:
            raise EmbedderUnavailable(f"the embedder is down: {self.down}", reason=self.down)


class StuckEmbedder(WordEmbedder):
    """Its queries hang while `free` is not set, its identity while `known` is not; `deaf` to being cancelled, if so."""

    def __init__(self, *, max_tokens: int = 64) -> None:
        super().__init__(max_tokens=max_tokens)
        self.free, self.known, self.reached = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.free.set()
        self.known.set()
        self.deaf = False
        self.waiting = self.most_waiting = 0

    async def check_identity(self) -> bool:
        """Hang, or answer."""
        await self.known.wait()
        return await super().check_identity()

    async def embed_query(self, text: str) -> Vector:
        """Hang, or answer."""
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            if not self.free.is_set():
                self.reached.set()
                await self._wait()
        finally:
            self.waiting -= 1
        if REFUSED in text:
            raise TextRefused("the model yields no number")
        return await super().embed_query(text)

    async def _wait(self) -> None:
        while not self.free.is_set():
            try:
                await self.free.wait()
            except asyncio.CancelledError:
                if not self.deaf:
                    raise
