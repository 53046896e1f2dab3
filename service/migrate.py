"""Brings the schema up and down: ordered files, checksummed, one process at a time."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from service.db import Connection, session, sql_root
from service.db_errors import migrating
from service.errors import DatabaseUnavailable, SchemaError
from service.telemetry.logs import get_logger

log = get_logger(__name__)

LOCK = 7261634500
"""The advisory lock of migrations: an arbitrary number that nothing else in this schema uses."""

LOCK_S = 2.0
"""How long a migration waits for the lock of a table. Requests that come later wait behind it, and can, up to 5 s."""
PAUSE_S = 3.0
"""Then it lets them through for this time, and tries again."""
PATIENCE_S = 45 * 60.0
"""Until it has tried for so long: an export may read for half an hour."""

_AGAIN = ("lock_timeout", "deadlock")
_FILE = re.compile(r"(?P<number>[0-9]{4})_(?P<name>[a-z0-9_]+)\.up\.sql")
_CREATE = """
create table if not exists schema_migration (
    number integer not null,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    constraint schema_migration_pkey primary key (number)
)
"""


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema; `checksum` is the SHA-256 of its way up."""

    number: int
    name: str
    up: str
    down: str
    checksum: str

    @property
    def label(self) -> str:
        """Number and name, as its files are called."""
        return f"{self.number:04}_{self.name}"


class Applied(msgspec.Struct, frozen=True):
    """A migration with whether this database has it."""

    migration: Migration
    applied: bool


def read_migrations(folder: Path | None = None) -> list[Migration]:
    """Every migration in order; raises SchemaError when a number is missing or a way down is."""
    folder = folder or sql_root() / "migrations"
    found = []
    for path in sorted(folder.glob("*.up.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise SchemaError(f"{path.name} is not named like 0001_name.up.sql")
        down = path.with_name(path.name.replace(".up.sql", ".down.sql"))
        if not down.is_file():
            raise SchemaError(f"{path.name} has no {down.name}")
        up = path.read_text(encoding="utf-8")
        checksum = sha256(up.encode()).hexdigest()
        found.append(Migration(int(match["number"]), match["name"], up, down.read_text(encoding="utf-8"), checksum))
    if [one.number for one in found] != list(range(1, len(found) + 1)):
        raise SchemaError(f"the migrations in {folder.name}/ are not numbered 1, 2, 3, ...")
    return found


async def migrate_up(dsn: str, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """Apply what is missing, each in a transaction of its own; answers what was applied. Safe from two processes."""
    migrations = read_migrations() if migrations is None else migrations
    async with _locked(dsn) as connection:
        missing = [one.migration for one in await _compare(connection, migrations) if not one.applied]
        for migration in missing:
            noted = (
                "insert into schema_migration (number, name, checksum) values ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.checksum,
            )
            await _change(connection, f"{migration.label}.up.sql", migration.up, *noted)
            log.info("migration.applied", number=migration.number, name=migration.name)
    return missing


async def migrate_down(dsn: str, to: int, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """Take back every migration above number `to`, the last first; answers what was taken back."""
    migrations = read_migrations() if migrations is None else migrations
    async with _locked(dsn) as connection:
        applied = [one.migration for one in await _compare(connection, migrations) if one.applied]
        undone = [migration for migration in reversed(applied) if migration.number > to]
        for migration in undone:
            noted = ("delete from schema_migration where number = $1", migration.number)
            await _change(connection, f"{migration.label}.down.sql", migration.down, *noted)
            log.info("migration.undone", number=migration.number, name=migration.name)
        if not await connection.fetchval("select exists (select from schema_migration)"):
            await connection.execute("drop table schema_migration")
    return undone


async def _change(connection: Connection, script: str, text: str, *noted: Any) -> None:
    """Run a script and note it, in one transaction; wait for its locks in turns with whoever serves."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with migrating(script, connection):
                async with connection.transaction():
                    await connection.execute(f"set local lock_timeout = '{LOCK_S:g}s'")
                    await connection.execute(text)
                    await connection.execute(*noted)
        except DatabaseUnavailable as error:
            if error.reason not in _AGAIN or time.monotonic() > deadline:
                raise
            log.warning("migration.waiting", script=script, wait_s=PAUSE_S)
            await asyncio.sleep(PAUSE_S)
        else:
            return


@asynccontextmanager
async def _locked(dsn: str) -> AsyncIterator[Connection]:
    """A connection that has the lock of migrations and the table of those that are applied."""
    async with session(dsn) as connection:
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        await connection.execute(_CREATE)
        yield connection


async def status(dsn: str) -> list[Applied]:
    """Every migration, and whether it is applied."""
    async with session(dsn) as connection:
        return await _compare(connection, read_migrations())


async def require_current(dsn: str) -> None:
    """Raise SchemaError, with the names, when the schema is not the one that this build was made for."""
    missing = [one.migration for one in await status(dsn) if not one.applied]
    if missing:
        names = ", ".join(one.label for one in missing)
        raise SchemaError(f"the schema lacks {names}: run `jobsense migrate up`, or set JOBSENSE_MIGRATE_ON_START=on")


async def _compare(connection: Connection, migrations: Sequence[Migration]) -> list[Applied]:
    exists = await connection.fetchval("select to_regclass('schema_migration') is not null")
    rows = await connection.fetch("select number, name, checksum from schema_migration") if exists else []
    known = {migration.number: migration for migration in migrations}
    for row in rows:
        ours = known.get(row["number"])
        if ours is None:
            raise SchemaError(
                f"the database has migration {row['number']:04}_{row['name']}, which this build does not know: "
                "it belongs to a newer version of JobSense"
            )
        if ours.checksum != row["checksum"]:
            raise SchemaError(f"{ours.label}.up.sql was changed after it was applied to this database")
    done = {row["number"] for row in rows}
    return [Applied(migration, migration.number in done) for migration in migrations]
