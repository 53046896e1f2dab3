"""Connections, transactions and statements: their settings, that nothing leaks, and which faults show as ours."""

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from service.access.queries import ensure_tenant
from service.db import Database, Json, estimate_rows, session
from service.embedding.queries import lock_unchanged, renew_lease
from service.errors import Conflict
from service.health.queries import check_database
from service.jobs.queries import count_by_source, list_jobs, update_job, upsert_jobs
from tests.conftest import Server
from tests.factories import new_job
from tests.sql.probes import all_idle, show
from tests.sql.samples import rows_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILTERS = ("source", "company", "location", "remote", "employment_type", "posted_after", "posted_before", "active")
NO_FILTER = dict.fromkeys((*FILTERS, "pay_currency", "pay_low", "pay_high", "unpriced"))


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
async def test_what_is_committed_is_on_disk(db: Database, setting: str) -> None:
    """Durability is on, for the server and through the connections of the pool."""
    assert await show(db, setting) == "on"


async def test_connections_have_our_settings(narrow: Database, db: Database) -> None:
    """Connections name themselves, never compile, end a statement or an idle transaction, and speak UTC."""
    assert await show(narrow, "application_name") == "jobsense-narrow"
    assert await show(db, "application_name") == "jobsense"
    assert await show(db, "jit") == "off"
    assert await show(narrow, "statement_timeout") == "200ms"
    assert await show(db, "statement_timeout") == "30s"
    assert await show(db, "idle_in_transaction_session_timeout") == "10s"
    assert await show(db, "timezone") == "UTC"
    async with db.connection() as connection:
        ours = "select array_agg(name order by name) from pg_settings where source = 'client' and name = any ($1)"
        assert await connection.fetchval(ours, ["jit", "statement_timeout"]) == ["jit", "statement_timeout"]


async def test_migrations_are_not_timed(server: Server, dsn: str) -> None:
    """A connection for data definition has no statement timeout, even where the database brings one."""
    await server.execute(f'alter database "{urlsplit(dsn).path[1:]}" set statement_timeout = 1000')
    async with session(dsn) as connection:
        assert await connection.fetchval("select current_setting('statement_timeout')") == "0"


async def test_transaction_commits_or_rolls_back(db: Database) -> None:
    """What a transaction wrote is there after its end, and gone after an exception, which passes through untouched."""
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    async with db.transaction() as connection:
        kept = await ensure_tenant(connection, name="kept")
    failure = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError) as caught:
        await write_and_fail(db, failure)
    assert caught.value is failure
    async with db.connection() as connection:
        assert await connection.fetchval("select array_agg(name order by id) from tenant") == ["public", "kept"]
    assert await ensure_tenant(db, name="kept") == kept
    assert await all_idle(db)
    asyncio.get_running_loop().set_exception_handler(None)
    assert complaints == []  # as the pool would, of a transaction that came back open


async def write_and_fail(db: Database, failure: Exception) -> None:
    """A transaction that writes and then raises."""
    async with db.transaction() as connection:
        await ensure_tenant(connection, name="lost")
        raise failure


async def test_cancelled_calls_leak_nothing(narrow: Database) -> None:
    """Calls cancelled at any point, from the wait for a connection to the commit, leave a whole pool behind."""

    async def write(number: int) -> None:
        async with narrow.transaction() as connection:
            await ensure_tenant(connection, name=f"t{number}")

    finished = cancelled = 0
    for turns in range(1, 60):
        tasks = [asyncio.create_task(write(number)) for number in range(4)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(one is None or isinstance(one, asyncio.CancelledError) for one in results), results
        finished += results.count(None)
        cancelled += len(results) - results.count(None)
        assert await all_idle(narrow)
    assert cancelled > 50


async def test_cancelled_statement_ends_in_the_server(db: Database) -> None:
    """A call cancelled while its statement waits in the server ends the statement, and gives its connection back."""
    waiting = "select count(*) from pg_locks where locktype = 'relation' and not granted"
    async with db.connection() as holder:
        await holder.execute("begin; lock table tenant in access exclusive mode")
        tasks = [asyncio.create_task(ensure_tenant(db, name=f"t{number}")) for number in range(3)]
        while await holder.fetchval(waiting) < 3:
            assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*tasks, return_exceptions=True)
        )
        assert await holder.fetchval(waiting) == 0
        await holder.execute("rollback")
    assert await all_idle(db)


