"""Strikes: a text that alone is at fault is tried five times and set aside with the reason; nothing else ever is."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest

from service.db import Database
from service.embedder import PartlyEmbedded, Vector
from service.embedding.batch import MOST_STRIKES
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.errors import DatabaseUnavailable, EmbedderUnavailable, TextRefused
from tests.fakes import REFUSED, WordEmbedder
from tests.worker.scene import Scene, due_in_s

BAD = "poison"


class Suspecting(WordEmbedder):
    """Finds a text with the word `poison` suspect while others go through; or breaks on it, or is away for it."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Callable[[], Exception] | None = None
        self.finishes = True

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector | TextRefused]:
        """Embed the others."""
        bad = [place for place, text in enumerate(texts) if BAD in text]
        if not bad:
            return await super().embed_documents(texts)
        if self.fault is not None:
            raise self.fault()
        outcomes = await super().embed_documents(texts)
        finished = {place: one for place, one in enumerate(outcomes) if place not in bad and self.finishes}
        cause = EmbedderUnavailable("no answer in 60 s", reason="timeout")
        raise PartlyEmbedded(cause, finished, dict.fromkeys(bad, "timeout: no answer in 60 s"))


@pytest.fixture
def embedder() -> Suspecting:
    """The embedder of these tests."""
    return Suspecting()


async def drain(scene: Scene, worker: Worker, *, rounds: int = 40) -> None:
    """Step until only what is set aside is left, letting all pauses pass."""
    for _ in range(rounds):
        await scene.make_due()
        if not (await worker.step()).claimed:
            return
    pytest.fail("the queue did not come to an end")


def told(log: BytesIO, event: str) -> list[dict[str, Any]]:
    """The log lines of an event."""
    return [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == event]


@pytest.mark.usefixtures("telemetry")
async def test_a_suspect_is_set_aside_with_its_fifth_strike(
    scene: Scene, worker: Worker, live: LiveEmbedder, log: BytesIO
) -> None:
    """It is pending, with the reason, for longer each time, and then failed; the others are embedded at once."""
    (bad,), others = await scene.post(description=BAD), await scene.post(count=3)
    outcome = await worker.step()
    assert (outcome.claimed, outcome.stored, outcome.struck, outcome.retried) == (4, 3, 1, 0)
    assert [(await scene.state(job_id))[0] for job_id in others] == ["done"] * 3
    waits = []
    for strikes in range(1, MOST_STRIKES):
        (task,) = await scene.tasks()
        assert (task["strikes"], task["lease"], task["failed_at"]) == (strikes, None, None)
        assert await scene.state(bad) == ("pending", "timeout: no answer in 60 s")
        waits.append(round(due_in_s(task, datetime.now(UTC))))
        await scene.make_due()
        outcome = await worker.step()
    assert waits == [1, 5, 15, 60]
    assert (outcome.struck, outcome.discarded) == (0, 1)
    why = "given up after 5 attempts: timeout: no answer in 60 s"
    assert await scene.state(bad) == ("failed", why)
    assert (await worker.step()).claimed == 0
    assert live.absence is None, "the embedder was never away"
    assert [line["job_id"] for line in told(log, "embed.suspect")] == [bad] * 4
    assert [(line["job_id"], line["reason"]) for line in told(log, "embed.failed")] == [(bad, why)]


async def test_a_suspect_alone_keeps_nobody_waiting(scene: Scene, worker: Worker, live: LiveEmbedder) -> None:
    """A claim of nothing but a suspect is no sign that the embedder is away: the loop goes on at once."""
    await scene.post(description=BAD)
    assert await worker.run_once() == 0
    assert live.absence is None


async def test_a_suspect_is_claimed_alone(scene: Scene, worker: Worker) -> None:
    """A task with a strike shares no claim, wherever it stands in the line; the others are claimed together."""
    await scene.post(description=BAD)
    await worker.step()
    await scene.make_due()
    await scene.post(count=2)
    claimed = [(outcome.claimed, outcome.struck) for outcome in [await worker.step(), await worker.step()]]
    assert claimed == [(1, 1), (2, 0)]
    (first,), _, (last,) = await scene.post(), await scene.post(description=BAD), await scene.post()
    await scene.rows("update embedding_task set strikes = 1 where job_id > $1 and job_id < $2 returning 1", first, last)
    assert [(await worker.step()).claimed, (await worker.step()).claimed] == [2, 1]


async def test_only_suspects_have_strikes(scene: Scene, worker: Worker, embedder: Suspecting) -> None:
    """What was not finished beside a suspect goes back for later without one."""
    embedder.finishes = False
    await scene.post(description=BAD)
    await scene.post(count=2)
    outcome = await worker.step()
    assert (outcome.claimed, outcome.struck, outcome.retried) == (3, 1, 2)
    assert [(row["strikes"], row["reason"]) for row in await scene.tasks()] == [
        (1, "timeout: no answer in 60 s"),
        (0, "timeout"),
        (0, "timeout"),
    ]


