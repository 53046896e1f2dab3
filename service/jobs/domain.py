"""The rules of postings: what is stored, when a change counts, which page comes next."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from service import cursor
from service.config import Settings
from service.db import Database, Db, Json
from service.errors import Conflict, DatabaseUnavailable, FieldError, Invalid, NotFound
from service.jobs import queries
from service.jobs.conditions import ALWAYS, Conditions
from service.jobs.currencies import CURRENCIES
from service.jobs.fields import moment_errors
from service.jobs.model import (
    Filters,
    Job,
    JobInput,
    JobPatch,
    JobRow,
    NewJob,
    Page,
    Position,
    Status,
    Stored,
)
from service.jobs.pay import Conversions, no_conversions, pay_bands
from service.jobs.prepare import fold, prepare
from service.jobs.stats import JobStats
from service.telemetry.stages import count, outbound_headers

MOST_LOOKS = 5
"""Times that a posting may be deleted and stored anew by others while one statement looks for it."""

FIELDS = JobInput.__struct_fields__

T = TypeVar("T")

_REPEATED_NOT = re.compile(r'-(?=[^\w"]*-)')
"""A minus before another: PostgreSQL keeps each "not not ..." on a stack, which a row of them overflows."""


def now_utc() -> datetime:
    """The clock of every write."""
    return datetime.now(UTC)


class Jobs:
    """The postings of all tenants in one database; `on_written` is told when there may be something to embed."""

    def __init__(
        self,
        db: Database,
        settings: Settings,
        *,
        on_written: Callable[[], None] = lambda: None,
        conversions: Conversions = no_conversions,
    ) -> None:
        self._db = db
        self._settings = settings
        self._on_written = on_written
        self._conversions = conversions
        self.stats = JobStats(db)

    def check(self, job: JobInput) -> list[FieldError]:
        """What the types of a posting cannot say: accepted sources, known currencies, ends of pay in order."""
        errors = []
        if not self._settings.accepts_source(job.source):
            accepted = ", ".join(self._settings.sources)
            errors.append(FieldError("source_not_accepted", f"Accepted sources: {accepted}", pointer="/source"))
        if job.currency is not None and job.currency not in CURRENCIES:
            detail = f"{job.currency} is not an ISO 4217 code"
            errors.append(FieldError("unknown_currency", detail, pointer="/currency"))
        if job.salary_min is not None and job.salary_max is not None and job.salary_min > job.salary_max:
            errors.append(FieldError("salary_out_of_order", "salary_min is above salary_max", pointer="/salary_min"))
        return errors + moment_errors(job, "posted_at", "expires_at")

    async def create(self, tenant_id: int, job: JobInput, *, db: Db | None = None) -> Job:
        """Store one posting and its task; raises Invalid, and Conflict when its (source, external_id) is taken.

        With `db` in the transaction of a caller, who calls `created` after the commit.
        """
        if errors := self.check(job):
            raise Invalid(errors)
        now, new = now_utc(), prepare(job)
        (stored,) = await _upsert(db or self._db, tenant_id, [new], replace=False, now=now)
        if stored.status != "created":
            raise Conflict(f"Posting {stored.job_id} has this source and external_id", code="job_exists")
        if db is None:
            self.created()
        return _fresh(stored, new, now)

    def created(self) -> None:
        """Count a posting that is committed, and have it embedded."""
        count("jobsense_ingest_jobs_total", "created")
        self._on_written()

    async def store(self, tenant_id: int, jobs: Sequence[NewJob]) -> list[Stored]:
        """Upsert a batch in one transaction, in the order given: a later row of a key replaces an earlier one.

        `index` tells the rows apart and must differ. Only the last row of a key is written; the earlier ones answer
        with its id.
        """
        last = {_key(job): job for job in jobs}
        by_index = {one.index: one for one in await _undisturbed(lambda: self._replace(tenant_id, list(last.values())))}
        results, previous = [], dict[tuple[str, str | int], str]()
        for job in jobs:
            final = by_index[last[_key(job)].index]
            before = previous.get(_key(job))
            idle = final.status == "unchanged" or before == job.content_hash
            repeated: Status = "unchanged" if idle else "updated"
            results.append(Stored(job.index, final.job_id, final.status if before is None else repeated, final.version))
            previous[_key(job)] = job.content_hash
        for status, number in Counter(result.status for result in results).items():
            count("jobsense_ingest_jobs_total", status, by=number)
        self._on_written()
        return results

    async def _replace(self, tenant_id: int, jobs: Sequence[NewJob]) -> list[Stored]:
        async with self._db.transaction() as connection:
            keys = [(job.source, job.external_id) for job in jobs if job.external_id is not None]
            await queries.lock_jobs(
                connection,
                tenant_id=tenant_id,
                sources=[source for source, _ in keys],
                external_ids=[external_id for _, external_id in keys],
            )
            stored = await _upsert(connection, tenant_id, jobs, replace=True, now=now_utc())
            updated = [one.job_id for one in stored if one.status == "updated"]
            if updated:
                await queries.refresh_copies(connection, job_ids=updated)
        return stored

    async def fetch(self, tenant_id: int, job_id: int) -> Job:
        """One posting; raises NotFound."""
        return await _fetch(self._db, tenant_id, job_id)

    async def list(
        self, tenant_id: int, filters: Filters, *, keyword: str | None, after: str | None, limit: int
    ) -> Page:
        """A page of postings, the last received first; `after` is the cursor of the page before."""
        words = None if keyword is None else _REPEATED_NOT.sub("", keyword)
        bands = await pay_bands(filters, self._conversions)
        # What is asked stands in the cursor, not today's rates, which may change between two pages.
        query = (tenant_id, folded(filters), words, *bands.asked())
        before = None if after is None else cursor.decode(after, query, Position).id
        passing = folded(filters) | bands.parameters()
        rows = await queries.list_jobs(
            self._db, tenant_id=tenant_id, before=before, keyword=words, now=now_utc(), count=limit + 1, **passing
        )
        page = rows[:limit]
        following = cursor.encode(query, Position(page[-1].id)) if len(rows) > limit else None
        return Page([row.job() for row in page], following, bands.note)

    async def patch(self, tenant_id: int, job_id: int, patch: JobPatch, *, conditions: Conditions = ALWAYS) -> Job:
        """Change what the patch names, if anything; raises NotFound, PreconditionFailed, Invalid, Conflict."""
        job, changed = await _undisturbed(lambda: self._patch(tenant_id, job_id, patch, conditions))
        count("jobsense_ingest_jobs_total", "updated" if changed else "unchanged")
        self._on_written()
        return job

    async def _patch(self, tenant_id: int, job_id: int, patch: JobPatch, conditions: Conditions) -> tuple[Job, bool]:
        async with self._db.transaction() as connection:
            row = await _lock(connection, tenant_id, job_id, conditions)
            old = JobInput(**{name: getattr(row, name) for name in FIELDS})
            given = {name: value for name in FIELDS if (value := getattr(patch, name)) is not msgspec.UNSET}
            new = msgspec.structs.replace(old, **given)
            if new == old:
                return row.job(), False
            # A source that is accepted no longer stands in the way of other changes to what it brought.
            kept = () if new.source != old.source else ("/source",)
            if errors := [error for error in self.check(new) if error.pointer not in kept]:
                raise Invalid(errors)
            await queries.update_job(
                connection,
                tenant_id=tenant_id,
                job_id=job_id,
                row=_json(prepare(new)),
                now=now_utc(),
                traceparent=outbound_headers().get("traceparent"),
            )
            if new.source != old.source or new.posted_at != old.posted_at:
                await queries.refresh_copies(connection, job_ids=[job_id])
            return await _fetch(connection, tenant_id, job_id), True

    async def delete(self, tenant_id: int, job_id: int, *, conditions: Conditions = ALWAYS) -> None:
        """Delete a posting and all that belongs to it; raises NotFound, PreconditionFailed."""
        await _undisturbed(lambda: self._delete(tenant_id, job_id, conditions))

    async def _delete(self, tenant_id: int, job_id: int, conditions: Conditions) -> None:
        async with self._db.transaction() as connection:
            if conditions is not ALWAYS:
                await _lock(connection, tenant_id, job_id, conditions)
            if await queries.delete_job(connection, tenant_id=tenant_id, job_id=job_id) is None:
                raise _not_found(job_id)


def folded(filters: Filters) -> dict[str, Any]:
    """The filters but pay as parameters of the statements that apply them; equal for filters that mean the same."""
    return {
        "source": _as_set(filters.source),
        "company": None if filters.company is None else _as_set(fold(name) for name in filters.company),
        "location": None if filters.location is None else fold(filters.location),
        "remote": filters.remote,
        "employment_type": _as_set(filters.employment_type),
        "posted_after": _in_utc(filters.posted_after),
        "posted_before": _in_utc(filters.posted_before),
        "active": filters.active,
    }


def _as_set(values: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(sorted(set(values)))


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


async def _undisturbed(write: Callable[[], Awaitable[T]]) -> T:
    """Write again what a deadlock undid: a batch locks in the order of its keys, and a posting that moves has two."""
    for _ in range(MOST_LOOKS):
        try:
            return await write()
        except DatabaseUnavailable as error:
            if error.reason != "deadlock":
                raise
    return await write()


def _fresh(stored: Stored, job: NewJob, now: datetime) -> Job:
    row = JobRow(
        id=stored.job_id,
        version=stored.version,
        created_at=now,
        updated_at=now,
        embedding_state="pending",
        embedding_reason=None,
        embedding_generation=None,
        embedding_coverage=None,
        **{name: getattr(job, name) for name in FIELDS},
    )
    return row.job()


def _key(job: NewJob) -> tuple[str, str | int]:
    return (job.source, job.external_id) if job.external_id is not None else ("", job.index)


def _json(value: object) -> Json:
    return Json(msgspec.json.encode(value).decode())


async def _upsert(db: Db, tenant_id: int, jobs: Sequence[NewJob], *, replace: bool, now: datetime) -> list[Stored]:
    async def once(jobs: Sequence[NewJob]) -> dict[int, Stored]:
        rows = await queries.upsert_jobs(
            db,
            tenant_id=tenant_id,
            rows=_json(jobs),
            replace=replace,
            now=now,
            traceparent=outbound_headers().get("traceparent"),
        )
        return {
            row.index: Stored(row.index, row.job_id, row.status, row.version)
            for row in rows
            if row.job_id is not None and row.version is not None
        }

    stored = await once(jobs)
    for _ in range(MOST_LOOKS):
        if len(stored) == len(jobs):
            return [stored[job.index] for job in jobs]
        # A posting that another transaction committed while the statement ran is in its way yet not in its snapshot.
        # The next statement's snapshot has it, and finds every other row unchanged.
        stored |= await once([job for job in jobs if job.index not in stored])
    raise DatabaseUnavailable("others write these postings at the same time; try again", reason="contention")


async def _fetch(db: Db, tenant_id: int, job_id: int) -> Job:
    row = await queries.fetch_job(db, tenant_id=tenant_id, job_id=job_id)
    if row is None:
        raise _not_found(job_id)
    return row.job()


async def _lock(db: Db, tenant_id: int, job_id: int, conditions: Conditions) -> JobRow:
    row = await queries.fetch_job_for_change(db, tenant_id=tenant_id, job_id=job_id)
    if row is None:
        raise _not_found(job_id)
    conditions.require(row.job())
    return row


def _not_found(job_id: int) -> NotFound:
    return NotFound(f"There is no posting {job_id}", code="job_not_found")
