"""Statements on postings, words and tasks: signatures; the SQL is in sql/queries/jobs/."""

from datetime import datetime

from service.db import Db, Json, statement
from service.errors import Conflict, JobSenseError
from service.jobs.model import Count, JobRow, UpsertRow


def _exists() -> JobSenseError:
    return Conflict("another posting of this source has this external_id", code="job_exists")


@statement
async def lock_jobs(db: Db, *, tenant_id: int, sources: list[str], external_ids: list[str]) -> list[int]:
    """Lock the postings of these keys until the transaction ends; their ids."""


@statement
async def upsert_jobs(
    db: Db, *, tenant_id: int, rows: Json, replace: bool, now: datetime, traceparent: str | None
) -> list[UpsertRow]:
    """Create or replace postings with their words and tasks; rows are NewJob as JSON, each key at most once."""


@statement
async def fetch_job(db: Db, *, tenant_id: int, job_id: int) -> JobRow | None:
    """One posting of a tenant."""


@statement
async def fetch_job_for_change(db: Db, *, tenant_id: int, job_id: int) -> JobRow | None:
    """One posting of a tenant, locked until the transaction ends."""


@statement
async def list_jobs(
    db: Db,
    *,
    tenant_id: int,
    before: int | None,
    keyword: str | None,
    source: tuple[str, ...] | None,
    company: tuple[str, ...] | None,
    location: str | None,
    remote: bool | None,
    employment_type: tuple[str, ...] | None,
    posted_after: datetime | None,
    posted_before: datetime | None,
    active: bool | None,
    now: datetime,
    count: int,
    pay_currency: tuple[str, ...] | None,
    pay_low: tuple[float, ...] | None,
    pay_high: tuple[float, ...] | None,
    unpriced: bool,
) -> list[JobRow]:
    """Postings of a tenant behind the filters, the last received first."""


@statement(on_constraint={"job_external_id_key": _exists})
async def update_job(
    db: Db, *, tenant_id: int, job_id: int, row: Json, now: datetime, traceparent: str | None
) -> int | None:
    """Replace a posting that this transaction has locked; its id, or None when it is gone."""


@statement
async def delete_job(db: Db, *, tenant_id: int, job_id: int) -> int | None:
    """Delete a posting; its id, or None when there was none."""


@statement
async def refresh_copies(db: Db, *, job_ids: list[int]) -> bool:
    """Bring the copies beside the vectors in line with these postings."""


@statement
async def count_by_source(db: Db, *, tenant_id: int, most: int) -> list[Count]:
    """Postings by source, the largest first."""


@statement
async def count_by_location(db: Db, *, tenant_id: int, most: int) -> list[Count]:
    """Postings by place, the largest first."""


@statement
async def count_by_state(db: Db, *, tenant_id: int) -> list[Count]:
    """Postings by state of embedding."""
