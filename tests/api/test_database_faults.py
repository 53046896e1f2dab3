"""Every fault of the database, as callers see it: a clean 503 in time, nothing leaked, and all well again by itself."""

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest

import service.db
from service.config import Settings
from service.db import Connection
from service.embedded.server import EmbeddedPostgres
from service.migrate import migrate_up
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import JOBS, SEARCH, create, problem
from tests.api.conftest import on_socket
from tests.conftest import Server, Service, running
from tests.factories import job_body
from tests.fakes import WordEmbedder
from tests.looking import until_next_look_async
from tests.proxy import DatabaseProxy
from tests.sql.probes import all_idle

SEED = int(os.environ.get("JOBSENSE_TEST_SEED", "1"))
READY = "/health/ready"
WAITED_S = 10.0
"""Several times what may be waited for in vain, and far less than without a bound."""

Serve = Callable[[str], Any]


@pytest.fixture
def serve_on(
    settings: Settings, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> Serve:
    """How to run the application on a database, with times of a tenth for what is waited for in vain."""
    for name in ("LOCK_TIMEOUT_S", "SILENCE_S", "RELEASE_S"):
        monkeypatch.setattr(service.db, name, getattr(service.db, name) / 10)
    monkeypatch.setattr("service.app.STATEMENT_TIMEOUT_S", 2.0)
    return lambda dsn: running(settings, dsn, telemetry, embedder, monkeypatch)


@contextmanager
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Short times for a connection too, while none can be had: else a busy machine may need them to make one."""
    with monkeypatch.context() as patch:
        patch.setattr(service.db, "POOL_TIMEOUT_S", service.db.POOL_TIMEOUT_S / 10)
        patch.setattr("service.health.domain.PROBE_TIMEOUT_S", 0.5)
        began = time.monotonic()
        yield
        assert time.monotonic() - began < WAITED_S


@pytest.fixture
async def quick(serve_on: Serve, dsn: str) -> AsyncIterator[Service]:
    """The application on this test's database."""
    async with serve_on(dsn) as made:
        yield made


def unavailable(response: httpx.Response, log: BytesIO, reason: str) -> None:
    """The answer is a clean 503 that says when to try again, and its log line says why."""
    problem(response, 503, "database_unavailable")
    assert int(response.headers["retry-after"]) >= 1
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    own = [one for one in lines if one.get("request_id") == response.headers["x-request-id"]]
    (line,) = [one for one in own if one["event"] == "http.request"]
    assert line["error.type"] == reason


async def well(api: Service) -> bool:
    """Whether requests are served, the service is ready, and no connection is missing."""
    assert (await api.client.get(READY)).status_code == 200
    assert (await api.client.post(JOBS, json=job_body())).status_code == 201
    assert (await api.client.post(SEARCH, json={"text": "books"})).status_code == 200
    return await all_idle(api.parts.db)


@asynccontextmanager
async def holding(dsn: str, statement: str) -> AsyncIterator[Connection]:
    """A transaction of somebody else."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute(statement)
            yield connection
    finally:
        await connection.close()


async def waiting(connection: Connection) -> None:
    """Wait until a statement waits for a lock."""
    while not await connection.fetchval("select exists (select from pg_locks where not granted)"):
        pass


async def test_a_locked_posting(quick: Service, dsn: str, log: BytesIO) -> None:
    """A change that waits for another one's lock is given up after the time for locks; reading is not held up."""
    job = await create(quick)
    path = f"{JOBS}/{job['id']}"
    async with holding(dsn, f"select from job where id = {job['id']} for update"):
        began = time.monotonic()
        unavailable(await quick.client.patch(path, json={"title": "Other"}), log, "lock_timeout")
        assert time.monotonic() - began < 2
        assert (await quick.client.get(path)).json() == job
    assert await well(quick)


async def test_a_statement_that_takes_too_long(
    serve_on: Serve, dsn: str, log: BytesIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ended by the server, whatever it waits for."""
    monkeypatch.setattr(service.db, "LOCK_TIMEOUT_S", 0)
    monkeypatch.setattr("service.app.STATEMENT_TIMEOUT_S", 1.0)
    async with serve_on(dsn) as api:
        await create(api)
        async with holding(dsn, "lock table job in access exclusive mode"):
            unavailable(await api.client.get(JOBS), log, "statement_timeout")
        assert await well(api)


async def test_no_connection_comes_free(quick: Service, log: BytesIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """While all are busy a request is turned away after the time for waiting, readiness and report say so."""
    db = quick.parts.db
    async with AsyncExitStack() as busy:
        for _ in range(db.sizes()[2]):
            await busy.enter_async_context(db.connection())
        with impatient(monkeypatch):
            answers = await asyncio.gather(*(quick.client.get(JOBS) for _ in range(5)))
            ready = await quick.client.get(READY)
            report = (await quick.client.get("/health")).json()
        for answer in answers:
            unavailable(answer, log, "pool_timeout")
        assert (ready.status_code, ready.json()["failing"]) == (503, ["database"])
        assert (report["status"], report["parts"]["pool"]["detail"]["idle"]) == ("down", 0)
    assert await well(quick)


async def test_a_connection_is_ended(quick: Service, server: Server, dsn: str, log: BytesIO) -> None:
    """The request on it is 503, the next one gets another."""
    async with holding(dsn, "lock table job in access exclusive mode") as holder:
        asked = asyncio.create_task(quick.client.get(JOBS))
        await waiting(holder)
        await server.execute("select pg_terminate_backend(pid, 5000) from pg_locks where not granted")
        unavailable(await asked, log, "unreachable")
    assert await well(quick)


async def test_the_server_takes_no_more_connections(serve_on: Serve, server: Server, dsn: str, log: BytesIO) -> None:
    """A request that needs one more than the server gives is 503; those with one are served."""
    name = urlsplit(dsn).path[1:]
    async with serve_on(dsn):
        pass  # makes the first generation, which takes the owner's rights
    await server.execute(f"create role \"{name}\" login connection limit 1 password 'few'")
    async with holding(dsn, f'grant all on all tables in schema public to "{name}"'):
        pass
    parts = urlsplit(dsn)
    try:
        limited = urlunsplit(parts._replace(netloc=f"{name}:few@{parts.netloc.rpartition('@')[2]}"))
        async with serve_on(limited) as api:
            async with api.parts.db.connection():
                unavailable(await api.client.get(JOBS), log, "too_many_connections")
            assert (await api.client.get(JOBS)).status_code == 200
    finally:
        async with holding(dsn, f'drop owned by "{name}"'):
            pass
        await server.execute(f'drop role "{name}"')


async def test_a_server_that_only_reads(quick: Service, server: Server, dsn: str, log: BytesIO) -> None:
    """As after a failover to a standby: reads and searches are served, writes are 503, until it writes again."""
    job = await create(quick)
    database = urlsplit(dsn).path[1:]
    end = f"select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{database}'"  # noqa: S608 - ours
    await server.execute(f'alter database "{database}" set default_transaction_read_only = on')
    await server.execute(end)
    unavailable(await quick.client.post(JOBS, json=job_body()), log, "read_only")
    unavailable(await quick.client.delete(f"{JOBS}/{job['id']}"), log, "read_only")
    assert (await quick.client.get(f"{JOBS}/{job['id']}")).status_code == 200
    assert (await quick.client.post(SEARCH, json={"text": "books"})).status_code == 200
    await server.execute(f'alter database "{database}" reset default_transaction_read_only')
    await server.execute(end)
    while (await quick.client.get(READY)).status_code == 503:  # that a connection was ended may show in its use only
        await until_next_look_async()
    assert await well(quick)


async def test_a_server_that_says_nothing(serve_on: Serve, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With connections open and no answer, requests are 503 in time, on old connections and on new ones."""
    with DatabaseProxy(dsn) as proxy:
        async with serve_on(proxy.dsn) as api:
            await create(api)
            proxy.silence()
            with impatient(monkeypatch):
                answers = await asyncio.gather(*(api.client.get(JOBS) for _ in range(3)), api.client.get(READY))
            assert answers[-1].status_code == 503
            for answer in answers[:-1]:
                problem(answer, 503, "database_unavailable")
            proxy.speak()
            assert await well(api)


@pytest.mark.usefixtures("server")  # opens the folder to the account that Postgres runs as
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
async def test_the_server_is_restarted(serve_on: Serve, server_folder: Path, log: BytesIO, how: signal.Signals) -> None:
    """Ended in order, at once or killed: requests are 503 while it is away, and then go on, with all that was said."""
    own = EmbeddedPostgres(server_folder / "faults", memory=256 * 2**20)
    dsn = await own.start()
    try:
        await migrate_up(dsn)
        async with serve_on(dsn) as api:
            job = await create(api)
            path = f"{JOBS}/{job['id']}"
            async with api.parts.db.connection() as connection:
                pid = int((await connection.fetchval("select pg_read_file('postmaster.pid')")).split()[0])
            os.kill(pid, how)
            while (answer := await api.client.get(path)).status_code == 200:
                assert answer.json() == job
            unavailable(answer, log, "unreachable")
            assert (await api.client.get(READY)).json()["failing"] == ["database"]
            assert await own.start() == dsn
            assert (await api.client.get(path)).json() == job
            assert await well(api)
    finally:
        await own.stop()


async def test_clients_that_leave(quick: Service, telemetry: Telemetry) -> None:
    """Two hundred requests given up at random moments leave no connection, task or transaction behind."""
    chance = random.Random(SEED)  # noqa: S311 - a test's chance
    for _ in range(20):
        await create(quick)
    async with on_socket(quick, telemetry) as client:
        calls = [
            lambda: client.post(JOBS, json=job_body()),
            lambda: client.patch(f"{JOBS}/1", json={"title": f"T{chance.random()}"}),
            lambda: client.post(SEARCH, json={"text": "books"}),
            lambda: client.post(f"{JOBS}/batch", json=[job_body() for _ in range(20)]),
            lambda: client.get(JOBS),
        ]
        before = {task for task in asyncio.all_tasks() if not task.done()}

        async def leave() -> None:
            try:
                async with asyncio.timeout(chance.uniform(0, 0.03)):
                    await chance.choice(calls)()
            except TimeoutError:
                left.append(1)

        left: list[int] = []
        for _ in range(20):
            await asyncio.gather(*(leave() for _ in range(10)))
        assert len(left) > 20, f"seed {SEED}"
        async with asyncio.timeout(10):
            while ours := asyncio.all_tasks() - before:
                await asyncio.wait(ours)
    assert await all_idle(quick.parts.db)
    async with quick.parts.db.connection() as connection:
        stuck = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in %'"
        assert await connection.fetchval(stuck) == 0
    assert await well(quick)
