"""What one process runs on: the database, the embedder, the features wired to both, and the loops beside them."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from service.access.domain import Access
from service.access.keys import Keys
from service.access.passwords import Passwords
from service.access.sign_in import SignIn
from service.access.tokens import AccessTokens
from service.admin.domain import Administration
from service.admin.model import Backlog
from service.config import Settings
from service.db import Database
from service.embedder import Embedder
from service.embedding import queries as embedding_queries
from service.embedding.domain import LiveEmbedder
from service.embedding.lane import Lanes
from service.embedding.model import Generation
from service.embedding.pieces import embed_pieces
from service.embedding.query_cache import KnownQueries
from service.embedding.worker import Worker
from service.errors import JobSenseError
from service.export.domain import Exports
from service.health.model import Part
from service.idempotency.domain import Idempotency
from service.jobs.domain import Jobs
from service.loop import Loop
from service.migrate import migrate_up, require_current
from service.minilm.embedder import LocalEmbedder
from service.ollama.client import OllamaEmbedder
from service.pay.domain import ExchangeRates
from service.pay.feed import RatesFeed
from service.pay.worker import RatesWorker
from service.quota.model import Store
from service.search.batch import BatchSearcher
from service.search.domain import Searcher
from service.search.match import Matcher
from service.search.similar import Neighbours
from service.stopping import Stop
from service.telemetry.loop_lag import LoopLag
from service.telemetry.stages import describe_stage

QUERY_SHARE = 0.75
"""Of the deadline of a search, for embedding it; the rest is left to serve it by words if need be."""
CLOSE_S, KEEP_S = 0.8, 2.5
"""What the embedder and the pool each get at the end of a stop, and what is left for those that end after them."""


def candidates(
    settings: Settings, lanes: Lanes, *, document_threads: int = 1
) -> Callable[[Generation | None], Sequence[Embedder]]:
    """The embedders that the settings allow, in order; a live generation decides where they leave the choice."""

    def ollama(model: str) -> Embedder:
        busy_elsewhere = lanes.of("ollama", model).queries_elsewhere
        return OllamaEmbedder(
            settings.ollama_url, model, headers=dict(settings.ollama_headers), busy_elsewhere=busy_elsewhere
        )

    def local() -> Embedder:
        return LocalEmbedder(document_threads=document_threads)

    def choose(generation: Generation | None) -> Sequence[Embedder]:
        if settings.embedder == "local":
            return [local()]
        if settings.embedder == "ollama":
            return [ollama(settings.embedding_model)]
        if generation is None:
            return [ollama(settings.embedding_model), local()]
        return [local()] if generation.provider == "local" else [ollama(generation.model)]

    return choose


class Parts:
    """What one process runs on: the database, the embedder and, if it embeds, the worker."""

    def __init__(self, db: Database, settings: Settings, *, document_threads: int = 1) -> None:
        self.db = db
        self.settings = settings
        for statements in ("query", "copy"):
            describe_stage(statements, db.where)
        self.rates = ExchangeRates(db)
        self.jobs = Jobs(db, settings, on_written=self.wake, conversions=self.rates.conversions)
        self.idempotency = Idempotency(db)
        self.exports = Exports(db, conversions=self.rates.conversions)
        lanes = Lanes(db, settings.ollama_url)
        self.live = LiveEmbedder(
            db,
            candidates(settings, lanes, document_threads=document_threads),
            deadline_s=QUERY_SHARE * settings.search_deadline,
            lane_of=lanes.at,
        )
        self.worker = Worker(db, self.live)
        self.known = KnownQueries(self.live)
        wired: dict[str, Any] = {"waiting": lambda: self.worker.waiting, "conversions": self.rates.conversions}
        self.searcher = Searcher(db, self.known.embed_query, self.absent_since, **wired)
        self.batches = BatchSearcher(self.searcher, self.known.embed_queries)
        self.neighbours = Neighbours(db, self.live.live_generation, **wired)
        self.matcher = Matcher(
            db,
            partial(embed_pieces, self.live),
            self.absent_since,
            **wired,
        )
        tokens = AccessTokens(db, settings.jwt_secret)
        self.access = Access(db, is_open=settings.auth == "open", tokens=tokens)
        self.passwords = Passwords()
        self.people = SignIn(db, tokens, self.passwords)
        self.keys = Keys(db)
        caches = {"query_vectors": lambda: len(self.known.cache), "callers": self.access.size}
        self.admin = Administration(db, self._backlog, caches)
        self._lag = LoopLag()
        self._connecting = Loop("embedder", self.live.connect)
        self._loops = [
            Loop("backlog", self.worker.watch_backlog),
            Loop("key-use", self.access.note_use),
            Loop("idempotency", self.idempotency.sweep),
        ]
        self._working: Loop | None = None

    def absent_since(self) -> datetime | None:
        """Since when queries cannot be embedded."""
        return self.live.absence.since if self.live.absence else None

    def start(self, *, embed: bool) -> None:
        """Connect the embedder in the background, and embed in the background if asked to."""
        if embed:
            self._working = Loop("worker", self.worker.run_once)
            self._loops += [self._working, Loop("term-stat", self.worker.keep_term_stat)]
        if self.settings.rates_url:
            feed, interval_s = RatesFeed(self.settings.rates_url), self.settings.rates_interval
            self._loops.append(Loop("rates", RatesWorker(self.db, self.rates, feed, interval_s=interval_s).run_once))
        for loop in (self._connecting, *self._loops):
            loop.start()
        self._lag.start()

    def wake(self) -> None:
        """Embed what was just written, if this process embeds; others look for themselves."""
        if self._working is not None:
            self._working.wake()

    async def wind_down(self) -> None:
        """End the loops, giving claimed tasks back; an embedder that is still starting is not waited for."""
        self._lag.stop()
        await asyncio.gather(self._connecting.stop(timeout_s=0), *(loop.stop() for loop in self._loops))

    async def stop(self, stop: Stop) -> None:
        """End everything but the database, which has some time left after that."""
        await self.wind_down()
        self.passwords.close()
        with suppress(TimeoutError, JobSenseError):  # else lost: when keys were used in the last minute
            await asyncio.wait_for(self.access.note_use(), stop.left_s(CLOSE_S, keep_s=KEEP_S))
        with suppress(TimeoutError):
            await asyncio.wait_for(self.live.close(), stop.left_s(CLOSE_S, keep_s=KEEP_S))
        await self.db.close(timeout_s=stop.left_s(CLOSE_S, keep_s=KEEP_S))

    async def embedder_state(self) -> Part:
        """For the health report."""
        absence, generation = self.live.absence, self.live.generation
        detail: dict[str, str | int | float | None] = {}
        if generation is not None:
            detail = {"generation": generation.id, "provider": generation.provider, "model": generation.model}
        detail["breaker"] = self.live.breaker.state
        if absence is not None:
            detail |= {"reason": absence.reason, "since": absence.since.isoformat()}
        return Part("up" if absence is None else "degraded", detail)

    async def backlog_state(self) -> Part:
        """For the health report."""
        return Part("up", dict(msgspec.structs.asdict(await self._backlog())))

    async def _backlog(self) -> Backlog:
        found = await embedding_queries.fetch_backlog(self.db, now=datetime.now(UTC))
        return Backlog(found.waiting, found.failed, found.oldest_age_s)


async def store_state(store: Store | None) -> Part:
    """For the health report: where calls are counted, for all processes or for this one."""
    if store is None:
        return Part("up", {"counts": "in each process"})
    since = store.since.isoformat()
    if store.away is None:
        return Part("up", {"counts": "shared", "since": since})
    return Part("degraded", {"counts": "in each process", "reason": store.away, "since": since})


async def prepare_schema(dsn: str, settings: Settings) -> None:
    """Bring the schema up where the settings say so, else refuse an outdated one by name."""
    if settings.migrate_on_start:
        await migrate_up(dsn)
    else:
        await require_current(dsn)