async def test_twice_cancelled_transaction_is_not_handed_on(narrow: Database) -> None:
    """A transaction cancelled again while it rolls back is not open any more for the next call on its connection."""
    async with narrow.connection():
        for turns in range(8):
            entered = asyncio.Event()
            task = asyncio.create_task(write_and_wait(narrow, entered))
            await entered.wait()
            task.cancel()
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            async with narrow.connection() as after:
                assert not after.is_in_transaction()
                assert await after.fetchval("select count(*) from tenant where name = 'half'") == 0


async def write_and_wait(db: Database, entered: asyncio.Event) -> None:
    """A transaction that has written and then waits for ever."""
    async with db.transaction() as connection:
        await ensure_tenant(connection, name="half")
        entered.set()
        await asyncio.Event().wait()


async def test_local_settings_end_with_their_statement(db: Database) -> None:
    """What a statement sets for itself is gone after it, also for the next caller of the connection."""
    async with db.connection() as connection:
        await connection.execute("load 'vector'")
        default = await connection.fetchval("select current_setting('hnsw.ef_search')")
        seen = "select set_config('hnsw.ef_search', '77', true), current_setting('hnsw.ef_search')"
        assert tuple(await connection.fetchrow(seen) or ()) == ("77", "77")
        assert await connection.fetchval("select current_setting('hnsw.ef_search')") == default == "40"


async def test_known_constraint_becomes_its_error(db: Database) -> None:
    """A constraint named beside a statement raises the error that it means, any other the driver's."""
    given = rows_of(new_job(0, external_id="a"), new_job(1, external_id="b"))
    made = await upsert_jobs(db, tenant_id=1, rows=given, replace=True, now=NOW, traceparent=None)
    row = Json(rows_of(new_job(external_id="a"))[1:-1])
    with pytest.raises(Conflict) as caught:
        await update_job(db, tenant_id=1, job_id=made[1].job_id or 0, row=row, now=NOW, traceparent=None)
    assert caught.value.code == "job_exists"
    with pytest.raises(asyncpg.CheckViolationError) as passed:
        await ensure_tenant(db, name="Not Allowed")
    assert passed.value.constraint_name == "tenant_name_check"


@pytest.mark.parametrize("given", [{"most": 2**70}, {"most": "text"}, {"most": -1}, {}])
async def test_wrong_value_is_no_outage(db: Database, given: dict[str, int]) -> None:
    """A value that does not fit its parameter, or a parameter that is missing, is a fault of ours and shows as one."""
    with pytest.raises((asyncpg.DataError, KeyError)):
        await count_by_source(db, tenant_id=1, **given)


async def test_misused_connection_is_no_outage(db: Database) -> None:
    """Two statements at once on one connection are a fault of ours, not of the database."""
    async with db.connection() as connection:
        results = await asyncio.gather(check_database(connection), check_database(connection), return_exceptions=True)
    assert sorted(type(one).__name__ for one in results) == ["InterfaceError", "Versions"]


async def test_estimate_explains_without_running(db: Database) -> None:
    """The planner's estimate of a statement comes back as a number, on a pool and on a connection."""
    rows = await estimate_rows(db, list_jobs, tenant_id=1, before=None, keyword=None, now=NOW, count=7, **NO_FILTER)
    assert 1 <= rows <= 7
    async with db.connection() as connection:
        again = await estimate_rows(
            connection, list_jobs, tenant_id=1, before=None, keyword=None, now=NOW, count=7, **NO_FILTER
        )
    assert again == rows


async def test_statement_without_a_row_gives_none(db: Database) -> None:
    """A statement declared to give nothing gives None, so does one whose single row is missing; a list is empty."""
    assert await lock_unchanged(db, lease=uuid4(), job_ids=[1], text_hashes=[b""]) == []
    nothing = await renew_lease(db, lease=uuid4(), lease_s=1.0)  # type: ignore[func-returns-value] # the claim itself
    assert nothing is None
    async with db.connection() as connection:
        await connection.execute("drop extension vector cascade")
        assert await check_database(connection) is None
