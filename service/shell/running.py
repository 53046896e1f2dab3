"""What every command that talks to the database needs: settings, logs to standard error, the schema, the parts."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from service.config import Settings
from service.db import Database
from service.parts import Parts, prepare_schema
from service.serve import database, telemetry_of
from service.stopping import Stop, current_stop
from service.telemetry.lifecycle import STOP_S, Telemetry

COMMAND_POOL = 4
COMMAND_THREADS = 2
STOPPED = 130
"""The exit code of a command that a signal ended."""


def run(
    work: Coroutine[Any, Any, Any],
    *,
    stop: Stop | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Any:
    """Run a command's coroutine; a signal cancels it, so that what it opened is closed, until it says otherwise."""
    stop = stop or Stop(exit_code=STOPPED)

    async def guarded() -> Any:
        stop.listen()
        task = asyncio.ensure_future(work)
        stop.on_ask(task.cancel)
        return await task

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(guarded())


def run_service(
    work: Callable[[Stop], Coroutine[Any, Any, None]],
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Run what goes on until it is told to stop, which is no failure at any moment."""
    stop = Stop()
    try:
        run(work(stop), stop=stop, loop_factory=loop_factory)
    except asyncio.CancelledError:
        if not stop.asked.is_set():
            raise


def telemetry_of_command(settings: Settings) -> Telemetry:
    """Logs to standard error, from warnings up unless another level than the usual one is set.

    Who runs a short command waits for its answer; that the database was started and left again is no news to them.
    """
    quiet = msgspec.structs.replace(settings, log_level="warning") if settings.log_level == "info" else settings
    return telemetry_of(quiet, log_stream=sys.stderr.buffer)


@asynccontextmanager
async def parts_of(settings: Settings) -> AsyncIterator[Parts]:
    """The parts of a short command on the settings' database; nothing runs in the background."""
    telemetry, stop = telemetry_of_command(settings), current_stop()
    try:
        async with database(settings, stop) as dsn:
            await prepare_schema(dsn, settings)
            async with parts_on(settings, dsn, application="jobsense-command", stop=stop) as parts:
                yield parts
    finally:
        await telemetry.stop(timeout_s=stop.left_s(STOP_S))


@asynccontextmanager
async def parts_on(settings: Settings, dsn: str, *, application: str, stop: Stop | None = None) -> AsyncIterator[Parts]:
    """The parts of a process on a database that is up to date; nothing runs in the background yet."""
    stop = stop or current_stop()
    db = await Database.open(dsn, max_size=COMMAND_POOL, application=application)
    try:
        parts = Parts(db, settings, document_threads=COMMAND_THREADS)
        try:
            yield parts
        finally:
            await parts.stop(stop)
    finally:
        await db.close()
