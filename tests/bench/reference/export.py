"""The export: rows as they come from a server-side cursor, written by the csv module."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from tests.bench.reference.models import TENANT, Job, new_session
from tests.bench.reference.schemas import JobOut

ROWS_AT_ONCE = 1000
COLUMNS = (
    *(name for name in JobOut.model_fields if name != "embedding"),
    *("embedding_state", "embedding_reason", "embedding_generation", "embedding_coverage"),
)
OPENINGS = tuple("=+-@\t\r\n '\"")


def cell(value: Any) -> Any:
    """A value as a cell; no text begins as a formula might."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case float():
            return int(value) if value.is_integer() else value
        case str() if value.startswith(OPENINGS):
            return f"'{value}"
        case _:
            return value


def row_of(job: Job) -> list[Any]:
    """A posting as cells."""
    embedding = job.embedding
    values = [getattr(job, name) for name in COLUMNS[:-4]]
    values += [embedding["state"], embedding["reason"], embedding["generation"], embedding["coverage"]]
    return [cell(value) for value in values]


async def lines() -> AsyncIterator[str]:
    """The file, some rows at a time."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    async with new_session() as session:
        found = await session.stream_scalars(
            select(Job).where(Job.tenant_id == TENANT).order_by(Job.id).execution_options(yield_per=ROWS_AT_ONCE)
        )
        async for jobs in found.partitions():
            writer.writerows(row_of(job) for job in jobs)
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    if buffer.tell():
        yield buffer.getvalue()
