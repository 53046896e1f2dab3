"""`make scale`: recall, time, sizes and builds at several numbers of postings, on a database of its own that stays."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
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
from tests.scale.building import BINARY, INDEX, SCANT_MB, build
from tests.scale.looking import EFS, Queries, look_as_the_service, look_at_all, look_by_bits, look_by_index
from tests.scale.model import Build, Step

SIZES = (20_000, 60_000)
QUERIES = 200
MANY = 100_000
"""Past this many the index is built once, by the filling, and not again to see its memory."""
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
    """Fill the database up, which builds the index of vectors."""
    async with embedder(folder) as address:
        took = await fill(dsn, address, step.postings, say)
    connection = await asyncpg.connect(dsn)
    try:
        step.shared_buffers = await connection.fetchval("show shared_buffers")
        step.table_bytes = int(await connection.fetchval("select pg_table_size('passage_g1')"))
        step.database_bytes = int(await connection.fetchval("select pg_database_size(current_database())"))
        if (seconds := took.get(f"{INDEX}_s")) is not None:
            size = int(await connection.fetchval("select pg_relation_size($1::text::regclass)", INDEX))
            helpers = int(await connection.fetchval("show max_parallel_workers"))
            step.builds = [Build("halfvec", seconds, size, 2048, min(2, helpers))]
    finally:
        await connection.close()


async def build_all(dsn: str, step: Step) -> None:
    """The other builds: by one process, to see its memory; without room; and of the bits."""
    connection = await asyncpg.connect(dsn)
    try:
        wanted = [("bits", BINARY, {})]
        if step.postings <= MANY:
            wanted[:0] = [
                ("halfvec, without room", INDEX, {"maintenance_mb": SCANT_MB}),
                ("halfvec, one process", INDEX, {}),
            ]
        for name, index, more in wanted:
            if step.build(name) is None:
                step.builds.append(await build(connection, index, name, **more))
                say(f"{step.postings:,}: {name} built in {step.builds[-1].seconds:.1f} s")
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
    """Do what was asked for, size by size, and write the report of all that is known."""
    folder: Path = options.folder
    async with EmbeddedPostgres(folder / "postgres", memory=int(options.memory_gb * GB)) as server:
        for postings in sorted(options.sizes):
            step = model.load(folder, postings)
            dsn = await database_of(server, postings)
            if "build" in options.only:
                await grow(dsn, step, folder)
                await build_all(dsn, step)
                model.save(folder, step)
            if "look" in options.only:
                await look(dsn, step, options.queries)
                model.save(folder, step)
                say(f"{postings:,}: looked")
    say(f"the report: {report.write(model.every(folder), folder)}")


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
    parser.add_argument("--only", nargs="+", choices=["build", "look"], default=["build", "look"])
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--memory-gb", type=float, default=8.0, help="what the database server is set up for")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
