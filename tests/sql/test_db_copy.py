"""COPY behind a stream: the reader sets the pace, its end is the end of the statement, and values stay values."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import service.db_copy
from service.db import STATEMENTS, Database, session
from service.db_copy import copy_out, reading, without_comments
from service.errors import DatabaseUnavailable
from service.export import queries
from service.telemetry.stages import task_record
from tests.sql.probes import all_idle

FILTERS = [name for name, _ in STATEMENTS["export.list_lines"].parameters]
GIVEN: dict[str, Any] = dict.fromkeys(FILTERS) | {"tenant_id": 1, "now": datetime.now(UTC), "unpriced": False}
ROWS = 3500
FILL = f"""
insert into job (
    tenant_id, source, title, company, company_key, description, content_hash, text_hash, created_at, updated_at
)
select 1, 's', 'Cook ' || n, 'Afya', 'afya', repeat('x', 2000), '', '', now(), now() from generate_series(1, {ROWS}) n
"""  # noqa: S608 - a number of ours
COPYING = (
    "select count(*) from pg_stat_activity"
    " where query like 'COPY%' and state = 'active' and datname = current_database()"
)


@pytest.fixture
async def wide(dsn: str) -> AsyncIterator[Database]:
    """A pool of two on postings of seven megabytes, more than all buffers on the way to a reader hold."""
    async with session(dsn) as connection:
        await connection.execute(FILL)
    opened = await Database.open(dsn, max_size=2, statement_timeout_s=0.3)
    yield opened
    await opened.close()


async def lines(db: Database, write: Callable[[bytes], Awaitable[None]], *, within_s: float = 60) -> int:
    """Copy all postings as the export does."""
    async with reading(db) as connection:
        await queries.take_time(connection, timeout_ms=int(within_s * 1000))
        return await copy_out(connection, queries.list_lines, write, layout="lines", within_s=within_s, **GIVEN)


class Reader:
    """Takes pieces while it is let, and keeps them."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.came = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def write(self, piece: bytes) -> None:
        """Take a piece, once it may go on."""
        self.came.set()
        await self.goes_on.wait()
        self.pieces.append(piece)


@asynccontextmanager
async def outside(dsn: str) -> AsyncIterator[Callable[[str], Awaitable[Any]]]:
    """Ask the server from a connection that is not of the pool."""
    async with session(dsn) as connection:
        yield connection.fetchval


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it holds."""
    async with asyncio.timeout(20):
        while not await holds():
            pass


async def test_the_server_waits_for_a_reader_that_waits(wide: Database, dsn: str) -> None:
    """While a piece is not taken nothing more is read, PostgreSQL waits, and no time limit of the pool ends it.

    The rows are those of the moment when it began, whatever is written meanwhile.
    """
    reader = Reader()
    copying = asyncio.create_task(lines(wide, reader.write))
    await reader.came.wait()
    async with outside(dsn) as ask:
        waits = f"{COPYING} and wait_event = 'ClientWrite' and now() - query_start > interval '0.4 s'"

        async def waiting() -> bool:
            return bool(await ask(waits) == 1)

        await until(waiting)
        await ask("with gone as (delete from job where id < 1000 returning 1) select count(*) from gone")
        assert reader.pieces == []
        reader.goes_on.set()
        rows = await copying
        assert rows == b"".join(reader.pieces).count(b"\n") == ROWS
        assert max(map(len, reader.pieces)) < 400_000
        assert await ask("select count(*) from job where tenant_id = 1") < rows


@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_the_end_of_the_reader_is_the_end_of_the_statement(wide: Database, dsn: str, how: str) -> None:
    """Broken off at any piece, the statement ends in the server, its locks go, and the pool is whole."""
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    for pieces in range(1, 13):
        reader = Reader()
        left = pieces

        async def write(piece: bytes, reader: Reader = reader) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                reader.came.set()
                if how == "failed":
                    raise ZeroDivisionError
                await reader.goes_on.wait()
            assert piece

        copying = asyncio.create_task(lines(wide, write))
        await asyncio.wait({copying, asyncio.create_task(reader.came.wait())}, return_when=asyncio.FIRST_COMPLETED)
        copying.cancel() if how == "cancelled" else None
        with pytest.raises((asyncio.CancelledError, ZeroDivisionError)):
            await copying
        assert await all_idle(wide)
    async with outside(dsn) as ask:
        assert await ask(COPYING) == 0
        assert await ask("select count(*) from pg_locks where relation = 'job'::regclass") == 0
    asyncio.get_running_loop().set_exception_handler(None)
    assert complaints == []


async def test_the_trace_tells_rows_and_bytes(wide: Database) -> None:
    """The stage of a copy has what was copied, and of one that was broken off how much of it."""
    reader = Reader()
    reader.goes_on.set()
    with task_record("test") as record:
        await lines(wide, reader.write)
        with pytest.raises(DatabaseUnavailable):
            await lines(wide, Reader().write, within_s=0.2)
    whole, part = [noted for noted in record.stages if noted.name == "copy"]
    summary = {"db.query.summary": "export.list_lines"}
    size = sum(map(len, reader.pieces))
    assert whole.attributes == summary | {"db.response.returned_rows": ROWS, "jobsense.export.bytes": size}
    assert part.attributes == summary | {"jobsense.export.bytes": part.attributes["jobsense.export.bytes"]}
    assert 0 < int(part.attributes["jobsense.export.bytes"]) < size
    assert (whole.error_type, part.error_type) == ("", "TimeoutError")


async def test_it_takes_no_longer_than_it_may(wide: Database) -> None:
    """Past its time a copy ends, also while its reader takes nothing, with a connection that is good again."""
    reader = Reader()
    with pytest.raises(DatabaseUnavailable) as caught:
        await lines(wide, reader.write, within_s=0.2)
    assert reader.came.is_set()
    assert caught.value.reason == "statement_timeout"
    assert await all_idle(wide)


async def test_a_silent_database_is_not_waited_for(wide: Database, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing comes for too long the copy ends as unavailable, and waits for its lock no more."""
    monkeypatch.setattr(service.db_copy, "SILENCE_S", 0.1)
    async with session(dsn) as holder, holder.transaction():
        await holder.execute("lock table embedded")
        with pytest.raises(DatabaseUnavailable) as caught:
            await lines(wide, Reader().write)
        assert await holder.fetchval("select count(*) from pg_locks where not granted") == 0
    assert caught.value.reason == "statement_timeout"
    assert await all_idle(wide)


