"""What the pool says when the database is slow, gone, full or not ours, and that it recovers by itself."""

import asyncio
import socket
import time
from pathlib import Path

import pytest

import service.db
import service.db_prepare
from service.access.queries import ensure_tenant
from service.db import Database, session
from service.embedded.server import EmbeddedPostgres
from service.errors import DatabaseUnavailable, SchemaError, SettingError
from service.health.queries import check_database
from service.migrate import migrate_up
from service.telemetry.lifecycle import Telemetry
from tests.conftest import Server
from tests.sql.probes import all_idle


async def test_full_pool_waits_then_says_so(
    narrow: Database, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call waits for a connection; in vain, it raises DatabaseUnavailable in time, and that is counted."""
    async with narrow.connection(), narrow.connection():
        monkeypatch.setattr(service.db, "POOL_TIMEOUT_S", 0.05)
        assert narrow.sizes() == (2, 0, 2)
        start = time.perf_counter()
        with pytest.raises(DatabaseUnavailable) as caught:
            await check_database(narrow)
        assert time.perf_counter() - start < 1
        monkeypatch.undo()
    assert caught.value.reason == "pool_timeout"
    assert caught.value.retry_after_s == 1
    assert await check_database(narrow)
    assert telemetry.metrics.registry.get_sample_value("db_client_connection_timeouts_total") == 1


async def test_waiting_call_gets_the_next_free_connection(narrow: Database) -> None:
    """A call that waits goes on as soon as a connection comes back."""
    async with narrow.connection():
        async with narrow.connection():
            waiting = asyncio.create_task(check_database(narrow))
            await asyncio.wait({waiting}, timeout=0.01)
            assert narrow.waiting == 1
            assert not waiting.done()
        assert await waiting is not None
    assert narrow.waiting == 0


async def test_slow_statement_is_ended(narrow: Database) -> None:
    """A statement over its time raises DatabaseUnavailable promptly, and the connection is good for the next."""
    async with narrow.connection() as holder:
        await holder.execute("begin; lock table tenant in access exclusive mode")
        start = time.perf_counter()
        with pytest.raises(DatabaseUnavailable) as caught:
            await ensure_tenant(narrow, name="slow")
        assert 0.1 < time.perf_counter() - start < 2
        await holder.execute("rollback")
    assert caught.value.reason == "statement_timeout"
    assert await ensure_tenant(narrow, name="slow") == await ensure_tenant(narrow, name="slow")
    assert await all_idle(narrow)


async def test_deadlock_can_be_tried_again(db: Database) -> None:
    """Of two transactions that wait for one another one ends, with DatabaseUnavailable; the other goes on."""

    async def lock(first: int, second: int, met: asyncio.Barrier) -> None:
        async with db.transaction() as connection:
            await connection.execute("set local deadlock_timeout = '10ms'")
            await ensure_tenant(connection, name=f"t{first}")
            await met.wait()
            await ensure_tenant(connection, name=f"t{second}")

    for name in ("t1", "t2"):
        await ensure_tenant(db, name=name)
    met = asyncio.Barrier(2)
    results = await asyncio.gather(lock(1, 2, met), lock(2, 1, met), return_exceptions=True)
    (failed,) = [one for one in results if one is not None]
    assert isinstance(failed, DatabaseUnavailable)
    assert failed.reason == "deadlock"
    assert await all_idle(db)


async def test_killed_backend_is_an_outage_of_one_call(server: Server, narrow: Database) -> None:
    """A connection that the server ends fails the calls on it with DatabaseUnavailable; the next gets a new one."""
    async with narrow.connection() as victim:
        await end(server, await victim.fetchval("select pg_backend_pid()"))
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable) as caught:
                await check_database(victim)
            assert caught.value.reason == "unreachable"
    assert await check_database(narrow)
    assert await all_idle(narrow)


async def test_killed_idle_connections_are_replaced(server: Server, narrow: Database) -> None:
    """Connections that are ended while nobody uses them cost no call: the pool opens new ones."""
    lost: asyncio.Queue[object] = asyncio.Queue()
    async with narrow.connection() as one, narrow.connection() as other:
        pids = [await each.fetchval("select pg_backend_pid()") for each in (one, other)]
        for each in (one, other):
            each.add_termination_listener(lost.put_nowait)
    for pid in pids:
        await end(server, pid)
    async with asyncio.timeout(5):  # the server's goodbye may be on its way here when it is gone there
        for _ in pids:
            await lost.get()
    assert await check_database(narrow)
    assert await all_idle(narrow)


@pytest.mark.parametrize("writes", [True, False])
async def test_killed_transaction_tells_the_first_error(server: Server, narrow: Database, writes: bool) -> None:
    """A transaction whose connection is ended raises DatabaseUnavailable, in its middle and at its commit."""
    with pytest.raises(DatabaseUnavailable):
        await lose_connection(server, narrow, writes=writes)
    assert await all_idle(narrow)
    async with narrow.connection() as connection:
        assert await connection.fetchval("select count(*) from tenant") == 1


async def lose_connection(server: Server, db: Database, *, writes: bool) -> None:
    """A transaction whose connection the server ends, before a further statement or before its commit."""
    async with db.transaction() as connection:
        await ensure_tenant(connection, name="lost")
        await end(server, await connection.fetchval("select pg_backend_pid()"))
        if writes:
            await ensure_tenant(connection, name="never")


async def end(server: Server, pid: int) -> None:
    """End a connection from the server's side, and wait until it is gone there."""
    await server.execute(f"select pg_terminate_backend({pid}, 5000)")


async def test_restarted_server_is_found_again(server_folder: Path) -> None:
    """While the server is down calls raise DatabaseUnavailable; once it is back the same pool serves the first call."""
    own = EmbeddedPostgres(server_folder / "restarted", memory=512 * 2**20)
    dsn = await own.start()
    try:
        await migrate_up(dsn)
        opened = await Database.open(dsn, max_size=4)
        held = [await ensure_tenant(opened, name="kept") for _ in range(3)]
        await own.stop()
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable) as caught:
                await check_database(opened)
            assert caught.value.reason == "unreachable"
        assert await own.start() == dsn
        assert await ensure_tenant(opened, name="kept") == held[0]
        assert await all_idle(opened)
        await opened.close()
    finally:
        await own.stop()


