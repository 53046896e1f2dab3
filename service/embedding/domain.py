"""Which model embeds: finds the live generation, starts the embedder that fits it, and says why when there is none."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from service.db import Database
from service.embedder import Embedder, Identity, Vector
from service.embedding import queries
from service.embedding.model import (
    COVERAGE_WEIGHT,
    FLOOR_OF_OTHERS,
    PASSAGE_OVERLAP,
    PASSAGE_TOKENS,
    SIMILARITY_FLOORS,
    Generation,
)
from service.errors import EmbedderUnavailable
from service.telemetry.logs import get_logger

log = get_logger(__name__)

RECONNECT_S = 2.0
GENERATION_MAX_AGE_S = 2.0


class Absence(msgspec.Struct, frozen=True):
    """Why no query can be embedded now, and since when."""

    reason: str
    since: datetime
    detail: str


class QueryVector(msgspec.Struct, frozen=True):
    """An embedded query, bound to the generation whose vectors it may be compared with."""

    generation: Generation
    vector: Vector


Candidates = Callable[[Generation | None], Sequence[Embedder]]
"""The embedders to try, in order, given the live generation (None: there is none, so the first that starts decides)."""


class LiveEmbedder:
    """The embedder of the live generation, kept connected; `connect` is the step of a background loop."""

    def __init__(self, db: Database, candidates: Candidates) -> None:
        self._db = db
        self._candidates = candidates
        self._embedder: Embedder | None = None
        self._generation: Generation | None = None
        self._read_at = 0.0
        self._absence: Absence | None = Absence("starting", datetime.now(UTC), "the embedder has not been started yet")

    @property
    def absence(self) -> Absence | None:
        """Why queries cannot be embedded now; None while they can."""
        return self._absence

    @property
    def generation(self) -> Generation | None:
        """The live generation as last read."""
        return self._generation

    async def connect(self) -> float:
        """Start an embedder if none runs; answers in how many seconds to look again."""
        if self._embedder is None:
            try:
                await self._start()
            except EmbedderUnavailable as error:
                self._note_absence(error)
        return RECONNECT_S

    async def ready(self) -> tuple[Embedder, Generation]:
        """The embedder and its generation; raises EmbedderUnavailable with the reason when there is none that fits."""
        if self._embedder is None:
            absence = self._absence
            raise EmbedderUnavailable(
                absence.detail if absence else "no embedder", reason=absence.reason if absence else "starting"
            )
        generation = await self._live_generation()
        if generation is None or not generation.fits(self._embedder.identity):
            raise _differs(self._embedder.identity, generation)
        return self._embedder, generation

    async def embed_query(self, text: str) -> QueryVector:
        """Embed a search text; raises EmbedderUnavailable or TextRefused."""
        try:
            embedder, generation = await self.ready()
            vector = await embedder.embed_query(text)
        except EmbedderUnavailable as error:
            self._note_absence(error)
            raise
        self._absence = None
        return QueryVector(generation, vector)

    async def close(self) -> None:
        """Release the embedder."""
        if self._embedder is not None:
            await self._embedder.close()

    async def _start(self) -> None:
        generation = await queries.fetch_live_generation(self._db)
        refused: EmbedderUnavailable | None = None
        for embedder in self._candidates(generation):
            try:
                await embedder.start()
            except EmbedderUnavailable as error:
                refused = refused or error
                await embedder.close()
                continue
            if generation is None:
                log.info("embedder.chosen", provider=embedder.identity.provider, model=embedder.identity.model)
            live = await ensure_generation(self._db, embedder.identity)
            self._embedder, self._generation, self._read_at = embedder, live, asyncio.get_running_loop().time()
            if not live.fits(embedder.identity):
                raise _differs(embedder.identity, live)
            self._absence = None
            return
        raise refused or EmbedderUnavailable("no embedder is configured", reason="not_configured")

    async def _live_generation(self) -> Generation | None:
        now = asyncio.get_running_loop().time()
        if now - self._read_at > GENERATION_MAX_AGE_S:
            self._read_at = now
            self._generation = await queries.fetch_live_generation(self._db)
        return self._generation

    def _note_absence(self, error: EmbedderUnavailable) -> None:
        if self._absence is None or self._absence.reason != error.reason:
            log.warning("embedder.absent", reason=error.reason, detail=error.detail)
            since = datetime.now(UTC) if self._absence is None else self._absence.since
            self._absence = Absence(error.reason, since, error.detail)


def _differs(identity: Identity, generation: Generation | None) -> EmbedderUnavailable:
    live = f"{generation.provider}/{generation.model} ({generation.digest[:12]})" if generation else "none"
    return EmbedderUnavailable(
        f"the embedder is {identity.provider}/{identity.model} ({identity.digest[:12]}), the live generation {live}; "
        "vectors of two models are never mixed",
        reason="model_differs",
        retry_after_s=60,
    )


async def ensure_generation(db: Database, identity: Identity) -> Generation:
    """The live generation; made for this model when there is none. Safe from several processes at once."""
    live = await queries.fetch_live_generation(db)
    if live is not None:
        return live
    async with db.transaction() as connection:
        await queries.lock_generations(connection)
        live = await queries.fetch_live_generation(connection)
        if live is None:
            await queries.create_generation(
                connection,
                provider=identity.provider,
                model=identity.model,
                digest=identity.digest,
                dimensions=identity.dimensions,
                max_tokens=identity.max_tokens,
                query_template=identity.query_template,
                document_template=identity.document_template,
                passage_tokens=min(identity.max_tokens, PASSAGE_TOKENS),
                passage_overlap=PASSAGE_OVERLAP,
                similarity_floor=SIMILARITY_FLOORS.get(identity.model, FLOOR_OF_OTHERS),
                coverage_weight=COVERAGE_WEIGHT,
                now=datetime.now(UTC),
            )
            live = await queries.fetch_live_generation(connection)
    if live is None:
        raise AssertionError("a generation was made in this transaction")
    return live
