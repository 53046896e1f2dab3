"""The composition root: the only module that knows everyone, and wires them together."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec
from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.di import Provide

from service.access.controller import STATE_KEY, authenticate
from service.access.domain import Access
from service.config import Settings, without_effect
from service.db import Database
from service.embedder import Embedder
from service.embedding import queries as embedding_queries
from service.embedding.domain import LiveEmbedder
from service.embedding.lane import Lanes
from service.embedding.model import Generation
from service.embedding.pieces import embed_pieces
from service.embedding.query_cache import KnownQueries
from service.embedding.worker import Worker, application_name
from service.errors import RequestError
from service.health.controller import METRICS_KEY, HealthController, fetch_metrics
from service.health.domain import Health
from service.health.model import Part
from service.http.admission import Admission
from service.http.classes import admission
from service.http.decoding import MAX_BODY_BYTES, StrictRequest, check_parameters
from service.http.docs_page import docs_handlers
from service.http.methods import serve_methods
from service.http.openapi import openapi_config
from service.http.problem import EXCEPTION_HANDLERS, send_problem
from service.jobs.controller import JobController, StatsController
from service.jobs.domain import Jobs
from service.loop import Loop
from service.migrate import migrate_up, require_current
from service.minilm.embedder import LocalEmbedder
from service.ollama.client import OllamaEmbedder
from service.search.batch import BatchSearcher
from service.search.controller import NearbyController, SearchController
from service.search.domain import Searcher
from service.search.match import Matcher
from service.search.similar import Neighbours
from service.stopping import Stop
from service.telemetry.lifecycle import Telemetry
from service.telemetry.logs import get_logger

log = get_logger(__name__)

API = "/api/v1"
QUERY_SHARE = 0.75
"""Of the deadline of a search, for embedding it; the rest is left to serve it by words if need be."""
CLOSE_S, KEEP_S = 0.8, 2.5
"""What the embedder and the pool each get at the end of a stop, and what is left for those that end after them."""
STATEMENT_TIMEOUT_S = 10.0
"""No statement of a request takes this long; one that does waits for a lock or for a database that hangs."""
PROVIDED = ("jobs", "searcher", "batches", "neighbours", "matcher", "health")
"""What handlers ask for by name; `wire` puts it in place."""
ASKED_BY_ADDRESS = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Paths that probes and scrapers ask by the address of the machine, whatever hosts are listed."""


def build_version() -> str:
    """The version of this build."""
    try:
        return version("jobsense")
    except PackageNotFoundError:
        return "0.0.0"


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
        self.jobs = Jobs(db, settings, on_written=self.wake)
        lanes = Lanes(db, settings.ollama_url)
        self.live = LiveEmbedder(
            db,
            candidates(settings, lanes, document_threads=document_threads),
            deadline_s=QUERY_SHARE * settings.search_deadline,
            lane_of=lanes.at,
        )
        self.worker = Worker(db, self.live)
        self.known = KnownQueries(self.live)
        self.searcher = Searcher(db, self.known.embed_query, self.absent_since, waiting=lambda: self.worker.waiting)
        self.batches = BatchSearcher(self.searcher, self.known.embed_queries)
        self.neighbours = Neighbours(db, self.live.live_generation, waiting=lambda: self.worker.waiting)
        self.matcher = Matcher(
            db, partial(embed_pieces, self.live), self.absent_since, waiting=lambda: self.worker.waiting
        )
        self._connecting = Loop("embedder", self.live.connect)
        self._loops = [Loop("backlog", self.worker.watch_backlog)]
        self._working: Loop | None = None

    def absent_since(self) -> datetime | None:
        """Since when queries cannot be embedded."""
        return self.live.absence.since if self.live.absence else None

    def start(self, *, embed: bool) -> None:
        """Connect the embedder in the background, and embed in the background if asked to."""
        if embed:
            self._working = Loop("worker", self.worker.run_once)
            self._loops += [self._working, Loop("term-stat", self.worker.keep_term_stat)]
        for loop in (self._connecting, *self._loops):
            loop.start()

    def wake(self) -> None:
        """Embed what was just written, if this process embeds; others look for themselves."""
        if self._working is not None:
            self._working.wake()

    async def wind_down(self) -> None:
        """End the loops, giving claimed tasks back; an embedder that is still starting is not waited for."""
        await asyncio.gather(self._connecting.stop(timeout_s=0), *(loop.stop() for loop in self._loops))

    async def stop(self, stop: Stop) -> None:
        """End everything but the database, which has some time left after that."""
        await self.wind_down()
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
        backlog = await embedding_queries.fetch_backlog(self.db, now=datetime.now(UTC))
        return Part("up", dict(msgspec.structs.asdict(backlog)))


async def prepare_schema(dsn: str, settings: Settings) -> None:
    """Bring the schema up where the settings say so, else refuse an outdated one by name."""
    if settings.migrate_on_start:
        await migrate_up(dsn)
    else:
        await require_current(dsn)


