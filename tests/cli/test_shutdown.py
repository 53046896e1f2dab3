"""A signal ends every process of the service within ten seconds, whatever hangs, and leaves nothing half-done."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import msgspec
import pytest

from tests.cli.conftest import PATIENCE_S, Call, Result, Running, Start, environment, is_alive, wait_for_database
from tests.cli.test_serve import BODY, begin, children, connect, post_half
from tests.fake_ollama.clients import TLS
from tests.fake_ollama.serve import FakeOllama
from tests.fakes import WordEmbedder
from tests.looking import until_next_look
from tests.proxy import DatabaseProxy

MOST_S = 10.0
LONG = "word " * 19_000
JOB = {"title": "Nurse", "company": "Afya", "source": "linkedin"}


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    """An Ollama."""
    with FakeOllama(dimensions=32, loaded=True) as made:
        yield made


@pytest.fixture
def collector() -> Iterator[str]:
    """The address of a collector that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


def end(running: Running, number: signal.Signals = signal.SIGTERM) -> float:
    """Send the signal; seconds until the process ended, which must be with exit code 0 and without complaint."""
    began = time.monotonic()
    running.signal(number)
    result = running.end()
    took_s = time.monotonic() - began
    assert result.code == 0, result.out + result.err
    assert "Traceback" not in result.out + result.err, result.out + result.err
    assert took_s < MOST_S
    return took_s


def wait_in_flight(fake: FakeOllama, least: int) -> None:
    """Wait until so many requests are at the model."""
    asyncio.run(fake.wait_until(lambda counts: counts.in_flight >= least))


class Asking(threading.Thread):
    """A request that is sent and whose answer is waited for elsewhere."""

    def __init__(self, method: str, url: str, **more: object) -> None:
        super().__init__(daemon=True)
        self._call = (method, url, more)
        self.answer: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        """Ask; an answer that never comes is none."""
        method, url, more = self._call
        try:
            self.answer = httpx.request(method, url, timeout=30, verify=TLS, **more)  # type: ignore[arg-type] # passed through as given
        except httpx.TransportError:
            return

    def problem(self) -> dict[str, object]:
        """The problem that was answered, with its status."""
        self.join(15)
        assert self.answer is not None
        assert self.answer.headers["content-type"] == "application/problem+json"
        return dict(self.answer.json())


def slow_reader(address: str) -> socket.socket:
    """A client that asks for some megabytes and reads a byte of them."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(20)
    reader.connect((host, int(port)))
    reader.sendall(b"GET /api/v1/jobs?limit=100 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reader.recv(1) == b"H"
    return reader


class Lock:
    """Holds a table of the test's database against everybody, from a thread of its own."""

    def __init__(self, dsn: str, statement: str) -> None:
        self._dsn, self._statement = dsn, statement
        self._held, self._free = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._hold()), daemon=True)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._held.wait(20)

    def __exit__(self, *_: object) -> None:
        self._free.set()
        self._thread.join()

    async def _hold(self) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            async with connection.transaction():
                await connection.execute(self._statement)
                self._held.set()
                await asyncio.to_thread(self._free.wait)
        finally:
            await connection.close()


def test_requests_that_do_not_end_are_answered_or_cut(start: Start, tmp_path: Path, dsn: str) -> None:
    """Idle ones go at once; a second signal gives the others no more time.

    A body that never comes and a statement that waits are 503; a reader that does not read is cut.
    """
    running, address = begin(start, tmp_path, dsn)
    rows = [JOB | {"title": f"Cook {number}", "description": LONG} for number in range(60)]
    made = httpx.post(f"{address}/api/v1/jobs/batch", json=rows, timeout=30, verify=TLS).json()["results"]
    with slow_reader(address), post_half(address) as half, connect(address) as idle, Lock(dsn, "lock table job"):
        waiting = Asking("PATCH", f"{address}/api/v1/jobs/{made[0]['id']}", json={"title": "Chef"})
        wait_for_database(dsn, "select exists (select from pg_locks where not granted)")
        began = time.monotonic()
        running.signal(signal.SIGTERM)
        assert idle.recv(1) == b""
        running.wait_for('"service.draining"')
        assert time.monotonic() - began < 2
        assert waiting.answer is None
        running.signal(signal.SIGINT)
        assert half.recv(4096).startswith(b"HTTP/1.1 503")
        problem = waiting.problem()
        assert (problem["status"], problem["code"]) == (503, "unavailable")
        result = running.end()
    assert result.code == 0, result.out
    assert time.monotonic() - began < 5
    assert '"service.stopped"' in result.out
    check_output(result)


