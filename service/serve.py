"""Runs the application under uvicorn: finds or starts the database, brings up the schema, serves, drains, stops."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from service.app import build_version, create_app, prepare_schema
from service.config import Settings, read, variable
from service.telemetry.lifecycle import Identification, Telemetry, start_telemetry
from service.telemetry.sampling import read_otel

DRAIN_S = 8
KEEP_ALIVE_S = 75


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """The address of the database: the one that is set, else a private one that is started or joined."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    from service.embedded import EmbeddedPostgres  # noqa: PLC0415 - needs fcntl and pwd, which an own database does not

    async with EmbeddedPostgres(settings.data_dir) as server:
        yield server.dsn


def telemetry_of(settings: Settings, *, log_stream: Any = None) -> Telemetry:
    """Logs, metrics and traces as the settings and the OTEL_* variables say."""
    return start_telemetry(
        what=Identification(version=build_version(), environment=settings.environment),
        otel=read_otel(os.environ),
        log_format=settings.log_format,
        log_level=settings.log_level,
        log_stream=log_stream,
    )


async def serve(settings: Settings, *, ready: Callable[[], Awaitable[None]] | None = None) -> None:
    """Serve in this process until SIGTERM or SIGINT; `ready` is called once requests are answered."""
    async with database(settings) as dsn:
        await prepare_schema(dsn, settings)
        telemetry = telemetry_of(settings)
        try:
            await _run(settings, telemetry, dsn, ready)
        finally:
            await telemetry.stop()


async def _run(settings: Settings, telemetry: Telemetry, dsn: str, ready: Callable[[], Awaitable[None]] | None) -> None:
    server = _Server(_config(settings, telemetry.observe(create_app(settings, dsn, telemetry))))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.ask_to_stop)
    serving = asyncio.create_task(server.serve(), name="serve")
    try:
        await asyncio.wait({serving, asyncio.create_task(server.up.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if ready is not None and not serving.done():
            await ready()
        await serving
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to us and tells when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: uvicorn would raise the signal again after a clean stop, and the exit code would tell a failure."""
        yield

    async def startup(self, sockets: Any = None) -> None:
        """Listen, then tell."""
        await super().startup(sockets)
        if self.started:
            self.up.set()

    def ask_to_stop(self) -> None:
        """Drain; asked again, stop at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _config(settings: Settings, asgi: Any, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        asgi,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        date_header=True,
        log_config=None,
        log_level="warning",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=DRAIN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        **more,
    )


async def serve_many(settings: Settings) -> None:
    """Serve with several worker processes under a supervisor; each opens its own pool."""
    async with database(settings) as dsn:
        await prepare_schema(dsn, settings)
        # The workers read their settings anew; the database is found and migrated once, here.
        os.environ[variable("database_url")] = dsn
        os.environ[variable("migrate_on_start")] = "off"
        os.environ[variable("embed_in_serve")] = "on" if settings.embed_in_serve else "off"
        config = _config(settings, "service.serve:worker_process", factory=True, workers=settings.workers)
        socket = config.bind_socket()
        supervisor = Multiprocess(config, [socket])
        await asyncio.to_thread(supervisor.run)


def worker_process() -> Any:
    """The application of one of several processes."""
    settings = read()
    telemetry = telemetry_of(settings)
    return telemetry.observe(create_app(settings, settings.database_url or "", telemetry))
