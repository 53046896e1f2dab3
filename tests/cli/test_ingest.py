"""`jobsense ingest`: every form of input, its options, what it embeds and what it leaves to others."""

import asyncio
import gzip
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.cli.conftest import Call, Start, environment
from tests.fakes import WordEmbedder

ROWS = [
    {"title": "Nurse", "company": "Afya", "source": "linkedin", "id": "1", "description": "Look after patients."},
    {"title": "Welder", "company": "Jua Kali", "source": "linkedin", "id": "2", "posted": "Yesterday"},
    {"title": "", "company": "Nobody", "source": "linkedin", "id": "3"},
]
CSV = "title;company;source;id\nNurse;Afya;linkedin;1\nWelder;Jua Kali;linkedin;2\n;Nobody;linkedin;3\n"
JSONL = "".join(msgspec.json.encode(row).decode() + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("jobs.jsonl", JSONL.encode()),
        ("jobs.json", msgspec.json.encode(ROWS)),
        ("jobs.csv", CSV.encode()),
        ("jobs.jsonl.gz", gzip.compress(JSONL.encode(), mtime=0)),
        ("jobs.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
    ],
)
def test_each_form_of_file_is_taken_in(call: Call, tmp_path: Path, name: str, content: bytes) -> None:
    """The report is JSON on standard output, and read = accepted + refused; refusals are in a file that is named."""
    (tmp_path / name).write_bytes(content)
    result = call("ingest", name)
    report = result.json()
    assert result.code == 0
    assert (report["read"], report["accepted"], report["refused"], report["created"]) == (3, 2, 1, 2)
    assert result.err == f"refused rows: {name}.rejects.jsonl\n"
    (refused,) = (tmp_path / f"{name}.rejects.jsonl").read_bytes().splitlines()
    assert msgspec.json.decode(refused)["errors"][0]["pointer"] == "/title"


def test_standard_input_is_taken_in_by_a_process(tmp_path: Path, start: Start, dsn: str) -> None:
    """`zcat x | jobsense ingest -`, in pieces too small to tell what it is; logs are not on standard output."""
    reading, writing = os.pipe()
    env = environment(tmp_path, database_url=dsn, log_level="debug")
    running = start("ingest", "-", "--no-embed", env=env, stdin=reading)
    os.close(reading)
    for piece in (b"{", JSONL[1:9].encode(), JSONL[9:].encode()):
        os.write(writing, piece)
    os.close(writing)
    result = running.end()
    assert result.code == 0, result.err
    assert result.json()["created"] == 2
    assert (tmp_path / "stdin.rejects.jsonl").is_file()


def test_the_second_run_changes_and_embeds_nothing(call: Call, tmp_path: Path, words: WordEmbedder) -> None:
    """Two texts go to the model the first time; the second time the model is not even started."""
    (tmp_path / "jobs.jsonl").write_text(JSONL)
    first = call("ingest", "jobs.jsonl").json()
    assert (first["created"], first["embedded"], first["waiting"]) == (2, 2, 0)
    assert len(words.documents) == 2
    words.started, words.calls = False, 0
    second = call("ingest", "jobs.jsonl").json()
    assert (second["created"], second["updated"], second["unchanged"]) == (0, 0, 2)
    assert (second["embedded"], words.calls, words.started) == (0, 0, False)


def test_without_embedding_the_tasks_wait_for_the_next_one(call: Call, tmp_path: Path, words: WordEmbedder) -> None:
    """--no-embed stores and leaves the texts; an ingest without it embeds them, though nothing in the file is new."""
    (tmp_path / "jobs.jsonl").write_text(JSONL)
    stored = call("ingest", "jobs.jsonl", "--no-embed").json()
    assert (stored["created"], stored["embedded"], stored["waiting"], words.calls) == (2, 0, 2, 0)
    assert call("ingest", "jobs.jsonl").json()["embedded"] == 2


def test_with_the_embedder_away_everything_is_stored(call: Call, tmp_path: Path, words: WordEmbedder) -> None:
    """It is a success: the postings are there, the tasks are kept, and it is said who embeds them."""
    (tmp_path / "jobs.jsonl").write_text(JSONL)
    words.down = "unreachable"
    result = call("ingest", "jobs.jsonl", log_level="error")
    assert (result.code, result.json()["created"], result.json()["waiting"]) == (0, 2, 2)
    assert "not embedded yet: 2 postings: the embedder is down: unreachable" in result.err
    assert "`jobsense worker` embeds them" in result.err
    words.down = None
    assert call("ingest", "jobs.jsonl").json()["embedded"] == 2


