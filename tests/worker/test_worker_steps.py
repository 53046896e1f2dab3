"""The worker's steps as its loops call them: waits, bounded claims, faults of the database, word statistics."""

import asyncio
import json
from io import BytesIO
from typing import Any

import pytest

from service.db import Database
from service.embedding import queries
from service.embedding.domain import LiveEmbedder
from service.embedding.pace import FIRST_BYTES
from service.embedding.worker import GIVE_BACK_S, IDLE_S, TERM_STAT_EVERY_S, TERM_STAT_RETRY_S, Worker
from service.errors import DatabaseUnavailable, TextRefused
from tests.fakes import WordEmbedder
from tests.worker.scene import HeldEmbedder, Scene


async def test_waits(scene: Scene, worker: Worker, embedder: WordEmbedder, live: LiveEmbedder) -> None:
    """The loop pauses when nothing is due, when a whole batch went back, and while the embedder is away."""
    assert await worker.run_once() == IDLE_S
    await scene.post()
    embedder.down = "refused"
    assert await worker.run_once() == 1
    assert await worker.run_once() == 1
    assert embedder.calls == 1
    embedder.down = None
    await live.connect()
    await scene.rows("update live_generation set generation = generation returning 1")
    await live.close()
    assert await worker.run_once() == 1, "no embedder at all"


async def test_a_claim_is_bounded_by_text(scene: Scene, worker: Worker, embedder: WordEmbedder) -> None:
    """Long texts are claimed a few at a time, oldest first, and one that is longer than a claim alone."""
    length = FIRST_BYTES // 2
    long = [(await scene.post(description="x" * length))[0] for _ in range(5)]
    (longest,) = await scene.post(description="y" * FIRST_BYTES * 3)
    claimed = []
    while (outcome := await worker.step()).claimed:
        claimed.append(outcome.claimed)
    assert claimed[0] == 2
    assert sum(claimed) == 6
    assert len(embedder.documents) == 6
    assert [(await scene.state(job_id))[0] for job_id in (*long, longest)] == ["done"] * 6


