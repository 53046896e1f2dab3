"""Query requests that go on when their caller leaves: a server whose client leaves gives up loading the model."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from service.ollama.faults import SUSPICIOUS, BadText, Permanent, TimedOut, Transient, Verdict, WireFault
from service.ollama.lanes import Lanes
from service.ollama.wire import Wire
from service.telemetry.record import current_stage_var

Answer = TypeVar("Answer")

PAUSE_S = 0.1
"""Longest pause before a query is repeated: its caller waits for less than a second, and wants the true reason."""
HOLD_S = 1.0
"""A late query keeps its place in the lane for so long; longer, and answers that got lost would block all queries."""
MOST_LATE = 16
"""So many requests go on without a caller; more would be a backlog at a server that is in trouble."""


class LateQueries:
    """Runs each query in a task of its own, which has a place in the query lane.

    A caller waits for `timeout_s` at most. Its request goes on without it, for the sake of a load that it may have
    caused: for `load_timeout_s` at most, and until `note_answer` says that the model is loaded.
    """

    def __init__(self, wire: Wire, lanes: Lanes, *, timeout_s: float, load_timeout_s: float) -> None:
        self._wire = wire
        self._lanes = lanes
        self._timeout_s = timeout_s
        self._load_timeout_s = load_timeout_s
        self._tasks = set[asyncio.Task[object]]()
        self._late = dict[asyncio.Task[Any], _Query[Any]]()
        self._answered_at = float("-inf")

    async def run(self, send: Callable[[], Awaitable[Answer]], *, texts: int = 1) -> Answer:
        """Return what `send` does with so many texts in its turn, with retries. Raises WireFault and nothing else.

        A caller that is cancelled leaves at once. A query that still waits, for its turn or between two attempts, goes
        with it; a request in flight goes on to its end, and is not repeated.
        """
        query = _Query(send, self.note_answer, texts)
        task = asyncio.create_task(self._run(query))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        try:
            # Not shield(): it hands a failure that comes late to the event loop's handler, on some versions.
            await asyncio.wait((task,), timeout=self._timeout_s)
        except asyncio.CancelledError:
            self._leave(query, task)
            raise
        if not task.done():
            self._leave(query, task)
            raise WireFault(TimedOut(self._timeout_s, f"no vector for the query in {self._timeout_s:g} s"))
        if task.cancelled():
            raise WireFault(Permanent("closed", "the client of Ollama is closed"))
        return task.result()

    def note_answer(self) -> None:
        """The server has answered, so the model is loaded: end the late requests, which would only take its time."""
        self._answered_at = time.monotonic()
        for task, query in self._late.items():
            if query.in_flight:
                task.cancel()

    async def close(self) -> None:
        """End every query."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, query: "_Query[Answer]") -> Answer:
        async with self._lanes.query(query.texts) as query.give_place_back:
            try:
                return await self._wire.retrying(query.attempt, deadline_s=self._timeout_s, most_pause_s=PAUSE_S)
            except WireFault as fault:
                if not await self._is_to_blame(fault.verdict, query.texts):
                    raise
                raise WireFault(BadText(fault.verdict.detail)) from fault

    async def _is_to_blame(self, verdict: Verdict, texts: int) -> bool:
        """Say whether it is a text: where words or zeros leave doubt, if a harmless one goes through after it.

        Where several share the request, a fault that one of them can cause leaves doubt too: none may fail the others.
        """
        match verdict:
            case BadText(certain=False) | Transient(reason="bad_vectors"):
                doubtful = True
            case Transient(reason=reason):
                doubtful = texts > 1 and reason in SUSPICIOUS
            case _:
                doubtful = False
        if not doubtful:
            return False
        try:
            await self._wire.control()
        except WireFault:
            return False
        return True

    def _leave(self, query: "_Query[Answer]", task: asyncio.Task[Answer]) -> None:
        loaded = self._answered_at > query.sent_at
        if not query.in_flight or loaded or len(self._late) >= MOST_LATE:
            task.cancel()
            return
        query.late = True
        self._late[task] = query
        loop = asyncio.get_running_loop()
        loop.call_later(HOLD_S, query.give_place_back)
        loop.call_later(self._load_timeout_s, task.cancel)
        if (stage := current_stage_var.get()) is not None:
            stage.set(jobsense_embed_late=True)

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        self._late.pop(task, None)
        if not task.cancelled():
            task.exception()  # looked at, so that nobody is told of an exception that was never retrieved


class _Query(Generic[Answer]):
    """One query: whether its request is in flight, since when, and whether its caller has left (`late`)."""

    def __init__(self, send: Callable[[], Awaitable[Answer]], note_answer: Callable[[], None], texts: int) -> None:
        self._send = send
        self._note_answer = note_answer
        self.texts = texts
        self.in_flight = self.late = False
        self.sent_at = 0.0
        self.give_place_back: Callable[[], None]

    async def attempt(self) -> Answer:
        """Send once; when nobody waits any longer, a fault is made one that is not worth another attempt."""
        self.in_flight, self.sent_at = True, time.monotonic()
        try:
            answer = await self._send()
        except WireFault as fault:
            if self.late:
                raise WireFault(Permanent(fault.verdict.reason, fault.verdict.detail)) from fault
            raise
        finally:
            self.in_flight = False
        self._note_answer()
        return answer
