"""Clocks: what is due, leased and set aside goes by the database's, however wrong those of the processes are."""

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from types import ModuleType
from uuid import UUID

import pytest

import service.embedding.batch
import service.embedding.worker
import service.jobs.domain
import service.shell.tasks
from service.db import Database
from service.embedding import queries
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker, application_name
from service.shell.tasks import retry_all, retry_some
from tests.fakes import REFUSED, WordEmbedder
from tests.worker.scene import Scene, due_in_s

MODULES: tuple[ModuleType, ...] = (
    service.embedding.batch,
    service.embedding.worker,
    service.jobs.domain,
    service.shell.tasks,
)

ONE, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture(params=[-1, 1], ids=["behind", "ahead"])
def skewed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose clock is an hour off."""

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # gives plain ones
            return datetime.now(tz) + timedelta(hours=request.param)

    for module in MODULES:
        monkeypatch.setattr(module, "datetime", Skewed)
    yield
    monkeypatch.undo()


@pytest.mark.usefixtures("skewed")
async def test_what_is_written_is_due_at_once(scene: Scene, worker: Worker) -> None:
    """New postings and changed ones are embedded by the next step."""
    (job_id,) = await scene.post(external_id="x")
    assert (await worker.step()).stored == 1
    await scene.patch(job_id, title="Changed")
    assert (await worker.step()).stored == 1
    await scene.post(external_id="x", title="Changed again")
    assert (await worker.step()).stored == 1


@pytest.mark.usefixtures("skewed")
async def test_a_live_lease_is_nobody_elses(scene: Scene, db: Database, worker: Worker) -> None:
    """A worker takes no task that another holds, holds its own for as long as others, and renews it for as long."""
    await scene.post(count=2)
    await scene.rows(
        "update embedding_task set leased_until = now() + interval '20 seconds', lease = $1 returning 1", ONE
    )
    assert (await worker.step()).claimed == 0
    await scene.age_leases()
    for _ in range(2):
        await queries.claim_tasks(db, generation=1, lease=OTHER, lease_s=30.0, most=1, most_bytes=1)
    left = "select extract(epoch from leased_until - now())::float from embedding_task"
    assert all(25 < row[0] <= 30 for row in await scene.rows(left))
    await queries.renew_lease(db, lease=OTHER, lease_s=90.0)
    assert all(85 < row[0] <= 90 for row in await scene.rows(left))


@pytest.mark.usefixtures("skewed")
async def test_pauses_are_as_long_as_they_are(
    scene: Scene, worker: Worker, embedder: WordEmbedder, live: LiveEmbedder
) -> None:
    """What goes back is due after its pause; what is set aside is so now, and put back by name or with all others."""
    await scene.post()
    embedder.down = "refused"
    assert (await worker.step()).retried == 1
    now = await scene.value("select now()")
    assert 0 < due_in_s((await scene.tasks())[0], now) <= 1
    embedder.down = None
    await live.connect()
    (refused,) = await scene.post(external_id="x", description=REFUSED)
    assert (await worker.step()).discarded == 1
    failed = "select extract(epoch from now() - failed_at)::float from embedding_task where job_id = $1"
    assert 0 <= await scene.value(failed, refused) < 30
    assert await retry_all(scene.db) == 1
    assert (await worker.step()).discarded == 1
    assert await retry_some(scene.db, [refused]) == (1, [])
    assert (await worker.step()).discarded == 1


def test_the_name_of_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Host and number, whole within the 63 bytes that the database keeps; of a long host name the end."""
    monkeypatch.setattr("os.getpid", lambda: 1)
    names = []
    for host in ("one", "two.example.org", f"{'x' * 60}-a", f"{'x' * 60}-b"):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        names.append(application_name())
    assert names[:2] == ["jobsense-worker:one:1", "jobsense-worker:two:1"]
    assert len(set(names)) == 4
    monkeypatch.setattr("os.getpid", lambda: 2**22)
    assert len(application_name()) <= 63


async def test_workers_of_the_same_number_are_counted(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of two containers, where each is number 1, are two; the connections of one are one."""
    monkeypatch.setattr("os.getpid", lambda: 1)
    opened = []
    for host in ("one", "two", "two"):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        opened.append(await Database.open(dsn, max_size=1, application=application_name()))
    assert await queries.count_workers(opened[0]) == 2
    for db in opened:
        await db.close()
