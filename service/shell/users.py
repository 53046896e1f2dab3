"""Commands on people who sign in with a password."""

import re
import sys

import click
import msgspec
from rich.table import Table

from service.access import queries
from service.access.model import ROLES, AccountListing
from service.access.passwords import LEAST_CHARS, MOST_CHARS, normalized
from service.access.sign_in import create_user, disable_user, replace_password
from service.config import read
from service.shell.keys import moment, tenant_name
from service.shell.running import parts_of, run
from service.shell.terminal import printer

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}", re.IGNORECASE)


@click.group(epilog="Example: jobsense users create amina --role writer")
def users() -> None:
    """Make, list and disable people who sign in with a password, or give them another one."""


@users.command(epilog="Example: jobsense users create amina --tenant acme --role reader --password-stdin < file")
@click.argument("name")
@click.option("--tenant", default="public", show_default=True, callback=tenant_name, help="Whose data is opened.")
@click.option("--role", required=True, type=click.Choice(tuple(ROLES)), help="What they may do.")
@click.option("--password-stdin", "from_stdin", is_flag=True, help="Read the password from standard input.")
def create(name: str, tenant: str, role: str, from_stdin: bool) -> None:
    """Let a person in. The password is asked for; names are the same in any case."""
    if not _NAME.fullmatch(name):
        raise click.UsageError("a name has 1 to 100 of a-z, 0-9, . _ @ + and -, beginning with a letter or a digit")
    password = _password(from_stdin=from_stdin)

    async def work() -> None:
        async with parts_of(read()) as parts:
            made = await parts.passwords.make_hash(password)
            await create_user(parts.db, tenant=tenant, name=name, role=role, password_hash=made)

    run(work())
    click.echo(f"created {name.casefold()}")


@users.command("list", epilog="Example: jobsense users list")
def list_users() -> None:
    """List people (JSON when piped)."""

    async def work() -> list[AccountListing]:
        async with parts_of(read()) as parts:
            return list(await queries.list_every_account(parts.db))

    found: list[AccountListing] = run(work())
    if not sys.stdout.isatty():
        click.echo(msgspec.json.encode(found).decode())
        return
    table = Table("name", "tenant", "role", "created", "signed in", "disabled")
    for one in found:
        times = (one.created_at, one.signed_in_at, one.disabled_at)
        table.add_row(one.name, one.tenant, one.role, *map(moment, times))
    printer().print(table)


@users.command(epilog="Example: jobsense users passwd amina")
@click.argument("name")
@click.option("--password-stdin", "from_stdin", is_flag=True, help="Read the password from standard input.")
def passwd(name: str, from_stdin: bool) -> None:
    """Give a person another password, which is asked for; whatever they are signed in with ends within ten seconds."""
    password = _password(from_stdin=from_stdin)

    async def work() -> None:
        async with parts_of(read()) as parts:
            await replace_password(parts.db, name=name, password_hash=await parts.passwords.make_hash(password))

    run(work())
    click.echo(f"changed the password of {name.casefold()}")


@users.command(epilog="Example: jobsense users disable amina")
@click.argument("name")
def disable(name: str) -> None:
    """Keep a person out for good; their tokens end within ten seconds."""

    async def work() -> None:
        async with parts_of(read()) as parts:
            await disable_user(parts.db, name)

    run(work())
    click.echo(f"disabled {name.casefold()}")


def _password(*, from_stdin: bool) -> str:
    """The password, never from an argument, which other processes of the machine could read."""
    if from_stdin:
        password = sys.stdin.readline()
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise click.UsageError("there is no terminal to ask for the password on; give --password-stdin")
    password = normalized(password)
    if not LEAST_CHARS <= len(password) <= MOST_CHARS:
        raise click.UsageError(f"a password has {LEAST_CHARS} to {MOST_CHARS} characters")
    return password


COMMANDS = (users,)
