"""Admission around a toy application: what holds a place, what waits, what gives back."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from service.http import admission
from service.http.admission import Admission
from service.http.limit import Gate, Size, WorkClass
from tests.otlp_receiver import otlp_receiver
from tests.telemetry_stack import Stack

SIZE = Size(start=1, least=1, most=1, line=2, patience_s=60.0)
CLASSES = {
    "light": WorkClass(size=SIZE, max_body_bytes=10, max_held_bytes=40),
    "heavy": WorkClass(size=SIZE, max_body_bytes=100, max_held_bytes=60),
}
REQUEST = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}


class Toy:
    """An application that answers when it is told to, and remembers what it received."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.bodies: list[bytes] = []
        self.pieces = 1
        self.reads = 1
        self.failure: Exception | None = None

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        """Read, wait, answer."""
        self.bodies.append(b"".join([(await receive()).get("body", b"") for _ in range(self.reads)]))
        if self.failure is not None:
            raise self.failure
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(self.pieces, 0, -1):
            if self.pieces == 1 or number < self.pieces:
                await self.go.wait()
            await send({"type": "http.response.body", "body": b"x", "more_body": number > 1})


class Caller:
    """One request to an application: its task, what it still has to send, what it was answered."""

    def __init__(
        self,
        app: Admission,
        path: str = "/",
        method: str = "GET",
        *,
        sends: list[Any] | None = None,
        reads: asyncio.Event | None = None,
    ) -> None:
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        for message in [REQUEST] if sends is None else sends:
            self.inbox.put_nowait(message)
        self.answer: list[Any] = []
        self.blocked = False
        self._reads = reads
        scope = {"type": "http", "method": method, "path": path, "headers": [], "path_template": path}
        self.task = asyncio.create_task(app(scope, self.inbox.get, self._send))

    async def _send(self, message: Any) -> None:
        if self._reads is not None:
            self.blocked = True
            await self._reads.wait()
        self.answer.append(message)

    @property
    def status(self) -> int | None:
        """The status, once there is one."""
        return self.answer[0]["status"] if self.answer else None


def piece(body: bytes) -> dict[str, Any]:
    """A part of a body that is not its last."""
    return {"type": "http.request", "body": body, "more_body": True}


async def until(condition: Callable[[], bool]) -> None:
    """Give way until something holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what changes is a gate, which has no event
            await asyncio.sleep(0)


@pytest.fixture
def toy() -> Toy:
    """The application inside."""
    return Toy()


@pytest.fixture
async def app(toy: Toy) -> AsyncIterator[Admission]:
    """Admission around it, which at the end of a test must have got every place back."""
    made = Admission(toy, classes=CLASSES, heavy=[("POST", "/many")])
    yield made
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


async def test_a_slow_sender_holds_no_place(app: Admission, toy: Toy, gate: Gate) -> None:
    """A place is taken when the body is complete, and the application gets all of it."""
    slow = Caller(app, sends=[{"type": "http.request", "body": b"ab", "more_body": True}])
    await until(slow.inbox.empty)
    assert (gate.in_service, toy.bodies) == (0, [])
    slow.inbox.put_nowait({"type": "http.request", "body": b"cd", "more_body": False})
    toy.go.set()
    await slow.task
    assert toy.bodies == [b"abcd"]


@pytest.mark.parametrize(("method", "path", "read"), [("GET", "/", 11), ("POST", "/many", 110)])
async def test_too_long_a_body_is_passed_on(app: Admission, toy: Toy, method: str, path: str, read: int) -> None:
    """Only so much is read ahead as the application would take; the rest it reads, or refuses, itself."""
    toy.go.set()
    piece = b"x" * (read // 2 if method == "GET" else 55)
    sends = [{"type": "http.request", "body": piece, "more_body": True} for _ in range(5)]
    caller = Caller(app, path, method, sends=sends)
    await caller.task
    assert caller.status == 200
    assert caller.inbox.qsize() > 0


async def test_bodies_held_are_bounded_for_each_class(app: Admission, toy: Toy) -> None:
    """Bodies in pieces do not fill the memory: past a sum more of them are turned away, of their class alone."""
    toy.go.set()
    stalled = Caller(app, "/many", "POST", sends=[piece(b"x" * 50), piece(b"x" * 12)])
    await until(stalled.inbox.empty)
    refused, light = Caller(app, "/many", "POST", sends=[piece(b"y")]), Caller(app, sends=[piece(b"y")])
    await refused.task
    whole = Caller(app, "/many", "POST")
    light.inbox.put_nowait(REQUEST)
    stalled.inbox.put_nowait(REQUEST)
    await asyncio.gather(whole.task, light.task, stalled.task)
    assert [caller.status for caller in (refused, whole, light, stalled)] == [503, 200, 200, 200]


async def test_bodies_read_side_by_side_are_counted_right(app: Admission, toy: Toy) -> None:
    """However the pieces of two bodies come in turns, in the end nothing is counted as held."""
    toy.go.set()
    both = [Caller(app, sends=[piece(b"a")]) for _ in range(2)]
    for _ in range(3):
        for caller in both:
            await until(caller.inbox.empty)
            caller.inbox.put_nowait(piece(b"b"))
    for caller in both:
        caller.inbox.put_nowait(REQUEST)
    await asyncio.gather(*(caller.task for caller in both))
    assert toy.bodies == [b"abbb"] * 2
    assert app._doors["light"].held_bytes == 0


async def test_small_pieces_are_kept_as_one(app: Admission) -> None:
    """A body that comes byte by byte takes no more memory than it is counted for, but for a small fixed part."""
    body = admission._Body(lambda: asyncio.sleep(0, piece(b"xyz")), app._doors["heavy"])
    app._doors["heavy"].work = WorkClass(size=SIZE, max_body_bytes=30_000, max_held_bytes=30_000)
    await body.read_ahead()
    assert body._pieces is not None
    assert sys.getsizeof(body._pieces) < 1.2 * app._doors["heavy"].held_bytes
    body.drop()


async def test_too_slow_a_body_is_refused(app: Admission, toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that never ends is not waited for for ever: 400, and the connection is closed."""
    monkeypatch.setattr(admission, "READ_S", 0.01)
    caller = Caller(app, sends=[piece(b"x")])
    await caller.task
    assert (caller.status, toy.bodies) == (400, [])
    assert dict(caller.answer[0]["headers"])[b"connection"] == b"close"
    assert b'"code":"unreadable_body"' in caller.answer[1]["body"]