async def test_a_text_that_cannot_be_split(
    scene: Scene, worker: Worker, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that the tokenizer refuses is set aside like one that the model refuses; no other is held up."""
    count = embedder.count_tokens

    def refuse(text: str) -> int:
        if "odd" in text:
            raise TextRefused("no Unicode text")
        return count(text)

    monkeypatch.setattr(embedder, "count_tokens", refuse)
    (odd,), (fine,) = await scene.post(title="An odd title"), await scene.post(title="A fine title")
    outcome = await worker.step()
    assert (outcome.discarded, outcome.stored) == (1, 1)
    assert await scene.state(odd) == ("failed", "no Unicode text")
    (other,) = await scene.post(title="Another odd title")
    assert (await worker.step()).discarded == 1, "with nothing left to embed"
    assert [(await scene.state(job_id))[0] for job_id in (fine, other)] == ["done", "failed"]


def told(log: BytesIO, event: str) -> list[dict[str, Any]]:
    """The log lines of an event."""
    return [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == event]


@pytest.mark.usefixtures("telemetry")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [(DatabaseUnavailable("away", reason="unreachable"), "unreachable"), (ZeroDivisionError(), "worker_fault")],
)
async def test_a_renewal_that_fails_is_tried_again(
    scene: Scene, db: Database, log: BytesIO, monkeypatch: pytest.MonkeyPatch, fault: Exception, reason: str
) -> None:
    """A lease that could not be renewed once, for whatever reason, is renewed the next time."""
    await scene.post()
    embedder = HeldEmbedder()
    live = LiveEmbedder(db, lambda _generation: [embedder])
    await live.connect()
    renew, failed = queries.renew_lease, asyncio.Event()

    async def fail_once(*given: Any, **more: Any) -> None:
        if not failed.is_set():
            failed.set()
            raise fault
        await renew(*given, **more)

    monkeypatch.setattr(queries, "renew_lease", fail_once)
    step = asyncio.create_task(Worker(db, live, renew_every_s=0.001).step())
    await embedder.reached.acquire()
    await failed.wait()
    await scene.age_leases()
    await scene.until("select leased_until > now() from embedding_task", bool)
    embedder.go.set()
    assert (await step).stored == 1
    assert [line["reason"] for line in told(log, "embed.lease_not_renewed")] == [reason]


@pytest.mark.usefixtures("telemetry")
async def test_tasks_that_cannot_be_given_back(
    scene: Scene, worker: Worker, embedder: WordEmbedder, log: BytesIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the database away as well the step still ends, says so, and leaves the tasks to their lease."""

    async def refuse(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("away", reason="unreachable")

    await scene.post()
    embedder.down = "refused"
    monkeypatch.setattr(queries, "retry_tasks", refuse)
    assert (await worker.step()).retried == 0
    assert [line["tasks"] for line in told(log, "embed.not_given_back")] == [1]
    assert [row["leased"] for row in await scene.tasks()] == [True]
    assert GIVE_BACK_S < 5


async def test_word_statistics(scene: Scene, worker: Worker) -> None:
    """They are counted anew when a tenth of the postings changed, or after an hour when any did; not otherwise."""
    version = "select version from term_stat_state"
    await scene.post(count=20)
    for posts, aged, expected in ((0, False, 1), (1, False, 1), (0, True, 2), (0, True, 2), (3, False, 3)):
        await scene.post(count=posts)
        if aged:
            await scene.rows("update term_stat_state set refreshed_at = now() - interval '2 hours' returning 1")
        assert await worker.keep_term_stat() == TERM_STAT_EVERY_S
        assert await scene.value(version) == expected
    assert await scene.value("select ndoc from term_stat where lexeme = 'book'") == 24


async def test_counting_words_waits_for_searches_to_end(
    scene: Scene, worker: Worker, live: LiveEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While queries are about nothing is counted, for a minute at most; when they end, at the next look."""
    version = "select version from term_stat_state"
    for posted, about, put_off_s, expected in (
        (20, True, 60.0, 0),
        (0, True, 60.0, 0),
        (0, False, 60.0, 1),
        (20, True, 0.0, 2),
    ):
        monkeypatch.setattr("service.embedding.worker.TERM_STAT_PUT_OFF_S", put_off_s)
        monkeypatch.setattr(type(live), "queries_about", about)
        await scene.post(count=posted)
        await worker.keep_term_stat()
        assert await scene.value(version) == expected
        await worker.keep_term_stat()


async def test_one_process_at_a_time_counts_words(
    scene: Scene, db: Database, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one counts the others leave it; one that comes when it is just done sees that; it has longer than usual."""
    await scene.post(count=3)
    version, fetch = "select version from term_stat_state", queries.fetch_term_stat_age
    async with db.transaction() as connection:
        assert await queries.lock_term_stat(connection, timeout_ms=123_000)
        assert await connection.fetchval("show statement_timeout") == "123s"
        assert await worker.keep_term_stat() == TERM_STAT_EVERY_S
        assert await scene.value(version) == 0
    assert await scene.value("show statement_timeout") == "30s", "the connection has it back"

    async def fetch_early(given: Any) -> Any:
        age = await fetch(given)
        monkeypatch.undo()
        await worker.keep_term_stat()
        return age

    monkeypatch.setattr(queries, "fetch_term_stat_age", fetch_early)
    assert await worker.keep_term_stat() == TERM_STAT_EVERY_S
    assert await scene.value(version) == 1


@pytest.mark.usefixtures("telemetry")
async def test_word_statistics_that_fail(
    scene: Scene, worker: Worker, log: BytesIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count that the database gives up is told and disturbs nobody: the old numbers stay, the next try is far off."""

    async def give_up(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("too long", reason="statement_timeout")

    await scene.post(count=3)
    monkeypatch.setattr(queries, "refresh_term_stat", give_up)
    assert await worker.keep_term_stat() == TERM_STAT_RETRY_S > 60
    assert [line["loop"] for line in told(log, "loop.failed")] == ["term-stat"]
    assert await scene.value("select version from term_stat_state") == 0
    assert (await worker.step()).stored == 3
