"""One claim of tasks on its way: copied or embedded, stored, set aside, or given back."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime
from uuid import uuid4

from service.db import Connection, Database, half_vector
from service.embedder import Embedder, PartlyEmbedded, Vector
from service.embedding import queries
from service.embedding.model import ClaimedTask, Generation, Outcome, Passage
from service.embedding.passages import coverage, split_all
from service.embedding.portions import Portions
from service.errors import EmbedderUnavailable, JobSenseError, TextRefused, TryLater
from service.telemetry.logs import get_logger
from service.telemetry.stages import current_trace_id, observe_searchable, stage

log = get_logger(__name__)

RETRY_S = (1, 5, 15, 60)
"""Pauses before the next attempt at a task, by attempts made; for one that is to blame itself, by its strikes."""
MOST_STRIKES = 5
"""With so many a task is set aside. Nothing else sets one aside that the model has not refused."""
WORKER_FAULT = "worker_fault"
"""The reason of tasks whose claim broke by a fault of ours; they are claimed one by one then (claim_tasks.sql)."""

RequireUnchanged = Callable[[Embedder], Awaitable[None]]
"""Raises EmbedderUnavailable when the embedder's model is not the one it had at its start."""


class Batch:
    """The tasks under one lease; `outcome` says what became of them so far."""

    def __init__(
        self,
        db: Database,
        embedder: Embedder,
        generation: Generation,
        require_unchanged: RequireUnchanged,
        bulk_turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
        *,
        gently: Callable[[], bool] = lambda: False,
    ) -> None:
        self.lease = uuid4()
        self.outcome = Outcome()
        self.embedded_bytes = 0
        self.waited_s = 0.0
        self.portions = Portions(gently)
        self._bulk_turn = bulk_turn
        self._db = db
        self._embedder = embedder
        self._generation = generation
        self._require_unchanged = require_unchanged
        self._tasks: dict[int, ClaimedTask] = {}

    async def work(self, tasks: Sequence[ClaimedTask]) -> None:
        """Bring every task to its end; raises EmbedderUnavailable with the unfinished still under the lease.

        Nothing is embedded whose text is embedded already, here or for another posting.
        """
        self._tasks = {task.job_id: task for task in tasks}
        settled = [task for task in tasks if task.settled]
        copied = [task for task in tasks if not task.settled and task.twin is not None]
        fresh = [task for task in tasks if not task.settled and task.twin is None]
        if settled:
            dropped = await queries.drop_settled(
                self._db, generation=self._generation.id, lease=self.lease, job_ids=[task.job_id for task in settled]
            )
            self.outcome.settled = len(dropped)
        if copied:
            fresh += await self._copy(copied)
        if fresh:
            await self._embed(fresh)
        if self.outcome.settled + self.outcome.copied + self.outcome.stored + self.outcome.discarded < len(tasks):
            # A text changed meanwhile; whoever changed it wrote a task anew, unless it changed back.
            await self._retry(wait_s=0, reason=None)

    async def give_back(self, error: BaseException, *, works: bool) -> None:
        """Return what is still under the lease: at once when this process stops, else later and with the reason.

        A fault of ours beside a single task is that text's own if all `works` otherwise: no other was there to bring it
        about, and it is not one that befalls everybody, as lack of memory or of a table does.
        """
        if not isinstance(error, Exception):
            self.outcome.retried += await self._retry(wait_s=0, reason=None)
        elif len(self._tasks) == 1 and is_ours(error):
            if works:
                await self._strike(dict.fromkeys(self._tasks, f"{WORKER_FAULT}: {type(error).__name__}"))
            else:
                self.outcome.retried += await self._retry(wait_s=RETRY_S[-1], reason=WORKER_FAULT)
        else:
            wait_s = _pause_s(min((task.attempts for task in self._tasks.values()), default=1))
            self.outcome.retried += await self._retry(wait_s=wait_s, reason=_reason(error))

    async def _retry(self, *, wait_s: float, reason: str | None) -> int:
        return len(await queries.retry_tasks(self._db, lease=self.lease, wait_s=wait_s, reason=reason))

    async def _strike(self, blamed: Mapping[int, str]) -> None:
        """Note that the texts of these postings are likely at fault, and why; the last strike sets them aside."""
        strikes = {job_id: self._tasks[job_id].strikes + 1 for job_id in blamed}
        reasons = {
            job_id: f"given up after {strikes[job_id]} attempts: {why}" if strikes[job_id] >= MOST_STRIKES else why
            for job_id, why in blamed.items()
        }
        struck = await queries.strike_tasks(
            self._db,
            lease=self.lease,
            job_ids=list(blamed),
            reasons=list(reasons.values()),
            waits_s=[_pause_s(count) for count in strikes.values()],
            most_strikes=MOST_STRIKES,
        )
        for job_id in struck:
            given_up = strikes[job_id] >= MOST_STRIKES
            self.outcome.discarded += given_up
            self.outcome.struck += not given_up
            log.warning("embed.failed" if given_up else "embed.suspect", job_id=job_id, reason=reasons[job_id])

    async def _embed(self, tasks: Sequence[ClaimedTask]) -> None:
        passages, refused = await asyncio.to_thread(split_all, tasks, self._generation, self._embedder)
        texts = list(dict.fromkeys(passage.text for made in passages.values() for passage in made))
        vectors, failure = await self._call(texts) if texts else ({}, None)
        done, good = [], dict[str, Vector]()
        for text, vector in vectors.items():
            if not isinstance(vector, TextRefused):
                good[text] = vector
        for task in tasks:
            outcomes = [vectors.get(passage.text) for passage in passages.get(task.job_id, ())]
            bad = [outcome for outcome in outcomes if isinstance(outcome, TextRefused)]
            if bad:
                refused[task.job_id] = bad[0].detail
            elif outcomes and None not in outcomes:
                done.append(task)
        if refused:
            await self._discard(refused)
        if done:
            await self._store(done, passages, good)
        if isinstance(failure, PartlyEmbedded) and failure.suspects:
            suspects = {texts[place]: why for place, why in failure.suspects.items()}
            await self._strike(_blamed(passages, suspects, but=refused))
        if failure is not None:
            raise failure

    async def _call(self, texts: list[str]) -> tuple[Mapping[str, Vector | TextRefused], EmbedderUnavailable | None]:
        """What came of each text, and the failure that kept the others from it.

        Raises EmbedderUnavailable when nothing came of any, or when whose vectors they are cannot be told.
        """
        self.outcome.texts = len(texts)
        failure: EmbedderUnavailable | None = None
        asked = time.perf_counter()
        try:
            async with self._bulk_turn():
                self.waited_s = time.perf_counter() - asked
                with stage(
                    "embed",
                    gen_ai_provider_name=self._generation.provider,
                    gen_ai_request_model=self._generation.model,
                    gen_ai_embeddings_dimension_count=self._generation.dimensions,
                    jobsense_embed_texts=len(texts),
                ):
                    vectors = dict(zip(texts, await self._embedder.embed_documents(texts), strict=True))
        except PartlyEmbedded as partly:
            failure = partly
            vectors = {texts[place]: outcome for place, outcome in partly.finished.items()}
        # Without an answer nothing is kept, however much is finished: it may be another model that went away.
        await self._require_unchanged(self._embedder)
        self.embedded_bytes = sum(len(text.encode()) for text in vectors)
        return vectors, failure

    async def _discard(self, refused: Mapping[int, str]) -> None:
        discarded = await queries.discard_tasks(
            self._db, lease=self.lease, job_ids=list(refused), reasons=list(refused.values())
        )
        for job_id in discarded:
            log.warning("embed.failed", job_id=job_id, reason=refused[job_id])
        self.outcome.discarded += len(discarded)

    async def _store(
        self,
        tasks: Sequence[ClaimedTask],
        passages: Mapping[int, Sequence[Passage]],
        vectors: Mapping[str, Vector],
    ) -> None:
        async for portion in self.portions.of(tasks):
            await self._store_at_once(portion, passages, vectors)

    async def _store_at_once(
        self, tasks: Sequence[ClaimedTask], passages: Mapping[int, Sequence[Passage]], vectors: Mapping[str, Vector]
    ) -> None:
        async with self._db.transaction() as connection:
            tasks = await self._lock_unchanged(connection, tasks)
            rows = [(task.job_id, no, p) for task in tasks for no, p in enumerate(passages[task.job_id])]
            await queries.store_passages(
                connection,
                generation=self._generation.id,
                replaced=[task.job_id for task in tasks],
                job_id=[job_id for job_id, _, _ in rows],
                passage_no=[no for _, no, _ in rows],
                body_start=[passage.start for _, _, passage in rows],
                body_end=[passage.end for _, _, passage in rows],
                embedding=[half_vector(vectors[passage.text]) for _, _, passage in rows],
            )
            covered = {task.job_id: coverage(passages[task.job_id], task.body) for task in tasks}
            counts = {task.job_id: len(passages[task.job_id]) for task in tasks}
            await self._settle(connection, tasks, counts, covered)
        self.outcome.stored += len(tasks)
        _observe(tasks)

    async def _copy(self, tasks: Sequence[ClaimedTask]) -> list[ClaimedTask]:
        """Store the passages of twins; the tasks whose twin changed between claim and copy are left to be embedded."""
        return [task async for portion in self.portions.of(tasks) for task in await self._copy_at_once(portion)]

    async def _copy_at_once(self, tasks: Sequence[ClaimedTask]) -> list[ClaimedTask]:
        async with self._db.transaction() as connection:
            tasks = await self._lock_unchanged(connection, tasks)
            counts = {
                task.job_id: await queries.copy_passages(
                    connection,
                    generation=self._generation.id,
                    twin=task.twin or 0,
                    job_id=task.job_id,
                    text_hash=task.text_hash,
                )
                for task in tasks
            }
            done = [task for task in tasks if counts[task.job_id]]
            await self._settle(connection, done, counts, {task.job_id: task.twin_coverage or 1.0 for task in done})
        self.outcome.copied += len(done)
        _observe(done)
        return [task for task in tasks if not counts[task.job_id]]

    async def _lock_unchanged(self, connection: Connection, tasks: Sequence[ClaimedTask]) -> list[ClaimedTask]:
        """Those whose text is still the one that was embedded; the others have a new task already."""
        still = set(
            await queries.lock_unchanged(
                connection,
                lease=self.lease,
                job_ids=[task.job_id for task in tasks],
                text_hashes=[task.text_hash for task in tasks],
            )
        )
        self.outcome.superseded += len(tasks) - len(still)
        return [task for task in tasks if task.job_id in still]

    async def _settle(
        self,
        connection: Connection,
        tasks: Sequence[ClaimedTask],
        passages: Mapping[int, int],
        coverages: Mapping[int, float],
    ) -> None:
        await queries.settle_tasks(
            connection,
            generation=self._generation.id,
            lease=self.lease,
            job_ids=[task.job_id for task in tasks],
            text_hashes=[task.text_hash for task in tasks],
            passages=[passages[task.job_id] for task in tasks],
            coverages=[coverages[task.job_id] for task in tasks],
            now=datetime.now(UTC),
            trace_id=current_trace_id() or None,
        )


