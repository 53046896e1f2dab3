"""`jobsense serve`: starting, refusing to start, headers, small answers at once, draining; one process and several."""

import asyncio
import re
import signal
import socket
import statistics
import time
from contextlib import aclosing, nullcontext
from pathlib import Path

import httpx
import msgspec
import pytest

from service.config import Settings, read
from service.errors import OperatorError
from service.health.domain import Health
from service.serve import serve_on
from service.stopping import Stop
from service.supervisor import base_url, listening
from service.telemetry.lifecycle import Telemetry
from tests.cli.conftest import Call, Running, Start, environment, is_alive, wait_until_ready
from tests.cli.test_commands import unused_port
from tests.conftest import Server
from tests.fake_ollama.clients import TLS

BODY = b'{"title": "Cook", "company": "Jiko", "source": "linkedin"}'
MEMORY_MB = 120
NAGLE_S = 0.03


def begin(start: Start, folder: Path, dsn: str, **settings: str) -> tuple[Running, str]:
    """Serve on a port that is free, with an embedder that is away; the process and its address, ready."""
    away = f"http://127.0.0.1:{unused_port()}"
    given = {"database_url": dsn, "port": "0", "embedder": "ollama", "ollama_url": away} | settings
    running = start("serve", env=environment(folder, **given))
    address = running.wait_for(r'"service.starting".*"address":"(http://[^"]+)"')[1]
    wait_until_ready(running, address)
    return running, address


def connect(address: str) -> socket.socket:
    """A plain connection."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def post_half(address: str) -> socket.socket:
    """A request that the service has begun to read and whose body is still to come."""
    connection = connect(address)
    head = f"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n"
    connection.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
    assert connection.recv(100).startswith(b"HTTP/1.1 100")
    return connection


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_signal_lets_running_requests_end(start: Start, tmp_path: Path, dsn: str, number: signal.Signals) -> None:
    """The posting whose body comes after the signal is stored and answered; then exit code 0, within ten seconds."""
    running, address = begin(start, tmp_path, dsn)
    with post_half(address) as connection:
        running.signal(number)
        began = time.monotonic()
        connection.sendall(BODY)
        assert connection.recv(4096).startswith(b"HTTP/1.1 201")
    result = running.end()
    assert time.monotonic() - began < 10
    assert result.code == 0, result.out
    assert '"service.draining"' in result.out
    assert result.err == ""


def test_answers_of_one_process(start: Start, tmp_path: Path, dsn: str) -> None:
    """Date and no server name; behind a trusted proxy HSTS and the caller's address; memory and delay in bounds."""
    running, address = begin(start, tmp_path, dsn, trusted_proxies="127.0.0.1")
    with httpx.Client(base_url=address, verify=TLS) as client:
        plain = client.get("/health/live")
        assert "date" in plain.headers
        assert "server" not in plain.headers
        assert "strict-transport-security" not in plain.headers
        forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
        assert "strict-transport-security" in client.get("/health/live", headers=forwarded).headers
        assert (
            client.get("/nowhere", headers=forwarded | {"X-Forwarded-For": "6.6.6.6, 203.0.113.7"}).status_code == 404
        )
        running.wait_for(r'"client\.address":"203\.0\.113\.7"')
        assert "6.6.6.6" not in running.out
        assert median_s(client) < NAGLE_S
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    resident = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert resident is not None
    assert int(resident[1]) / 1024 < MEMORY_MB


