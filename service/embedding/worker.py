"""Brings postings and their vectors together: one step claims tasks, embeds outside any transaction, and stores."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from service.db import Connection, Database, half_vector
from service.embedder import Embedder, Vector
from service.embedding import queries
from service.embedding.domain import LiveEmbedder
from service.embedding.model import ClaimedTask, Generation, Outcome, Passage
from service.embedding.passages import coverage, split
from service.errors import EmbedderUnavailable, TextRefused
from service.telemetry.logs import get_logger
from service.telemetry.stages import current_trace_id

log = get_logger(__name__)

LEASE_S = 30
RENEW_EVERY_S = 10
BATCH = 64
IDLE_S = 0.5
RETRY_S = (1, 5, 15, 60)
TERM_STAT_EVERY_S = 15.0
TERM_STAT_MAX_AGE = timedelta(hours=1)
TERM_STAT_DRIFT = 0.1


class Worker:
    """The embedding worker of one process; any number may share a database."""

    def __init__(self, db: Database, live: LiveEmbedder, *, batch: int = BATCH) -> None:
        self._db = db
        self._live = live
        self._batch = batch

    async def run_once(self) -> float:
        """One step, as the loop calls it: at once again while tasks are found."""
        try:
            outcome = await self.step()
        except EmbedderUnavailable as error:
            log.debug("embed.waiting", reason=error.reason)
            return RETRY_S[0]
        return 0.0 if outcome.claimed else IDLE_S

    async def step(self) -> Outcome:
        """Claim, embed, store. Raises EmbedderUnavailable before anything is claimed when there is no embedder."""
        embedder, generation = await self._live.ready()
        outcome = Outcome(lease=uuid4())
        tasks = await self._claim(generation, outcome)
        if not tasks:
            return outcome
        try:
            async with self._renewing(_lease(outcome)):
                await self._work(embedder, generation, tasks, outcome)
        except EmbedderUnavailable as error:
            await self._give_back(tasks, outcome, error)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(tasks, outcome, None))
            raise
        log.info(
            "embed.batch", **{name: getattr(outcome, name) for name in Outcome.__struct_fields__ if name != "lease"}
        )
        return outcome

    async def _claim(self, generation: Generation, outcome: Outcome) -> list[ClaimedTask]:
        now = datetime.now(UTC)
        tasks = await queries.claim_tasks(
            self._db,
            generation=generation.id,
            lease=_lease(outcome),
            now=now,
            leased_until=now + timedelta(seconds=LEASE_S),
            most=self._batch,
        )
        outcome.claimed = len(tasks)
        return tasks

    @asynccontextmanager
    async def _renewing(self, lease: UUID) -> AsyncIterator[None]:
        async def renew() -> None:
            while True:
                await asyncio.sleep(RENEW_EVERY_S)
                until = datetime.now(UTC) + timedelta(seconds=LEASE_S)
                await queries.renew_lease(self._db, lease=lease, leased_until=until)

        renewal = asyncio.create_task(renew(), name="renew-lease")
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)

    async def _work(
        self, embedder: Embedder, generation: Generation, tasks: Sequence[ClaimedTask], outcome: Outcome
    ) -> None:
        settled = [task for task in tasks if task.settled]
        copied = [task for task in tasks if not task.settled and task.twin is not None]
        fresh = [task for task in tasks if not task.settled and task.twin is None]
        if settled:
            await queries.drop_settled(
                self._db, generation=generation.id, lease=_lease(outcome), job_ids=[task.job_id for task in settled]
            )
            outcome.settled = len(settled)
        if copied:
            await self._copy(generation, copied, outcome)
        if fresh:
            await self._embed(embedder, generation, fresh, outcome)

    async def _embed(
        self, embedder: Embedder, generation: Generation, tasks: Sequence[ClaimedTask], outcome: Outcome
    ) -> None:
        passages = await asyncio.to_thread(_split_all, tasks, generation, embedder)
        texts = list(dict.fromkeys(passage.text for made in passages.values() for passage in made))
        outcome.texts = len(texts)
        vectors = dict(zip(texts, await embedder.embed_documents(texts), strict=True))
        refused = {
            task.job_id: str(bad[0])
            for task in tasks
            if (bad := [v for p in passages[task.job_id] if isinstance(v := vectors[p.text], TextRefused)])
        }
        if refused:
            await queries.discard_tasks(
                self._db,
                lease=_lease(outcome),
                job_ids=list(refused),
                reasons=list(refused.values()),
                now=datetime.now(UTC),
            )
            outcome.discarded = len(refused)
        good = {text: vector for text, vector in vectors.items() if not isinstance(vector, TextRefused)}
        whole = [task for task in tasks if task.job_id not in refused]
        if whole:
            await self._store(generation, whole, passages, good, outcome)

    async def _store(
        self,
        generation: Generation,
        tasks: Sequence[ClaimedTask],
        passages: Mapping[int, Sequence[Passage]],
        vectors: Mapping[str, Vector],
        outcome: Outcome,
    ) -> None:
        async with self._db.transaction() as connection:
            tasks = await _lock_unchanged(connection, tasks, outcome)
            rows = [(task.job_id, no, p) for task in tasks for no, p in enumerate(passages[task.job_id])]
            await queries.store_passages(
                connection,
                generation=generation.id,
                replaced=[task.job_id for task in tasks],
                job_id=[job_id for job_id, _, _ in rows],
                passage_no=[no for _, no, _ in rows],
                body_start=[passage.start for _, _, passage in rows],
                body_end=[passage.end for _, _, passage in rows],
                embedding=[half_vector(vectors[passage.text]) for _, _, passage in rows],
            )
            covered = {task.job_id: coverage(passages[task.job_id], task.body) for task in tasks}
            counts = {task.job_id: len(passages[task.job_id]) for task in tasks}
            await _settle(connection, generation, tasks, counts, covered, outcome)
        outcome.stored += len(tasks)

    async def _copy(self, generation: Generation, tasks: Sequence[ClaimedTask], outcome: Outcome) -> None:
        async with self._db.transaction() as connection:
            tasks = await _lock_unchanged(connection, tasks, outcome)
            counts = {
                task.job_id: await queries.copy_passages(
                    connection,
                    generation=generation.id,
                    twin=task.twin or 0,
                    job_id=task.job_id,
                    text_hash=task.text_hash,
                )
                for task in tasks
            }
            done = [task for task in tasks if counts[task.job_id]]
            await _settle(connection, generation, done, counts, dict.fromkeys(counts, 1.0), outcome)
            lost = [task.job_id for task in tasks if not counts[task.job_id]]
            if lost:  # the twin changed between claim and copy: embed it ourselves next time
                await queries.retry_tasks(
                    connection, lease=_lease(outcome), job_ids=lost, due_at=datetime.now(UTC), reason=None
                )
        outcome.copied += len(done)
        outcome.retried += len(lost)

    async def _give_back(
        self, tasks: Sequence[ClaimedTask], outcome: Outcome, error: EmbedderUnavailable | None
    ) -> None:
        attempts = min(task.attempts for task in tasks)
        wait_s = 0 if error is None else RETRY_S[min(attempts, len(RETRY_S)) - 1]
        await queries.retry_tasks(
            self._db,
            lease=_lease(outcome),
            job_ids=[task.job_id for task in tasks],
            due_at=datetime.now(UTC) + timedelta(seconds=wait_s),
            reason=None if error is None else error.reason,
        )
        outcome.retried = len(tasks)

    async def keep_term_stat(self) -> float:
        """Refresh the word statistics when the postings have drifted from them; the step of a loop of its own."""
        age = await queries.fetch_term_stat_age(self._db)
        now = datetime.now(UTC)
        drift = abs(age.jobs_now - age.jobs)
        if drift > age.jobs * TERM_STAT_DRIFT or (drift and now - age.refreshed_at > TERM_STAT_MAX_AGE):
            await queries.refresh_term_stat(self._db, now=now)
        return TERM_STAT_EVERY_S


def _lease(outcome: Outcome) -> UUID:
    if outcome.lease is None:
        raise AssertionError("every step has a lease")
    return outcome.lease


def _split_all(tasks: Sequence[ClaimedTask], generation: Generation, embedder: Embedder) -> dict[int, list[Passage]]:
    return {
        task.job_id: split(
            task.title, task.company, task.location, task.body, generation=generation, tokenizer=embedder
        )
        for task in tasks
    }


async def _lock_unchanged(connection: Connection, tasks: Sequence[ClaimedTask], outcome: Outcome) -> list[ClaimedTask]:
    """Those whose text is still the one that was embedded; the others have a new task already."""
    still = set(
        await queries.lock_unchanged(
            connection,
            lease=_lease(outcome),
            job_ids=[task.job_id for task in tasks],
            text_hashes=[task.text_hash for task in tasks],
        )
    )
    outcome.superseded += len(tasks) - len(still)
    return [task for task in tasks if task.job_id in still]


async def _settle(
    connection: Connection,
    generation: Generation,
    tasks: Sequence[ClaimedTask],
    passages: Mapping[int, int],
    coverages: Mapping[int, float],
    outcome: Outcome,
) -> None:
    await queries.settle_tasks(
        connection,
        generation=generation.id,
        lease=_lease(outcome),
        job_ids=[task.job_id for task in tasks],
        text_hashes=[task.text_hash for task in tasks],
        passages=[passages[task.job_id] for task in tasks],
        coverages=[coverages[task.job_id] for task in tasks],
        now=datetime.now(UTC),
        trace_id=current_trace_id() or None,
    )
