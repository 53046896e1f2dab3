"""Stores many postings at once: checks each row by itself, and gives every row its own result."""

from collections.abc import Sequence

from service.errors import FieldError
from service.jobs.domain import Jobs
from service.jobs.model import BatchResult, JobInput, RowError
from service.jobs.prepare import prepare

MAX_ROWS = 1000


async def store_rows(jobs: Jobs, tenant_id: int, rows: Sequence[JobInput | Sequence[FieldError]]) -> list[BatchResult]:
    """Store the good rows in one transaction; results in the order of the rows, the bad ones with their errors."""
    results: dict[int, BatchResult] = {}
    good = []
    for index, row in enumerate(rows):
        errors = jobs.check(row) if isinstance(row, JobInput) else row
        if errors:
            results[index] = BatchResult(index=index, status="rejected", errors=[_row_error(error) for error in errors])
        elif isinstance(row, JobInput):
            good.append(prepare(row, index=index))
    for stored in await jobs.store(tenant_id, good) if good else []:
        results[stored.index] = BatchResult(index=stored.index, status=stored.status, id=stored.job_id)
    return [results[index] for index in range(len(rows))]


def _row_error(error: FieldError) -> RowError:
    return RowError(error.code, error.detail, error.pointer)
