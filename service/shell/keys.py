"""Commands on API keys."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec
from rich.table import Table

from service import setting_parsers as parsers
from service.access import queries
from service.access.keys import create_key, revoke_key, rotate_key
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


def parsed(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """Read an option as a setting is read; what is not given stays None."""

    def callback(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else parse(value)
        except parsers.NotAllowed as error:
            raise click.BadParameter(f"use {error.allowed}") from None

    return callback


@click.group(epilog="Example: jobsense keys create --name crawler --scope jobs:write")
def keys() -> None:
    """Make, list, rotate and end API keys."""


@keys.command(epilog="Example: jobsense keys create --name crawler --tenant acme --scope jobs:read --expires 90d")
@click.option("--name", required=True, help="What the key is for.")
@click.option("--tenant", default="public", show_default=True, callback=tenant_name, help="Whose data it opens.")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="Repeat for several; default: all but admin."
)
@click.option("--expires", callback=parsed(parsers.duration_s), help="It ends after 90d, 12h or so; default: never.")
@click.option("--rate", callback=parsed(parsers.rate), help="Its own rate limit, such as 100/minute.")
def create(name: str, tenant: str, scopes: tuple[str, ...], expires: int | None, rate: str | None) -> None:
    """Make a key and print it, this once."""

    async def work() -> str:
        async with parts_of(read()) as parts:
            chosen = scopes or tuple(scope for scope in SCOPES if scope != "admin")
            ends = None if expires is None else datetime.now(UTC) + timedelta(seconds=expires)
            return await create_key(parts.db, tenant=tenant, name=name, scopes=chosen, expires_at=ends, rate=rate)

    click.echo(run(work()))


@keys.command("list", epilog="Example: jobsense keys list")
def list_keys() -> None:
    """List keys, without their secrets (JSON when piped)."""

    async def work() -> list[KeyListing]:
        async with parts_of(read()) as parts:
            return list(await queries.list_every_api_key(parts.db))

    found: list[KeyListing] = run(work())
    if not sys.stdout.isatty():
        click.echo(msgspec.json.encode(found).decode())
        return
    table = Table("id", "tenant", "name", "scopes", "rate", "created", "last used", "expires", "revoked", "replaced by")
    for key in found:
        times = (key.created_at, key.last_used_at, key.expires_at, key.revoked_at)
        created, used, expires, revoked = map(moment, times)
        shown = (one_line(key.name), " ".join(key.scopes), key.rate or "", created, used, expires, revoked)
        table.add_row(key.id, key.tenant, *shown, key.replaced_by or "")
    printer().print(table)


@keys.command(epilog="Example: jobsense keys rotate 0123456789ab --overlap 24h")
@click.argument("key_id")
@click.option(
    "--overlap",
    default="24h",
    show_default=True,
    callback=parsed(lambda text: 0 if text.strip() == "0" else parsers.duration_s(text)),
    help="For how long the old key goes on; 0: it ends now.",
)
def rotate(key_id: str, overlap: int) -> None:
    """Print a new key, this once, in the place of another: same scopes, rate and life."""

    async def work() -> str:
        async with parts_of(read()) as parts:
            return await rotate_key(parts.db, key_id, timedelta(seconds=overlap))

    click.echo(run(work()))


@keys.command(epilog="Example: jobsense keys revoke 0123456789ab")
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End a key; callers lose it within ten seconds."""

    async def work() -> None:
        async with parts_of(read()) as parts:
            await revoke_key(parts.db, key_id)

    run(work())
    click.echo(f"revoked {key_id}")


def moment(time: datetime | None) -> str:
    """A time in a table, empty where there is none."""
    return time.isoformat(timespec="seconds") if time else ""


COMMANDS = (keys,)
