"""Stores many postings at once: checks each row by itself, and gives every row its own result."""

import asyncio
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from service.errors import FieldError, Invalid
from service.http.rows import decode_rows
from service.jobs.domain import Jobs
from service.jobs.model import JobInput, NewJob
from service.jobs.prepare import prepare
from service.telemetry.stages import count

MAX_ROWS = 1000


class BatchResult(msgspec.Struct, omit_defaults=True):
    """What became of one row of a batch; `errors` only when it was rejected."""

    index: int
    status: Annotated[Literal["created", "updated", "unchanged", "rejected"], Meta(title="RowStatus")]
    id: int | None = None
    errors: list["RowError"] | None = None


class RowError(msgspec.Struct, omit_defaults=True):
    """One failing field of a row; `pointer` (RFC 6901) is relative to the row."""

    code: str
    detail: str
    pointer: str | None = None


class BatchAnswer(msgspec.Struct):
    """The results of a batch, in the order of its rows."""

    results: list[BatchResult]


async def store_rows(jobs: Jobs, tenant_id: int, body: bytes, media_type: str) -> list[BatchResult]:
    """Store the good rows in one transaction; results in the order of the rows, the bad ones with their errors.

    `body` is a JSON array or NDJSON, as `media_type` says; raises Invalid for more than MAX_ROWS.
    """
    # Megabytes of JSON and HTML take seconds, which the callers of others must not wait for.
    good, bad, total = await asyncio.to_thread(_read, jobs, body, media_type)
    results = {one.index: one for one in bad}
    if bad:
        count("jobsense_ingest_jobs_total", "rejected", by=len(bad))
    for stored in await jobs.store(tenant_id, good) if good else []:
        results[stored.index] = BatchResult(index=stored.index, status=stored.status, id=stored.job_id)
    return [results[index] for index in range(total)]


def _read(jobs: Jobs, body: bytes, media_type: str) -> tuple[list[NewJob], list[BatchResult], int]:
    """The good rows as they are stored, the results of the others, and how many there are in all."""
    rows = decode_rows(body, media_type, JobInput)
    if len(rows) > MAX_ROWS:
        raise Invalid([FieldError("too_many", f"At most {MAX_ROWS} postings; {len(rows)} were sent", pointer="")])
    good, bad = [], []
    for index, row in enumerate(rows):
        errors = jobs.check(row) if isinstance(row, JobInput) else row
        if errors:
            bad.append(BatchResult(index=index, status="rejected", errors=[_row_error(error) for error in errors]))
        elif isinstance(row, JobInput):
            good.append(prepare(row, index=index))
    return good, bad, len(rows)


def _row_error(error: FieldError) -> RowError:
    return RowError(error.code, error.detail, error.pointer)
