"""The composition root: the only module that knows everyone, and wires them together."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
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
from service.embedding.model import Generation
from service.embedding.worker import Worker
from service.errors import RequestError
from service.health.controller import METRICS_KEY, HealthController, fetch_metrics
from service.health.domain import Health
from service.health.model import Part
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
from service.search.controller import SearchController
from service.search.domain import Searcher
from service.telemetry.lifecycle import Telemetry
from service.telemetry.logs import get_logger

log = get_logger(__name__)

API = "/api/v1"
ASKED_BY_ADDRESS = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Paths that probes and scrapers ask by the address of the machine, whatever hosts are listed."""


def build_version() -> str:
    """The version of this build."""
    try:
        return version("jobsense")
    except PackageNotFoundError:
        return "0.0.0"


def candidates(settings: Settings, *, document_threads: int = 1) -> Callable[[Generation | None], Sequence[Embedder]]:
    """The embedders that the settings allow, in order; a live generation decides where they leave the choice."""

    def ollama(model: str) -> Embedder:
        return OllamaEmbedder(settings.ollama_url, model, headers=dict(settings.ollama_headers))

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
        self.jobs = Jobs(db, settings)
        self.live = LiveEmbedder(db, candidates(settings, document_threads=document_threads))
        self.worker = Worker(db, self.live)
        self.searcher = Searcher(db, self.live.embed_query, self.absent_since, waiting=lambda: self.worker.waiting)
        self._connecting = Loop("embedder", self.live.connect)
        self._loops = [Loop("backlog", self.worker.watch_backlog)]

    def absent_since(self) -> datetime | None:
        """Since when queries cannot be embedded."""
        return self.live.absence.since if self.live.absence else None

    def start(self, *, embed: bool) -> None:
        """Connect the embedder in the background, and embed in the background if asked to."""
        if embed:
            self._loops += [Loop("worker", self.worker.run_once), Loop("term-stat", self.worker.keep_term_stat)]
        for loop in (self._connecting, *self._loops):
            loop.start()

    async def stop(self) -> None:
        """End the loops, giving claimed tasks back, then the embedder; one that is still starting is not waited for."""
        await asyncio.gather(self._connecting.stop(timeout_s=0), *(loop.stop() for loop in self._loops))
        await self.live.close()

    async def embedder_state(self) -> Part:
        """For the health report."""
        absence, generation = self.live.absence, self.live.generation
        detail: dict[str, str | int | float | None] = {}
        if generation is not None:
            detail = {"generation": generation.id, "provider": generation.provider, "model": generation.model}
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
    """Litestar, which answers HEAD and OPTIONS too, and only callers who name one of its hosts."""

    hosts: re.Pattern[bytes] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request, or the lifespan."""
        if self.hosts is None or scope["type"] != "http" or scope["path"] in ASKED_BY_ADDRESS:
            await serve_methods(super().__call__, scope, receive, send)
            return
        named = next((value for name, value in scope["headers"] if name == b"host"), b"")
        if self.hosts.fullmatch(named):
            await serve_methods(super().__call__, scope, receive, send)
        else:
            await send_problem(scope, send, RequestError("The Host header names no host of this service"))


def match_hosts(allowed: Sequence[str]) -> re.Pattern[bytes] | None:
    """What the Host header may be: a listed host with any port, or with its own; `*.` stands for subdomains."""
    patterns = []
    for host in allowed:
        name = re.escape(host.removeprefix("*."))
        subdomains = r"([a-z0-9_-]+\.)+" if host.startswith("*.") else ""
        port = "" if re.search(r":[0-9]+$", host) else r"(:[0-9]{1,5})?"
        patterns.append(f"{subdomains}{name}{port}")
    return re.compile("|".join(patterns).encode(), re.IGNORECASE) if patterns else None


def create_app(settings: Settings, dsn: str, telemetry: Telemetry) -> App:
    """The application; its lifespan opens and closes everything that it serves from."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        application = f"jobsense-worker:{os.getpid()}" if settings.embed_in_serve else "jobsense"
        db = await Database.open(dsn, application=application)
        parts = Parts(db, settings)
        wire(app, parts, telemetry)
        parts.start(embed=settings.embed_in_serve)
        for name in without_effect(settings):
            log.warning("setting.not_in_effect", setting=name)
        log.info("service.ready", version=build_version())
        try:
            yield
        finally:
            log.info("service.draining")
            await parts.stop()
            await db.close()
            log.info("service.stopped")

    def provided(name: str) -> Callable[[], Any]:
        return lambda: app.state[name]

    api = Router(
        API,
        route_handlers=[JobController, StatsController, SearchController],
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
        dependencies={name: Provide(provided(name), sync_to_thread=False) for name in ("jobs", "searcher", "health")},
        cors_config=CORSConfig(allow_origins=list(settings.cors_origins)) if settings.cors_origins else None,
        logging_config=None,
    )
    app.hosts = match_hosts(settings.allowed_hosts)
    return app


def wire(app: Litestar, parts: Parts, telemetry: Telemetry) -> None:
    """Put what the handlers ask for where they find it, and let the metrics watch it."""
    probes = {"embedder": parts.embedder_state, "backlog": parts.backlog_state}
    app.state["jobs"] = parts.jobs
    app.state["searcher"] = parts.searcher
    app.state["health"] = Health(parts.db, build_version(), probes)
    app.state[STATE_KEY] = Access(parts.db, is_open=parts.settings.auth == "open")
    app.state[METRICS_KEY] = telemetry.metrics
    watch = telemetry.metrics.watch
    watch("db_client_connection_count", lambda: parts.db.sizes()[0] - parts.db.sizes()[1], "used")
    watch("db_client_connection_count", lambda: parts.db.sizes()[1], "idle")
    watch("db_client_connection_max", lambda: parts.db.sizes()[2])
