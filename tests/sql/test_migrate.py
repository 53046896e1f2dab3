"""Migrations: in order, once, one process at a time, never on a schema that they do not know, and all or nothing."""

import asyncio
import sys
from pathlib import Path

import asyncpg
import pytest

from service.errors import DatabaseUnavailable, SchemaError, SettingError
from service.migrate import Migration, migrate_down, migrate_up, read_migrations, require_current, status
from service.schema_dump import dump_schema
from tests.conftest import Server

ROOT = Path(__file__).parents[2]
FIRST = Migration(1, "first", "create table first (id integer)", "drop table first", "c1")
SECOND = Migration(2, "second", "create table second (id integer)", "drop table second", "c2")
BROKEN = Migration(3, "broken", "create table third (id integer); select 1 / 0", "drop table third", "c3")
MIGRATE = """
import asyncio, sys
from service.migrate import migrate_up
print(",".join(one.label for one in asyncio.run(migrate_up(sys.argv[1]))), file=sys.stderr)
"""
LEFT_OVER = """
select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace
union all select p.proname from pg_proc p where p.pronamespace = 'public'::regnamespace
union all select t.typname from pg_type t where t.typnamespace = 'public'::regnamespace
union all select extname from pg_extension where extname <> 'plpgsql'
union all select nspname from pg_namespace where nspname !~ '^(pg_|public$|information_schema$)'
"""


async def fetch(dsn: str, text: str, *arguments: object) -> list[object]:
    """The first column of a query on a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch(text, *arguments)]
    finally:
        await connection.close()


async def tables(dsn: str) -> list[object]:
    """The names of the tables there are."""
    return await fetch(dsn, "select tablename from pg_tables where schemaname = 'public' order by 1")


async def test_up_twice_applies_once(empty_dsn: str) -> None:
    """The first run applies everything in order, the second nothing; afterwards the schema is current."""
    applied = await migrate_up(empty_dsn)
    assert applied == read_migrations()
    assert await migrate_up(empty_dsn) == []
    await require_current(empty_dsn)
    assert all(one.applied for one in await status(empty_dsn))
    assert await fetch(empty_dsn, "select checksum from schema_migration order by number") == [
        one.checksum for one in applied
    ]


async def test_processes_at_once_apply_once(empty_dsn: str) -> None:
    """Of several processes that start on an empty database, one applies each migration, and none fails."""
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, empty_dsn, cwd=ROOT, stderr=asyncio.subprocess.PIPE, stdout=-3
        )
        for _ in range(3)
    ]
    said = [(await process.communicate())[1].decode().splitlines() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    assert sorted(lines[-1] for lines in said) == ["", "", ",".join(one.label for one in read_migrations())]
    await require_current(empty_dsn)


async def test_second_process_waits_for_the_first(empty_dsn: str) -> None:
    """While one process migrates, another waits; then it finds everything done."""
    first = await asyncpg.connect(empty_dsn)
    await first.execute("select pg_advisory_lock(7261634500)")
    second = asyncio.create_task(migrate_up(empty_dsn, [FIRST]))
    while not await first.fetchval("select count(*) from pg_locks where locktype = 'advisory' and not granted"):
        assert not second.done()
    assert await tables(empty_dsn) == []
    await first.close()
    assert await second == [FIRST]


async def test_changed_migration_is_refused_by_name(empty_dsn: str) -> None:
    """A migration whose text is not what was applied is refused, in both directions, and nothing is touched."""
    await migrate_up(empty_dsn, [FIRST])
    changed = Migration(1, "first", "create table other (id integer)", "drop table first", "changed")
    for attempt in (migrate_up(empty_dsn, [changed, SECOND]), migrate_down(empty_dsn, 0, [changed])):
        with pytest.raises(SchemaError, match=r"0001_first\.up\.sql was changed after it was applied"):
            await attempt
    assert await tables(empty_dsn) == ["first", "schema_migration"]


async def test_newer_database_is_refused_by_name(empty_dsn: str) -> None:
    """A database of a newer build is left alone, and its migration named."""
    await migrate_up(empty_dsn, [FIRST, SECOND])
    with pytest.raises(SchemaError, match=r"0002_second, which this build does not know.*newer version"):
        await migrate_up(empty_dsn, [FIRST])
    with pytest.raises(SchemaError, match="0002_second"):
        await migrate_down(empty_dsn, 0, [FIRST])


async def test_missing_migrations_are_named(empty_dsn: str) -> None:
    """A schema that is behind is refused with the names of what it lacks and the way out; looking changes nothing."""
    with pytest.raises(SchemaError) as caught:
        await require_current(empty_dsn)
    assert all(one.label in caught.value.detail for one in read_migrations())
    assert "jobsense migrate up" in caught.value.detail
    assert [one.applied for one in await status(empty_dsn)] == [False] * len(read_migrations())
    assert await tables(empty_dsn) == []


async def test_failing_migration_rolls_back_and_names_itself(empty_dsn: str) -> None:
    """Of a migration that fails nothing stays, those before it stay, and the error says which and why."""
    with pytest.raises(SchemaError, match=r"0003_broken\.up\.sql was refused .*division by zero"):
        await migrate_up(empty_dsn, [FIRST, SECOND, BROKEN])
    assert await tables(empty_dsn) == ["first", "schema_migration", "second"]
    mended = Migration(3, "broken", "create table third (id integer)", "drop table third", "c4")
    assert await migrate_up(empty_dsn, [FIRST, SECOND, mended]) == [mended]


async def test_a_migration_lets_requests_through_while_it_waits(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an export reads a table, a migration that changes it neither happens nor keeps others from reading."""
    monkeypatch.setattr("service.migrate.LOCK_S", 0.1)
    monkeypatch.setattr("service.migrate.PAUSE_S", 0.05)
    await migrate_up(empty_dsn, [FIRST])
    wider = Migration(
        2, "wider", "alter table first add column more integer", "alter table first drop column more", "c2"
    )
    reading, asking = await asyncpg.connect(empty_dsn), await asyncpg.connect(empty_dsn, command_timeout=10)
    await reading.execute("begin; select from first")
    migrating = asyncio.create_task(migrate_up(empty_dsn, [FIRST, wider]))
    waiting = "select count(*) from pg_locks where relation = 'first'::regclass and not granted"
    for _ in range(3):
        while not await asking.fetchval(waiting):
            assert not migrating.done()
        assert await asking.fetch("select from first") == []
    await reading.execute("commit")
    assert await migrating == [wider]
    await reading.close()
    await asking.close()


