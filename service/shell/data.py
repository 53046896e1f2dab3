"""Commands on postings: ingest and search."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from service.access.queries import ensure_tenant
from service.app import Parts
from service.config import read
from service.embedding import queries as embedding_queries
from service.errors import EmbedderUnavailable
from service.ingest.domain import Ingest, Rejects, Report, rejects_path
from service.ingest.mapping import FieldMap, read_map
from service.ingest.reader import input_bytes
from service.search.model import SearchAnswer, SearchRequest
from service.shell.keys import tenant_name
from service.shell.running import parts_of, run


@click.command(epilog="Example: jobsense ingest postings.jsonl.gz   |   jobsense ingest jobs.csv --map title=Position")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--map", "given_map", help='Where fields are: a JSON or TOML file, or "title=Job Title,company=Employer".'
)
@click.option("--source", help="The source of rows that name none.")
@click.option("--tenant", default="public", show_default=True, callback=tenant_name, help="Whose postings they are.")
@click.option("--no-embed", is_flag=True, help="Store only; a worker embeds.")
@click.option("--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Where refused rows go.")
def ingest(
    file: str, given_map: str | None, source: str | None, tenant: str, no_embed: bool, rejects: Path | None
) -> None:
    """Take in a file of postings: JSON, JSONL or CSV, also gzipped; - reads standard input.

    Rows are cleaned before they are checked. What is refused goes to a rejects file with line and reason; the rest is
    stored once, however often this is run.
    """
    settings = read()
    field_map = read_map(given_map) if given_map else FieldMap()
    refused = Rejects(rejects or rejects_path(file))

    async def work() -> Report:
        async with parts_of(
            settings, application="jobsense-command" if no_embed else f"jobsense-worker:{os.getpid()}"
        ) as parts:
            working = await embedding_queries.count_workers(parts.db) > (0 if no_embed else 1)
            tenant_id = await ensure_tenant(parts.db, name=tenant)
            today = datetime.now(UTC).date()
            job = Ingest(parts.jobs, tenant_id, field_map=field_map, source=source, today=today)
            with _progress() as bar:
                reading = bar.add_task("reading", total=input_bytes(file))
                report = await job.run(file, refused, lambda _, read_bytes: bar.update(reading, completed=read_bytes))
                bar.update(reading, completed=input_bytes(file) or 1, total=input_bytes(file) or 1)
                if not no_embed:
                    await embed_all(parts, bar, wait_only=working)
            return report

    _print_report(run(work()), refused.path)


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))


async def embed_all(parts: Parts, bar: Progress, *, wait_only: bool = False) -> int:
    """Embed until no task is due, or leave it to the worker that runs elsewhere; how many texts were embedded."""
    backlog = await embedding_queries.fetch_backlog(parts.db, now=datetime.now(UTC))
    if not backlog.waiting:
        return 0
    if wait_only:
        bar.console.print(f"{backlog.waiting} postings are embedded by the worker that is running")
        return 0
    await parts.live.connect()
    embedding, done, texts = bar.add_task("embedding", total=backlog.waiting), 0, 0
    while done < backlog.waiting:
        try:
            outcome = await parts.worker.step()
        except EmbedderUnavailable as error:
            bar.console.print(f"not embedded yet: {error.detail}. They are kept, and embedded by `jobsense worker`")
            return texts
        if not outcome.claimed or outcome.retried == outcome.claimed:
            break
        done, texts = done + outcome.claimed - outcome.retried, texts + outcome.texts
        bar.update(embedding, completed=done)
    await parts.worker.keep_term_stat()
    await embedding_queries.gather_statistics(parts.db)
    return texts


def _print_report(report: Report, rejects: Path) -> None:
    if not sys.stdout.isatty():
        click.echo(msgspec.json.encode(msgspec.structs.asdict(report) | {"accepted": report.accepted}).decode())
    else:
        click.echo(
            f"read {report.read} = accepted {report.accepted} + refused {report.refused}   "
            f"(created {report.created}, updated {report.updated}, unchanged {report.unchanged})"
        )
        for name, counts in (("warning", report.warnings), ("refused", report.refusals)):
            for what, count in sorted(counts.items(), key=lambda item: -item[1]):
                click.echo(f"  {name} {count:>6}  {what}")
    if report.refused:
        click.echo(f"refused rows: {rejects}", err=True)


@click.command(epilog='Example: jobsense search "python data engineer nairobi"')
@click.argument("text")
@click.option("--top-k", type=click.IntRange(1, 100), default=10, show_default=True, help="Postings wanted.")
@click.option("--mode", type=click.Choice(["hybrid", "semantic", "lexical"]), default="hybrid", show_default=True)
@click.option("--tenant", default="public", show_default=True, callback=tenant_name, help="Whose postings.")
def search(text: str, top_k: int, mode: str, tenant: str) -> None:
    """Search by meaning: a table on a terminal, JSON when piped."""
    if not text.strip():
        raise click.BadParameter("there is nothing to search for", param_hint="TEXT")

    async def work() -> SearchAnswer:
        async with parts_of(read()) as parts:
            await parts.live.connect()
            tenant_id = await ensure_tenant(parts.db, name=tenant)
            request = msgspec.convert({"text": text.strip(), "top_k": top_k, "mode": mode}, SearchRequest)
            return await parts.searcher.search(tenant_id, request)

    answer = run(work())
    if sys.stdout.isatty():
        _print_table(answer)
    else:
        click.echo(msgspec.json.encode(answer).decode())


def _print_table(answer: SearchAnswer) -> None:
    table = Table("rank", "score", "title", "company", "place", "passage")
    for hit in answer.results:
        quoted = " ".join(hit.passage.text.split())[:120] if hit.passage else ""
        table.add_row(str(hit.rank), f"{hit.score:.3f}", hit.job.title, hit.job.company, hit.job.location or "", quoted)
    console = Console()
    console.print(table)
    more = "at least " if answer.total.relation == "at_least" else ""
    console.print(f"{more}{answer.total.value} match; {answer.mode.served}, {answer.took_ms:.1f} ms")
    if answer.degraded:
        console.print(
            f"degraded: {answer.degraded.reason}, since {answer.degraded.since.isoformat(timespec='seconds')}"
        )


COMMANDS = (ingest, search)
