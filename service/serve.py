"""Runs the application under uvicorn: listens, finds or starts the database, brings up the schema, serves, drains."""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import msgspec
import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from service.app import App, build_version, create_app
from service.config import Settings
from service.connection import Connection
from service.errors import DatabaseUnavailable, OperatorError
from service.health.domain import Health
from service.http.streaming import CUT_KEY
from service.parts import prepare_schema
from service.requests import Requests
from service.stopping import Stop, current_stop
from service.supervisor import CHILD_STOP_S, COULD_NOT_START, base_url, listening, supervise, when_orphaned
from service.telemetry.lifecycle import Identification, Telemetry, start_telemetry
from service.telemetry.logs import get_logger
from service.telemetry.sampling import read_otel

log = get_logger(__name__)

LINGER_S = 1.5
"""For how long new requests are taken after the signal, where somebody asks for readiness again and again: whoever
does is told that this process leaves, and needs a moment to send requests elsewhere."""
DRAIN_S = 4.5
"""What running requests get from the signal on; then those without an answer are answered 503."""
ANSWER_S = 0.3
"""What that takes; then connections that are left are cut, whatever their clients have not read yet."""
GRACE_S = 6
"""When requests are cancelled whose own end hangs, as that of a statement at a database which does not answer."""
TRACES_S, LEAVE_S = 1.2, 1.2
"""What the last parts of a stop get: delivering spans, and stopping the embedded database."""
LONGEST_LEAVE_S = 30.0
"""What the latter gets when no signal presses."""
KEEP_ALIVE_S = 75

Ready = Callable[[str, Health], Coroutine[Any, Any, None]]
"""Called with the address once requests are answered there, and with what knows how the parts of the service are."""

loop_factory = auto_loop_factory
"""Makes the event loop to serve on: uvloop, where there is one."""


