"""`make bench-guard`: fails when a request takes more instructions of Python than were accepted; looks at no clock.

The service runs in this process with its real parts (socket, database, model server over HTTP, telemetry) while every
bytecode instruction of its event loop is counted. The count of a request hardly depends on the machine; the least of
some repetitions leaves out what other tasks did meanwhile. What C does, such as PostgreSQL, is not counted.
"""

import argparse
import asyncio
import io
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import httpx
import msgspec
import uvloop
from prometheus_client import CollectorRegistry

from service.config import read
from service.embedded.server import EmbeddedPostgres
from service.health.domain import Health
from service.migrate import migrate_up
from service.serve import serve_on
from service.stopping import Stop
from service.supervisor import listening
from service.telemetry.lifecycle import Identification, start_telemetry
from service.telemetry.sampling import OtelSettings
from tests.bench.corpus import posting, search_text
from tests.bench.fill import fill
from tests.bench.guarding import ACCEPTED, Instructions, accepted_counts, judged
from tests.load.generator import get, post

POSTINGS = 400
WARM_UPS, REPETITIONS = 5, 15
TURNS = 8
"""Turns of the event loop in which what follows an answer, its log line and metrics, is over."""
MEMORY = 512 * 2**20
"""What the database is tuned for."""


class Tracer:
    """Counts the instructions that the event loop's thread runs, by code, while it is told to."""

    def __init__(self) -> None:
        self.counting = False
        self.by_code = Counter[CodeType]()

    def on_call(self, frame: FrameType, _event: str, _argument: object) -> Callable[..., Any]:
        """For `sys.settrace`: look at every instruction of what is called."""
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self._on_instruction

    def _on_instruction(self, frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
        if self.counting and event == "opcode":
            self.by_code[frame.f_code] += 1
        return self._on_instruction


def by_package(counted: Counter[CodeType]) -> Instructions:
    """Instructions by package, without those of this file."""
    packages = Counter[str]()
    for code, number in counted.items():
        parts = Path(code.co_filename).parts
        if "site-packages" in parts:
            packages[Path(parts[parts.index("site-packages") + 1]).stem] += number
        elif "service" in parts:
            packages["service"] += number
        elif code.co_filename != __file__:
            packages["python"] += number
    return dict(packages.most_common())


def requests(address: str) -> dict[str, Iterator[bytes]]:
    """The requests that are guarded, each other than the one before."""
    numbers, search = count(10**6), "/api/v1/search"
    filters = {"location": "Nairobi", "posted_after": "2026-09-01T00:00:00Z"}
    texts = (search_text(number) for number in numbers)
    return {
        "get": (get(address, f"/api/v1/jobs/{1 + number % POSTINGS}") for number in count()),
        "list": (get(address, f"/api/v1/jobs?limit=20&location={place}") for place in _places()),
        "semantic": (post(address, search, {"text": text, "mode": "semantic"}) for text in texts),
        "known": (post(address, search, {"text": "nurse", "mode": "semantic", "top_k": 10}) for _ in count()),
        "hybrid": (
            post(address, search, {"text": text, "filters": filters, "facets": ["source", "company"]}) for text in texts
        ),
        "create": (post(address, "/api/v1/jobs", posting(number)) for number in numbers),
        "batch": (post(address, "/api/v1/jobs/batch", [posting(next(numbers)) for _ in range(20)]) for _ in count()),
    }


def _places() -> Iterator[str]:
    while True:
        yield from ("Nairobi", "Mombasa")


class Client:
    """A blocking client in a thread of its own, which is not counted."""

    def __init__(self, address: str, loop: asyncio.AbstractEventLoop, tracer: Tracer) -> None:
        self._address = address
        self._loop = loop
        self._tracer = tracer
        host, _, port = address.removeprefix("http://").partition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=60)

    def measure(self) -> dict[str, Instructions]:
        """The instructions of each request, the least of the repetitions."""
        found = {}
        for name, made in requests(self._address).items():
            for _ in range(WARM_UPS):
                self._once(next(made))
            found[name] = min((self._once(next(made)) for _ in range(REPETITIONS)), key=lambda one: sum(one.values()))
        self._socket.close()
        return found

    def _once(self, request: bytes) -> Instructions:
        self._tracer.by_code.clear()
        self._tracer.counting = True
        self._socket.sendall(request)
        answer = self._read()
        asyncio.run_coroutine_threadsafe(_settled(), self._loop).result(60)
        self._tracer.counting = False
        assert answer[9:12] in {b"200", b"201"}, answer
        assert b'"degraded":{' not in answer, answer
        return by_package(self._tracer.by_code)

    def _read(self) -> bytes:
        """One answer, which has a length."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        while len(body) < length:
            body += self._socket.recv(65536)
        return head + body


async def _settled() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def _until_whole(address: str) -> None:
    """Wait until searches are served by meaning."""
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
        for number in count():
            body = {"text": f"midwife {number}", "mode": "semantic"}
            answer = await client.post(f"{address}/api/v1/search", json=body)
            if answer.json()["mode"]["served"] == "semantic":
                return


async def counted(dsn: str, embedder_url: str) -> dict[str, Instructions]:
    """Serve in this process, and count while a thread asks."""
    settings = read({"JOBSENSE_DATABASE_URL": dsn, "JOBSENSE_EMBEDDER": "ollama", "JOBSENSE_OLLAMA_URL": embedder_url})
    # Counting makes everything slow, and a search that is late would be answered by words.
    settings = msgspec.structs.replace(settings, port=0, search_deadline=60.0)
    tracer, found, stop = Tracer(), dict[str, Instructions](), Stop()
    telemetry = start_telemetry(
        what=Identification(version="0"),
        otel=OtelSettings(),
        log_stream=io.BytesIO(),
        registry=CollectorRegistry(),
    )

    async def ready(address: str, _health: Health) -> None:
        await _until_whole(address)
        loop = asyncio.get_running_loop()
        client = Client(address, loop, tracer)
        sys.settrace(tracer.on_call)
        try:
            found.update(await asyncio.to_thread(client.measure))
        finally:
            sys.settrace(None)
            stop.ask()

    try:
        with listening(settings) as sockets:
            await serve_on(settings, telemetry, dsn, sockets, stop=stop, ready=ready)
    finally:
        await telemetry.stop()
        stop.close()
    return found


async def measured() -> dict[str, Instructions]:
    """Everything that is needed, in a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="jobsense-guard-") as folder:
        embedder = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.embedder", "--latency-ms", "0"), stdout=subprocess.PIPE
        )
        try:
            assert embedder.stdout is not None
            url = (await embedder.stdout.readline()).decode().strip()
            async with EmbeddedPostgres(Path(folder), memory=MEMORY) as server:
                await migrate_up(server.dsn)
                await fill(server.dsn, url, POSTINGS, lambda _line: None)
                return await counted(server.dsn, url)
        finally:
            embedder.terminate()
            await embedder.wait()


def main() -> int:
    """Count, compare with what was accepted, and tell."""
    parser = argparse.ArgumentParser(prog="make bench-guard", description=__doc__)
    parser.add_argument("--accept", action="store_true", help="write the counts down as the accepted ones")
    given = parser.parse_args()
    now = uvloop.run(measured())
    if given.accept:
        ACCEPTED.write_bytes(msgspec.json.format(msgspec.json.encode(accepted_counts() | {_version(): now})) + b"\n")
    lines, fine = judged(now, accepted_counts().get(_version()))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if fine else 1


def _version() -> str:
    """The minor version of Python, which decides how many instructions a line takes."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


if __name__ == "__main__":
    sys.exit(main())