async def test_a_long_posting_has_one_strike_for_all_its_passages(scene: Scene, worker: Worker) -> None:
    """However many of its passages are suspect, and whether others of them are fine."""
    (bad,) = await scene.post(description=f"Good words. {BAD} " * 120)
    assert (await worker.step()).struck == 1
    (task,) = await scene.tasks()
    assert (task["job_id"], task["strikes"]) == (bad, 1)
    assert await scene.passages(bad) == []


async def test_a_refused_text_is_refused_although_suspect(scene: Scene, worker: Worker) -> None:
    """A posting of which the model refuses one passage is set aside at once, whatever befell another."""
    (job_id,) = await scene.post(description=f"{REFUSED} {'words ' * 100} {BAD}")
    assert (await worker.step()).discarded == 1
    assert await scene.state(job_id) == ("failed", "the model yields no number")


async def test_same_texts_are_suspect_together(scene: Scene, worker: Worker) -> None:
    """Postings with the very same text share its fate."""
    await scene.post(count=2, title="Driver", description=BAD, external_id=...)
    assert (await worker.step()).struck == 2


@pytest.mark.parametrize("how", ["store", "patch"])
async def test_a_new_text_starts_anew(scene: Scene, worker: Worker, how: str) -> None:
    """Strikes belong to a text: another one has none, and is claimed with the others."""
    (job_id,) = await scene.post(external_id="x", description=BAD)
    await worker.step()
    assert [row["strikes"] for row in await scene.tasks()] == [1]
    if how == "store":
        await scene.post(external_id="x", description=f"other {BAD}")
    else:
        await scene.patch(job_id, description=f"other {BAD}")
    (task,) = await scene.tasks()
    assert (task["strikes"], task["attempts"], task["reason"]) == (0, 0, None)
    await drain(scene, worker)
    assert (await scene.state(job_id))[0] == "failed"
    await scene.patch(job_id, description="harmless")
    await drain(scene, worker)
    assert await scene.state(job_id) == ("done", None)


@pytest.mark.parametrize(
    "fault",
    [
        lambda: EmbedderUnavailable("gone", reason="refused"),
        lambda: DatabaseUnavailable("gone", reason="statement_timeout"),
    ],
)
async def test_outages_are_no_strikes(
    scene: Scene, worker: Worker, embedder: Suspecting, fault: Callable[[], Exception]
) -> None:
    """A task is given back as often as it takes while embedder or database are away, alone in its claim or not."""
    embedder.fault = fault
    await scene.post(description=BAD)
    for _ in range(MOST_STRIKES + 2):
        try:
            await worker.step()
        except DatabaseUnavailable as error:
            assert error.reason == "statement_timeout"  # noqa: PT017 - the other fault does not climb
        await scene.make_due()
    (task,) = await scene.tasks()
    assert (task["strikes"], task["failed_at"], task["attempts"]) == (0, None, MOST_STRIKES + 2)
    assert task["reason"] in {"refused", "database_unavailable"}


async def test_stops_are_no_strikes(scene: Scene, worker: Worker, embedder: Suspecting) -> None:
    """A process that is stopped or killed again and again with the same single task leaves it pending."""
    embedder.fault = asyncio.CancelledError  # type: ignore[assignment] # as a stop raises it
    await scene.post(description=BAD)
    for _ in range(MOST_STRIKES + 1):
        with pytest.raises(asyncio.CancelledError):
            await worker.step()
    (task,) = await scene.tasks()
    assert (task["strikes"], task["attempts"], task["failed_at"]) == (0, 0, None)


async def test_a_claim_that_takes_too_long_is_halved(
    scene: Scene, db: Database, live: LiveEmbedder, embedder: Suspecting
) -> None:
    """When the database gives up on a claim the next is half as large, down to one, and grows again afterwards."""
    embedder.fault = lambda: DatabaseUnavailable("too much", reason="statement_timeout")
    worker = Worker(db, live, batch=4)
    await scene.post(count=4, description=BAD)
    claimed = []
    for _ in range(4):
        with pytest.raises(DatabaseUnavailable):
            await worker.step()
        claimed.append(sum(row["attempts"] for row in await scene.tasks()))
        await scene.make_due()
    assert claimed == [4, 6, 7, 8]
    await scene.rows("delete from embedding_task returning 1")
    await scene.post(count=7)
    assert [(await worker.step()).claimed for _ in range(3)] == [1, 2, 4]