@pytest.mark.parametrize("before", [[], [b"x"]])
async def test_who_leaves_before_the_end_of_the_body_is_gone(app: Admission, toy: Toy, before: list[bytes]) -> None:
    """Nothing is served to a client that disconnected while its body was read."""
    caller = Caller(app, sends=[*(piece(part) for part in before), GONE])
    await caller.task
    assert (caller.answer, toy.bodies) == ([], [])


async def test_a_slow_reader_holds_nothing(app: Admission, toy: Toy, gate: Gate) -> None:
    """A connection may be full of earlier answers: neither place nor body is kept while this one waits to be sent."""
    toy.go.set()
    toy.reads = 0
    reading = asyncio.Event()
    slow = Caller(app, sends=[piece(b"ab"), REQUEST], reads=reading)
    await until(lambda: slow.blocked)
    assert (gate.in_service, app._doors["light"].held_bytes, slow.answer) == (0, 0, [])
    other = Caller(app)
    await other.task
    reading.set()
    await slow.task
    assert (other.status, slow.status, len(slow.answer)) == (200, 200, 2)


async def test_a_caller_that_leaves_the_line_is_gone(app: Admission, toy: Toy, gate: Gate) -> None:
    """Nothing is served to a client that disconnected while it waited."""
    first, second = Caller(app), Caller(app)
    await until(lambda: gate.waiting == 1)
    second.inbox.put_nowait(GONE)
    await second.task
    assert (gate.waiting, second.answer, len(toy.bodies)) == (0, [], 1)
    toy.go.set()
    await first.task


async def test_a_caller_whose_body_is_still_to_come_waits_too(app: Admission, toy: Toy, gate: Gate) -> None:
    """Where the body is longer than is read ahead, its messages stay in order for the application."""
    first = Caller(app)
    await until(lambda: gate.in_service == 1)
    toy.reads = 2
    second = Caller(app, sends=[{"type": "http.request", "body": b"y" * 11, "more_body": True}])
    await until(lambda: gate.waiting == 1)
    second.inbox.put_nowait({"type": "http.request", "body": b"z", "more_body": False})
    toy.go.set()
    await asyncio.gather(first.task, second.task)
    assert toy.bodies[1] == b"y" * 11 + b"z"


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