@asynccontextmanager
async def database(settings: Settings, stop: Stop | None = None) -> AsyncIterator[str]:
    """The address of the database: the one that is set, else a private one that is started or joined."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    from service.embedded.server import EmbeddedPostgres  # noqa: PLC0415 - needs fcntl and pwd, which an own database does not

    server = EmbeddedPostgres(settings.data_dir)
    await server.start()
    keeping = asyncio.create_task(server.keep_up(), name="embedded")
    try:
        yield server.dsn
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        await server.stop(within_s=(stop or current_stop()).left_s(LONGEST_LEAVE_S))


def telemetry_of(settings: Settings, *, log_stream: Any = None) -> Telemetry:
    """Logs, metrics and traces as the settings and the OTEL_* variables say."""
    return start_telemetry(
        what=Identification(version=build_version(), environment=settings.environment),
        otel=read_otel(os.environ),
        log_format=settings.log_format,
        log_level=settings.log_level,
        log_stream=log_stream,
    )


async def serve(settings: Settings, stop: Stop) -> None:
    """Serve until the stop, in this process or, with WORKERS above 1, in several under this one."""
    with listening(settings) as sockets:
        telemetry = telemetry_of(settings)
        log.info("service.starting", address=base_url(settings, sockets), workers=settings.workers)
        try:
            async with database(settings, stop) as dsn:
                await prepare_schema(dsn, settings)
                if settings.workers > 1:
                    # The database was found and brought up to date here, once.
                    shared = msgspec.structs.replace(settings, database_url=dsn, migrate_on_start=False)
                    await supervise(partial(_serve_as_child, shared), sockets, workers=settings.workers, stop=stop)
                else:
                    await serve_on(settings, telemetry, dsn, sockets, stop=stop)
        finally:
            await telemetry.stop(timeout_s=stop.left_s(TRACES_S))


async def serve_on(
    settings: Settings,
    telemetry: Telemetry,
    dsn: str,
    sockets: Sequence[socket.socket],
    *,
    stop: Stop,
    ready: Ready | None = None,
) -> None:
    """Serve a database that is up to date in this process until the stop; spans are delivered at the end."""
    app = create_app(settings, dsn, telemetry, stop)
    requests = Requests(app)
    server = _Server(_config(settings, telemetry.observe(requests)), requests, app)
    app.state[CUT_KEY] = server.cut
    stop.on_ask(server.ask_to_stop, server.give_up)
    serving = asyncio.create_task(server.serve(list(sockets)), name="serve")
    up = asyncio.create_task(server.up.wait())
    try:
        await asyncio.wait({serving, up}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if ready is not None and not serving.done() and not stop.asked.is_set():
            await _tell(ready(base_url(settings, sockets), app.state["health"]), server, serving, stop)
        await serving
    finally:
        await telemetry.end_traces(timeout_s=stop.left_s(TRACES_S, keep_s=LEAVE_S))


async def _tell(ready: Coroutine[Any, Any, None], server: "_Server", serving: asyncio.Task[None], stop: Stop) -> None:
    """Say that requests are answered, unless the stop comes first; when that fails, the server is ended in order."""
    telling = asyncio.create_task(ready, name="ready")

    def end() -> None:
        telling.cancel()
        server.ask_to_stop()

    stop.on_ask(end, server.give_up)
    await asyncio.wait({telling, serving}, return_when=asyncio.FIRST_COMPLETED)
    telling.cancel()
    await asyncio.wait({telling})
    if not telling.cancelled() and (error := telling.exception()) is not None:
        server.ask_to_stop()
        await serving
        raise error


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to us, tells when it is up, and ends in time whatever its clients do."""

    def __init__(self, config: uvicorn.Config, requests: Requests, app: App) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self._requests = requests
        self._app = app
        self._starting: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: uvicorn would raise the signal again after a clean stop, and the exit code would tell a failure."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell; raises OperatorError or DatabaseUnavailable where uvicorn would end the process."""
        self._starting = asyncio.create_task(self._start(sockets))
        await asyncio.wait({self._starting})
        if not self._starting.cancelled():  # told to stop: a database that hangs is not waited for
            self._starting.result()

    async def _start(self, sockets: list[socket.socket] | None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:
            if (away := self._requests.database_fault()) is not None:
                raise away from None
            raise OperatorError("the service could not start; the log says why") from None
        if self.started:
            # What was imported lives as long as the process: the collector need not go through it again and again,
            # which would hold up a request for some milliseconds each time.
            gc.collect()
            gc.freeze()
            self.up.set()

    def ask_to_stop(self) -> None:
        """Take no more requests, and give the running ones some time."""
        loop = asyncio.get_running_loop()
        if self.started and self._app.state["health"].leave():
            loop.call_later(LINGER_S, self._close)
        else:
            self._close()
        loop.call_later(DRAIN_S, self.give_up)

    def give_up(self) -> None:
        """Give the running requests no more time."""
        self._close()
        self._requests.give_up()
        asyncio.get_running_loop().call_later(ANSWER_S, self._cut)

    def _close(self) -> None:
        self.should_exit = True
        if self._starting is not None and not self.started:
            self._starting.cancel()

    def cut(self, scope: Any) -> None:
        """Cut the connection of one request, whatever its client has not read yet."""
        for connection in list(self.server_state.connections):
            if getattr(connection, "scope", None) is scope:
                connection.transport.abort()

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def _config(settings: Settings, asgi: Any) -> uvicorn.Config:
    return uvicorn.Config(
        asgi,
        loop="auto",
        http=Connection,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        date_header=True,
        log_config=None,
        log_level="warning",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )


def _serve_as_child(
    settings: Settings, sockets: Sequence[socket.socket], served: Callable[[], object], number: int
) -> None:
    """One of several processes; each opens its own pool, offers its own metrics, and tells once it serves."""
    stop = Stop(within_s=CHILD_STOP_S)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        try:
            runner.run(_serve_until_orphaned(settings, sockets, served, stop, number))
        except OperatorError as error:
            log.error("service.process_refused", reason=str(error))  # noqa: TRY400 - the message says all
            sys.exit(COULD_NOT_START)
        except DatabaseUnavailable:
            sys.exit(1)  # the log has it; the next try may find it back


async def _serve_until_orphaned(
    settings: Settings, sockets: Sequence[socket.socket], served: Callable[[], object], stop: Stop, number: int
) -> None:
    async def tell(_address: str, _health: Health) -> None:
        served()

    stop.listen()
    when_orphaned(stop.ask)
    telemetry = telemetry_of(settings)
    try:
        telemetry.offer_metrics(read_otel(os.environ), number)
        await serve_on(settings, telemetry, settings.database_url or "", sockets, stop=stop, ready=tell)
    finally:
        await telemetry.stop(timeout_s=stop.left_s(TRACES_S))
