"""Commands on embedding tasks that were set aside."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click
import msgspec
from rich.table import Table

from service.config import read
from service.db import Database
from service.embedding import queries
from service.embedding.model import FailedTask, TraceOfJob
from service.errors import OperatorError
from service.shell.running import parts_of, run
from service.shell.terminal import one_line, printer

BATCH = 5_000
"""Tasks put back by one statement: a million of them lock no more rows than these at a time."""
MOST_LISTED = 10_000
MOST_ID = 2**63 - 1


@click.group(epilog="Example: jobsense tasks list")
def tasks() -> None:
    """Show postings whose embedding was given up, or try them again, or tell which trace embedded one."""


@tasks.command("list", epilog="Example: jobsense tasks list --limit 20")
@click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1, MOST_LISTED), help="How many tasks at most."
)
def list_tasks(limit: int) -> None:
    """List what was set aside and why, the longest ago first (JSON when piped)."""

    async def work() -> tuple[list[FailedTask], int]:
        async with parts_of(read()) as parts:
            listed = await queries.list_failed_tasks(parts.db, count=limit)
            if len(listed) < limit:
                return listed, len(listed)
            return listed, (await queries.fetch_backlog(parts.db, now=datetime.now(UTC))).failed

    found, total = run(work())
    if total > len(found):
        click.echo(f"{len(found):,} of {total:,}", err=True)
    if not sys.stdout.isatty():
        click.echo(msgspec.json.encode(found).decode())
        return
    table = Table("job", "tenant", "source", "external id", "title", "reason", "strikes", "attempts", "failed")
    for task in found:
        texts = (task.tenant, task.source, task.external_id or "", task.title, task.reason or "")
        failed = task.failed_at.isoformat(timespec="seconds")
        table.add_row(str(task.job_id), *map(one_line, texts), str(task.strikes), str(task.attempts), failed)
    printer().print(table)


@tasks.command(epilog="Example: jobsense tasks retry 17 18")
@click.option("--all", "everything", is_flag=True, help="Everything that was set aside before now.")
@click.argument("job_ids", nargs=-1, metavar="[JOB_ID]...", type=click.IntRange(1, MOST_ID))
@click.pass_context
def retry(context: click.Context, everything: bool, job_ids: tuple[int, ...]) -> None:
    """Put back what was set aside, as if it were new; the worker takes it at once."""
    if everything == bool(job_ids):
        raise click.UsageError("name the postings, or give --all")

    async def work() -> tuple[int, list[int]]:
        async with parts_of(read()) as parts:
            return (await retry_all(parts.db), []) if everything else await retry_some(parts.db, job_ids)

    put_back, missing = run(work())
    click.echo(f"put back {put_back:,} {'task' if put_back == 1 else 'tasks'}")
    if missing:
        click.echo(f"jobsense: not set aside: {', '.join(map(str, missing))}", err=True)
        context.exit(1)


@tasks.command(epilog="Example: jobsense tasks trace 17")
@click.argument("job_id", type=click.IntRange(1, MOST_ID))
def trace(job_id: int) -> None:
    """Tell which trace embedded a posting, as JSON; its links lead on to the request that wrote it."""

    async def work() -> TraceOfJob | None:
        async with parts_of(read()) as parts:
            return await queries.fetch_trace(parts.db, job_id=job_id)

    if (found := run(work())) is None:
        raise OperatorError(f"there is no posting {job_id}")
    click.echo(msgspec.json.encode(found).decode())


async def retry_all(db: Database, *, batch: int = BATCH) -> int:
    """Put back everything that was set aside before now; how many tasks that were."""
    until, after_failed_at, after_job_id, done = await queries.fetch_time(db), None, None, 0
    while found := await queries.retry_failed_tasks(
        db, until=until, after_failed_at=after_failed_at, after_job_id=after_job_id, count=batch
    ):
        after_failed_at, after_job_id = found[-1].failed_at, found[-1].job_id
        done += len(found)
    return done


async def retry_some(db: Database, job_ids: Sequence[int]) -> tuple[int, list[int]]:
    """Put back the tasks of these postings; how many, and the postings that have no task set aside.

    One by one: who holds a single row while waiting for none can be part of no deadlock.
    """
    put_back = {job_id: await queries.retry_failed_task(db, job_id=job_id) for job_id in dict.fromkeys(job_ids)}
    missing = [job_id for job_id, done in put_back.items() if done is None]
    return len(put_back) - len(missing), missing


COMMANDS = (tasks,)
