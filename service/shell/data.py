"""Commands on postings: ingest and search."""

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from service.access.queries import ensure_tenant
from service.config import read
from service.errors import OperatorError
from service.ingest.domain import Ingest, Rejects, Report, rejects_path
from service.ingest.mapping import FieldMap, read_map
from service.ingest.reader import input_bytes
from service.search.model import SearchAnswer, SearchRequest
from service.shell.embedding import Embedded, count_waiting, embed_all
from service.shell.keys import tenant_name
from service.shell.progress import Progress
from service.shell.running import parts_of, run
from service.shell.terminal import one_line, printer


def _day(_context: click.Context, _parameter: click.Parameter, value: datetime | None) -> date | None:
    if value is not None and value.date() > datetime.now(UTC).date():
        raise click.BadParameter("the day is still to come")
    return None if value is None else value.date()


@click.command(epilog="Example: jobsense ingest postings.jsonl.gz   |   jobsense ingest jobs.csv --map title=Position")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--map", "given_map", help='Where fields are: a JSON or TOML file, or "title=Job Title,company=Employer".'
)
@click.option("--source", help="The source of rows that name none.")
@click.option(
    "--collected-on",
    type=click.DateTime(["%Y-%m-%d"]),
    callback=_day,
    metavar="DATE",
    help='The day on which the rows were collected (2025-06-30): it gives "Yesterday" and "2 weeks ago" a meaning.',
)
@click.option("--tenant", default="public", show_default=True, callback=tenant_name, help="Whose postings they are.")
@click.option("--no-embed", is_flag=True, help="Store only; a worker embeds.")
@click.option("--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Where refused rows go.")
def ingest(
    file: str,
    given_map: str | None,
    source: str | None,
    collected_on: date | None,
    tenant: str,
    no_embed: bool,
    rejects: Path | None,
) -> None:
    """Take in a file of postings: JSON, JSONL or CSV, also gzipped; - reads standard input.

    Rows are cleaned before they are checked. What is refused goes to a rejects file with line and reason; the rest is
    stored once, however often this is run.
    """
    settings = read()
    field_map = read_map(given_map) if given_map else FieldMap()
    refused = Rejects(_apart(file, rejects or rejects_path(file)))

    async def work() -> tuple[Report, Embedded]:
        async with parts_of(settings) as parts:
            job = Ingest(
                parts.jobs,
                await ensure_tenant(parts.db, name=tenant),
                field_map=field_map,
                source=source,
                today=datetime.now(UTC).date(),
                collected_on=collected_on,
            )
            with Progress() as bar:
                reading = bar.begin("reading", total=input_bytes(file))
                report = await job.run(file, refused, lambda so_far, done: reading.at(done, f"{so_far.read:,} rows"))
                reading.end()
                if no_embed:
                    return report, Embedded(waiting=await count_waiting(parts))
                return report, await embed_all(parts, bar)

    report, embedded = run(work())
    _print_report(report, embedded, refused.path)
    if report.rest_lost:
        raise OperatorError(f"{file} could not be read to its end ({report.rest_lost}); what came before is stored")
    if report.refused and not report.accepted:
        raise OperatorError(f"no row of {file} is a posting; {refused.path} says why")


def _apart(file: str, rejects: Path) -> Path:
    """The rejects file, which must not be the input: it would be emptied before it is read."""
    if file != "-" and rejects.exists() and rejects.samefile(file):
        raise click.BadParameter(f"{rejects} is the input itself", param_hint="--rejects")
    if not rejects.absolute().parent.is_dir():
        raise OperatorError(f"cannot write the rejects to {rejects}: there is no such folder")
    return rejects


def _print_report(report: Report, embedded: Embedded, rejects: Path) -> None:
    if not sys.stdout.isatty():
        whole = msgspec.structs.asdict(report) | {"accepted": report.accepted} | msgspec.structs.asdict(embedded)
        click.echo(msgspec.json.encode(whole).decode())
    else:
        click.echo(
            f"read {report.read:,} = accepted {report.accepted:,} + refused {report.refused:,}   "
            f"(created {report.created:,}, updated {report.updated:,}, unchanged {report.unchanged:,})"
        )
        for name, counts in (("warning", report.warnings), ("refused", report.refusals)):
            for what, count in sorted(counts.items(), key=lambda item: -item[1]):
                click.echo(f"  {name} {count:>6,}  {what}")
    if report.refused:
        click.echo(f"refused rows: {rejects}", err=True)


@click.command(epilog='Example: jobsense search "python data engineer nairobi"')
@click.argument("text")
@click.option("--top-k", type=click.IntRange(1, 100), default=10, show_default=True, help="Postings wanted.")
@click.option("--mode", type=click.Choice(["hybrid", "semantic", "lexical"]), default="hybrid", show_default=True)
@click.option("--tenant", default="public", show_default=True, callback=tenant_name, help="Whose postings.")
def search(text: str, top_k: int, mode: str, tenant: str) -> None:
    """Search by meaning: a table on a terminal, JSON when piped."""
    try:
        request = msgspec.convert({"text": text.strip(), "top_k": top_k, "mode": mode}, SearchRequest)
    except msgspec.ValidationError:
        raise click.BadParameter("give a text of 1 to 2,000 characters", param_hint="TEXT") from None

    async def work() -> SearchAnswer:
        async with parts_of(read()) as parts:
            await parts.live.connect()
            await parts.worker.watch_backlog()
            return await parts.searcher.search(await ensure_tenant(parts.db, name=tenant), request)

    answer = run(work())
    if sys.stdout.isatty():
        _print_table(answer, printer())
    else:
        click.echo(msgspec.json.encode(answer).decode())


def _print_table(answer: SearchAnswer, console: Console) -> None:
    table = Table("rank", "score", "title", "company", "place", "passage")
    for hit in answer.results:
        cells = (hit.job.title, hit.job.company, hit.job.location, hit.passage.text[:200] if hit.passage else "")
        table.add_row(str(hit.rank), f"{hit.score:.3f}", *(one_line(cell or "") for cell in cells))
    console.print(table)
    more = "at least " if answer.total.relation == "at_least" else ""
    console.print(f"{more}{answer.total.value} match; {answer.mode.served}, {answer.took_ms:.1f} ms")
    for warning in answer.warnings:
        console.print(f"warning: {warning}")
    if answer.degraded:
        since = answer.degraded.since.isoformat(timespec="seconds")
        console.print(f"degraded: {answer.degraded.reason}, since {since}")


COMMANDS = (ingest, search)
