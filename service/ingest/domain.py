"""Takes in a file of postings in bounded memory: cleaned, stored once, and what is refused written down."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import BinaryIO

import msgspec

from service.errors import FieldError, OperatorError
from service.ingest.cleaning import clean
from service.ingest.fields import show
from service.ingest.mapping import FieldMap, map_row
from service.ingest.model import Cleaned, SourceRow
from service.ingest.reader import read_rows
from service.jobs.domain import Jobs
from service.jobs.model import JobInput, NewJob
from service.jobs.prepare import prepare
from service.telemetry.record import Record
from service.telemetry.stages import stage, task_record

BATCH = 500
BATCH_CHARS = 1_000_000
"""Rows, and characters of descriptions, that are held at once."""

UNREAD_CHARS = 2000
"""How much of a raw value is kept beside a posting, or shown in the rejects file."""

Progress = Callable[["Report", int], None]
"""Called after each batch with the counts so far and the bytes of the input that are read."""


class Rejected(msgspec.Struct):
    """A line of the rejects file: where the row stood, why it was refused, and what it held."""

    line: int
    errors: list[FieldError]
    row: dict[str, str]


class Report(msgspec.Struct):
    """What came of a file: read = created + updated + unchanged + refused. Warnings are counted by field and code.

    `rest_lost` says from where on the file could not be read, if it could not.
    """

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    warnings: dict[str, int] = {}
    refusals: dict[str, int] = {}
    rest_lost: str | None = None

    @property
    def accepted(self) -> int:
        """Rows that are postings now."""
        return self.created + self.updated + self.unchanged


class Rejects:
    """The rejects file; made when the first row is refused, so that no file means none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def write(self, rejected: Rejected) -> None:
        """Add a line; raises OperatorError where the file cannot be written, since a refusal must not be lost."""
        try:
            if self._file is None:
                self._file = self.path.open("wb")
            self._file.write(msgspec.json.encode(rejected) + b"\n")
        except OSError as fault:
            raise OperatorError(f"cannot write the rejects to {self.path}: {fault.strerror}") from fault

    def close(self, *, complete: bool) -> None:
        """Finish the file; after a complete run without refusals, take away the one of an earlier run."""
        try:
            if self._file is not None:
                self._file.close()
            elif complete:
                self.path.unlink(missing_ok=True)
        except OSError as fault:
            raise OperatorError(f"cannot write the rejects to {self.path}: {fault.strerror}") from fault


