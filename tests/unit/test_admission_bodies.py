"""Bodies read before there is a place for their request, and answers that are read slowly: what they may hold."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from service.http import admission
from service.http.admission import Admission
from service.http.limit import Gate, WorkClass
from tests.toy_asgi import CLASSES, GONE, REQUEST, SIZE, Caller, Toy, piece, until


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
    stalled = Caller(app, "/many", "POST", sends=[piece(b"x" * 25), piece(b"x" * 25)])
    await until(stalled.inbox.empty)
    refused, light = Caller(app, "/many", "POST", sends=[piece(b"y" * 11)]), Caller(app, sends=[piece(b"y")])
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
