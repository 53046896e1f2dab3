"""The command `jobsense`: finds the commands, and turns errors into one clear line and an exit code."""

import asyncio
import signal
import sys
from importlib import import_module
from typing import NoReturn

import click

from service.errors import JobSenseError, OperatorError

_SHELL = {
    "dev": ("dev", "Run everything on this machine: database, sample postings, embedding, the API."),
    "serve": ("serving", "Serve the HTTP API until SIGTERM or Ctrl-C."),
    "worker": ("serving", "Embed postings in the background until SIGTERM or Ctrl-C."),
    "migrate": ("schema", "Bring the database's schema up or down, or show where it is."),
    "ingest": ("data", "Take in a file of postings: JSON, JSONL or CSV, also gzipped."),
    "search": ("data", "Search by meaning: a table on a terminal, JSON when piped."),
    "eval": ("evaluation", "Measure the ranking on relevance sets, and whether a difference is chance."),
    "keys": ("keys", "Make, list, rotate and end API keys."),
    "users": ("users", "Make, list and disable people who sign in with a password, or give them another one."),
    "tasks": ("tasks", "Show postings whose embedding was given up, or try them again."),
    "rates": ("rates", "Take in exchange rates, or list them."),
    "openapi": ("schema", "Write the OpenAPI document."),
    "settings": ("schema", "Print every setting with the value in force; secrets are hidden."),
}
"""The module under `service.shell` that holds a command, and what the overview says of it."""


class _Commands(click.Group):
    """Imports a command when it is wanted: the whole service takes a second to import, and --help needs none of it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which one meets them."""
        return list(_SHELL)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of a name."""
        if cmd_name not in _SHELL:
            return None
        commands: tuple[click.Command, ...] = import_module(f"service.shell.{_SHELL[cmd_name][0]}").COMMANDS
        return next(command for command in commands if command.name == cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The overview, without importing what it speaks of."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _SHELL.items()])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: jobsense dev",
)
@click.version_option(package_name="jobsense", prog_name="jobsense")
def cli() -> None:
    """Search job postings by meaning: a service on Postgres and pgvector.

    Settings are environment variables (or a .env file); `jobsense settings` prints all of them.
    """


class _Stopped(SystemExit):
    """SIGTERM before a command listens for it; event loops let it through as they do KeyboardInterrupt."""


def _stop_at_once(*_: object) -> NoReturn:
    raise _Stopped


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped by Ctrl-C or SIGTERM."""
    # As the first process of a container it would not get a signal that it does not handle, and commands begin to
    # listen only when they are imported. Not as KeyboardInterrupt: where that passes through text that Python
    # executes, as it does to make data classes, `python -m` dies of SIGINT in the end, whatever was caught.
    signal.signal(signal.SIGTERM, _stop_at_once)
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except JobSenseError as error:
        click.echo(f"jobsense: {error.detail}", err=True)
        code = error.exit_code if isinstance(error, OperatorError) else 1
    except (_Stopped, click.Abort, asyncio.CancelledError):
        click.echo("jobsense: stopped", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
