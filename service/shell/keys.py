"""Commands on API keys."""

import re
import sys

import click
import msgspec
from rich.table import Table

from service.access import queries
from service.access.domain import create_key, revoke_key
from service.access.model import SCOPES, KeyListing
from service.config import read
from service.shell.running import parts_of, run
from service.shell.terminal import one_line, printer

_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def tenant_name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """The name of a tenant, as an option gives it."""
    if not _TENANT.fullmatch(value):
        raise click.BadParameter("use 1 to 63 of a-z, 0-9, - and _, beginning with a letter or a digit")
    return value


@click.group(epilog="Example: jobsense keys create --name crawler --scope jobs:write")
def keys() -> None:
    """Make, list and end API keys."""


@keys.command(epilog="Example: jobsense keys create --name crawler --tenant acme --scope jobs:read --scope search")
@click.option("--name", required=True, help="What the key is for.")
@click.option("--tenant", default="public", show_default=True, callback=tenant_name, help="Whose data it opens.")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="Repeat for several; default: all but admin."
)
def create(name: str, tenant: str, scopes: tuple[str, ...]) -> None:
    """Make a key and print it, this once."""

    async def work() -> str:
        async with parts_of(read()) as parts:
            chosen = scopes or tuple(scope for scope in SCOPES if scope != "admin")
            return await create_key(parts.db, tenant=tenant, name=name, scopes=chosen)

    click.echo(run(work()))


@keys.command("list", epilog="Example: jobsense keys list")
def list_keys() -> None:
    """List keys, without their secrets (JSON when piped)."""

    async def work() -> list[KeyListing]:
        async with parts_of(read()) as parts:
            return list(await queries.list_api_keys(parts.db))

    found: list[KeyListing] = run(work())
    if not sys.stdout.isatty():
        click.echo(msgspec.json.encode(found).decode())
        return
    table = Table("id", "tenant", "name", "scopes", "created", "revoked")
    for key in found:
        revoked = key.revoked_at.isoformat(timespec="seconds") if key.revoked_at else ""
        created = key.created_at.isoformat(timespec="seconds")
        table.add_row(key.id, key.tenant, one_line(key.name), " ".join(key.scopes), created, revoked)
    printer().print(table)


@keys.command(epilog="Example: jobsense keys revoke 0123456789ab")
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End a key; callers lose it within ten seconds."""

    async def work() -> None:
        async with parts_of(read()) as parts:
            await revoke_key(parts.db, key_id)

    run(work())
    click.echo(f"revoked {key_id}")


COMMANDS = (keys,)
