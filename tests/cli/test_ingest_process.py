"""`jobsense ingest` as a process: bars on a terminal, stopping by a signal, memory."""

import os
import re
import signal
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Running, Start, environment, unmeasured, wait_for_database
from tests.looking import until_next_look

ROWS = 3000
LIMIT_MB = 150


@pytest.fixture
def many(tmp_path: Path) -> bytes:
    """A few batches of postings as JSONL."""
    rows = (
        {
            "title": f"Guard {n}",
            "company": "Linda",
            "source": "linkedin",
            "id": str(n),
            "description": "Keep watch. " * 40,
        }
        for n in range(ROWS)
    )
    content = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    (tmp_path / "many.jsonl").write_bytes(content)
    return content


def test_a_terminal_sees_a_bar_and_a_report_for_people(tmp_path: Path, start: Start, dsn: str, many: bytes) -> None:
    """On a pty: bars with percentages, then sentences; no JSON, neither report nor log lines."""
    assert many
    env = environment(tmp_path, database_url=dsn)
    result = start("ingest", "many.jsonl", "--no-embed", env=env, on_pty=True).end()
    assert result.code == 0, result.out
    assert re.search(r"reading .*100%", result.out)
    assert "3,000 rows" in result.out
    assert f"read 3,000 = accepted 3,000 + refused 0   (created {ROWS:,}, updated 0, unchanged 0)" in result.out
    assert "{" not in result.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_reading_stops_it_cleanly(
    tmp_path: Path, start: Start, dsn: str, many: bytes, number: signal.Signals
) -> None:
    """It waits for more input when the signal comes: exit code 130 at once, no report; the next run does the rest."""
    reading, writing = os.pipe()
    env = environment(tmp_path, database_url=dsn)
    running = start("ingest", "-", "--no-embed", env=env, stdin=reading)
    os.close(reading)
    lines = many.splitlines(keepends=True)
    os.write(writing, b"".join(lines[:1200]))
    wait_for_database(dsn, "select count(*) >= 500 from job")
    running.signal(number)
    stopped = running.end()
    os.close(writing)
    assert (stopped.code, stopped.out) == (130, ""), stopped.err
    assert stopped.err.endswith("jobsense: stopped\n")
    assert "Traceback" not in stopped.err
    report = start("ingest", "many.jsonl", "--no-embed", env=unmeasured(env)).end().json()
    assert report["created"] + report["unchanged"] == ROWS
    assert report["unchanged"] % 500 == 0
    assert report["updated"] == 0


def peak_mb(running: Running) -> tuple[float, float]:
    """Resident megabytes now and at most, while the process lives."""
    text = Path(f"/proc/{running.process.pid}/status").read_text()
    found = dict(re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", text))  # neither, once the process has ended
    return int(found.get("VmRSS", 0)) / 1024, int(found.get("VmHWM", 0)) / 1024


def test_memory_does_not_grow_with_the_file(tmp_path: Path, start: Start, dsn: str, many: bytes) -> None:
    """Four times the rows through a pipe: the peak stays within 150 MB of what it held before the first row came."""
    reading, writing = os.pipe()
    env = unmeasured(environment(tmp_path, database_url=dsn))
    running = start("ingest", "-", "--no-embed", "--tenant", "acme", env=env, stdin=reading)
    os.close(reading)
    wait_for_database(dsn, "select exists (select from tenant where name = 'acme')")
    before, _ = peak_mb(running)
    with os.fdopen(writing, "wb") as pipe:
        for turn in range(4):
            pipe.write(many.replace(b'"id":"', b'"id":"%d-' % turn).replace(b"Guard", b"Guard x%d" % turn))
            pipe.flush()
            _, most = peak_mb(running)
    assert running.end().json()["created"] == 4 * ROWS
    assert most - before < LIMIT_MB


def test_the_local_model_fits_into_the_memory_too(tmp_path: Path, start: Start, dsn: str, many: bytes) -> None:
    """Reading, loading the model and embedding together stay within the same 150 MB."""
    reading, writing = os.pipe()
    env = unmeasured(environment(tmp_path, database_url=dsn, embedder="local"))
    running = start("ingest", "-", "--tenant", "acme", env=env, stdin=reading)
    os.close(reading)
    wait_for_database(dsn, "select exists (select from tenant where name = 'acme')")
    before, most = peak_mb(running)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(b"".join(many.splitlines(keepends=True)[:130]))  # two batches and a beginning
    while running.process.poll() is None:
        most = max(most, peak_mb(running)[1])
        until_next_look()
    assert running.end().json()["embedded"] > 0
    assert most - before < LIMIT_MB
