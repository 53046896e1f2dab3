"""Load shedding as callers and operators see it."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest

from service.app import App
from service.config import Settings
from service.health.model import Part
from service.http import admission, limit
from service.http.limit import Gate, Ticket
from tests.api.calls import JOBS, SEARCH, problem
from tests.conftest import Service
from tests.factories import job_body

LINE = 64
ASKED = {"text": "nurse"}


@pytest.fixture
def settings() -> Settings:
    """One place only."""
    return Settings(embed_in_serve=False, migrate_on_start=False, max_concurrent_requests=1)


def gate_of(api: Service, name: str = "light") -> Gate:
    """The gate of a class of requests."""
    assert isinstance(api.app, App)
    assert api.app.admission is not None
    return api.app.admission.gates[name]


@asynccontextmanager
async def all_taken(gate: Gate, *, line: int = 0) -> AsyncIterator[None]:
    """Every place is taken, and so many wait already."""
    taken: list[Ticket] = [gate.enter(time.monotonic()) for _ in range(gate.limit + line)]
    try:
        yield
    finally:
        for ticket in reversed(taken):
            gate.leave(ticket, time.monotonic())


async def until(condition: Callable[[], bool]) -> None:
    """Give way until something holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what changes is a gate, which has no event
            await asyncio.sleep(0)


def lines(log: io.BytesIO, event: str) -> list[dict[str, Any]]:
    """The log lines of an event."""
    return [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == event]


def rejected(api: Service, name: str, reason: str) -> float | None:
    """How many requests of a class were turned away for a reason."""
    registry = api.app.state["metrics"].registry
    value: float | None = registry.get_sample_value(
        "jobsense_admission_rejected_total", {"class": name, "reason": reason}
    )
    return value


async def test_an_overload_is_a_clean_503(api: Service, log: io.BytesIO) -> None:
    """A problem with Retry-After, ids and security headers; counted, one event for all, and no line for each."""
    async with all_taken(gate_of(api), line=LINE + 1):
        for _ in range(3):
            answer = await api.client.post(SEARCH, json=ASKED)
            problem(answer, 503, "overloaded")
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert isinstance(api.app, App)
        assert api.app.turns_away({"type": "http", "method": "GET", "path": JOBS})
        head = await api.client.head(JOBS)
        assert (head.status_code, head.content) == (503, b"")
    assert rejected(api, "light", "overloaded") == 4
    assert [line["class"] for line in lines(log, "admission.overloaded")] == ["light"]
    assert lines(log, "http.request") == []


async def test_the_end_of_an_overload_is_told(api: Service, log: io.BytesIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody was turned away for a second: one line, that belongs to no request."""
    monkeypatch.setattr(admission, "RECOVERY_S", 0.001)
    monkeypatch.setattr(limit, "RECOVERY_S", 0.001)
    gate = gate_of(api)
    async with all_taken(gate, line=LINE + 1):
        problem(await api.client.get(JOBS), 503, "overloaded")
    await until(lambda: lines(log, "admission.recovered") != [])
    (line,) = lines(log, "admission.recovered")
    assert (line["class"], line["level"], "request_id" in line) == ("light", "info", False)
    assert not gate.overloaded


async def test_who_waits_sees_how_long(api: Service, log: io.BytesIO) -> None:
    """A request that waited is served, and says in Server-Timing and its log line that it did."""
    gate = gate_of(api)
    async with all_taken(gate, line=1):
        asking = asyncio.create_task(api.client.post(SEARCH, json=ASKED))
        await until(lambda: gate.waiting == 2)
        began = time.monotonic()
        await until(lambda: time.monotonic() - began > 0.002)
    answer = await asking
    assert answer.status_code == 200
    assert "admission;dur=" in answer.headers["server-timing"]
    (line,) = lines(log, "http.request")
    assert line["jobsense.stage.admission_ms"] >= 1


async def test_batches_and_searches_do_not_wait_for_one_another(api: Service) -> None:
    """While all batches that may run do, a search is served, and the other way round."""
    rows = [job_body()]
    async with all_taken(gate_of(api, "heavy"), line=17):
        problem(await api.client.post(f"{JOBS}/batch", json=rows), 503, "overloaded")
        assert (await api.client.post(SEARCH, json=ASKED)).status_code == 200
    assert rejected(api, "heavy", "overloaded") == 1
    async with all_taken(gate_of(api), line=LINE + 1):
        assert (await api.client.post(f"{JOBS}/batch", json=rows)).status_code == 200


async def test_probes_are_answered_in_an_overload(api: Service) -> None:
    """Health, metrics, documents and OPTIONS need no place; the limit is on /metrics."""
    async with all_taken(gate_of(api), line=LINE + 1):
        for path in ("/health", "/health/live", "/health/ready", "/docs", "/openapi.json"):
            assert (await api.client.get(path)).status_code == 200
        assert (await api.client.options(JOBS)).status_code == 204
        scraped = (await api.client.get("/metrics")).text
    assert 'jobsense_admission_limit{class="light"} 1.0' in scraped


async def test_fifty_at_once_are_all_served(api: Service) -> None:
    """A burst waits in line even for a single place: nobody is turned away, given the time that this machine needs."""
    gate = gate_of(api)
    gate._size = msgspec.structs.replace(gate._size, patience_s=60.0)
    answers = await asyncio.gather(*(api.client.post(SEARCH, json=ASKED) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert gate_of(api).in_service == 0


async def test_a_client_that_hangs_up_leaves_the_line(api: Service, wire: httpx.AsyncClient) -> None:
    """Over a real socket: who disconnects while waiting is not served."""
    gate = gate_of(api)
    async with all_taken(gate):
        asking = asyncio.create_task(wire.post(SEARCH, json=ASKED))
        await until(lambda: gate.waiting == 1)
        asking.cancel()
        await until(lambda: gate.waiting == 0)
    assert gate.in_service == 0


@pytest.mark.parametrize("path", [f"{JOBS}/batch", f"{JOBS}/batch/", f"/{JOBS}/batch", f"{JOBS}//batch/"])
async def test_a_batch_is_heavy_however_its_path_is_written(api: Service, path: str) -> None:
    """Every path that routing takes to the batch goes through the gate of batches."""
    async with all_taken(gate_of(api, "heavy"), line=17):
        problem(await api.client.post(f"http://test{path}", json=[job_body()]), 503, "overloaded")
    assert (await api.client.post(f"http://test{path}", json=[job_body()])).status_code == 200
    assert rejected(api, "heavy", "overloaded") == 1


async def test_many_who_ask_for_the_health_share_an_answer(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports need no place, so that asking often must cost no more than asking once; the next asks anew."""
    health = api.app.state["health"]
    asked, go = [], asyncio.Event()

    async def probe() -> Part:
        asked.append("database")
        await go.wait()
        return Part("up")

    monkeypatch.setattr(health, "_database", probe)
    asking = [asyncio.create_task(api.client.get("/health")) for _ in range(20)]
    await until(lambda: asked != [])
    asking[0].cancel()
    go.set()
    answers = await asyncio.gather(*asking[1:])
    assert ({answer.status_code for answer in answers}, len(asked)) == ({200}, 1)
    assert (await api.client.get("/health")).json()["status"] == "up"
    assert len(asked) == 2