def is_ours(error: BaseException) -> bool:
    """Whether nobody foresaw it: neither an outage nor a stop."""
    return isinstance(error, Exception) and not isinstance(error, JobSenseError)


def _pause_s(times: int) -> float:
    """How long to wait after something failed so many times."""
    return RETRY_S[min(times, len(RETRY_S)) - 1]


def _reason(error: Exception) -> str:
    """Why a claim is given back, from a small closed set."""
    if isinstance(error, EmbedderUnavailable):
        return error.reason
    return error.code if isinstance(error, TryLater) else WORKER_FAULT


def _blamed(
    passages: Mapping[int, Sequence[Passage]], suspects: Mapping[str, str], *, but: Mapping[int, str]
) -> dict[int, str]:
    """The postings with a suspect passage, and the reason of the first; those that are refused anyway left out."""
    blamed = dict[int, str]()
    for job_id, made in passages.items():
        why = next((suspects[passage.text] for passage in made if passage.text in suspects), None)
        if why is not None and job_id not in but:
            blamed[job_id] = why
    return blamed


def _observe(tasks: Sequence[ClaimedTask]) -> None:
    now = datetime.now(UTC)
    for task in tasks:
        observe_searchable(max(0.0, (now - task.created_at).total_seconds()), task.job_id)
