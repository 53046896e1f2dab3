"""What tests share: one real Postgres for a session, a database of its own for each test, the application on it.

Which server that is, `tests/database_server.py` decides, and the top of the run says. A database is copied from a
migrated template, which takes about 25 ms.
"""

import asyncio
import gc
import io
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest
from litestar import Litestar
from prometheus_client import CollectorRegistry

import service.app
import service.parts
from service.app import App, furnish, route_app
from service.config import Settings
from service.db import Database
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.migrate import migrate_up
from service.parts import Parts
from service.telemetry.lifecycle import Identification, Telemetry, start_telemetry
from service.telemetry.sampling import OtelSettings
from tests.database_server import CHOICE, decide
from tests.database_server import running as running_server
from tests.fakes import WordEmbedder
from tests.missing import missing

TEMPLATE = "jobsense_template"
_NUMBER = itertools.count(1)
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a test's database wants speed, and is removed afterwards
_ROOM = 2 * 2**30
_IDLE = dict[bool, list[App]]()
"""Applications that served a test to its end and may serve another: with the documentation, and without."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that start processes come first: they take longest, and at the end the other workers would wait for them.

    The order of the modules is that in which workers take them; within a module it stays.
    """
    order = ("faults", "cli")
    items.sort(key=lambda item: order.index(folder) if (folder := item.path.parent.name) in order else len(order))


def pytest_collection_finish() -> None:
    """What was imported and collected lives to the end: the collector need not go through it again and again."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """Decide which Postgres it is before the processes are started that share the work."""
    config.stash[CHOICE] = decide()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name the Postgres, and what the tests need and is not here, for whoever starts them without make."""
    return [str(config.stash[CHOICE]), *([f"not here: {', '.join(found)}"] if (found := missing()) else [])]


