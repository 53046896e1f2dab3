"""The command `jobsense`: gathers the commands, and turns errors into one clear line and an exit code."""

import asyncio
import sys

import click

from service.app import build_version
from service.errors import JobSenseError, OperatorError
from service.shell import data, keys, schema, serving


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: jobsense dev",
)
@click.version_option(build_version(), prog_name="jobsense")
def cli() -> None:
    """Search job postings by meaning: a service on Postgres and pgvector.

    Settings are environment variables (or a .env file); `jobsense settings` prints all of them.
    """


for command in (*serving.COMMANDS, *schema.COMMANDS, *data.COMMANDS, *keys.COMMANDS):
    cli.add_command(command)


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong use."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except OperatorError as error:
        click.echo(f"jobsense: {error.detail}", err=True)
        code = error.exit_code
    except JobSenseError as error:
        click.echo(f"jobsense: {error.detail}", err=True)
        code = 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("jobsense: stopped", err=True)
        code = 130
    except BrokenPipeError:
        # The reader of our output has gone, as in `jobsense search x | head`.
        sys.stderr.close()
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
