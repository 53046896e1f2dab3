"""The embedded default: a private Postgres with pgvector under DATA_DIR, shared by all processes that use the folder.

Only the programs of the `embedded` extra are used, not its Python code. How processes share the server is told in
`cluster`, what it is told about the machine in `tuning`, as whom it runs in `program`.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import structlog

from service.embedded.cluster import DATABASE, STOP_TIMEOUT_S, Cluster
from service.errors import EmbeddedError

T = TypeVar("T")
log = structlog.get_logger(__name__)
LOOK_EVERY_S = 1.0
LONGEST_PAUSE_S = 30.0
GIVE_UP_S = 4.0
"""A start that is cancelled is left within this time."""


class EmbeddedPostgres:
    """A Postgres server of JobSense's own, reached through a Unix socket that only its owner (and root) may open.

    `data_dir` is made if needed; `memory` is the number of bytes to tune for, measured when it is None.
    """

    def __init__(self, data_dir: Path, *, postgres_version: int = 18, memory: int | None = None) -> None:
        self._cluster = Cluster(data_dir, postgres_version, memory)
        self._socket_dir: Path | None = None

    @property
    def dsn(self) -> str:
        """Where asyncpg and psql find the database `jobsense`. Raises EmbeddedError before `start`."""
        return self.dsn_of(DATABASE)

    def dsn_of(self, database: str) -> str:
        """Where to find another database of the same server."""
        if self._socket_dir is None:
            raise EmbeddedError("The embedded database has not been started.")
        return f"postgresql://{DATABASE}@/{database}?host={quote(str(self._socket_dir), safe='')}&port=5432"

    async def start(self) -> str:
        """Make, start or join the server and return the DSN; called again, revive it if it died.

        Raises EmbeddedError, which names what is wrong and the way out.
        """
        began = time.perf_counter()
        try:
            how, self._socket_dir = await _to_completion(
                self._cluster.enter, if_cancelled=lambda: self._cluster.abandon(GIVE_UP_S)
            )
        except asyncio.CancelledError:
            with suppress(Exception):  # which would take the place of the cancellation, and `keep_up` would go on
                await _to_completion(lambda: self._cluster.leave(GIVE_UP_S))
            raise
        seconds = round(time.perf_counter() - began, 3)
        log.info("embedded.ready", how=how, data_dir=str(self._cluster.path), duration_s=seconds)
        return self.dsn

    async def keep_up(self) -> None:
        """Start the server again whenever it has died, until cancelled; what was committed is there again."""
        pause_s = LOOK_EVERY_S
        while True:
            await asyncio.sleep(pause_s)
            try:
                if not await _to_completion(self._cluster.lives):
                    log.warning("embedded.died", data_dir=str(self._cluster.path))
                    await self.start()
                pause_s = LOOK_EVERY_S
            except Exception as error:  # nobody else would start it, whatever went wrong
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                expected = isinstance(error, (EmbeddedError, OSError))
                log.warning("embedded.not_started", reason=str(error), wait_s=pause_s, exc_info=not expected)

    async def stop(self, *, within_s: float = STOP_TIMEOUT_S) -> None:
        """Leave the server; the last process to leave stops it, after open transactions are rolled back.

        A server that takes longer is left to end by itself.
        """
        self._socket_dir = None
        try:
            stopped = await _to_completion(lambda: self._cluster.leave(within_s))
        except (EmbeddedError, OSError) as error:
            # What is committed is safe on disk; the next start waits for the old server, or recovers.
            log.warning("embedded.stop_failed", reason=str(error))
        else:
            log.info("embedded.left", stopped=stopped, data_dir=str(self._cluster.path))

    async def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database if it is missing, quickest as a copy of a `template` that nobody uses; return its DSN."""
        await _to_completion(lambda: self._cluster.create_database(name, template))
        return self.dsn_of(name)

    async def drop_database(self, name: str) -> None:
        """Drop a database if it is there, ending its connections."""
        await _to_completion(lambda: self._cluster.drop_database(name))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


async def _to_completion(work: Callable[[], T], *, if_cancelled: Callable[[], None] | None = None) -> T:
    """Run blocking work in a thread; a cancellation waits for its end, which `if_cancelled` can bring about."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if if_cancelled is not None:
            if_cancelled()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # Seen, so that it is not reported as never retrieved.
        raise
