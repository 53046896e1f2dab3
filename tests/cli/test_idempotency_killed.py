"""A request under an idempotency key whose service is killed while it serves it: it is done once in the end."""

import signal
import threading
from pathlib import Path

import httpx

from tests.cli.conftest import Start, wait_for_database
from tests.cli.test_serve import begin
from tests.fake_ollama.clients import TLS
from tests.proxy import DatabaseProxy

JOB = {"title": "Cook", "company": "Jiko", "source": "linkedin"}
HEADERS = {"Idempotency-Key": "one-posting"}
STORED = "select array[(select count(*) from job), (select count(*) from idempotency_answer)] = array[{0}::bigint, {0}]"


def post(address: str) -> httpx.Response:
    """Send the posting; again while the database still holds the transaction of a service that is gone."""
    while (
        answer := httpx.post(f"{address}/api/v1/jobs", json=JOB, headers=HEADERS, timeout=30, verify=TLS)
    ).status_code == 409:
        assert answer.json()["code"] == "idempotency_in_progress"
    return answer


def kill_at(words: bytes, start: Start, folder: Path, dsn: str, *, committed: bool) -> None:
    """Serve, and kill the process when it has sent these words to the database and waits for what that says."""
    outcomes: list[str] = []
    with DatabaseProxy(dsn) as proxy:
        running, address = begin(start, folder, proxy.dsn)

        def send() -> None:
            try:
                outcomes.append(str(post(address).status_code))
            except httpx.TransportError:
                outcomes.append("no answer")

        proxy.hold_answer_to(words)
        caller = threading.Thread(target=send, daemon=True)
        caller.start()
        proxy.wait_until_held()
        if committed:
            wait_for_database(dsn, STORED.format(1))
        running.signal(signal.SIGKILL)
        running.end()
        caller.join(30)
    assert outcomes == ["no answer"]
    wait_for_database(dsn, STORED.format(int(committed)))


def test_a_kill_before_the_commit_and_one_after_it(start: Start, tmp_path: Path, dsn: str) -> None:
    """Killed before the commit nothing is left, killed between commit and answer the next try gets that answer."""
    kill_at(b"insert into idempotency_answer", start, tmp_path, dsn, committed=False)
    kill_at(b"COMMIT;", start, tmp_path, dsn, committed=True)
    _, address = begin(start, tmp_path, dsn)
    answers = [post(address) for _ in range(2)]
    for answer in answers:
        assert (answer.status_code, answer.headers["idempotent-replayed"]) == (201, "true")
        assert answer.content == answers[0].content
    job = httpx.get(f"{address}{answers[0].headers['location']}", verify=TLS)
    assert (job.json(), job.headers["etag"]) == (answers[0].json(), answers[0].headers["etag"])
    listed = httpx.get(f"{address}/api/v1/jobs", verify=TLS).json()
    assert listed == {"items": [job.json()], "next_cursor": None, "pay": None}
