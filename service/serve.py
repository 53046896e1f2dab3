"""Runs the application under uvicorn: listens, finds or starts the database, brings up the schema, serves, drains."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import msgspec
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.loops.auto import auto_loop_factory
from uvicorn.supervisors import Multiprocess

from service.app import build_version, create_app, prepare_schema
from service.config import Settings, variable
from service.errors import OperatorError
from service.health.domain import Health
from service.telemetry.lifecycle import Identification, Telemetry, start_telemetry
from service.telemetry.logs import get_logger
from service.telemetry.sampling import read_otel

log = get_logger(__name__)

DRAIN_S = 8
KEEP_ALIVE_S = 75
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
STOPPING = (signal.SIGTERM, signal.SIGINT)

Ready = Callable[[str, Health], Awaitable[None]]
"""Called with the address once requests are answered there, and with what knows how the parts of the service are."""

loop_factory = auto_loop_factory
"""Makes the event loop to serve on: uvloop, where there is one."""


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """The address of the database: the one that is set, else a private one that is started or joined."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    from service.embedded.server import EmbeddedPostgres  # noqa: PLC0415 - needs fcntl and pwd, which an own database does not

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


@contextmanager
def listening(settings: Settings) -> Iterator[list[socket.socket]]:
    """Sockets on every address of HOST; raises OperatorError where that fails.

    They are bound before anything else is done, so that a port in use is told at once. uvicorn's own way leaves the
    protocol open, and the event loop turns off Nagle's algorithm (40 ms on small answers) on TCP only.
    """
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        port, missing = settings.port, None
        for family, kind, protocol, _, address in _addresses(settings):
            try:
                made = opened.enter_context(socket.socket(family, kind, protocol))
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                made.bind((address[0], port, *address[2:]))
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise _cannot_listen(settings, error) from error
                missing = error  # as `localhost` names ::1 on a machine without IPv6
            else:
                port = made.getsockname()[1]
                sockets.append(made)
        if missing is not None and not sockets:
            raise _cannot_listen(settings, missing)
        yield sockets


def _cannot_listen(settings: Settings, error: OSError) -> OperatorError:
    return OperatorError(
        f"cannot listen on {settings.host}:{settings.port}: {os.strerror(error.errno or 0).lower()}; set "
        f"{variable('host')} and {variable('port')} to an address of this machine and a free port"
    )


def _addresses(settings: Settings) -> list[Any]:
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise OperatorError(
            f"{variable('host')}={settings.host!r} is no address or known host: {error.strerror}"
        ) from None
    return list(dict.fromkeys(found))


def base_url(settings: Settings, sockets: Sequence[socket.socket]) -> str:
    """Where a caller on this machine finds the service; the port is the one that was really taken."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with, not listened on
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{anywhere.get(settings.host, host)}:{sockets[0].getsockname()[1]}"


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, in this process or, with WORKERS above 1, in several under a supervisor."""
    with listening(settings) as sockets:
        telemetry = telemetry_of(settings)
        log.info("service.starting", address=base_url(settings, sockets), workers=settings.workers)
        try:
            async with database(settings) as dsn:
                await prepare_schema(dsn, settings)
                if settings.workers > 1:
                    await _serve_many(settings, dsn, sockets)
                else:
                    await serve_on(settings, telemetry, dsn, sockets)
        finally:
            await telemetry.stop()


async def serve_on(
    settings: Settings,
    telemetry: Telemetry,
    dsn: str,
    sockets: Sequence[socket.socket],
    *,
    ready: Ready | None = None,
) -> None:
    """Serve a database that is up to date in this process until SIGTERM or SIGINT."""
    app = create_app(settings, dsn, telemetry)
    server = _Server(_config(settings, telemetry.observe(app)))
    # Left in place afterwards: a second signal while the database is being left must not end us half-way.
    for number in STOPPING:
        asyncio.get_running_loop().add_signal_handler(number, server.ask_to_stop)
    serving = asyncio.create_task(server.serve(list(sockets)), name="serve")
    up = asyncio.create_task(server.up.wait())
    await asyncio.wait({serving, up}, return_when=asyncio.FIRST_COMPLETED)
    up.cancel()
    if ready is not None and not serving.done():
        await ready(base_url(settings, sockets), app.state["health"])
    await serving


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to us and tells when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: uvicorn would raise the signal again after a clean stop, and the exit code would tell a failure."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell; raises OperatorError where uvicorn would end the process."""
        try:
            await super().startup(sockets)
        except SystemExit:
            raise OperatorError("the service could not start; the log says why") from None
        if self.started:
            self.up.set()

    def ask_to_stop(self) -> None:
        """Drain; asked again, stop at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _config(settings: Settings, asgi: Any, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        asgi,
        loop="auto",
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


async def _serve_many(settings: Settings, dsn: str, sockets: Sequence[socket.socket]) -> None:
    """Several processes that share the sockets; each opens its own pool."""
    # The database was found and brought up to date here, once.
    shared = msgspec.structs.replace(settings, database_url=dsn, migrate_on_start=False)
    config = _config(settings, partial(_application, shared), factory=True, workers=settings.workers)
    for number in STOPPING:
        asyncio.get_running_loop().remove_signal_handler(number)
    supervisor = Multiprocess(config, list(sockets))
    await asyncio.to_thread(supervisor.run)
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise OperatorError("a worker process could not start; the log says why")


def _application(settings: Settings) -> Any:
    """The application of one of several processes."""
    telemetry = telemetry_of(settings)
    return telemetry.observe(create_app(settings, settings.database_url or "", telemetry))
