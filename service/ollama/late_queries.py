"""Query requests that go on when their caller leaves: a server whose client leaves gives up loading the model."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from service.ollama.faults import Permanent, TimedOut, WireFault
from service.ollama.lanes import Lanes
from service.ollama.wire import Wire
from service.telemetry.record import current_stage_var

Answer = TypeVar("Answer")

PAUSE_S = 0.1
"""Longest pause before a query is repeated: its caller waits for less than a second, and wants the true reason."""


class LateQueries:
    """Runs each query in a task of its own, which holds the query lane and lives for `timeout_s` at most."""

    def __init__(self, wire: Wire, lanes: Lanes, *, timeout_s: float) -> None:
        self._wire = wire
        self._lanes = lanes
        self._timeout_s = timeout_s
        self._tasks = set[asyncio.Task[object]]()

    async def run(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return what `send` does in its turn, with retries. Raises WireFault and nothing else.

        A caller that is cancelled leaves at once. A query that still waits, for its turn or between two attempts, goes
        with it; a request in flight goes on to its end, and is not repeated.
        """
        query = _Query(send)
        task = asyncio.create_task(self._run(query))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        try:
            # Not shield(): it hands a failure that comes late to the event loop's handler, on some versions.
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            self._leave(query, task)
            raise
        if task.cancelled():
            raise WireFault(Permanent("closed", "the client of Ollama is closed"))
        return task.result()

    async def close(self) -> None:
        """End every query."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, query: "_Query[Answer]") -> Answer:
        try:
            async with asyncio.timeout(self._timeout_s), self._lanes.query():
                return await self._wire.retrying(query.attempt, deadline_s=self._timeout_s, most_pause_s=PAUSE_S)
        except TimeoutError as error:
            detail = f"no vector for the query in {self._timeout_s:g} s"
            raise WireFault(TimedOut(self._timeout_s, detail)) from error

    def _leave(self, query: "_Query[Answer]", task: asyncio.Task[Answer]) -> None:
        if not query.in_flight:
            task.cancel()
            return
        query.late = True
        if (stage := current_stage_var.get()) is not None:
            stage.set(jobsense_embed_late=True)

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that nobody is told of an exception that was never retrieved


class _Query(Generic[Answer]):
    """One query: whether its request is in flight, and whether its caller has left (`late`)."""

    def __init__(self, send: Callable[[], Awaitable[Answer]]) -> None:
        self._send = send
        self.in_flight = self.late = False

    async def attempt(self) -> Answer:
        """Send once; when nobody waits any longer, a fault is made one that is not worth another attempt."""
        self.in_flight = True
        try:
            return await self._send()
        except WireFault as fault:
            if self.late:
                raise WireFault(Permanent(fault.verdict.reason, fault.verdict.detail)) from fault
            raise
        finally:
            self.in_flight = False