def median_s(client: httpx.Client) -> float:
    """Seconds that a small answer takes on a connection that stays open, in the middle of fifty."""
    times = []
    for _ in range(50):
        began = time.perf_counter()
        assert client.get("/api/v1/jobs", params={"limit": 1}).status_code == 200
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def test_a_proxy_that_is_not_trusted_changes_nothing(start: Start, tmp_path: Path, dsn: str) -> None:
    """Its headers say https and other addresses to anybody; they are not believed, nor do they get around a limit."""
    running, address = begin(start, tmp_path, dsn, rate_limit_read="3/hour")
    said = {"X-Forwarded-Proto": "https", "Forwarded": "for=203.0.113.7;proto=https", "X-Real-IP": "203.0.113.7"}
    answers = [
        httpx.get(f"{address}/api/v1/jobs", headers=said | {"X-Forwarded-For": f"203.0.113.{n}"}, verify=TLS)
        for n in range(4)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert all("strict-transport-security" not in answer.headers for answer in answers)
    running.wait_for(r'"client\.address":"127\.0\.0\.1"')
    assert "203.0.113" not in running.out


@pytest.mark.parametrize("fails", [False, True])
async def test_a_service_that_is_told_to_stop_is_not_said_to_be_ready(
    settings: Settings, telemetry: Telemetry, dsn: str, *, fails: bool
) -> None:
    """A stop ends the announcement, and a failure of it ends the service; either way serving has ended before."""
    stop, said = Stop(cut=lambda _code: None), list[str]()

    async def ready(address: str, _health: Health) -> None:
        if fails:
            raise BrokenPipeError(address)
        stop.ask()
        await asyncio.sleep(0)
        said.append(address)

    given = msgspec.structs.replace(settings, port=0, embedder="local")
    with listening(given) as sockets:
        with pytest.raises(BrokenPipeError) if fails else nullcontext():
            await serve_on(given, telemetry, dsn, sockets, stop=stop, ready=ready)
        assert said == []
        assert not [task for task in asyncio.all_tasks() if task.get_name() in {"serve", "ready"}]
    stop.close()


def children(pid: int) -> list[int]:
    """Processes that this one started and that live."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_several_processes_serve_and_stop(start: Start, tmp_path: Path, dsn: str) -> None:
    """Two of them share the port without delay; SIGTERM ends them all with exit code 0."""
    running, address = begin(start, tmp_path, dsn, workers="2")
    running.wait_for(r'(?s)"service\.ready".*"service\.ready"')
    workers = children(running.process.pid)
    with httpx.Client(base_url=address, verify=TLS) as client:
        assert median_s(client) < NAGLE_S
    running.signal(signal.SIGTERM)
    began = time.monotonic()
    result = running.end()
    assert time.monotonic() - began < 10
    assert result.code == 0, result.out + result.err
    assert result.out.count('"service.ready"') == 2
    assert "Traceback" not in result.out + result.err
    while any(is_alive(pid) for pid in workers):  # what tracks resources for multiprocessing ends when it sees the end
        assert time.monotonic() - began < 10


def test_an_outdated_schema_is_refused_by_name(call: Call, dsn: str) -> None:
    """With MIGRATE_ON_START=off the missing migrations are named, exit code 1."""
    assert call("migrate", "down", "--to", "0", "--yes").code == 0
    result = call("serve", database_url=dsn, migrate_on_start="off", port="0")
    assert result.code == 1
    assert result.err.startswith("jobsense: the schema lacks 0001_")
    assert "jobsense migrate up" in result.err


def test_an_unreachable_database_is_one_clear_line(call: Call) -> None:
    """Nothing is served; the line says what does not answer, without the password."""
    result = call("serve", database_url=f"postgresql://me:s3cret@127.0.0.1:{unused_port()}/x", port="0")
    assert result.code == 1
    assert len(result.err.splitlines()) == 1
    assert "s3cret" not in result.err + result.out


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_service_that_cannot_start_fails(start: Start, call: Call, tmp_path: Path, dsn: str, workers: str) -> None:
    """A database that lacks pgvector is found when the pool opens: the log says so, exit code 1, with several too."""
    assert call("migrate", "status").code == 0
    drop_extension(dsn)
    running = start("serve", env=environment(tmp_path, database_url=dsn, port="0", workers=workers))
    result = running.end()
    assert result.code == 1, result.out + result.err
    assert "pgvector" in result.out
    assert "could not start" in result.err


def drop_extension(dsn: str) -> None:
    """Take pgvector away from under the schema."""

    async def drop() -> None:
        async with aclosing(Server(dsn)) as server:
            await server.execute("drop extension vector cascade")

    asyncio.run(drop())


def test_a_name_may_stand_for_several_addresses() -> None:
    """`localhost` is listened on at each address that this machine has, on one port; an address is shown as a URL."""
    with listening(read({"JOBSENSE_HOST": "localhost", "JOBSENSE_PORT": "0"})) as sockets:
        assert len({one.getsockname()[1] for one in sockets}) == 1
        assert base_url(Settings(host="localhost"), sockets).startswith("http://localhost:")
        port = sockets[0].getsockname()[1]
        assert base_url(Settings(host="::1"), sockets) == f"http://[::1]:{port}"
        assert base_url(Settings(host="::"), sockets) == f"http://[::1]:{port}"


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("203.0.113.1", "cannot listen on 203.0.113.1:0: cannot assign requested address"),
        ("no.such.invalid", "is no address or known host"),
    ],
)
def test_an_address_of_another_machine_is_refused(host: str, said: str) -> None:
    """The message names the address and what to set."""
    with pytest.raises(OperatorError, match=said), listening(Settings(host=host, port=0)):
        raise AssertionError("it listens")
