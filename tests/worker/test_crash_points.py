"""A step that is disturbed at any one of its statements, in whatever way, leaves nothing that the next cannot mend."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from service.db import Connection, Database
from service.embedding import queries
from service.embedding.domain import LiveEmbedder
from service.embedding.passages import split
from service.embedding.worker import Worker
from service.errors import DatabaseUnavailable
from tests.fakes import REFUSED, WordEmbedder
from tests.worker.scene import Scene, unit

APPLICATION = "jobsense-disturbed"
MOST_STATEMENTS = 40
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
LONG = "Many words of a long text. " * 20


class Disturbance:
    """Counts the statements of one pool, begin and commit included; what happens at a statement is up to a subclass."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.at = self.count = 0
        self.over = False
        self.running: list[asyncio.Task[Any]] = []

    async def run(self, connection: Connection, statement: Callable[[], Awaitable[Any]]) -> Any:
        """Run a statement, disturbed if it is its turn."""
        self.count += 1
        if self.at == 0 or not self.is_turn():
            return await statement()
        await self.before(connection)
        result = await statement()
        await self.after(connection)
        return result

    def is_turn(self) -> bool:
        """Whether this statement is the one."""
        return self.count == self.at

    async def before(self, connection: Connection) -> None:
        """What happens before the statement."""

    async def after(self, connection: Connection) -> None:
        """What happens between the statement and its answer."""

    async def terminate(self, connection: Connection) -> None:
        """Let the server end a connection, and wait until it has."""
        pid = connection.get_server_pid()
        await self.scene.rows("select pg_terminate_backend($1)", pid)
        while await self.scene.value("select exists (select from pg_stat_activity where pid = $1)", pid):
            pass

    async def meanwhile(self, write: Awaitable[Any]) -> None:
        """Let a writer write: until it is done, or until it waits for a lock of the step."""
        writing = asyncio.ensure_future(write)
        self.running.append(writing)
        while not (writing.done() or await self.scene.value(WAITING)):
            pass


class ConnectionCut(Disturbance):
    """The connection is lost before the statement is sent."""

    async def before(self, connection: Connection) -> None:
        """End it."""
        await self.terminate(connection)


class AnswerLost(Disturbance):
    """The statement is done (a commit is one), and its answer is lost with the connection."""

    async def after(self, connection: Connection) -> None:
        """End it."""
        await self.terminate(connection)
        raise asyncpg.ConnectionDoesNotExistError("the answer is lost")


class DatabaseAway(Disturbance):
    """From this statement on the database cannot be reached; a killed process looks like that to the others, too."""

    def is_turn(self) -> bool:
        """This and all that follow."""
        return self.count >= self.at

    async def before(self, connection: Connection) -> None:
        """Lose the connection for good."""
        connection.terminate()
        raise asyncpg.ConnectionDoesNotExistError("the database is away")


class AwayAfter(DatabaseAway):
    """The same, but the first statement has been done."""

    async def before(self, connection: Connection) -> None:
        """Let the first pass."""
        if self.count > self.at:
            await super().before(connection)

    async def after(self, connection: Connection) -> None:
        """Lose the connection for good."""
        await super().before(connection)


