"""Commands on the schema, the settings and the document: migrate, settings, openapi."""

import sys
from pathlib import Path

import click
import msgspec
from litestar import Litestar

from service.app import create_app
from service.config import Settings, read, shown, variable
from service.errors import OperatorError
from service.http.openapi import document
from service.migrate import Applied, migrate_down, migrate_up
from service.migrate import status as migration_status
from service.schema_dump import dump_schema
from service.serve import database
from service.shell.running import run, telemetry_of_command


@click.group(epilog="Example: jobsense migrate up")
def migrate() -> None:
    """Bring the database's schema up or down, or show where it is."""


@migrate.command(epilog="Example: JOBSENSE_DATABASE_URL=postgresql://... jobsense migrate up")
def up() -> None:
    """Apply every migration that is missing."""
    settings = read()
    telemetry_of_command(settings)

    async def work() -> None:
        async with database(settings) as dsn:
            applied = await migrate_up(dsn)
        click.echo(f"applied {len(applied)}: {', '.join(f'{one.number:04}_{one.name}' for one in applied) or 'none'}")

    run(work())


@migrate.command(epilog="Example: jobsense migrate down --to 3")
@click.option("--to", type=click.IntRange(min=0), required=True, help="The last migration to keep; 0 takes all away.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def down(to: int, yes: bool) -> None:
    """Take back every migration above a number; what it made is lost."""
    settings = read()
    telemetry_of_command(settings)
    if not yes and not _confirmed(f"Take back every migration above {to}? Data in what they made is lost."):
        raise click.ClickException("nothing was changed")

    async def work() -> None:
        async with database(settings) as dsn:
            undone = await migrate_down(dsn, to)
        click.echo(f"taken back {len(undone)}: {', '.join(f'{one.number:04}_{one.name}' for one in undone) or 'none'}")

    run(work())


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to be asked: give --yes")
    return click.confirm(question)


@migrate.command("status", epilog="Example: jobsense migrate status")
def show_status() -> None:
    """Show every migration and whether it is applied."""
    settings = read()
    telemetry_of_command(settings)

    async def work() -> list[Applied]:
        async with database(settings) as dsn:
            return await migration_status(dsn)

    for one in run(work()):
        click.echo(f"{one.migration.number:04}_{one.migration.name}  {'applied' if one.applied else 'missing'}")


@migrate.command("dump", epilog="Example: jobsense migrate dump > sql/schema.sql")
def write_dump() -> None:
    """Write the schema of the database as SQL, in a form that does not depend on the server's version."""
    settings = read()
    telemetry_of_command(settings)

    async def work() -> str:
        async with database(settings) as dsn:
            return await dump_schema(dsn)

    click.echo(run(work()), nl=False)


@click.command("settings", epilog="Example: jobsense settings")
def show_settings() -> None:
    """Print every setting with the value in force; secrets are hidden."""
    for name, value in shown(read()).items():
        click.echo(f"{variable(name)}={value}")


@click.command("openapi", epilog="Example: jobsense openapi --out openapi.json")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file instead.")
def write_openapi(out: Path | None) -> None:
    """Write the OpenAPI document."""
    app: Litestar = create_app(Settings(), "", telemetry_of_command(read()))
    text = msgspec.json.format(msgspec.json.encode(document(app)), indent=2).decode() + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OperatorError(f"cannot write {out}: {error.strerror}") from error


COMMANDS = (migrate, show_settings, write_openapi)