def check_output(result: Result) -> None:
    """No request was answered 500, and nothing was raised that nobody handled."""
    assert 500 not in [json.loads(line).get("http.response.status_code") for line in result.out.splitlines()]
    assert "Traceback" not in result.out + result.err, result.out + result.err


@pytest.mark.parametrize("workers", ["2", pytest.param("1", marks=pytest.mark.long)])
def test_all_at_once(start: Start, tmp_path: Path, dsn: str, fake: FakeOllama, collector: str, workers: str) -> None:
    """Model, collector and database fall silent under requests of every kind: all still end in time.

    Several processes beside a worker that embeds; with one process, that one embeds too.
    """
    with DatabaseProxy(dsn) as proxy:
        given = {"database_url": proxy.dsn, "embedder": "ollama", "ollama_url": fake.url}
        serving = {"embed_in_serve": "off" if workers == "2" else "on", "port": "0", "workers": workers}
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
        all_running = [start("serve", env=environment(tmp_path, **given, **serving) | traced)]
        if workers == "2":
            all_running.append(start("worker", env=environment(tmp_path, **given) | traced))
        address = all_running[0].wait_for(r'"service.starting".*"address":"(http://[^"]+)"')[1]
        all_running[0].wait_for("(?s)" + '"service.ready".*' * int(workers))
        wait_until_embedded(dsn, httpx.post(f"{address}/api/v1/jobs", json=JOB, verify=TLS))
        wait_until_searched_by_meaning(address)
        pids = children(all_running[0].process.pid)
        fake.set(hold=True)
        assert httpx.post(f"{address}/api/v1/jobs", json=JOB | {"title": "Cook"}, verify=TLS).status_code == 201
        wait_in_flight(fake, 1)
        asked = [Asking("POST", f"{address}/api/v1/search", json={"text": f"cook {n}"}) for n in range(4)]
        wait_in_flight(fake, 2)
        with post_half(address) as half:
            proxy.silence()
            asked += [Asking("GET", f"{address}/api/v1/jobs") for _ in range(4)]
            began = time.monotonic()
            for one in all_running:
                one.signal(signal.SIGTERM)
            assert half.recv(4096).startswith(b"HTTP/1.1 503")
            results = [one.end() for one in all_running]
        took_s = time.monotonic() - began
    assert [one.code for one in results] == [0] * len(results), results
    assert took_s < MOST_S
    assert not any(is_alive(pid) for pid in pids)
    for result in results:
        check_output(result)


def wait_until_searched_by_meaning(address: str) -> None:
    """Wait until every process is connected to the model: many searches in a row, each on a connection of its own."""
    row, deadline = 0, time.monotonic() + PATIENCE_S
    while row < 12:
        found = httpx.post(f"{address}/api/v1/search", json={"text": "help"}, verify=TLS).json()
        row = row + 1 if found["mode"]["served"] == "hybrid" else 0
        if not row:
            until_next_look()
        assert time.monotonic() < deadline, found


def wait_until_embedded(dsn: str, created: httpx.Response) -> None:
    """Wait until the service has embedded a posting: whoever embeds is connected to the model then."""
    assert created.status_code == 201
    wait_for_database(dsn, "select exists (select from generation) and not exists (select from embedding_task)")