async def test_a_migration_that_gets_no_lock_gives_up(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its patience it fails by its reason, up and down, and nothing of it is kept; later it works."""
    for name, value in {"LOCK_S": 0.05, "PAUSE_S": 0.01, "PATIENCE_S": 0.1}.items():
        monkeypatch.setattr(f"service.migrate.{name}", value)
    await migrate_up(empty_dsn, [FIRST])
    reading = await asyncpg.connect(empty_dsn)
    await reading.execute("begin; select from first")
    wider = Migration(2, "wider", "create table second (); alter table first add column more integer", "", "c2")
    for attempt in (migrate_up(empty_dsn, [FIRST, wider]), migrate_down(empty_dsn, 0, [FIRST])):
        with pytest.raises(DatabaseUnavailable) as caught:
            await attempt
        assert caught.value.reason == "lock_timeout"
    await reading.close()
    assert await tables(empty_dsn) == ["first", "schema_migration"]
    assert await migrate_up(empty_dsn, [FIRST, wider]) == [wider]


async def test_failing_way_down_rolls_back_and_names_itself(empty_dsn: str) -> None:
    """A way down that fails keeps its migration applied and names itself."""
    stuck = Migration(2, "stuck", "create table second (id integer)", "drop table second; drop table absent", "c2")
    await migrate_up(empty_dsn, [FIRST, stuck])
    with pytest.raises(SchemaError, match=r'0002_stuck\.down\.sql was refused .*"absent" does not exist'):
        await migrate_down(empty_dsn, 0, [FIRST, stuck])
    assert await tables(empty_dsn) == ["first", "schema_migration", "second"]


async def test_down_takes_back_the_last_first(empty_dsn: str) -> None:
    """Migrations above the number go, the last first; those at or below it stay, and up brings the others back."""
    third = Migration(3, "third", "create view pair as select from first, second", "drop view pair", "c3")
    every = [FIRST, SECOND, third]
    await migrate_up(empty_dsn, every)
    assert await migrate_down(empty_dsn, 3, every) == []
    assert await migrate_down(empty_dsn, 1, every) == [third, SECOND]
    assert await tables(empty_dsn) == ["first", "schema_migration"]
    assert await migrate_up(empty_dsn, every) == [SECOND, third]


async def test_down_to_nothing_leaves_nothing(empty_dsn: str) -> None:
    """Taken back to 0, with generations made meanwhile, a database is as empty as it was; up again works."""
    before = await fetch(empty_dsn, LEFT_OVER)
    await migrate_up(empty_dsn)
    await fetch(
        empty_dsn,
        "select create_generation('p', 'm', 'd', n, 9, '', '', 9, 1, 0, 0, now()) from unnest('{8,9}'::int[]) n",
    )
    await migrate_down(empty_dsn, 0)
    assert await fetch(empty_dsn, LEFT_OVER) == before
    assert await migrate_up(empty_dsn) == read_migrations()


async def test_schema_file_is_what_the_migrations_make(dsn: str) -> None:
    """sql/schema.sql is the schema of a migrated database, to the letter, on every supported server.

    After a new migration: write `dump_schema` of a migrated database to the file.
    """
    assert (ROOT / "sql" / "schema.sql").read_text(encoding="utf-8") == await dump_schema(dsn)


async def test_schema_file_is_complete(empty_dsn: str) -> None:
    """Run on an empty database, sql/schema.sql makes that very schema."""
    written = (ROOT / "sql" / "schema.sql").read_text(encoding="utf-8")
    await fetch_script(empty_dsn, written)
    assert await dump_schema(empty_dsn) == written


async def test_dump_tells_what_the_schema_does_not_use_yet(empty_dsn: str) -> None:
    """Storage, identities that are always generated, and options of functions are part of a dump."""
    made = """
        create extension vector;
        create table wide (id integer generated always as identity, v halfvec storage plain not null);
        create function twice(n integer) returns integer language sql stable strict security definer parallel restricted
            set search_path = public as 'select 2 * n';
    """
    await fetch_script(empty_dsn, made)
    text = await dump_schema(empty_dsn)
    assert "    id integer not null generated always as identity,\n    v halfvec storage plain not null\n" in text
    assert "language sql stable strict security definer parallel restricted set search_path=public as" in text


async def fetch_script(dsn: str, text: str) -> None:
    """Run several statements on a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(text)
    finally:
        await connection.close()


async def test_dump_knows_every_kind_of_thing_there_is(dsn: str) -> None:
    """The schema holds only what the dump tells: no trigger, policy, rule, statistics object, enum or domain."""
    unknown = """
        select tgname from pg_trigger where not tgisinternal
        union all select polname from pg_policy
        union all select stxname from pg_statistic_ext
        union all select rulename from pg_rewrite r join pg_class c on c.oid = r.ev_class
            where c.relnamespace = 'public'::regnamespace and rulename <> '_RETURN'
        union all select typname from pg_type where typnamespace = 'public'::regnamespace and typtype in ('e', 'd', 'r')
        union all select relname from pg_class c
            where relnamespace = 'public'::regnamespace and relkind not in ('r', 'v', 'i')
            and not (relkind = 'S' and exists (select from pg_depend where objid = c.oid and deptype = 'i'))
    """
    assert await fetch(dsn, unknown) == []


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (["0001_a.up.sql"], "0001_a.up.sql has no 0001_a.down.sql"),
        (["first.up.sql", "first.down.sql"], "first.up.sql is not named like 0001_name.up.sql"),
        (["0002_a.up.sql", "0002_a.down.sql"], "not numbered 1, 2, 3"),
        (["0001_a.up.sql", "0001_a.down.sql", "0001_b.up.sql", "0001_b.down.sql"], "not numbered 1, 2, 3"),
    ],
)
def test_misnamed_migrations_are_refused(tmp_path: Path, files: list[str], complaint: str) -> None:
    """A migration without a way down, without a number, or with a gap or a double in the numbers is refused."""
    for name in files:
        (tmp_path / name).write_text("select 1")
    with pytest.raises(SchemaError, match=complaint):
        read_migrations(tmp_path)


def test_line_endings_are_no_change(tmp_path: Path) -> None:
    """A checkout with other line endings has the same checksums."""
    texts = {"0001_a.up.sql": b"select 1;\nselect 2;\n", "0001_a.down.sql": b"select 3;\n"}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
    (plain,) = read_migrations(tmp_path)
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.replace(b"\n", b"\r\n"))
    assert read_migrations(tmp_path) == [plain]


async def test_lost_connection_says_so(server: Server, empty_dsn: str) -> None:
    """A migration whose connection is cut raises DatabaseUnavailable, not a complaint about the migration."""
    cut = Migration(1, "cut", "select pg_terminate_backend(pg_backend_pid())", "", "c")
    with pytest.raises(DatabaseUnavailable) as caught:
        await migrate_up(empty_dsn, [cut])
    assert caught.value.reason == "unreachable"
    with pytest.raises(SettingError, match='JOBSENSE_DATABASE_URL is not usable: database "absent" does not exist'):
        await migrate_up(server.dsn_of("absent"))
