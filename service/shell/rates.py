"""Commands on exchange rates."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click
import msgspec
from rich.table import Table

from service.config import read
from service.errors import Invalid, OperatorError
from service.pay.domain import ExchangeRates
from service.pay.importing import BadRow, read_csv
from service.pay.model import Rate, RateList, RatesQuery
from service.shell.running import parts_of, run
from service.shell.terminal import one_line, printer

BATCH = 5_000
"""Rates stored by one statement."""
SHOWN = 100
"""Bad rows that are told one by one."""


class Report(msgspec.Struct):
    """What became of the rows of a file."""

    read: int = 0
    imported: int = 0
    skipped: int = 0


@click.group(epilog="Example: jobsense rates import rates.csv")
def rates() -> None:
    """Take in exchange rates, or list them."""


@rates.command("import", epilog="Example: jobsense rates import rates.csv --source cbk")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--source", default="import", show_default=True, help="Who told these rates, as callers will see it.")
def import_rates(file: str, source: str) -> None:
    """Take in a CSV file of exchange rates; - reads standard input.

    Its first line is date,base,quote,rate or date,pair,rate: one unit of the base is worth so much of the quote. Bad
    rows are told and skipped. It can be repeated; a rate told anew for its date replaces the one before.
    """
    if not source.strip():
        raise click.BadParameter("give a name", param_hint="--source")

    async def work() -> Report:
        async with parts_of(read()) as parts:
            with _lines(file) as lines:
                return await _store(parts.rates, read_csv(lines, source.strip(), datetime.now(UTC)))

    report: Report = run(work())
    if sys.stdout.isatty():
        click.echo(f"read {report.read:,} = imported {report.imported:,} + skipped {report.skipped:,}")
    else:
        click.echo(msgspec.json.encode(report).decode())
    if not report.imported:
        raise OperatorError(f"nothing of {file} was imported")


@contextmanager
def _lines(file: str) -> Iterator[Iterable[str]]:
    """The lines of a file or of standard input, whatever marks and bytes they begin with or hold."""
    if file == "-":
        yield (line.decode("utf-8-sig", errors="replace") for line in sys.stdin.buffer)
        return
    try:
        with Path(file).open(encoding="utf-8-sig", errors="replace", newline="") as opened:
            yield opened
    except OSError as error:
        raise OperatorError(f"{file} cannot be read ({error.strerror})") from error


async def _store(kept: ExchangeRates, rows: Iterator[Rate | BadRow]) -> Report:
    report = Report()
    while batch := list(islice(rows, BATCH)):
        good = [row for row in batch if isinstance(row, Rate)]
        for bad in (row for row in batch if isinstance(row, BadRow)):
            report.skipped += 1
            if report.skipped <= SHOWN:
                click.echo(f"line {bad.line}: {bad.reason}", err=True)
        if good:
            await kept.store(good)
        report.read += len(batch)
        report.imported += len(good)
    if report.skipped > SHOWN:
        click.echo(f"and {report.skipped - SHOWN:,} more", err=True)
    return report


def _currency(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return RatesQuery(base=value.upper()).base
    except Invalid:
        raise click.BadParameter("use an ISO 4217 code such as USD") from None


@rates.command("list", epilog="Example: jobsense rates list --base KES")
@click.option("--base", default="USD", show_default=True, callback=_currency, help="One unit of it is worth so much.")
def list_rates(base: str) -> None:
    """List what one unit of a currency is worth in others (JSON when piped)."""

    async def work() -> RateList:
        async with parts_of(read()) as parts:
            return await parts.rates.table(base, None)

    found: RateList = run(work())
    if not sys.stdout.isatty():
        click.echo(msgspec.json.encode(found).decode())
        return
    table = Table("currency", f"for 1 {base}", "valid from", "source", "derived")
    for one in found.rates:
        moment = one.valid_at.isoformat(timespec="minutes")
        table.add_row(one.currency, f"{one.rate:.6g}", moment, one_line(one.source), "yes" if one.derived else "")
    printer().print(table)


COMMANDS = (rates,)
