"""What every command that talks to the database needs: settings, logs to standard error, the schema, the parts."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from service.app import Parts, prepare_schema
from service.config import Settings
from service.db import Database
from service.serve import database, telemetry_of

COMMAND_POOL = 4
COMMAND_THREADS = 2


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a command's coroutine; SIGTERM and SIGINT cancel it, so that everything it opened is closed."""

    async def guarded() -> Any:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        return await task

    return asyncio.run(guarded())


@asynccontextmanager
async def parts_of(settings: Settings, *, application: str = "jobsense-command") -> AsyncIterator[Parts]:
    """The parts of a process on the settings' database; nothing runs in the background yet."""
    telemetry = telemetry_of(settings, log_stream=sys.stderr.buffer)
    try:
        async with database(settings) as dsn:
            await prepare_schema(dsn, settings)
            db = await Database.open(dsn, max_size=COMMAND_POOL, application=application)
            parts = Parts(db, settings, document_threads=COMMAND_THREADS)
            try:
                yield parts
            finally:
                await parts.stop()
                await db.close()
    finally:
        await telemetry.stop()