class Ingest:
    """One file on its way into a tenant."""

    def __init__(
        self,
        jobs: Jobs,
        tenant_id: int,
        *,
        field_map: FieldMap,
        source: str | None,
        today: date,
        collected_on: date | None = None,
    ) -> None:
        self._jobs = jobs
        self._tenant_id = tenant_id
        self._map = field_map
        self._source = source
        self._today = today
        self._collected_on = collected_on
        self._warnings: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self.report = Report()

    async def run(self, path: str, rejects: Rejects, progress: Progress) -> Report:
        """Read it to its end; safe to repeat, since a posting that is there already and equal is left alone.

        Each batch is one transaction, so that a run that is stopped half-way leaves whole postings, and the next run
        does the rest.
        """
        rows = read_rows(path)
        complete = False
        try:
            with task_record("ingest", event="ingest.done") as whole:
                while (batch := await self._one_batch(rows, rejects, whole)).rows:
                    progress(self.report, batch.position)
                whole.annotate(
                    {"jobsense_ingest_rows": self.report.read, "jobsense_ingest_refused": self.report.refused}
                )
            complete = True
        finally:
            rejects.close(complete=complete)
        return self.report

    async def _one_batch(self, rows: Iterator[SourceRow], rejects: Rejects, whole: Record) -> "_Batch":
        """Read rows and store what are postings; without rows at the end of the file, which leaves no trace."""
        with task_record("ingest batch", event="ingest.batch", within=whole) as record:
            with stage("read_rows"):
                batch = await _in_thread(lambda: self._take_batch(rows, rejects))
            if not batch.rows:
                record.discard()
            if batch.jobs:
                for stored in await self._jobs.store(self._tenant_id, batch.jobs):
                    setattr(self.report, stored.status, getattr(self.report, stored.status) + 1)
            self._count(batch)
            record.annotate({"jobsense_ingest_rows": batch.rows, "jobsense_ingest_refused": batch.refused})
        return batch

    def _take_batch(self, rows: Iterator[SourceRow], rejects: Rejects) -> "_Batch":
        """Read and clean rows until there is enough to store at once."""
        batch, held = _Batch(), 0
        for row in rows:
            batch.rows += 1
            batch.position = row.position
            prepared = self._take(row, rejects)
            if prepared is None:
                batch.refused += 1
            else:
                batch.jobs.append(prepared)
                held += len(prepared.description or "")
            if batch.rows == BATCH or held > BATCH_CHARS:
                break
        return batch

    def _count(self, batch: "_Batch") -> None:
        self.report.read += batch.rows
        self.report.refused += batch.refused
        self.report.warnings = dict(self._warnings)
        self.report.refusals = dict(self._refusals)

    def _take(self, row: SourceRow, rejects: Rejects) -> NewJob | None:
        if row.error is not None:
            self._refuse(rejects, row, [FieldError("unreadable", row.error)])
            if row.rest_lost:
                self.report.rest_lost = f"line {row.line}: {row.error}"
            return None
        cleaned = clean(
            map_row(row.values, self._map, self._source),
            today=self._today,
            reference=self._collected_on,
            date_order=self._map.date_order,
        )
        errors = [FieldError(one.code, one.detail, pointer=f"/{one.field}") for one in cleaned.refusals]
        if not errors:
            job = msgspec.convert(_plain(cleaned), JobInput)
            errors = self._jobs.check(job)
            if not errors:
                self._warnings.update(f"{warning.field}: {warning.code}" for warning in cleaned.warnings)
                unread = {one.field: one.raw[:UNREAD_CHARS] for one in cleaned.warnings}
                return prepare(job, index=row.line, unread=unread)
        self._refuse(rejects, row, errors)
        return None

    def _refuse(self, rejects: Rejects, row: SourceRow, errors: list[FieldError]) -> None:
        self._refusals.update(f"{(error.pointer or '/row').removeprefix('/')}: {error.code}" for error in errors[:1])
        values = {show(name)[:UNREAD_CHARS]: show(value)[:UNREAD_CHARS] for name, value in row.values.items()}
        rejects.write(Rejected(row.line, errors, values))


class _Batch(msgspec.Struct):
    """What was read and cleaned, and is not stored yet."""

    jobs: list[NewJob] = []
    rows: int = 0
    refused: int = 0
    position: int = 0


async def _in_thread(work: Callable[[], _Batch]) -> _Batch:
    """Run in a daemon thread: a terminal or a pipe may give nothing for long, and stopping must not wait for it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Batch] = loop.create_future()

    def settle(batch: _Batch | None, fault: BaseException | None) -> None:
        if future.done():
            return
        if batch is None:
            future.set_exception(fault or AssertionError("work answers or raises"))
        else:
            future.set_result(batch)

    def run() -> None:
        batch, fault = None, None
        try:
            batch = work()
        except Exception as error:  # noqa: BLE001 - it is raised again where the result is awaited
            fault = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, batch, fault)

    threading.Thread(target=run, name="read-rows", daemon=True).start()
    return await future


def _plain(cleaned: Cleaned) -> dict[str, object]:
    """Decimals as the API has them: numbers."""
    amounts = {"salary_min", "salary_max"}
    return {name: float(str(value)) if name in amounts else value for name, value in cleaned.posting.items()}


def rejects_path(path: str) -> Path:
    """Where the refused rows of an input go: into the working folder, named after the whole name of the input."""
    return Path(f"{'stdin' if path == '-' else Path(path).name}.rejects.jsonl")


def read_sample(path: Path) -> Iterator[JobInput]:
    """The sample postings, which need no cleaning."""
    decoder = msgspec.json.Decoder(JobInput)
    with path.open("rb") as lines:
        for line in lines:
            yield decoder.decode(line)
