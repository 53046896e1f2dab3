"""Rows streamed out of the database by COPY, as fast as their reader takes them and no faster."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal

from service.db import STATEMENTS, Connection, Database
from service.db_errors import LOST, translated
from service.telemetry.stages import stage

Write = Callable[[bytes], Awaitable[None]]
"""Takes the next piece; COPY goes on when it returns."""
Layout = Literal["csv", "lines"]

SILENCE_S = 60.0
"""A database that gives nothing for so long, while it is being waited for, hangs or is asked for too much."""
ROLLBACK_S = 2.0
_LAYOUTS: dict[Layout, dict[str, Any]] = {
    "csv": {"format": "csv", "header": True},
    # One column as it is: what CSV would quote with or part by does not occur in JSON, which writes it as an escape.
    "lines": {"format": "csv", "quote": "\x01", "delimiter": "\x02"},
}
_TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*|\$\$|\be'")


@asynccontextmanager
async def reading(db: Database) -> AsyncIterator[Connection]:
    """Borrow a connection with a read-only transaction; one that cannot be rolled back in order is cut."""
    async with db.connection() as connection:
        transaction = connection.transaction(readonly=True)
        with translated(connection=connection):
            await transaction.start()
        try:
            yield connection
        finally:
            # Nothing was written: rolling back is all that ends it, also after a COPY that was broken off.
            try:
                async with asyncio.timeout(ROLLBACK_S):
                    await transaction.rollback()
            except (*LOST, asyncio.CancelledError) as error:
                with suppress(*LOST):
                    connection.terminate()
                if isinstance(error, asyncio.CancelledError):
                    raise


async def copy_out(
    connection: Connection,
    run: Callable[..., Awaitable[Any]],
    write: Write,
    *,
    layout: Layout,
    within_s: float,
    **given: Any,
) -> int:
    """Stream the rows of a statement to `write`, as "csv" with a header or as "lines" of its one column; how many.

    At most one piece, what the socket gave at once, is held here; PostgreSQL waits meanwhile. Raises
    DatabaseUnavailable, also where it all takes longer than `within_s`, or the database is silent for SILENCE_S.
    """
    declared = STATEMENTS[f"{run.__module__.split('.')[-2]}.{run.__name__}"]
    arguments = [given[name] for name, _ in declared.parameters]
    loop, copied = asyncio.get_running_loop(), 0

    async def pass_on(piece: bytes) -> None:
        nonlocal copied
        copied += len(piece)
        patience.reschedule(None)
        await write(piece)
        patience.reschedule(loop.time() + SILENCE_S)

    with (
        translated(connection=connection, timeout="statement_timeout"),
        stage("copy", db_query_summary=declared.name) as noted,
    ):
        try:
            async with asyncio.timeout(SILENCE_S) as patience:
                told = await connection.copy_from_query(
                    without_comments(declared.path), *arguments, output=pass_on, timeout=within_s, **_LAYOUTS[layout]
                )
        finally:
            noted.set(jobsense_export_bytes=copied)
        rows = int(told.rpartition(" ")[2])
        noted.set(db_response_returned_rows=rows)
    return rows


@cache
def without_comments(path: Path) -> str:
    """The text of a statement for COPY, which takes no parameters, so that the driver writes the values into the text.

    It does so safely, as literals that the server quoted, but in comments too, which a line break in a value would end.
    Raises ValueError for text that holds more than a scan for strings and comments can see, or a `$n` in a string.
    """

    def kept(token: re.Match[str]) -> str:
        found = token[0]
        if found in ("/*", "$$", "e'") or (found[0] != "-" and re.search(r"\$\d", found)):
            raise ValueError(f"{path}: {found} cannot be part of a statement that is copied")
        return "" if found[0] == "-" else found

    return _TOKEN.sub(kept, path.read_text(encoding="utf-8"))
