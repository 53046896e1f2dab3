"""Taking in a file: what is counted, refused, kept beside a posting, and what a stopped run leaves."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.access.queries import ensure_tenant
from service.config import Settings
from service.db import Database
from service.errors import OperatorError
from service.ingest import domain
from service.ingest.domain import Ingest, Rejects, Report, read_sample, rejects_path
from service.ingest.mapping import FieldMap
from service.ingest.reader import input_bytes, read_rows
from service.jobs.domain import Jobs
from service.jobs.model import Filters
from service.sample.generate import POSTINGS

TODAY = date(2025, 7, 1)


def row(number: int, **fields: Any) -> dict[str, Any]:
    """A row as a board has it."""
    made = {"title": f"Cook {number}", "company": "Jiko", "source": "linkedin", "id": f"r{number}", **fields}
    return {name: value for name, value in made.items() if value is not None}


def write(path: Path, rows: list[Any]) -> str:
    """A JSONL file."""
    path.write_bytes(b"".join(one if isinstance(one, bytes) else msgspec.json.encode(one) + b"\n" for one in rows))
    return str(path)


class Intake:
    """Runs files into one tenant of a test's database."""

    def __init__(self, db: Database, tenant_id: int, folder: Path) -> None:
        self.jobs = Jobs(db, Settings())
        self.db = db
        self.tenant_id = tenant_id
        self.rejects = folder / "rejects.jsonl"
        self.seen: list[tuple[int, int]] = []

    async def run(self, path: str, **options: Any) -> Report:
        """Take in a file."""
        job = Ingest(self.jobs, self.tenant_id, **({"field_map": FieldMap(), "source": None, "today": TODAY} | options))
        return await job.run(path, Rejects(self.rejects), lambda so_far, done: self.seen.append((so_far.read, done)))

    async def titles(self) -> list[str]:
        """What is stored, the newest first."""
        page = await self.jobs.list(self.tenant_id, Filters(), keyword=None, after=None, limit=100)
        return [job.title for job in page.items]

    async def unread(self) -> dict[str, str]:
        """The raw values kept beside the only posting."""
        async with self.db.connection() as connection:
            found = await connection.fetchval("select unread from job")
        return {} if found is None else msgspec.json.decode(found, type=dict[str, str])


@pytest.fixture
async def intake(db: Database, tmp_path: Path) -> Intake:
    """Somewhere to run files into."""
    return Intake(db, await ensure_tenant(db, name="public"), tmp_path)


async def test_rows_read_are_accepted_or_refused(intake: Intake, tmp_path: Path) -> None:
    """Every row is one or the other; a refused one is written down with its line, its reasons and what it held."""
    path = write(tmp_path / "in.jsonl", [row(1), row(2, title=None), b"{broken\n", row(3, source="nowhere"), row(4)])
    report = await intake.run(path)
    assert (report.read, report.accepted, report.refused) == (5, 2, 3)
    assert report.refusals == {"title: missing": 1, "row: unreadable": 1, "source: source_not_accepted": 1}
    refused = [msgspec.json.decode(line) for line in intake.rejects.read_bytes().splitlines()]
    assert [one["line"] for one in refused] == [2, 3, 4]
    assert refused[0]["errors"] == [{"code": "missing", "detail": "The row has no title.", "pointer": "/title"}]
    assert refused[0]["row"]["company"] == "Jiko"
    assert "brightermonday, linkedin" in refused[2]["errors"][0]["detail"]


async def test_repeating_a_file_changes_nothing(intake: Intake, tmp_path: Path) -> None:
    """The second run finds every posting unchanged; a changed row is one update."""
    rows = [row(number) for number in range(20)]
    assert (await intake.run(write(tmp_path / "in.jsonl", rows))).created == 20
    again = await intake.run(str(tmp_path / "in.jsonl"))
    assert (again.created, again.updated, again.unchanged) == (0, 0, 20)
    rows[7]["title"] = "Head cook"
    changed = await intake.run(write(tmp_path / "in.jsonl", rows))
    assert (changed.created, changed.updated, changed.unchanged) == (0, 1, 19)