class RefusingProxy(DatabaseProxy):
    """Cuts new connections while it is silent, as a database does whose server is gone."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._flows.is_set():
            await super()._serve(reader, writer)
        else:
            writer.transport.abort()


def test_a_process_that_dies_is_replaced_and_running_requests_end(start: Start, tmp_path: Path, dsn: str) -> None:
    """Killed while the database is away: the other process goes on, and another takes its place as soon as it can.

    At the stop a request whose body comes after the signal is answered by whichever process has it.
    """
    with RefusingProxy(dsn) as proxy:
        running, address = begin(start, tmp_path, proxy.dsn, workers="2")
        running.wait_for('(?s)"service.ready".*"service.ready"')
        found = children(running.process.pid)
        served = next(pid for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())
        proxy.silence()
        os.kill(served, signal.SIGKILL)
        running.wait_for('"service.process_died".*"exit_code":-9')
        running.wait_for('"service.process_died".*"exit_code":1,')
        assert httpx.get(f"{address}/health/live", verify=TLS).status_code == 200
        proxy.speak()
        running.wait_for('(?s)"exit_code":1,.*"service.ready"')
        with post_half(address) as half:
            running.signal(signal.SIGTERM)
            running.wait_for('"service.draining"')
            half.sendall(BODY)
            assert half.recv(4096).startswith(b"HTTP/1.1 201")
        assert running.end().code == 0


def test_processes_whose_parent_is_killed_end(start: Start, tmp_path: Path, dsn: str) -> None:
    """They do not keep the port: it is free for the next start as soon as their parent is gone."""
    running, address = begin(start, tmp_path, dsn, workers="2")
    pids = children(running.process.pid)
    running.signal(signal.SIGKILL)
    assert running.end().code == -signal.SIGKILL
    _, again = begin(start, tmp_path, dsn, port=address.rpartition(":")[2])
    assert again == address
    while any(is_alive(pid) for pid in pids):
        assert httpx.get(f"{again}/health/ready", verify=TLS).status_code == 200


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_the_start_can_be_stopped(start: Start, tmp_path: Path, dsn: str, command: str) -> None:
    """While the database that it connects to is silent, a signal ends the start, with exit code 0."""
    with DatabaseProxy(dsn) as proxy:
        proxy.silence()
        running = start(command, env=environment(tmp_path, database_url=proxy.dsn, port="0"))
        if command == "serve":
            running.wait_for('"service.starting"')
        proxy.wait_for_connection()
        assert end(running) < 3


def test_a_model_that_is_loading_is_not_waited_for(start: Start, tmp_path: Path, dsn: str, fake: FakeOllama) -> None:
    """A signal during the warm-up ends the worker."""
    fake.set(loaded=False, load_delay_s=60.0)
    running = start("worker", env=environment(tmp_path, database_url=dsn, embedder="ollama", ollama_url=fake.url))
    wait_in_flight(fake, 1)
    assert end(running, signal.SIGINT) < 4


def test_a_worker_gives_back_what_it_claimed(
    start: Start, call: Call, tmp_path: Path, dsn: str, fake: FakeOllama, words: WordEmbedder
) -> None:
    """The task whose request hangs is due at once, under no lease, and no attempt of it is counted."""
    running = start("worker", env=environment(tmp_path, database_url=dsn, embedder="ollama", ollama_url=fake.url))
    wait_for_database(dsn, "select exists (select from generation)")
    fake.set(hold=True)
    (tmp_path / "jobs.jsonl").write_bytes(msgspec.json.encode(JOB | {"id": "1"}))
    assert (call("ingest", "jobs.jsonl").code, words.calls) == (0, 0)
    wait_in_flight(fake, 1)
    assert end(running) < 5
    wait_for_database(
        dsn,
        "select count(*) filter (where lease is null and leased_until is null and due_at <= now() and attempts = 0) = 1"
        " from embedding_task",
    )