class Server:
    """A Postgres server on which tests make databases."""

    def __init__(self, admin_dsn: str) -> None:
        self.admin_dsn = admin_dsn
        self._turn = asyncio.Lock()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    def dsn_of(self, database: str) -> str:
        """The address of another database of this server."""
        parts = urlsplit(self.admin_dsn)
        return urlunsplit(parts._replace(path=f"/{database}"))

    async def execute(self, statement: str) -> None:
        """Run one statement as the administrator, on a connection that stays open."""
        async with self._turn:
            if self._connection is None:
                self._connection = await asyncpg.connect(self.admin_dsn)
            await self._connection.execute(statement)

    async def aclose(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()

    async def create_database(self, template: str | None = None) -> str:
        """A new database, empty or a copy of a template; its address."""
        name = f"jobsense_test_{os.getpid()}_{next(_NUMBER)}"
        await self.execute(f'create database "{name}"' + (f' template "{template}"' if template else ""))
        return self.dsn_of(name)

    async def drop_database(self, dsn: str) -> None:
        """Remove a database with whoever is connected to it."""
        await self.execute(f'drop database if exists "{urlsplit(dsn).path[1:]}" with (force)')


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder for the embedded server: in memory where there is room, since nothing of it is kept."""
    roomy = _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free > _ROOM
    with tempfile.TemporaryDirectory(dir=_SHARED_MEMORY if roomy else None, prefix="jobsense-test-") as folder:
        Path(folder).chmod(0o711)  # embedded servers run as an account of their own where the tests run as root
        yield Path(folder)


@pytest.fixture(scope="session")
async def server(server_folder: Path, pytestconfig: pytest.Config) -> AsyncIterator[Server]:
    """The server of this session."""
    async with running_server(pytestconfig.stash[CHOICE], server_folder) as dsn, aclosing(Server(dsn)) as made:
        yield made


@pytest.fixture(scope="session")
async def template(server: Server) -> str:
    """The name of a migrated database without data, which others are copied from."""
    name = f"{TEMPLATE}_{os.getpid()}"
    await server.execute(f'drop database if exists "{name}"')
    await server.execute(f'create database "{name}"')
    await migrate_up(server.dsn_of(name))
    return name


@pytest.fixture
async def dsn(server: Server, template: str) -> AsyncIterator[str]:
    """A migrated database of this test alone."""
    made = await server.create_database(template)
    yield made
    await server.drop_database(made)


@pytest.fixture
async def empty_dsn(server: Server) -> AsyncIterator[str]:
    """A database of this test alone without any schema."""
    made = await server.create_database()
    yield made
    await server.drop_database(made)


@pytest.fixture
async def db(dsn: str) -> AsyncIterator[Database]:
    """A pool on this test's database."""
    opened = await Database.open(dsn, max_size=8)
    yield opened
    await opened.close()


@pytest.fixture
def settings() -> Settings:
    """Settings as in development, with nothing that runs by itself."""
    return Settings(embed_in_serve=False, migrate_on_start=False)


@pytest.fixture
def embedder() -> WordEmbedder:
    """An embedder that needs no model."""
    return WordEmbedder()


@pytest.fixture
async def live(db: Database, embedder: WordEmbedder) -> AsyncIterator[LiveEmbedder]:
    """The embedder, connected, with the first generation made."""
    made = LiveEmbedder(db, lambda _generation: [embedder])
    await made.connect()
    yield made
    await made.close()


@pytest.fixture
def worker(db: Database, live: LiveEmbedder) -> Worker:
    """A worker that runs when it is told to."""
    return Worker(db, live)


@pytest.fixture
def log() -> io.BytesIO:
    """Where the log lines of this test go, one JSON object a line; never closed, since loggers outlive a test."""
    return io.BytesIO()


@pytest.fixture
async def telemetry(log: io.BytesIO) -> AsyncIterator[Telemetry]:
    """Logs to memory, metrics of this test alone, no traces."""
    made = start_telemetry(
        what=Identification(version="0.0.0"), otel=OtelSettings(), log_stream=log, registry=CollectorRegistry()
    )
    yield made
    await made.stop()


class Service:
    """The application of a test, and what stands behind it."""

    def __init__(self, app: Litestar, parts: Parts, client: httpx.AsyncClient) -> None:
        self.app = app
        self.parts = parts
        self.client = client

    async def embed(self) -> int:
        """Embed until nothing is due; how many postings that were."""
        done = 0
        while (outcome := await self.parts.worker.step()).claimed:
            done += outcome.claimed
        await self.parts.worker.keep_term_stat()
        await self.parts.worker.watch_backlog()
        return done


@asynccontextmanager
async def _alive(app: Litestar) -> AsyncIterator[None]:
    """The application's lifespan in a task of its own: it must end in the task that began it, and fixtures do not."""
    up, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            up.set()
            await stop.wait()

    task = asyncio.create_task(live())
    await asyncio.wait({task, asyncio.create_task(up.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    try:
        yield
    finally:
        stop.set()
        await task


@contextmanager
def _application(settings: Settings, dsn: str, telemetry: Telemetry) -> Iterator[App]:
    """An application whose routes may have served tests before: making them takes 40 ms, and hundreds want one.

    Nothing else outlives a test; where a start or a stop fails, the application is not used again.
    """
    documented = settings.environment != "production"
    idle = _IDLE.setdefault(documented, [])
    app = idle.pop() if idle else route_app(documented=documented)
    begins, ends = list(app.on_startup), list(app.on_shutdown)
    furnish(app, settings, dsn, telemetry)
    yield app
    app.on_startup, app.on_shutdown = begins, ends
    app.state.clear()
    idle.append(app)


@asynccontextmanager
async def running(
    settings: Settings, dsn: str, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The whole application on a database, with an embedder that needs no model, called without a socket."""
    monkeypatch.setattr(service.parts, "candidates", lambda *_, **__: lambda _generation: [embedder])
    made: list[Parts] = []
    wire = service.app.wire

    def remember(app: Litestar, parts: Parts, telemetry: Telemetry) -> None:
        made.append(parts)
        wire(app, parts, telemetry)

    monkeypatch.setattr(service.app, "wire", remember)
    with _application(settings, dsn, telemetry) as app:
        async with _alive(app):
            await made[0].live.connect()
            transport = httpx.ASGITransport(app=telemetry.observe(app), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                yield Service(app, made[0], client)


@pytest.fixture
async def api(
    settings: Settings, dsn: str, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The application on this test's database."""
    async with running(settings, dsn, telemetry, embedder, monkeypatch) as made:
        yield made
