"""The composition root: wires the parts of a process and the features to HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide

from service.access.controller import STATE_KEY, KeyController, ProfileController, SignInController, authenticate
from service.admin.controller import AdminController
from service.config import Settings
from service.db import Database
from service.embedding.worker import application_name
from service.export.controller import ExportController
from service.health.controller import METRICS_KEY, HealthController, fetch_metrics
from service.health.domain import Health, Probe
from service.http.admission import Admission
from service.http.caching import completed
from service.http.classes import admission
from service.http.compression import compress
from service.http.cors import Cors
from service.http.decoding import MAX_BODY_BYTES, StrictRequest, check_parameters
from service.http.docs_page import docs_handlers
from service.http.hosts import Hosts, host_fault, match_hosts
from service.http.methods import serve_methods
from service.http.openapi import openapi_config
from service.http.problem import EXCEPTION_HANDLERS, send_problem
from service.http.rate_limits import RATE_CLASSES, RateLimits
from service.idempotency.controller import STATE_KEY as IDEMPOTENCY_KEY
from service.jobs.controller import JobController, StatsController
from service.loop import Loop
from service.parts import Parts, store_state
from service.pay.controller import RatesController
from service.quota.limiter import Limiter
from service.search.controller import NearbyController, SearchController
from service.stopping import Stop
from service.telemetry.lifecycle import Telemetry
from service.telemetry.logs import get_logger
from service.telemetry.stages import time_encoding

log = get_logger(__name__)

API = "/api/v1"
CONTROLLERS = (
    JobController,
    StatsController,
    SearchController,
    NearbyController,
    RatesController,
    SignInController,
    ProfileController,
    KeyController,
    AdminController,
    ExportController,
)
"""What is served under API."""
ROUTES = Router(
    API,
    route_handlers=CONTROLLERS,
    guards=[authenticate],
    before_request=check_parameters,
    after_request=time_encoding,
)
"""The same with what stands around each handler; an application serves a copy of its own."""
STATEMENT_TIMEOUT_S = 10.0
"""No statement of a request takes this long; one that does waits for a lock or for a database that hangs."""
PARTS = ("jobs", "searcher", "batches", "neighbours", "matcher", "rates", "people", "keys", "admin", "exports")
PROVIDED = (*PARTS, "health")
"""What handlers ask for by name; `wire` puts it in place."""


def build_version() -> str:
    """The version of this build."""
    try:
        return version("jobsense")
    except PackageNotFoundError:
        return "0.0.0"


class App(Litestar):
    """Litestar in its layers: Host, CORS, admission, HEAD and OPTIONS, compression, rate limits, routing."""

    hosts: Hosts | None = None
    cors: Cors | None = None
    admission: Admission | None = None
    rate_limits: RateLimits | None = None
    opened: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    """What the lifespan opens, and closes at its end."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "http":
            send = completed(scope, send)
            if (fault := host_fault(scope, self.hosts)) is not None:
                await send_problem(scope, send, fault)
                return
        await (self.cors or self.serve_any_origin)(scope, receive, send)

    async def serve_any_origin(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request that is for this service."""
        await (self.admission or self.serve_admitted)(scope, receive, send)

    async def serve_admitted(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request that has its place, or the lifespan."""
        if scope["type"] == "http":
            await serve_methods(self.serve_method, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def serve_method(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request of a method that routes have."""
        await compress(self.serve_plain, scope, receive, send)

    async def serve_plain(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request without compression."""
        if self.rate_limits is None:
            await super().__call__(scope, receive, send)
        else:
            await self.rate_limits.serve(super().__call__, scope, receive, send)

    def turns_away(self, scope: Any) -> bool:
        """Whether a request would be turned away now; telemetry then begins no trace."""
        return self.admission is not None and self.admission.turns_away(scope)


def limit_concurrency(app: App, most: int, telemetry: Telemetry) -> None:
    """Serve `most` requests at once at most, and count what is served and turned away."""
    app.admission = admission(app.serve_admitted, most)
    app.on_shutdown.append(app.admission.close)
    for name, gate in app.admission.gates.items():
        telemetry.metrics.watch("jobsense_admission_limit", partial(getattr, gate, "limit"), name)


def limit_rates(app: App, settings: Settings) -> None:
    """Limit how often callers call, in the shared store where there is one."""
    store = None
    if settings.store_url:
        from service.quota.store import SharedWindows  # noqa: PLC0415 - its client takes 0.3 s and 24 MB

        store = shared = SharedWindows(settings.store_url)
        looking = Loop("store", shared.check)

        async def leave() -> None:
            await looking.stop(timeout_s=0)
            await shared.close()

        app.on_startup.append(looking.start)
        app.on_shutdown.append(leave)
    rates = {name: getattr(settings, f"rate_limit_{name}") for name in RATE_CLASSES}
    app.rate_limits = app.state["rate_limits"] = RateLimits(Limiter(store), rates)


def guard(app: App, settings: Settings, telemetry: Telemetry) -> None:
    """Put what stands before routing in place: Host, CORS, rate limits, admission."""
    app.hosts = match_hosts(settings.allowed_hosts)
    app.cors = Cors(app.serve_any_origin, settings.cors_origins) if settings.cors_origins else None
    limit_rates(app, settings)
    limit_concurrency(app, settings.max_concurrent_requests, telemetry)


def create_app(settings: Settings, dsn: str, telemetry: Telemetry, stop: Stop | None = None) -> App:
    """The application; its lifespan opens and closes everything that it serves from.

    The loops end as soon as the stop is asked for, beside the requests that still run.
    """
    app = route_app(documented=settings.environment != "production")
    furnish(app, settings, dsn, telemetry, stop)
    return app


def route_app(*, documented: bool) -> App:
    """All routes without anything behind them, which is nearly all the work; one can serve again, furnished anew."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with app.opened():
            yield

    def provided(name: str) -> Callable[[], Any]:
        return lambda: app.state[name]

    app = App(
        [ROUTES, HealthController, fetch_metrics, *(docs_handlers() if documented else ())],
        lifespan=[lifespan],
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY_BYTES,
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=openapi_config(build_version()),
        dependencies={name: Provide(provided(name), sync_to_thread=False) for name in PROVIDED},
        logging_config=None,
    )
    return app


def furnish(app: App, settings: Settings, dsn: str, telemetry: Telemetry, stop: Stop | None = None) -> None:
    """Put what the application serves from behind its routes, and what guards it before them."""
    app.opened = partial(_opened, app, settings, dsn, telemetry, stop or Stop())
    guard(app, settings, telemetry)


@asynccontextmanager
async def _opened(app: App, settings: Settings, dsn: str, telemetry: Telemetry, stop: Stop) -> AsyncIterator[None]:
    application = application_name() if settings.embed_in_serve else "jobsense"
    db = await Database.open(dsn, statement_timeout_s=STATEMENT_TIMEOUT_S, application=application)
    parts = Parts(db, settings)
    wire(app, parts, telemetry)
    parts.start(embed=settings.embed_in_serve)
    winding_down = asyncio.create_task(_after(stop.asked, parts.wind_down))
    log.info("service.ready", version=build_version())
    try:
        yield
    finally:
        winding_down.cancel()
        await parts.stop(stop)
        log.info("service.stopped")


async def _after(asked: asyncio.Event, wind_down: Callable[[], Awaitable[None]]) -> None:
    await asked.wait()
    log.info("service.draining")
    await wind_down()


def wire(app: Litestar, parts: Parts, telemetry: Telemetry) -> None:
    """Put what the handlers ask for where they find it, and let the metrics watch it."""
    store = app.state["rate_limits"].limiter.store
    probes: dict[str, Probe] = {
        "embedder": parts.embedder_state,
        "backlog": parts.backlog_state,
        "store": partial(store_state, store),
    }
    for name in PARTS:
        app.state[name] = getattr(parts, name)
    app.state["health"] = Health(parts.db, build_version(), probes)
    app.state[STATE_KEY] = parts.access
    app.state[IDEMPOTENCY_KEY] = parts.idempotency
    app.state[METRICS_KEY] = telemetry.metrics
    watch = telemetry.metrics.watch
    watch("db_client_connection_count", lambda: parts.db.sizes()[0] - parts.db.sizes()[1], "used")
    watch("db_client_connection_count", lambda: parts.db.sizes()[1], "idle")
    watch("db_client_connection_max", lambda: parts.db.sizes()[2])
    if store is not None:
        watch("jobsense_store_up", lambda: store.away is None)
    watch("db_client_connection_pending_requests", lambda: parts.db.waiting)
    watch("jobsense_query_cache_entries", lambda: len(parts.known.cache))
    watch("jobsense_exports_active", lambda: parts.exports.active)
    watch("jobsense_rates_newest_timestamp_seconds", parts.rates.newest_s)
    watch("jobsense_breaker_state", lambda: parts.live.breaker.number, "embedder")
