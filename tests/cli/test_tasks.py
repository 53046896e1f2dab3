"""`jobsense tasks`: what was set aside is listed with the reason, and put back one by one or all together."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from service.db import Database
from service.embedding import queries
from service.shell.tasks import retry_all
from tests.cli.conftest import Call
from tests.fakes import REFUSED
from tests.telemetry_stack import PARENT
from tests.worker.scene import Scene

Found = TypeVar("Found")
ROWS = [
    {"title": f"[Remote] Night {REFUSED}", "company": "Afya", "source": "linkedin", "id": "a-1"},
    {"title": "Welder", "company": "Jua Kali", "source": "linkedin", "id": "a-2"},
    {"title": f"Potter \x1b[31m{REFUSED}", "company": "Udongo", "source": "brightermonday"},
]
NONE = "put back 0 tasks\n"
WRITTEN = "update embedding_task set traceparent = $1 returning 1"


@pytest.fixture
def stored(call: Call, tmp_path: Path) -> Call:
    """Three postings, of which the model has refused two."""
    (tmp_path / "jobs.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in ROWS))
    assert call("ingest", "jobs.jsonl").code == 0
    return call


def in_database(dsn: str, work: Callable[[Scene], Awaitable[Found]]) -> Found:
    """Do something in the database of a command."""

    async def run() -> Found:
        db = await Database.open(dsn, max_size=2)
        try:
            return await work(await Scene.of(db))
        finally:
            await db.close()

    return asyncio.run(run())


async def states(scene: Scene) -> list[tuple[Any, ...]]:
    """The queue: what is set aside, and how often it was tried."""
    return [(row["failed_at"] is not None, row["strikes"], row["attempts"]) for row in await scene.tasks()]


def test_piped_the_list_is_json(stored: Call) -> None:
    """Each task with its posting, the reason and the counts, the longest ago first; `--limit` says of how many."""
    first, second = stored("tasks", "list").json()
    assert first | {"job_id": 0, "failed_at": ""} == {
        "job_id": 0,
        "tenant": "public",
        "source": "linkedin",
        "external_id": "a-1",
        "title": f"[Remote] Night {REFUSED}",
        "reason": "the model yields no number",
        "strikes": 0,
        "attempts": 1,
        "failed_at": "",
    }
    assert first["failed_at"] <= second["failed_at"]
    assert second["source"] == "brightermonday"
    limited = stored("tasks", "list", "--limit", "1")
    assert [task["job_id"] for task in limited.json()] == [first["job_id"]]
    assert limited.err == "1 of 2\n"


def test_on_a_terminal_the_list_is_a_table(stored: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line a task; what a posting holds cannot command the terminal."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    shown = stored("tasks", "list").out
    assert "[Remote] Night" in shown
    assert "the model yields no number" in shown
    assert "\x1b[31m" not in shown
    assert "Welder" not in shown


def test_named_tasks_are_put_back(stored: Call, dsn: str) -> None:
    """They are due at once and as if new; an id that has no task set aside is named, and the others are done."""
    first, second = (str(task["job_id"]) for task in stored("tasks", "list").json())
    result = stored("tasks", "retry", "999", first, first, "998")
    assert (result.code, result.out) == (1, "put back 1 task\n")
    assert result.err == "jobsense: not set aside: 999, 998\n"
    assert in_database(dsn, states) == [(False, 0, 0), (True, 0, 1)]
    done = stored("tasks", "retry", second)
    assert (done.code, done.out, done.err) == (0, "put back 1 task\n", "")
    assert in_database(dsn, states) == [(False, 0, 0)] * 2
    again = stored("tasks", "retry", second)
    assert (again.code, again.out) == (1, NONE)


def test_all_are_put_back(stored: Call, dsn: str) -> None:
    """`--all` says how many; without any it is no failure."""
    result = stored("tasks", "retry", "--all")
    assert (result.code, result.out) == (0, "put back 2 tasks\n")
    assert in_database(dsn, states) == [(False, 0, 0)] * 2
    none = stored("tasks", "retry", "--all")
    assert (none.code, none.out) == (0, NONE)
    assert stored("tasks", "list").json() == []


@pytest.mark.parametrize("arguments", [(), ("--all", "1")])
def test_retry_wants_ids_or_all(call: Call, arguments: tuple[str, ...]) -> None:
    """Neither or both is wrong use."""
    result = call("tasks", "retry", *arguments)
    assert (result.code, result.out) == (2, "")
    assert "name the postings, or give --all" in result.err


async def test_all_go_back_in_batches(db: Database) -> None:
    """Every task goes back once, whatever the batch; one set aside meanwhile waits for the next call."""
    scene = await Scene.of(db)
    ids = await scene.post(count=7)
    await scene.rows(
        "update embedding_task set failed_at = '2026-01-01'::timestamptz + (job_id % 3) * interval '1 day',"
        " strikes = 5, attempts = 9, reason = 'x' returning 1"
    )
    await scene.rows("update embedding_task set failed_at = 'infinity' where job_id = $1 returning 1", ids[0])
    assert await retry_all(db, batch=2) == 6
    assert await states(scene) == [(True, 5, 9)] + [(False, 0, 0)] * 6
    assert {row["reason"] for row in (await scene.tasks())[1:]} == {None}


async def test_all_waits_for_no_writer(db: Database) -> None:
    """A task that a writer holds is left to the writer, who gives it a new text; naming it waits for the writer."""
    scene = await Scene.of(db)
    held, free = await scene.post(count=2)
    await scene.rows("update embedding_task set failed_at = now() returning 1")
    async with db.transaction() as connection:
        await connection.execute("select from embedding_task where job_id = $1 for update", held)
        assert await retry_all(db) == 1
        waiting = asyncio.create_task(queries.retry_failed_task(db, job_id=held))
        await scene.until("select count(*) from pg_locks where not granted", bool)
    assert await waiting == held
    assert [row["failed_at"] for row in await scene.tasks()] == [None, None]
    assert free > held


def test_a_posting_leads_to_the_traces_behind_it(stored: Call, dsn: str) -> None:
    """The trace that embedded it while it is embedded, that of the request that wrote it while it waits; else none."""
    refused, embedded = in_database(
        dsn,
        lambda scene: scene.rows(
            "select j.id from job j left join embedded e on e.job_id = j.id order by e.job_id is not null, j.id"
        ),
    )[::2]
    found = stored("tasks", "trace", str(embedded["id"])).json()
    assert (found["job_id"], found["written_by"]) == (embedded["id"], None)
    assert len(found["embedded_by"]) == 32
    assert found["embedded_at"]
    in_database(dsn, lambda scene: scene.rows(WRITTEN, f"00-{PARENT}-01"))
    waiting = stored("tasks", "trace", str(refused["id"])).json()
    assert (waiting["embedded_by"], waiting["written_by"]) == (None, PARENT[:32])
    none = stored("tasks", "trace", "9999")
    assert (none.code, none.out) == (1, "")
    assert "there is no posting 9999" in none.err
