"""Admission around a toy application: what holds a place, what waits, what gives back."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.http import admission
from service.http.admission import Admission
from service.http.limit import Gate, Size, WorkClass
from tests.otlp_receiver import otlp_receiver
from tests.telemetry_stack import Stack
from tests.toy_asgi import CLASSES, GONE, Caller, Toy, until


@pytest.fixture
def toy() -> Toy:
    """The application inside."""
    return Toy()


@pytest.fixture
async def app(toy: Toy) -> AsyncIterator[Admission]:
    """Admission around it, which at the end of a test must have got every place back."""
    made = Admission(toy, classes=CLASSES, routes={("POST", "/many"): "heavy"})
    yield made
    made.close()
    for gate in made.gates.values():
        assert (gate.in_service, gate.waiting) == (0, 0)
    assert all(door.held_bytes == 0 for door in made._doors.values())


@pytest.fixture
def gate(app: Admission) -> Gate:
    """The gate of most requests."""
    return app.gates["light"]


async def test_one_is_served_and_the_next_waits(app: Admission, toy: Toy, gate: Gate) -> None:
    """A request waits for the one before it, and is served when that has ended."""
    first, second = Caller(app), Caller(app)
    await until(lambda: gate.waiting == 1)
    assert len(toy.bodies) == 1
    toy.go.set()
    await asyncio.gather(first.task, second.task)
    assert (first.status, second.status) == (200, 200)


async def test_a_full_line_turns_away(app: Admission, toy: Toy, gate: Gate) -> None:
    """Past the line a request is answered 503 with Retry-After, nothing of it read."""
    callers = [Caller(app) for _ in range(3)]
    await until(lambda: gate.waiting == 2)
    late = Caller(app)
    await callers[1].task
    assert callers[1].status == 503  # the oldest of the line, for it was full
    turned_away = Caller(app, sends=[])
    await turned_away.task
    assert dict(turned_away.answer[0]["headers"])[b"retry-after"] == b"1"
    assert b'"code":"overloaded"' in turned_away.answer[1]["body"]
    assert app.turns_away({"type": "http", "method": "GET", "path": "/"})
    assert not app.turns_away({"type": "http", "method": "GET", "path": "/health"})
    toy.go.set()
    await asyncio.gather(*(caller.task for caller in [*callers, late]))
    assert [caller.status for caller in [*callers, late]] == [200, 503, 200, 200]


async def test_who_waits_too_long_is_turned_away(toy: Toy) -> None:
    """Nobody waits past the patience of the class, whatever holds the places."""
    size = Size(start=1, least=1, most=1, line=2, patience_s=0.01)
    app = Admission(toy, classes={"light": WorkClass(size=size, max_body_bytes=10, max_held_bytes=40)})
    first, second = Caller(app), Caller(app)
    await second.task
    assert second.status == 503
    toy.go.set()
    await first.task
    assert app.gates["light"].in_service == 0


async def test_a_streamed_answer_holds_no_place(app: Admission, toy: Toy, gate: Gate) -> None:
    """Once an answer in pieces has begun, the place is free: a slow reader keeps nobody waiting."""
    toy.pieces = 2
    slow = Caller(app)
    await until(lambda: len(slow.answer) == 2)
    assert gate.in_service == 0
    toy.go.set()
    await slow.task
    assert len(slow.answer) == 3


async def test_a_caller_that_leaves_the_line_is_gone(app: Admission, toy: Toy, gate: Gate) -> None:
    """Nothing is served to a client that disconnected while it waited."""
    first, second = Caller(app), Caller(app)
    await until(lambda: gate.waiting == 1)
    second.inbox.put_nowait(GONE)
    await second.task
    assert (gate.waiting, second.answer, len(toy.bodies)) == (0, [], 1)
    toy.go.set()
    await first.task


@pytest.mark.parametrize("which", ["served", "waiting"])
async def test_a_cancelled_request_gives_back(app: Admission, toy: Toy, gate: Gate, which: str) -> None:
    """A request that is cancelled, wherever it is, leaves nothing behind."""
    first, second = Caller(app), Caller(app)
    await until(lambda: gate.waiting == 1)
    cancelled, other = (first, second) if which == "served" else (second, first)
    cancelled.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled.task
    toy.go.set()
    await other.task
    assert other.status == 200


async def test_a_request_cancelled_as_its_place_comes_free_gives_it_back(app: Admission, toy: Toy, gate: Gate) -> None:
    """Between being given a place and taking it, a request may be cancelled; the next in line gets the place."""
    first, second, third = Caller(app), Caller(app), Caller(app)
    await until(lambda: gate.waiting == 2)
    toy.go.set()
    await until(first.task.done)
    second.task.cancel()
    await third.task
    assert third.status == 200
    await asyncio.wait({second.task})


async def test_a_failing_application_gives_back(app: Admission, toy: Toy, gate: Gate) -> None:
    """An exception passes through, and the place is free."""
    toy.failure = RuntimeError("broken")
    failing = Caller(app)
    with pytest.raises(RuntimeError, match="broken"):
        await failing.task
    assert gate.in_service == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/health"), ("GET", "/health/live"), ("GET", "/metrics"), ("GET", "/docs"), ("OPTIONS", "/")],
)
async def test_some_need_no_place(app: Admission, toy: Toy, gate: Gate, method: str, path: str) -> None:
    """Probes, scrapes, documents and OPTIONS are answered however much there is to do."""
    callers = [Caller(app) for _ in range(4)]
    await until(lambda: gate.overloaded)
    free = Caller(app, path, method)
    toy.go.set()
    await free.task
    assert free.status == 200
    await asyncio.gather(*(caller.task for caller in callers))


@pytest.mark.parametrize("path", ["/healthy", "/metrics/x", "/docsets", "/openapi.json5"])
async def test_similar_names_need_one(app: Admission, path: str) -> None:
    """Only the exact names, and what is under the probes and the documents, are left out."""
    assert app.gates["light"].in_service == 0
    assert admission._is_gated({"type": "http", "method": "GET", "path": path})


@pytest.mark.parametrize("path", ["/many", "/many/", "//many", "//many//"])
async def test_heavy_work_has_its_own_gate(app: Admission, toy: Toy, path: str) -> None:
    """Batches take no place from searches, nor searches from batches, however their path is written."""
    light, heavy = Caller(app), Caller(app, path, "POST")
    await until(lambda: len(toy.bodies) == 2)
    assert [gate.in_service for gate in app.gates.values()] == [1, 1]
    toy.go.set()
    await asyncio.gather(light.task, heavy.task)


async def test_no_trace_is_begun_for_who_is_turned_away(app: Admission, toy: Toy, gate: Gate) -> None:
    """With every request traced, one that is turned away costs no span, and says that it is not sampled."""
    callers = [Caller(app) for _ in range(4)]
    await until(lambda: gate.overloaded)
    with otlp_receiver() as receiver:
        stack = Stack(receiver, 1.0, app)
        answer = await stack.client.get("/")
        assert (answer.status_code, answer.headers["traceresponse"][-2:]) == (503, "02")
        toy.go.set()
        await asyncio.gather(*(caller.task for caller in callers))
        assert (await stack.client.get("/")).status_code == 200
        await stack.telemetry.stop()
        assert len(receiver.spans) == 1
        assert stack.metric("jobsense_admission_rejected_total", **{"class": "light", "reason": "overloaded"}) == 1
        assert [line["http.response.status_code"] for line in stack.requests()] == [200]
