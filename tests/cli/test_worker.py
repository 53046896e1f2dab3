"""`jobsense worker`: embeds what others store, and stops when it is told to."""

import signal
from pathlib import Path

import msgspec

from tests.cli.conftest import Call, Start, environment, wait_for_database
from tests.fakes import WordEmbedder

WORKS = "select exists (select from pg_stat_activity where datname = current_database() and application_name like '{}')"


def test_a_worker_embeds_what_an_ingest_leaves_to_it(
    start: Start, call: Call, tmp_path: Path, dsn: str, words: WordEmbedder
) -> None:
    """Ingest sees it, stores, and does not embed; the worker does, and SIGTERM ends it with exit code 0."""
    worker = start("worker", env=environment(tmp_path, database_url=dsn, embedder="local"))
    wait_for_database(dsn, WORKS.format(f"jobsense-worker:%:{worker.process.pid}"))
    row = {"title": "Nurse", "company": "Afya", "source": "linkedin", "id": "1"}
    (tmp_path / "jobs.jsonl").write_bytes(msgspec.json.encode(row))
    stored = call("ingest", "jobs.jsonl")
    assert (stored.code, stored.json()["created"], words.calls) == (0, 1, 0)
    wait_for_database(dsn, "select exists (select from embedded) and not exists (select from embedding_task)")
    worker.signal(signal.SIGTERM)
    result = worker.end()
    assert result.code == 0, result.out + result.err
    assert '"embed.batch"' in result.out
    assert result.err == ""


def test_a_worker_without_its_schema_says_so(call: Call) -> None:
    """Exit code 1 with the missing migrations."""
    call("migrate", "down", "--to", "0", "--yes")
    result = call("worker")
    assert result.code == 1
    assert "the schema lacks 0001_" in result.err