async def test_closed_pool_is_away(dsn: str) -> None:
    """A call on a pool that is closed, as at the end of a process, raises DatabaseUnavailable."""
    opened = await Database.open(dsn)
    await opened.close()
    with pytest.raises(DatabaseUnavailable):
        await check_database(opened)


async def test_closing_cuts_busy_connections(dsn: str) -> None:
    """Closing waits for busy connections, and not for ever."""
    opened = await Database.open(dsn)
    async with opened.connection() as busy:
        await opened.close(timeout_s=0.05)
        with pytest.raises(DatabaseUnavailable):
            await check_database(busy)
    assert opened.sizes()[0] == 0


async def test_database_without_pgvector_is_refused(empty_dsn: str) -> None:
    """Without the extension nothing can work: the error says what to run."""
    with pytest.raises(SchemaError, match="no pgvector extension yet: run `jobsense migrate up`"):
        await Database.open(empty_dsn)


async def test_old_pgvector_is_refused(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extension older than what the statements need is refused with its version."""
    monkeypatch.setattr(service.db_prepare, "OLDEST_PGVECTOR", (99, 0))
    with pytest.raises(SchemaError, match=r"pgvector 0\.\d+\.\d+ is too old"):
        await Database.open(dsn)


async def test_pgvector_in_another_schema_works(empty_dsn: str) -> None:
    """Hosted servers keep extensions in a schema of their own; the vector types are found there."""
    async with session(empty_dsn) as connection:
        await connection.execute("create schema extensions; create extension vector schema extensions")
    opened = await Database.open(empty_dsn)
    async with opened.connection() as connection:
        vector = service.db.half_vector([0.5, 1.0])
        assert await connection.fetchval("select $1::extensions.halfvec", vector) == vector
    await opened.close()


async def test_nobody_listens() -> None:
    """A server that is not there is away, for the pool and for migrations."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dsn = f"postgresql://jobsense@127.0.0.1:{free.getsockname()[1]}/jobsense"
    with pytest.raises(DatabaseUnavailable) as caught:
        await Database.open(dsn)
    assert caught.value.reason == "unreachable"
    with pytest.raises(DatabaseUnavailable):
        await migrate_up(dsn)


async def test_server_that_never_answers_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the connection and says nothing is away after the time for connecting."""
    monkeypatch.setattr(service.db, "POOL_TIMEOUT_S", 0.05)
    monkeypatch.setattr(service.db, "CONNECT_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(DatabaseUnavailable) as caught:
        await Database.open(f"postgresql://jobsense@127.0.0.1:{mute.getsockname()[1]}/jobsense")
    assert caught.value.reason == "unreachable"


async def test_wrong_address_is_a_wrong_setting(server: Server) -> None:
    """A database that does not exist and an address that cannot be read are named as a wrong setting."""
    for dsn in (server.dsn_of("absent"), "postgresql://localhost/x?sslmode=sometimes"):
        with pytest.raises(SettingError, match="JOBSENSE_DATABASE_URL is not usable"):
            await Database.open(dsn)


async def test_a_pooler_that_refuses_our_settings_is_told_as_a_wrong_address() -> None:
    """PgBouncer refuses settings that it is not told to ignore: that is no outage, and trying again would not help."""
    said = b"SFATAL\0C08P01\0Munsupported startup parameter: jit\0\0"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
        writer.write(b"E" + (len(said) + 4).to_bytes(4) + said)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as pooler:
        port = pooler.sockets[0].getsockname()[1]
        with pytest.raises(SettingError, match="URL is not usable: unsupported startup parameter: jit"):
            await Database.open(f"postgresql://jobsense@127.0.0.1:{port}/jobsense?sslmode=disable")