async def test_a_lost_connection_is_named(wide: Database, dsn: str) -> None:
    """A server that ends the connection midway makes the database unavailable, and the pool gets another one."""
    reader = Reader()
    copying = asyncio.create_task(lines(wide, reader.write))
    await reader.came.wait()
    async with outside(dsn) as ask:
        ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like 'COPY%'"
        assert await ask(f"{ended} and pid <> pg_backend_pid()") == 1
    reader.goes_on.set()
    with pytest.raises(DatabaseUnavailable):
        await copying
    assert await all_idle(wide)


async def test_a_connection_that_cannot_be_rolled_back_is_cut(wide: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not come back in order does not come back into the pool."""
    monkeypatch.setattr(service.db_copy, "ROLLBACK_S", 0.0)
    async with reading(wide) as connection:
        first = await connection.fetchval("select pg_backend_pid()")
    async with wide.connection() as connection:
        assert await connection.fetchval("select pg_backend_pid()") != first
    assert await all_idle(wide)


async def test_nothing_can_be_written(wide: Database) -> None:
    """The transaction of a copy is read-only, whatever a statement tries."""
    async with reading(wide) as connection:
        assert await connection.fetchval("select current_setting('transaction_read_only')") == "on"


def test_comments_go_before_values_come(tmp_path: Path) -> None:
    """In a comment a value with a line break would end the comment; so no comment is left, and no string is touched."""
    text = "-- Names.\n-- $1 name text: of whom\nselect '--$' || \"a--b\" -- $1, as it is\nfrom job where title = $1\n"
    path = tmp_path / "sample.sql"
    path.write_text(text)
    assert without_comments(path) == "\n\nselect '--$' || \"a--b\" \nfrom job where title = $1\n"
    for statement in ("export.list_cells", "export.list_lines"):
        assert "--" not in without_comments(STATEMENTS[statement].path)


@pytest.mark.parametrize(
    "text", ["select /* $1 */ 1", "select $$a$$", "select '$1'", "select e'\\'' || $1", 'select "$1"']
)
def test_text_that_could_hide_a_value_is_refused(tmp_path: Path, text: str) -> None:
    """Whatever the scan for comments cannot see through does not go into a COPY."""
    path = tmp_path / "sample.sql"
    path.write_text(text)
    with pytest.raises(ValueError, match="cannot be part of a statement that is copied"):
        without_comments(path)