async def test_rows_are_stored_in_batches_and_told(
    intake: Intake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress comes after each batch, which is full by rows or by text, refused rows included."""
    monkeypatch.setattr(domain, "BATCH", 4)
    monkeypatch.setattr(domain, "BATCH_CHARS", 1000)
    rows = [row(number, title=None) for number in range(5)] + [
        row(number, description="x" * 900) for number in range(5)
    ]
    path = write(tmp_path / "in.jsonl", rows)
    await intake.run(path)
    assert [read for read, _ in intake.seen] == [4, 7, 9, 10]
    assert intake.seen[-1][1] == input_bytes(path)


async def test_no_refusal_means_no_file(intake: Intake, tmp_path: Path) -> None:
    """A run without refusals makes no rejects file and takes away the one of an earlier run."""
    await intake.run(write(tmp_path / "in.jsonl", [row(1, title=None)]))
    assert intake.rejects.exists()
    await intake.run(write(tmp_path / "in.jsonl", [row(1)]))
    assert not intake.rejects.exists()


async def test_a_run_that_fails_leaves_the_rejects_of_the_run_before(intake: Intake, tmp_path: Path) -> None:
    """Only a complete run may say that nothing is refused."""
    await intake.run(write(tmp_path / "in.jsonl", [row(1, title=None)]))
    with pytest.raises(OperatorError, match=r"cannot read .*gone\.jsonl: No such file"):
        await intake.run(str(tmp_path / "gone.jsonl"))
    assert intake.rejects.exists()


async def test_rejects_that_cannot_be_written_stop_the_run(intake: Intake, tmp_path: Path) -> None:
    """A refusal is never lost: the run ends with the path and the reason."""
    intake.rejects = tmp_path / "nowhere" / "rejects.jsonl"
    path = write(tmp_path / "in.jsonl", [row(1), row(2, title=None)])
    with pytest.raises(OperatorError, match=r"cannot write the rejects to .*nowhere.*: No such file or directory"):
        await intake.run(path)
    assert await intake.titles() == []


async def test_rejects_that_cannot_be_removed_are_told(intake: Intake, tmp_path: Path) -> None:
    """A folder in the place of the rejects file is no file of ours."""
    intake.rejects.mkdir()
    with pytest.raises(OperatorError, match="cannot write the rejects to"):
        await intake.run(write(tmp_path / "in.jsonl", [row(1)]))


async def test_the_day_of_collection_dates_relative_words(intake: Intake, tmp_path: Path) -> None:
    """Without it "Yesterday" is dropped, counted and kept raw; with it the posting has a date."""
    path = write(tmp_path / "in.jsonl", [row(1, posted_at="Yesterday")])
    assert (await intake.run(path)).warnings == {"posted_at: date_relative": 1}
    assert await intake.unread() == {"posted_at": "Yesterday"}
    dated = await intake.run(path, collected_on=date(2025, 6, 30))
    assert (dated.updated, dated.warnings) == (1, {})
    page = await intake.jobs.list(intake.tenant_id, Filters(), keyword=None, after=None, limit=1)
    assert page.items[0].posted_at is not None
    assert page.items[0].posted_at.date() == date(2025, 6, 29)


async def test_what_is_kept_raw_is_short(intake: Intake, tmp_path: Path) -> None:
    """A description that had to be cut does not stand a second time beside the posting, nor whole in the rejects."""
    long = "word " * 30_000
    report = await intake.run(write(tmp_path / "in.jsonl", [row(1, description=long), row(2, title=None, note=long)]))
    assert report.warnings == {"description: description_truncated": 1}
    assert {name: len(text) for name, text in (await intake.unread()).items()} == {"description": 2000}
    assert len(msgspec.json.decode(intake.rejects.read_bytes())["row"]["note"]) == 2000


async def test_half_a_surrogate_pair_in_a_refused_row_can_be_written_down(intake: Intake, tmp_path: Path) -> None:
    """What no encoding can hold is replaced in the rejects file."""
    await intake.run(write(tmp_path / "in.jsonl", [b'{"company": NaN, "title": "x\\ud800y", "source": "linkedin"}\n']))
    assert msgspec.json.decode(intake.rejects.read_bytes())["row"]["title"] == "x?y"


async def test_a_stopped_run_leaves_whole_batches_and_the_next_one_completes(
    intake: Intake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping while the input gives nothing ends at once; what was stored stays, and a second run does the rest."""
    monkeypatch.setattr(domain, "BATCH", 3)
    path = write(tmp_path / "in.jsonl", [row(number) for number in range(9)])
    waiting, release = threading.Event(), threading.Event()

    def stalling(path: str) -> Iterator[Any]:
        for number, one in enumerate(read_rows(path)):
            if number == 5:
                waiting.set()
                release.wait()
            yield one

    monkeypatch.setattr(domain, "read_rows", stalling)
    running = asyncio.create_task(intake.run(path))
    await asyncio.to_thread(waiting.wait)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    release.set()
    assert sorted(await intake.titles()) == ["Cook 0", "Cook 1", "Cook 2"]
    monkeypatch.setattr(domain, "read_rows", read_rows)
    report = await intake.run(path)
    assert (report.created, report.unchanged) == (6, 3)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("-", "stdin.rejects.jsonl"),
        ("/in/jobs.jsonl.gz", "jobs.jsonl.gz.rejects.jsonl"),
        ("a.b.csv", "a.b.csv.rejects.jsonl"),
        ("jobs", "jobs.rejects.jsonl"),
    ],
)
def test_the_rejects_stand_in_the_working_folder_under_the_name_of_the_input(path: str, expected: str) -> None:
    """The name is the whole name of the input, so that two inputs never share one."""
    assert rejects_path(path) == Path(expected)


def test_the_sample_needs_no_cleaning() -> None:
    """Every sample posting is valid as it stands."""
    assert sum(1 for _ in read_sample(POSTINGS)) == 360
