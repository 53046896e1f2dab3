"""The load generator: arrivals, latency from the intended time, bounded connections, faults, and what it costs."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.load.generator import arrivals, closed_loop, open_loop, post
from tests.load.report import Answer, quantile_of

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer-Timing: db;dur=1.5, db;dur=2, embed;dur=4\r\n\r\nok"


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[str]:
    """A server that talks as the test says; its address."""
    talking: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talking.add(task)
        try:
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            talking.discard(task)
            writer.close()

    running = await asyncio.start_server(meet, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"
    finally:
        running.close()
        for task in [*talking]:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await running.wait_closed()


async def read(reader: asyncio.StreamReader) -> bytes:
    """The body of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    return await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))


async def always_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request at once."""
    while True:
        await read(reader)
        writer.write(OK)


def test_even_arrivals_keep_their_distance() -> None:
    """Without a seed the rate is kept exactly, from the start to before the end."""
    assert list(arrivals(4, 1)) == [0, 0.25, 0.5, 0.75]


def test_poisson_arrivals_have_the_rate_and_replay() -> None:
    """With a seed the distances vary, the rate holds on average, and the same seed gives the same times."""
    times = list(arrivals(1000, 10, seed=5))
    distances = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert 9500 < len(times) < 10500
    assert max(distances) > 5 * min(distances)
    assert times == list(arrivals(1000, 10, seed=5))


def test_quantiles() -> None:
    """The value that the share does not exceed; of nothing there is none."""
    assert quantile_of(range(100), 0.5) == 50
    assert quantile_of(range(100), 1.0) == 99
    assert str(quantile_of([], 0.5)) == "nan"


def test_an_answer_tells_its_headers_and_stages() -> None:
    """Header names in any case, and the time of a stage is summed over its parts."""
    answer = Answer(1.0, 1.25, 200, OK.split(b"\r\n\r\n")[0], b"ok")
    assert answer.latency_s == 0.25
    assert answer.header("content-length") == "2"
    assert answer.header("retry-after") is None
    assert (answer.timing_ms("db"), answer.timing_ms("embed"), answer.timing_ms("pool")) == (3.5, 4, 0)


async def test_an_open_loop_keeps_its_rate_and_its_connections() -> None:
    """Every arrival is sent and answered, on few connections that are used again."""
    async with server(always_ok) as address:
        report = await open_loop(address, itertools.repeat(post(address, "/", {})), rate=400, seconds=0.5)
    assert {answer.status for answer in report.answers} == {200}
    assert len(report.answers) == len(list(arrivals(400, 0.5, seed=1)))
    assert report.answers[0].body == b"ok"
    assert report.goodput() == pytest.approx(len(report.having(200)) / 0.5, rel=0.1)


async def test_latency_counts_from_the_intended_time() -> None:
    """With one connection and a server that holds the first answer, those that wait behind it are slow too."""
    asked: list[bytes] = []
    enough = asyncio.Event()

    async def hold_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked.append(await read(reader))
            if len(asked) == 1:
                await enough.wait()
            writer.write(OK)

    async with server(hold_first) as address:
        asyncio.get_running_loop().call_later(0.3, enough.set)
        one = post(address, "/", {})
        report = await open_loop(address, itertools.repeat(one), rate=100, seconds=0.2, most=1, seed=None)
    assert len(asked) == len(report.answers) == 20
    assert report.latency_s(0) >= 0.05
    assert report.latency_s(1) >= 0.29
    assert [answer.due_s for answer in report.answers] == pytest.approx(list(arrivals(100, 0.2)))


async def test_at_most_so_many_are_in_flight() -> None:
    """A closed loop of three clients has three requests open and never a fourth, and ends at its count."""
    open_now = most = 0
    arrived = asyncio.Condition()

    def three_came() -> bool:
        return most >= 3

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        while True:
            await read(reader)
            async with arrived:
                open_now += 1
                most = max(most, open_now)
                arrived.notify_all()
                await arrived.wait_for(three_came)
                open_now -= 1
            writer.write(OK)

    async with server(count) as address:
        requests = itertools.repeat(post(address, "/", {}))
        report = await closed_loop(address, requests, clients=3, seconds=10, count=30)
    assert most == 3
    assert len(report.having(200)) == len(report.answers) == 30


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Len", "connection closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "without Content-Length"),
    ],
)
async def test_a_broken_answer_is_a_fault(said: bytes, fault: str) -> None:
    """A connection that ends in the middle, or an answer without a length, counts as no answer and says why."""

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read(reader)
        writer.write(said)

    async with server(break_off) as address:
        report = await closed_loop(
            address, itertools.repeat(post(address, "/", {})), clients=1, seconds=5, count=2, patience_s=1
        )
    assert [answer.status for answer in report.answers] == [0, 0]
    assert all(fault in answer.fault for answer in report.answers)


async def test_what_is_never_answered_ends() -> None:
    """After the patience both the request in flight and the one in line count as unanswered."""

    async def be_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read(reader)
        await read(reader)

    async with server(be_silent) as address:
        requests = itertools.repeat(post(address, "/", {}))
        report = await open_loop(address, requests, rate=20, seconds=0.1, most=1, patience_s=0.05, seed=None)
    assert sorted(answer.fault for answer in report.answers) == ["never sent", "no answer within 0.05 s"]


async def test_a_server_that_is_away_is_a_fault() -> None:
    """A refused connection counts as no answer."""
    async with server(always_ok) as address:
        pass
    report = await open_loop(address, itertools.repeat(post(address, "/", {})), rate=50, seconds=0.1, seed=None)
    assert len(report.answers) == 5
    assert all("no connection" in answer.fault for answer in report.answers)


async def test_a_connection_that_the_server_ends_is_not_used_again() -> None:
    """`Connection: close` is a good answer; the next request takes a new connection."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read(reader)
        writer.write(b"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n")

    async with server(once) as address:
        requests = itertools.repeat(post(address, "/", {}))
        report = await closed_loop(address, requests, clients=1, seconds=5, count=3)
    assert [answer.status for answer in report.answers] == [503] * 3
    assert report.answers[0].header("Retry-After") == "1"
