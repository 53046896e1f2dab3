"""Brings postings and their vectors together: one step claims tasks, embeds outside any transaction, and stores."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from service.db import Database
from service.embedder import PartlyEmbedded
from service.embedding import queries
from service.embedding.batch import RETRY_S, WORKER_FAULT, Batch, is_ours
from service.embedding.domain import LiveEmbedder
from service.embedding.model import ClaimedTask, Generation, Outcome, TermStatAge
from service.embedding.pace import Pace
from service.embedding.portions import MOST_REST_S, RESTS
from service.errors import DatabaseUnavailable, EmbedderUnavailable
from service.telemetry.logs import get_logger
from service.telemetry.record import Record
from service.telemetry.stages import link, observe_backlog, stage, task_record

log = get_logger(__name__)

LEASE_S = 30.0
RENEW_EVERY_S = 10.0
GIVE_BACK_S = 3.0
BATCH = 64
GENTLE = 8
"""Tasks of a claim while queries are about; the worker rests as long as it works on them."""
IDLE_S = 0.5
BACKLOG_EVERY_S = 15.0
TERM_STAT_EVERY_S = 15.0
TERM_STAT_RETRY_S = 300.0
TERM_STAT_PUT_OFF_S = 60.0
"""How long counting waits at most for a moment without queries: it takes a core for a second at 20,000 postings."""
TERM_STAT_TIMEOUT_MS = 600_000
TERM_STAT_MAX_AGE = timedelta(hours=1)
TERM_STAT_DRIFT = 0.1
MOST_HOST = 36
"""Characters of a host name, the last of which tell replicas apart: the database cuts a name after 63 bytes."""


class Worker:
    """The embedding worker of one process; any number may share a database."""

    def __init__(
        self, db: Database, live: LiveEmbedder, *, batch: int = BATCH, renew_every_s: float = RENEW_EVERY_S
    ) -> None:
        self._db = db
        self._live = live
        self._batch = batch
        self._renew_every_s = renew_every_s
        self._pace = Pace()
        self.waiting = 0
        self._rested_s = 0.0
        self._most = batch
        self._count_by: float | None = None
        """When words are counted whatever else is about; None while their statistics are good."""
        self._works = False
        """Whether a posting has been embedded and stored since the last fault of ours."""

    async def run_once(self) -> float:
        """One step, as the loop calls it: again while tasks are found, at once or, beside queries, after a rest.

        While the embedder is away nothing is claimed: its own loop finds out when it is back.
        """
        if (absence := self._live.standstill) is not None:
            log.debug("embed.waiting", reason=absence.reason)
            return RETRY_S[0]
        began = time.perf_counter()
        try:
            outcome = await self.step()
        except EmbedderUnavailable as error:
            log.debug("embed.waiting", reason=error.reason)
            return RETRY_S[0]
        if outcome.claimed and outcome.retried == outcome.claimed:
            return RETRY_S[0]
        if not outcome.claimed:
            return IDLE_S
        if not self._live.queries_about:
            return 0.0
        # What was stored has been rested for already.
        worked_s = time.perf_counter() - began - self._rested_s * (1 + 1 / RESTS)
        return min(MOST_REST_S, max(0.0, worked_s))

    async def step(self) -> Outcome:
        """Claim, embed, store. Raises EmbedderUnavailable before anything is claimed when there is no embedder."""
        embedder, generation = await self._live.ready()
        live = self._live
        batch = Batch(
            self._db,
            embedder,
            generation,
            live.require_unchanged,
            live.bulk_turn,
            gently=lambda: live.queries_about,
        )
        with task_record(
            "process embed_queue",
            kind="consumer",
            event="embed.batch",
            messaging_system="postgresql",
            messaging_operation_type="process",
            jobsense_embedding_model=generation.model,
            jobsense_embedding_model_digest=generation.digest,
        ) as record:
            try:
                await self._run(batch, generation)
                self._most = min(self._batch, 2 * self._most)
            except EmbedderUnavailable as error:
                if not (isinstance(error, PartlyEmbedded) and (error.finished or error.suspects)):
                    self._live.note_absence(error)
                    self._most = max(1, self._most // 2)  # it may be a text that ends the whole server
                await self._give_back(batch, error)
            except BaseException as error:
                if isinstance(error, DatabaseUnavailable):
                    self._most = max(1, self._most // 2)  # it may be that so much at once takes too long
                await self._give_back(batch, error)
                raise
            finally:
                self._rested_s = batch.portions.rested_s
                _note(record, batch.outcome)
        self._works = self._works or batch.outcome.stored > 0
        return batch.outcome

    async def _run(self, batch: Batch, generation: Generation) -> None:
        tasks = await self._claim(batch, generation)
        if tasks:
            started = time.perf_counter()
            async with self._renewing(batch.lease):
                await batch.work(tasks)
            self._pace.learn(batch.embedded_bytes, time.perf_counter() - started - batch.waited_s)

    async def _claim(self, batch: Batch, generation: Generation) -> list[ClaimedTask]:
        with stage("poll_tasks") as polled:
            tasks = await queries.claim_tasks(
                self._db,
                generation=generation.id,
                lease=batch.lease,
                lease_s=LEASE_S,
                most=min(self._most, GENTLE) if self._live.queries_about else self._most,
                most_bytes=self._pace.claim_bytes,
            )
            polled.set(messaging_batch_message_count=len(tasks))
        for task in tasks:
            if task.traceparent is not None:
                link(task.traceparent, messaging_message_id=str(task.job_id))
        batch.outcome.claimed = len(tasks)
        return tasks

    @asynccontextmanager
    async def _renewing(self, lease: UUID) -> AsyncIterator[None]:
        async def renew() -> None:
            while True:
                await asyncio.sleep(self._renew_every_s)
                try:
                    await queries.renew_lease(self._db, lease=lease, lease_s=LEASE_S)
                except DatabaseUnavailable as error:
                    log.warning("embed.lease_not_renewed", reason=error.reason)
                except Exception:  # a fault of ours; to renew goes on, or the work would be done twice
                    log.warning("embed.lease_not_renewed", reason=WORKER_FAULT, exc_info=True)

        renewal = asyncio.create_task(renew(), name="renew-lease")
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)

    async def _give_back(self, batch: Batch, error: BaseException) -> None:
        """Return the tasks, whatever ends this step; what cannot be returned is free again when its lease lapses."""
        works = self._works
        if is_ours(error):
            self._works = False
            if not works:
                self._most = 1  # it befalls everything, it seems: no more tasks than needed to see it end
        try:
            await asyncio.shield(asyncio.wait_for(batch.give_back(error, works=works), GIVE_BACK_S))
        except (DatabaseUnavailable, TimeoutError) as failure:
            log.warning("embed.not_given_back", tasks=batch.outcome.claimed, error=repr(failure))

    async def watch_backlog(self) -> float:
        """Read the depth of the queue into the metrics; the step of a loop of its own."""
        backlog = await queries.fetch_backlog(self._db, now=datetime.now(UTC))
        self.waiting = backlog.waiting
        observe_backlog(waiting=backlog.waiting, failed=backlog.failed, oldest_age_s=backlog.oldest_age_s)
        return BACKLOG_EVERY_S

    async def keep_term_stat(self) -> float:
        """Refresh the word statistics when the postings have drifted from them; the step of a loop of its own.

        One process at a time does it. When it does not succeed the old ones stay in use, and it is long before the next
        attempt: counting is the most that is ever asked of the database at once.
        """
        try:
            if not _has_drifted(await queries.fetch_term_stat_age(self._db)):
                self._count_by = None
            elif self._may_count():
                await self._refresh_term_stat()
        except DatabaseUnavailable as error:
            log.warning("loop.failed", loop="term-stat", error=repr(error), wait_s=TERM_STAT_RETRY_S)
            return TERM_STAT_RETRY_S
        return TERM_STAT_EVERY_S

    def _may_count(self) -> bool:
        now = time.monotonic()
        if self._count_by is None:
            self._count_by = now + TERM_STAT_PUT_OFF_S
        return now >= self._count_by or not self._live.queries_about

    async def _refresh_term_stat(self) -> None:
        async with self._db.transaction() as connection:
            if not await queries.lock_term_stat(connection, timeout_ms=TERM_STAT_TIMEOUT_MS):
                return
            if _has_drifted(await queries.fetch_term_stat_age(connection)):  # or another has just done it
                await queries.refresh_term_stat(connection, now=datetime.now(UTC))


def application_name() -> str:
    """The name of a process that embeds at the database; two hosts may number theirs alike, as containers do."""
    host = socket.gethostname().partition(".")[0]
    return f"jobsense-worker:{host[-MOST_HOST:]}:{os.getpid()}"


def _has_drifted(age: TermStatAge) -> bool:
    drift = abs(age.jobs_now - age.jobs)
    if drift > age.jobs * TERM_STAT_DRIFT:
        return True
    return drift > 0 and datetime.now(UTC) - age.refreshed_at > TERM_STAT_MAX_AGE


def _note(record: Record, outcome: Outcome) -> None:
    """Put what came of a step on its span and its log line; a step that found nothing leaves neither."""
    if not outcome.claimed:
        record.discard()
    record.annotate(
        {
            "messaging_batch_message_count": outcome.claimed,
            "jobsense_embed_ok": outcome.stored + outcome.copied + outcome.settled,
            "jobsense_embed_retried": outcome.retried + outcome.struck,
            "jobsense_embed_failed": outcome.discarded,
        }
    )
    record.fields.update(msgspec.structs.asdict(outcome))
