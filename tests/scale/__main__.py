"""`make scale`: recall, time, sizes and builds at several numbers of postings, on a database of its own that stays."""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from pgvector.asyncpg import register_vector

from service.embedded.server import EmbeddedPostgres
from service.migrate import migrate_up
from tests.bench.fill import fill
from tests.cli.conftest import environment
from tests.load.stack import Program
from tests.scale import model, report
from tests.scale.building import AMPLE_MB, BINARY, HELPERS, INDEX, SCANT_MB, build
from tests.scale.looking import EFS, Queries, look_as_the_service, look_at_all, look_by_bits, look_by_index
from tests.scale.model import Build, Step

SIZES = (20_000, 60_000)
QUERIES = 200
MANY, FEW = 100_000, 20_000
"""Past so many the index of vectors is built once, by the filling, and not again to see its memory; up to so many it is
built without room too, which takes many times as long."""
STAGES = ("fill", "scant", "build", "look")
GB = 2**30


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stdout.write(f"== {line}\n")
    sys.stdout.flush()


@asynccontextmanager
async def embedder(folder: Path) -> AsyncIterator[str]:
    """The model server that a generation is made for; its address."""
    program = Program("embedder", ["tests.bench.embedder"], folder=folder, env=environment(folder))
    try:
        yield (await program.said(r"(http://\S+)\n"))[1]
    finally:
        await asyncio.to_thread(program.stop)


async def database_of(server: EmbeddedPostgres, postings: int) -> str:
    """The database with so many postings, made from the next smaller one where there is one; its address."""
    admin = await asyncpg.connect(server.dsn_of("postgres"))
    try:
        rows = await admin.fetch("select datname from pg_database where datname like 'scale%'")
        there = sorted(int(row["datname"].removeprefix("scale")) for row in rows)
        if postings not in there:
            smaller = [size for size in there if size < postings]
            template = f" template scale{smaller[-1]}" if smaller else ""
            await admin.execute(f"create database scale{postings}{template}", timeout=600)
    finally:
        await admin.close()
    dsn = server.dsn_of(f"scale{postings}")
    await migrate_up(dsn)
    return dsn


async def grow(dsn: str, step: Step, folder: Path) -> None:
    """Fill the database up, which builds the index of vectors as well."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"drop index if exists {BINARY}")  # of the smaller database that this one was made from
    await connection.close()
    async with embedder(folder) as address:
        took = await fill(dsn, address, step.postings, say)
    connection = await asyncpg.connect(dsn)
    try:
        step.shared_buffers = await connection.fetchval("show shared_buffers")
        step.table_bytes = int(await connection.fetchval("select pg_table_size('passage_g1')"))
        step.database_bytes = int(await connection.fetchval("select pg_database_size(current_database())"))
        if (seconds := took.get(f"{INDEX}_s")) is not None:
            size = int(await connection.fetchval("select pg_relation_size($1::text::regclass)", INDEX))
            step.builds = [Build("halfvec", seconds, size, AMPLE_MB, HELPERS)]
    finally:
        await connection.close()


async def build_all(dsn: str, step: Step) -> None:
    """The other builds; the index of vectors is in the end as it was."""
    wanted: dict[str, tuple[str, int, int]] = {"bits": (BINARY, AMPLE_MB, 0)}
    if step.postings <= MANY:
        wanted |= {"halfvec, one process": (INDEX, AMPLE_MB, 0), "halfvec": (INDEX, AMPLE_MB, HELPERS)}
    await _build(dsn, step, wanted)


async def build_without_room(dsn: str, step: Step) -> None:
    """What a build takes whose graph does not fit into maintenance_work_mem, where that is bearable."""
    if step.postings <= FEW:
        await _build(dsn, step, {"halfvec, without room": (INDEX, SCANT_MB, 0)})


async def _build(dsn: str, step: Step, wanted: Mapping[str, tuple[str, int, int]]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for name, (index, maintenance_mb, helpers) in wanted.items():
            built = await build(connection, index, name, maintenance_mb=maintenance_mb, helpers=helpers)
            step.builds = [one for one in step.builds if one.name != name] + [built]
            say(f"{step.postings:,}: {name} built in {built.seconds:.1f} s")
        await connection.execute("vacuum analyze passage_g1", timeout=600)
    finally:
        await connection.close()


async def look(dsn: str, step: Step, queries: int) -> None:
    """Every way to look, in this database."""
    asked = Queries(queries)
    connection = await asyncpg.connect(dsn, server_settings={"jit": "off"})
    try:
        await register_vector(connection)
        step.looks = [await look_at_all(connection, asked)]
        for ef in EFS:
            step.looks += [await look_by_index(connection, asked, ef), await look_by_bits(connection, asked, ef)]
    finally:
        await connection.close()
    step.looks = sorted(step.looks, key=lambda one: one.name) + await look_as_the_service(dsn, asked)


async def run(options: argparse.Namespace) -> None:
    """Do what was asked for, size by size, and write the report of all that is known. SIGTERM ends it in order."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    folder: Path = options.folder
    async with EmbeddedPostgres(folder / "postgres", memory=int(options.memory_gb * GB)) as server:
        for postings in sorted(options.sizes):
            step = model.load(folder, postings)
            dsn = await database_of(server, postings)
            if "fill" in options.only:
                await grow(dsn, step, folder)
                model.save(folder, step)
            if "scant" in options.only:
                await build_without_room(dsn, step)
                model.save(folder, step)
            if "build" in options.only:
                await build_all(dsn, step)
                model.save(folder, step)
            if "look" in options.only:
                await look(dsn, step, options.queries)
                model.save(folder, step)
                say(f"{postings:,}: looked")
    if steps := [step for step in model.every(folder) if step.looks]:
        say(f"the report: {report.write(steps, folder)}")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="make scale", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of postings, as in 20000 200000")
    parser.add_argument(
        "--folder",
        type=lambda given: Path(given).resolve(),
        default=".make/scale",
        help="database, figures and report; stays between runs",
    )
    parser.add_argument("--only", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--memory-gb", type=float, default=8.0, help="what the database server is set up for")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
