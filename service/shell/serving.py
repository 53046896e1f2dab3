"""Commands that run the service: serve, worker."""

import os
import sys
from functools import partial

import click

from service.config import read
from service.embedding.worker import application_name
from service.parts import prepare_schema
from service.serve import LEAVE_S, TRACES_S, database, loop_factory, serve, telemetry_of
from service.shell.running import parts_on, run_service
from service.stopping import Stop
from service.telemetry.sampling import read_otel


@click.command("serve", epilog="Example: JOBSENSE_DATABASE_URL=postgresql://... jobsense serve")
def serve_command() -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C."""
    settings = read(on_terminal=sys.stdout.isatty())
    run_service(partial(serve, settings), loop_factory=loop_factory())


@click.command(epilog="Example: JOBSENSE_DATABASE_URL=postgresql://... jobsense worker")
def worker() -> None:
    """Embed postings in the background until SIGTERM or Ctrl-C."""
    settings = read(on_terminal=sys.stdout.isatty())

    async def work(stop: Stop) -> None:
        telemetry = telemetry_of(settings)
        try:
            telemetry.offer_metrics(read_otel(os.environ))
            async with database(settings, stop) as dsn:
                await prepare_schema(dsn, settings)
                async with parts_on(settings, dsn, application=application_name(), stop=stop) as parts:
                    parts.start(embed=True)
                    await stop.wait()
                await telemetry.end_traces(timeout_s=stop.left_s(TRACES_S, keep_s=LEAVE_S))
        finally:
            await telemetry.stop(timeout_s=stop.left_s(TRACES_S))

    run_service(work)


COMMANDS = (serve_command, worker)
