"""Which model embeds: finds the live generation, starts the embedder that fits it, and says why when there is none."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime

from service.arrival import waited_s
from service.db import Database, half_vector
from service.embedder import QUIET_AFTER_S, Embedder, Vector
from service.embedding import queries
from service.embedding.breaker import MOST_PAUSE_S, Breaker
from service.embedding.deadline import all_within
from service.embedding.generations import differs, start_first
from service.embedding.lane import Lane
from service.embedding.model import Absence, Generation, QueryVector
from service.embedding.query import RETRY_AFTER_S, in_time
from service.embedding.query_batch import Asked, QueryBatches
from service.embedding.query_line import QueryLine
from service.errors import DatabaseUnavailable, EmbedderUnavailable, TextRefused
from service.telemetry.logs import get_logger

log = get_logger(__name__)

DEADLINE_S = 0.8
RECONNECT_S = 2.0
GENERATION_MAX_AGE_S = 2.0
CHECK_EVERY_S = 15.0
"""How often a running embedder is asked whether its model is still the one of the generation."""
PROBE_TEXT = "accountant"
"""A harmless query that tells whether an absent embedder is back."""
COSTLY_TO_ASK = frozenset({"model_differs", "unstable_vectors"})
"""Reasons that only show once a model is loaded and has embedded, so that it is not done every two seconds."""


Candidates = Callable[[Generation | None], Sequence[Embedder]]
"""The embedders to try, in order, given the live generation (None: there is none, so the first that starts decides)."""

LaneOf = Callable[[str, str], Lane | None]
"""The lane of a provider and model, which processes share; None where each process computes by itself."""


class LiveEmbedder:
    """The embedder of the live generation, kept connected; `connect` is the step of a background loop, and the prober.

    A query is answered within `deadline_s`, by a vector or by an error. The first failure of an outage makes `absence`,
    so that callers are told since when; failures in a row open the breaker, and then queries fail at once, until a
    probe of `connect` succeeds. Below that every query is tried, and the first that succeeds ends the outage.

    `on_exchange` is told when the model turns out to be another: since when, in seconds of the event loop, vectors may
    be of that other one.
    """

    def __init__(
        self,
        db: Database,
        candidates: Candidates,
        *,
        deadline_s: float = DEADLINE_S,
        lane_of: LaneOf = lambda *_: None,
        breaker: Breaker | None = None,
    ) -> None:
        self.breaker = breaker or Breaker()
        self.on_exchange: Callable[[float], None] = lambda _since: None
        self._db = db
        self._candidates = candidates
        self._deadline_s = deadline_s
        self._lane_of = lane_of
        self._line = QueryLine()
        self._batches = QueryBatches()
        self._embedder: Embedder | None = None
        self._generation: Generation | None = None
        self._read_at = self._checked_at = self._same_at = self._answered_at = self._quiet_from = 0.0
        self._connecting = asyncio.Lock()
        self._absence: Absence | None = Absence("starting", datetime.now(UTC), "the embedder has not been started yet")

    @property
    def absence(self) -> Absence | None:
        """Why queries cannot be embedded now, since the first that could not; None while they can."""
        return self._absence

    @property
    def standstill(self) -> Absence | None:
        """Why it is no use to embed postings now; None while it may be.

        Queries that come too late are no reason: postings may take longer, and a server that is slow today would
        otherwise embed none. After any other failure postings wait for the next query or probe, two seconds at most.
        """
        late = self._embedder is not None and self._absence is not None and self._absence.reason == "timeout"
        return None if late else self._absence

    @property
    def generation(self) -> Generation | None:
        """The live generation as last read."""
        return self._generation

    @property
    def queries_about(self) -> bool:
        """Whether searches came a moment ago, here or in another process that uses the same model server."""
        lane = self._lane()
        return _now() < self._quiet_from or (lane is not None and lane.queries_elsewhere())

    async def connect(self) -> float:
        """Start an embedder if none runs, and look whether the one that runs still fits; in how many seconds again.

        After a failure it looks whether the model is the same and embeds a harmless query, each within the deadline.
        """
        try:
            async with self._connecting:
                with self.breaker.probing():
                    await self._connect()
        except EmbedderUnavailable as error:
            if error.reason != "overloaded":
                self.note_absence(error)
            return MOST_PAUSE_S if error.reason in COSTLY_TO_ASK else self.breaker.pause_s()
        except DatabaseUnavailable:
            pass  # not the embedder's failure: no reason to look for it less often
        return RECONNECT_S

    async def ready(self) -> tuple[Embedder, Generation]:
        """The embedder and its generation; raises EmbedderUnavailable with the reason when there is none that fits.

        Raises DatabaseUnavailable when the generation is not read within the deadline of a query.
        """
        if self._embedder is None:
            raise self._absent("starting")
        generation = await self.live_generation()
        if self._embedder is None:
            raise self._absent("closed")
        if generation is None or not generation.fits(self._embedder.identity):
            raise differs(self._embedder.identity, generation)
        return self._embedder, generation

    async def embed_query(self, text: str) -> QueryVector:
        """Embed a search text within the deadline; raises EmbedderUnavailable, DatabaseUnavailable or TextRefused.

        What the request has waited before, for a place among the others, is part of the deadline.
        Too many queries at once (reason `overloaded`) are no outage: that counts neither here nor for the breaker. One
        that is late although others were answered while it waited is late because of them, and so counted alike.
        Equal texts are embedded once, and whoever joins one that is under way need not stand in line.
        """
        if self.breaker.state != "closed":
            raise self._absent("closed")
        self._quiet_from = _now() + QUIET_AFTER_S
        within_s = self._deadline_s - waited_s()
        with nullcontext() if self.under_way(text) and within_s > 0 else self._line.join(within_s):
            return await self._embed(text, within_s)

    def under_way(self, text: str) -> bool:
        """Whether an equal text is being embedded for another query."""
        return self._batches.under_way(self._embedder, text)

    def bulk_turn(self) -> AbstractAsyncContextManager[None]:
        """Hold this while postings are embedded: one process at a time does so at a server that several share."""
        lane = self._lane()
        return nullcontext() if lane is None else lane.bulk()

    async def require_unchanged(self, embedder: Embedder) -> None:
        """Raises EmbedderUnavailable when vectors just made may be of another model than the live generation's.

        A model can be exchanged under its name while the server runs, and its vectors have the same length.
        """
        asked_at = self._checked_at = _now()
        if not await embedder.check_identity():
            self.on_exchange(self._same_at)
            if embedder is self._embedder:
                self._embedder = None
            await embedder.close()
            raise EmbedderUnavailable(
                f"the model {embedder.identity.model} is no longer the one with the digest "
                f"{embedder.identity.digest[:12]}",
                reason="model_differs",
            )
        self._same_at = asked_at

    async def live_generation(self) -> Generation | None:
        """The live generation, read anew when that was long ago.

        Raises DatabaseUnavailable when it is not read within the deadline of a query.
        """
        now = _now()
        if now - self._read_at > GENERATION_MAX_AGE_S:
            try:
                (self._generation,) = await all_within(self._deadline_s, queries.fetch_live_generation(self._db))
            except TimeoutError as error:
                detail = "the database did not answer; try again"
                raise DatabaseUnavailable(detail, reason="statement_timeout") from error
            self._read_at = now
        return self._generation

    def note_absence(self, error: EmbedderUnavailable) -> None:
        """Remember why nothing can be embedded; the time of the first reason stays."""
        if self._absence is None or self._absence.reason != error.reason:
            log.warning("embedder.absent", reason=error.reason, detail=error.detail)
        since = datetime.now(UTC) if self._absence is None else self._absence.since
        self._absence = Absence(error.reason, since, error.detail)

    async def close(self) -> None:
        """Release the embedder, and end what runs in the background."""
        embedder, self._embedder = self._embedder, None
        if (lane := self._lane()) is not None:
            await lane.close()
        if embedder is not None:
            await embedder.close()

    def _absent(self, otherwise: str) -> EmbedderUnavailable:
        reason, detail = (self._absence.reason, self._absence.detail) if self._absence else (otherwise, "no embedder")
        return EmbedderUnavailable(detail, reason=reason, retry_after_s=RETRY_AFTER_S)

    def _lane(self) -> Lane | None:
        live = self._generation
        return None if live is None else self._lane_of(live.provider, live.model)

    async def _embed(self, text: str, within_s: float) -> QueryVector:
        """Embed a query, or a probe, and note what came of it; too little time is not the embedder's failure."""
        began = _now()
        try:
            embedder, generation = await self.ready()
        except EmbedderUnavailable as error:
            self.note_absence(error)
            raise
        if (lane := self._lane()) is not None:
            lane.note_query()
        try:
            asked = self._batches.join(embedder, generation, text)
            vector = await self._answer(asked, within_s, began)
        except TextRefused:
            self._note_presence()
            raise
        self._note_presence()
        return QueryVector(generation, half_vector(vector))

    async def _answer(self, asked: Asked, within_s: float, began: float) -> Vector:
        """What is answered in time; a failure is noted, and counted once for all that shared a call."""
        try:
            return await asked.vector(began + within_s - _now())
        except EmbedderUnavailable as error:
            if error.reason == "timeout" and self._answered_at > began:
                raise EmbedderUnavailable(error.detail, reason="overloaded", retry_after_s=RETRY_AFTER_S) from error
            if error.reason != "timeout" or within_s >= self._deadline_s / 2:
                self._note_failure(error, counts=asked.count_failure())
            raise

    async def _connect(self) -> None:
        if self._embedder is not None:
            await self._check(self._embedder)
        if self._embedder is None:
            await self._start()
        if self._absence is not None:
            await self._embed(PROBE_TEXT, self._deadline_s)

    async def _check(self, embedder: Embedder) -> None:
        """Release an embedder that no longer fits, so that another is started."""
        generation = await self.live_generation()
        if generation is None or not generation.fits(embedder.identity):
            await self.close()
        elif self._absence is not None:  # a server that comes back may come back with another model
            await in_time(self._deadline_s, self.require_unchanged(embedder))
        elif _now() - self._checked_at >= CHECK_EVERY_S:
            await self.require_unchanged(embedder)

    async def _start(self) -> None:
        self._same_at = _now()
        generation = await queries.fetch_live_generation(self._db)
        if generation is not None:
            self._generation, self._read_at = generation, _now()
        embedder, live = await start_first(self._db, self._candidates(generation), generation)
        if generation is None and not live.fits(embedder.identity):
            # Another process made the first generation meanwhile; its model decides.
            await embedder.close()
            embedder, live = await start_first(self._db, self._candidates(live), live)
        self._generation, self._read_at = live, _now()
        if not live.fits(embedder.identity):
            await embedder.close()
            raise differs(embedder.identity, live)
        self._embedder, self._checked_at = embedder, self._read_at
        if self.breaker.state == "closed":  # else a query has to succeed first, and in time
            self._note_presence()

    def _note_failure(self, error: EmbedderUnavailable, *, counts: bool) -> None:
        self.note_absence(error)
        if counts and self.breaker.fail():
            log.warning("breaker.changed", state="open", reason=error.reason)

    def _note_presence(self) -> None:
        self._answered_at = _now()
        if self.breaker.succeed():
            self._line.forget()
            log.info("breaker.changed", state="closed")
        if self._absence is not None and self._absence.reason != "starting":
            log.info("embedder.back", reason=self._absence.reason, since=self._absence.since.isoformat())
        self._absence = None


def _now() -> float:
    return asyncio.get_running_loop().time()