class Cancelled(Disturbance):
    """The process is told to stop."""

    async def before(self, _connection: Connection) -> None:
        """Cancel the step."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel()


class LeaseTaken(Disturbance):
    """The leases have lapsed, and another worker has claimed the tasks."""

    async def before(self, _connection: Connection) -> None:
        """Claim what the step has not locked."""
        await self.scene.rows(
            "update embedding_task set leased_until = now() - interval '1 minute'"
            " where job_id in (select job_id from embedding_task for update skip locked) returning 1"
        )
        limits = {"most": 64, "most_bytes": 10**6}
        await queries.claim_tasks(self.scene.db, generation=1, lease=uuid4(), lease_s=30.0, **limits)


class TextChanged(Disturbance):
    """Somebody changes the texts of two postings."""

    async def before(self, _connection: Connection) -> None:
        """Change one that is embedded and one that is copied."""
        for external_id in ("long", "twin"):
            await self.meanwhile(self.scene.post(external_id=external_id, description=f"Changed {LONG}"))


class TextChanging(Disturbance):
    """Somebody has changed a text and not committed; that comes when the step waits for it, or is over."""

    async def before(self, _connection: Connection) -> None:
        """Begin to write, and go on when the writer has the posting and stands still, or waits for the step."""
        ready = asyncio.Event()
        self.running.append(asyncio.create_task(self.write_slowly(ready)))
        await ready.wait()

    async def write_slowly(self, ready: asyncio.Event) -> None:
        """Hold the task, for which the writer then waits with the posting locked."""
        async with self.scene.db.transaction() as holder:
            await holder.execute(
                "select from embedding_task where job_id = (select id from job where external_id = 'long')"
                " for update skip locked"
            )
            await self.meanwhile(self.scene.post(external_id="long", description=f"Changed {LONG}"))
            ready.set()
            while not self.over and await self.scene.value(WAITING) == 1:
                pass


class PostingDeleted(Disturbance):
    """Somebody deletes two postings."""

    async def before(self, _connection: Connection) -> None:
        """Delete one that is embedded and one that is copied from."""
        for external_id in ("long", "base"):
            await self.meanwhile(self.scene.rows("delete from job where external_id = $1 returning 1", external_id))


@pytest.fixture
async def disturbed(dsn: str) -> AsyncIterator[Database]:
    """A pool of its own for the step that is disturbed."""
    opened = await Database.open(dsn, max_size=4, application=APPLICATION)
    yield opened
    await opened.close()


def watch(disturbance: Disturbance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead the statements of that pool through the disturbance."""

    def led(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(self: Any, *arguments: Any, **how: Any) -> Any:
            if self._params.server_settings.get("application_name") != APPLICATION:
                return await method(self, *arguments, **how)
            return await disturbance.run(self, lambda: method(self, *arguments, **how))

        return run

    for name in ("execute", "fetch", "fetchrow", "fetchval"):
        monkeypatch.setattr(asyncpg.Connection, name, led(getattr(asyncpg.Connection, name)))


async def drain(worker: Worker) -> None:
    """Step until nothing is due."""
    while (await worker.step()).claimed:
        pass


async def set_up(scene: Scene, healthy: Worker, number: int) -> None:
    """A queue with a task of each kind: settled, copied, refused, stored from one passage, several and shared ones."""
    same: dict[str, Any] = {"title": "Driver", "description": f"Round {number}."}
    await scene.post(external_id="base", **same)
    await scene.post(external_id="settled", title="Cook", description="Cook.")
    await drain(healthy)
    for title in ("Baker", "Cook"):
        await scene.post(external_id="settled", title=title, description="Cook.")
    await scene.post(external_id="twin", **same)
    await scene.post(external_id="refused", description=f"{REFUSED} {number}")
    await scene.post(external_id="long", description=f"{number} {LONG}")
    for external_id in ("one", "two"):
        await scene.post(external_id=external_id, title="Nurse", description=f"Nurse {number}.")


async def check_whole(scene: Scene) -> None:
    """What is noted as embedded is there, all of it."""
    query = "select passages, (select count(*) from passage p where p.job_id = e.job_id) as found from embedded e"
    assert all(row["passages"] == row["found"] for row in await scene.rows(query))


async def check_done(scene: Scene, live: LiveEmbedder, embedder: WordEmbedder) -> None:
    """Every posting has exactly the vectors of its text, but the refused one, and no task is left but its own."""
    assert live.generation is not None
    states = {
        row["external_id"]: row["failed"]
        for row in await scene.rows(
            "select external_id, failed_at is not null as failed from embedding_task join job on id = job_id"
        )
    }
    assert states == {"refused": True}
    for job in await scene.rows("select id, title, company, location, body from job where external_id <> 'refused'"):
        made = split(*list(job)[1:], generation=live.generation, tokenizer=embedder)
        stored = await scene.passages(job["id"])
        assert len(stored) == len(made)
        assert all(unit(vector, embedder.vector(one.text)) > 0.999 for vector, one in zip(stored, made, strict=True))
    await check_whole(scene)


@pytest.mark.parametrize(
    "kind",
    [
        ConnectionCut,
        AnswerLost,
        DatabaseAway,
        AwayAfter,
        Cancelled,
        LeaseTaken,
        TextChanged,
        TextChanging,
        PostingDeleted,
    ],
)
async def test_any_statement_may_be_the_last(
    scene: Scene,
    disturbed: Database,
    live: LiveEmbedder,
    embedder: WordEmbedder,
    kind: type[Disturbance],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Afterwards a healthy worker brings every posting to its end; no passage is missing, doubled or of an old text."""
    healthy, disturbance = Worker(scene.db, live), kind(scene)
    watch(disturbance, monkeypatch)
    for number in range(1, MOST_STATEMENTS):
        await set_up(scene, healthy, number)
        disturbance.at, disturbance.count, disturbance.over = number, 0, False
        step = asyncio.create_task(Worker(disturbed, live).step())
        (ended,) = await asyncio.gather(step, return_exceptions=True)
        assert not isinstance(ended, Exception) or isinstance(ended, DatabaseUnavailable), repr(ended)
        disturbance.over, disturbance.at, reached = True, 0, disturbance.count >= number
        await asyncio.gather(*disturbance.running)
        await check_whole(scene)
        await scene.age_leases()
        await scene.make_due()
        await drain(healthy)
        await check_done(scene, live, embedder)
        if not reached:
            break
    assert 12 < number < MOST_STATEMENTS