def test_an_embedder_that_fails_half_way_leaves_the_rest_as_tasks(
    call: Call, tmp_path: Path, words: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model was there at the start and is gone when it is used: no loop, a line that says so, exit code 0."""
    (tmp_path / "jobs.jsonl").write_text(JSONL)
    embed = words.embed_documents

    async def fail(texts: list[str]) -> Any:
        words.down = "timeout"
        return await embed(texts)

    monkeypatch.setattr(words, "embed_documents", fail)
    result = call("ingest", "jobs.jsonl", log_level="error")
    assert (result.code, words.calls, result.json()["waiting"]) == (0, 1, 2)
    assert "not embedded yet: 2 postings" in result.err


@pytest.fixture
def worker_elsewhere(dsn: str) -> Iterator[None]:
    """Another process that says of itself that it embeds."""
    with asyncio.Runner() as runner:

        async def connect() -> Any:
            return await asyncpg.connect(dsn, server_settings={"application_name": "jobsense-worker:elsewhere:1"})

        connection = runner.run(connect())
        yield
        runner.run(connection.close())


@pytest.mark.usefixtures("worker_elsewhere")
def test_a_worker_that_runs_elsewhere_embeds(call: Call, tmp_path: Path, words: WordEmbedder) -> None:
    """The command leaves the texts to it, and says so."""
    (tmp_path / "jobs.jsonl").write_text(JSONL)
    result = call("ingest", "jobs.jsonl")
    assert (result.code, result.json()["waiting"], words.calls) == (0, 2, 0)
    assert "2 postings are left to the worker that is running" in result.err


def test_options_say_where_fields_are_and_whose_they_are(call: Call, tmp_path: Path) -> None:
    """--map names columns, --source fills in, --tenant keeps apart, --rejects names the file."""
    (tmp_path / "in.csv").write_text("Job,Firm\nBaker,Mkate\n,Mkate\n")
    arguments = ("ingest", "in.csv", "--map", "title=Job,company=Firm", "--source", "linkedin")
    result = call(*arguments, "--tenant", "acme", "--rejects", "bad.jsonl")
    assert (result.json()["created"], result.json()["refused"]) == (1, 1)
    assert (tmp_path / "bad.jsonl").is_file()
    found = call("search", "baker", "--tenant", "acme").json()["results"]
    assert [hit["job"]["source"] for hit in found] == ["linkedin"]
    assert call("search", "baker").json()["results"] == []


def test_the_day_of_collection_is_an_option(call: Call, tmp_path: Path) -> None:
    """--collected-on gives relative dates a meaning."""
    (tmp_path / "jobs.jsonl").write_text(JSONL)
    assert call("ingest", "jobs.jsonl", "--no-embed").json()["warnings"] == {"posted_at: date_relative": 1}
    dated = call("ingest", "jobs.jsonl", "--no-embed", "--collected-on", "2025-06-30").json()
    assert (dated["updated"], dated["warnings"]) == (1, {})


def test_a_source_that_is_not_accepted_refuses_the_row(call: Call, tmp_path: Path) -> None:
    """SOURCES holds for files too; `*` takes any."""
    (tmp_path / "jobs.jsonl").write_text(JSONL.replace("linkedin", "noticeboard"))
    assert call("ingest", "jobs.jsonl").json()["refusals"] == {"source: source_not_accepted": 2, "title: missing": 1}
    assert call("ingest", "jobs.jsonl", sources="*").json()["created"] == 2


def test_the_input_is_never_overwritten_by_its_rejects(call: Call, tmp_path: Path) -> None:
    """--rejects on the input itself is wrong use; a folder that is not there is told before anything is read."""
    (tmp_path / "jobs.jsonl").write_text(JSONL)
    same = call("ingest", "jobs.jsonl", "--rejects", "./jobs.jsonl")
    assert same.code == 2
    assert "is the input itself" in same.err
    assert (tmp_path / "jobs.jsonl").read_text() == JSONL
    nowhere = call("ingest", "jobs.jsonl", "--rejects", "nowhere/bad.jsonl")
    assert nowhere.code == 1
    assert nowhere.err == "jobsense: cannot write the rejects to nowhere/bad.jsonl: there is no such folder\n"


def test_closed_standard_input_is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """`jobsense ingest - <&-` has nothing to read from."""
    monkeypatch.setattr(sys, "stdin", None)
    result = call("ingest", "-")
    assert (result.code, result.err) == (1, "jobsense: cannot read -: standard input is closed\n")
