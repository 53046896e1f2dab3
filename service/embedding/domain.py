"""Which model embeds: finds the live generation, starts the embedder that fits it, and says why when there is none."""

import asyncio
import math
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
from service.embedding.passages import split_query
from service.errors import EmbedderUnavailable
from service.telemetry.logs import get_logger
from service.telemetry.stages import stage

log = get_logger(__name__)

RECONNECT_S = 2.0
MOST_RECONNECT_S = 30.0
GENERATION_MAX_AGE_S = 2.0
CHECK_EVERY_S = 15.0
"""How often a running embedder is asked whether its model is still the one of the generation."""
PROBE_TEXT = "accountant"
"""A harmless query that tells whether an absent embedder is back."""


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
        self._read_at = self._checked_at = 0.0
        self._connecting = asyncio.Lock()
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
        """Start an embedder if none runs, and look whether the one that runs still fits; in how many seconds again."""
        try:
            async with self._connecting:
                await self._connect()
        except EmbedderUnavailable as error:
            self.note_absence(error)
            return min(max(RECONNECT_S, error.retry_after_s), MOST_RECONNECT_S)
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
        """Embed a search text; raises EmbedderUnavailable or TextRefused.

        One that is longer than the model takes is embedded in pieces, and searched by the direction of their sum.
        """
        try:
            embedder, generation = await self.ready()
            pieces = split_query(text, generation=generation, tokenizer=embedder)
            with stage(
                "embed",
                gen_ai_provider_name=generation.provider,
                gen_ai_request_model=generation.model,
                gen_ai_embeddings_dimension_count=generation.dimensions,
                jobsense_embed_texts=len(pieces),
            ):
                vectors = [await embedder.embed_query(piece) for piece in pieces]
        except EmbedderUnavailable as error:
            self.note_absence(error)
            raise
        self._note_presence()
        return QueryVector(generation, vectors[0] if len(vectors) == 1 else _direction_of_sum(vectors))

    async def require_unchanged(self, embedder: Embedder) -> None:
        """Raises EmbedderUnavailable when vectors just made may be of another model than the live generation's.

        A model can be exchanged under its name while the server runs, and its vectors have the same length.
        """
        self._checked_at = asyncio.get_running_loop().time()
        if not await embedder.check_identity():
            if embedder is self._embedder:
                self._embedder = None
            await embedder.close()
            raise EmbedderUnavailable(
                f"the model {embedder.identity.model} is no longer the one with the digest "
                f"{embedder.identity.digest[:12]}",
                reason="model_differs",
            )

    def note_absence(self, error: EmbedderUnavailable) -> None:
        """Remember why nothing can be embedded; the time of the first reason stays."""
        if self._absence is None or self._absence.reason != error.reason:
            log.warning("embedder.absent", reason=error.reason, detail=error.detail)
        since = datetime.now(UTC) if self._absence is None else self._absence.since
        self._absence = Absence(error.reason, since, error.detail)

    async def close(self) -> None:
        """Release the embedder."""
        embedder, self._embedder = self._embedder, None
        if embedder is not None:
            await embedder.close()

    async def _connect(self) -> None:
        if self._embedder is not None:
            await self._check(self._embedder)
        if self._embedder is None:
            await self._start()
        elif self._absence is not None:
            await self.embed_query(PROBE_TEXT)

    async def _check(self, embedder: Embedder) -> None:
        """Release an embedder that no longer fits, so that another is started."""
        generation = await self._live_generation()
        if generation is None or not generation.fits(embedder.identity):
            await self.close()
        elif asyncio.get_running_loop().time() - self._checked_at >= CHECK_EVERY_S:
            await self.require_unchanged(embedder)

    async def _start(self) -> None:
        generation = await queries.fetch_live_generation(self._db)
        embedder, live = await self._start_first(generation)
        if generation is None and not live.fits(embedder.identity):
            # Another process made the first generation meanwhile; its model decides.
            await embedder.close()
            embedder, live = await self._start_first(live)
        self._generation, self._read_at = live, asyncio.get_running_loop().time()
        if not live.fits(embedder.identity):
            await embedder.close()
            raise _differs(embedder.identity, live)
        self._embedder, self._checked_at = embedder, self._read_at
        self._note_presence()

    async def _start_first(self, generation: Generation | None) -> tuple[Embedder, Generation]:
        """The first candidate that starts, and the live generation, which is made for it if there is none."""
        refused: EmbedderUnavailable | None = None
        for embedder in self._candidates(generation):
            try:
                await embedder.start()
                live = await ensure_generation(self._db, embedder.identity)
            except EmbedderUnavailable as error:
                refused = refused or error
                await embedder.close()
                continue
            except BaseException:
                await embedder.close()
                raise
            if generation is None:
                _say_choice(embedder.identity, refused)
            return embedder, live
        raise refused or EmbedderUnavailable("no embedder is configured", reason="not_configured")

    async def _live_generation(self) -> Generation | None:
        now = asyncio.get_running_loop().time()
        if now - self._read_at > GENERATION_MAX_AGE_S:
            self._generation = await queries.fetch_live_generation(self._db)
            self._read_at = now
        return self._generation

    def _note_presence(self) -> None:
        if self._absence is not None and self._absence.reason != "starting":
            log.info("embedder.back", reason=self._absence.reason, since=self._absence.since.isoformat())
        self._absence = None


def _direction_of_sum(vectors: Sequence[Vector]) -> Vector:
    total = [sum(values) for values in zip(*vectors, strict=True)]
    norm = math.hypot(*total)
    return [value / norm for value in total] if norm else list(vectors[0])


def _say_choice(identity: Identity, refused: EmbedderUnavailable | None) -> None:
    """Say which model the first generation is made for; loudly when a better candidate was not there."""
    fields = {"provider": identity.provider, "model": identity.model}
    if refused is None:
        log.info("embedder.chosen", **fields)
    else:
        log.warning("embedder.chosen", **fields, instead_because=refused.detail, reason=refused.reason)


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