class App(Litestar):
    """Litestar, which answers HEAD and OPTIONS too, callers who name one of its hosts only, not too many at once."""

    hosts: re.Pattern[bytes] | None = None
    admission: Admission | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request, or the lifespan."""
        if self.hosts is not None and scope["type"] == "http" and scope["path"] not in ASKED_BY_ADDRESS:
            named = next((value for name, value in scope["headers"] if name == b"host"), b"")
            if not self.hosts.fullmatch(named):
                await send_problem(scope, send, RequestError("The Host header names no host of this service"))
                return
        await (self.serve_admitted if self.admission is None else self.admission)(scope, receive, send)

    async def serve_admitted(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request that has its place."""
        await serve_methods(super().__call__, scope, receive, send)

    def turns_away(self, scope: Any) -> bool:
        """Whether a request would be turned away now; telemetry then begins no trace."""
        return self.admission is not None and self.admission.turns_away(scope)


def limit_concurrency(app: App, most: int, telemetry: Telemetry) -> None:
    """Serve `most` requests at once at most, and count what is served and turned away."""
    app.admission = admission(app.serve_admitted, most)
    app.on_shutdown.append(app.admission.close)
    for name, gate in app.admission.gates.items():
        telemetry.metrics.watch("jobsense_admission_limit", partial(getattr, gate, "limit"), name)


def match_hosts(allowed: Sequence[str]) -> re.Pattern[bytes] | None:
    """What the Host header may be: a listed host with any port, or with its own; `*.` stands for subdomains."""
    patterns = []
    for host in allowed:
        name = re.escape(host.removeprefix("*."))
        subdomains = r"([a-z0-9_-]+\.)+" if host.startswith("*.") else ""
        port = "" if re.search(r":[0-9]+$", host) else r"(:[0-9]{1,5})?"
        patterns.append(f"{subdomains}{name}{port}")
    return re.compile("|".join(patterns).encode(), re.IGNORECASE) if patterns else None


def create_app(settings: Settings, dsn: str, telemetry: Telemetry, stop: Stop | None = None) -> App:
    """The application; its lifespan opens and closes everything that it serves from.

    The loops end as soon as the stop is asked for, beside the requests that still run.
    """
    stopping = stop or Stop()

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        application = application_name() if settings.embed_in_serve else "jobsense"
        db = await Database.open(dsn, statement_timeout_s=STATEMENT_TIMEOUT_S, application=application)
        parts = Parts(db, settings)
        wire(app, parts, telemetry)
        parts.start(embed=settings.embed_in_serve)
        winding_down = asyncio.create_task(_after(stopping.asked, parts.wind_down))
        for name in without_effect(settings):
            log.warning("setting.not_in_effect", setting=name)
        log.info("service.ready", version=build_version())
        try:
            yield
        finally:
            winding_down.cancel()
            await parts.stop(stopping)
            log.info("service.stopped")

    def provided(name: str) -> Callable[[], Any]:
        return lambda: app.state[name]

    api = Router(
        API,
        route_handlers=[JobController, StatsController, SearchController, NearbyController],
        guards=[authenticate],
        before_request=check_parameters,
    )
    shown = [] if settings.environment == "production" else docs_handlers()
    app = App(
        [api, HealthController, fetch_metrics, *shown],
        lifespan=[lifespan],
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY_BYTES,
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=openapi_config(build_version()),
        dependencies={name: Provide(provided(name), sync_to_thread=False) for name in PROVIDED},
        cors_config=CORSConfig(allow_origins=list(settings.cors_origins)) if settings.cors_origins else None,
        logging_config=None,
    )
    app.hosts = match_hosts(settings.allowed_hosts)
    limit_concurrency(app, settings.max_concurrent_requests, telemetry)
    return app


async def _after(asked: asyncio.Event, wind_down: Callable[[], Awaitable[None]]) -> None:
    await asked.wait()
    log.info("service.draining")
    await wind_down()


def wire(app: Litestar, parts: Parts, telemetry: Telemetry) -> None:
    """Put what the handlers ask for where they find it, and let the metrics watch it."""
    probes = {"embedder": parts.embedder_state, "backlog": parts.backlog_state}
    app.state["jobs"] = parts.jobs
    for name in ("searcher", "batches", "neighbours", "matcher"):
        app.state[name] = getattr(parts, name)
    app.state["health"] = Health(parts.db, build_version(), probes)
    app.state[STATE_KEY] = Access(parts.db, is_open=parts.settings.auth == "open")
    app.state[METRICS_KEY] = telemetry.metrics
    watch = telemetry.metrics.watch
    watch("db_client_connection_count", lambda: parts.db.sizes()[0] - parts.db.sizes()[1], "used")
    watch("db_client_connection_count", lambda: parts.db.sizes()[1], "idle")
    watch("db_client_connection_max", lambda: parts.db.sizes()[2])
    watch("jobsense_query_cache_entries", lambda: len(parts.known.cache))
    watch("jobsense_breaker_state", lambda: parts.live.breaker.number, "embedder")
