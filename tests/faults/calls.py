"""One request of a client, and the judgement of its end: in time, and with a status or a break that has a cause."""

import asyncio
import time
from typing import Any

import httpx

from tests.fake_ollama.clients import TLS
from tests.faults.ledger import Ledger
from tests.faults.timeline import Timeline

BOUND_S = 15.0
"""Within which every request ends, whatever is wrong, save while a process is stopped."""
GIVE_UP_S = 100.0
GRACE_S = 5.0
"""For how long after its return the database may still be the cause of a 503: every connection has to be made anew."""

HELD = ("service.held", "postgres.held", "worker-1.held", "worker-2.held")
"""Stopped processes that a request may have to wait for: a stopped worker may hold the lock on a row."""


class Caller:
    """Sends requests to the service and judges how they end."""

    def __init__(self, address: str, ledger: Ledger, timeline: Timeline) -> None:
        self._client = httpx.AsyncClient(base_url=address, timeout=None, verify=TLS)  # noqa: S113 - a bound of our own, on the whole
        self._ledger = ledger
        self._timeline = timeline

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def call(self, method: str, path: str, *allowed: int, **more: Any) -> httpx.Response | None:
        """The answer if it is one of `allowed`; None when it is a 503, or when the service went away meanwhile."""
        began = time.monotonic()
        what = f"{method} {path}"
        self._ledger.counts["requests"] += 1
        try:
            async with asyncio.timeout(GIVE_UP_S):
                answer = await self._client.request(method, f"/api/v1{path}", **more)
        except httpx.TransportError as error:
            if not self._timeline.touches("service", began, time.monotonic()):
                self._ledger.fault("broken", f"{what}: {error!r} while the service was up")
            self._ledger.counts["broken connections"] += 1
            return None
        except TimeoutError:
            self._ledger.fault("hang", f"{what}: no end within {GIVE_UP_S:g} s")
            return None
        self._judge_time(what, began)
        if answer.status_code in allowed:
            return answer
        self._judge_refusal(what, answer, began)
        return None

    def _judge_time(self, what: str, began: float) -> None:
        now = time.monotonic()
        excused_s = sum(self._timeline.overlap_s(held, began, now) for held in HELD)
        if now - began - excused_s > BOUND_S:
            self._ledger.fault("hang", f"{what} took {now - began:.1f} s, {excused_s:.1f} of them excused")

    def _judge_refusal(self, what: str, answer: httpx.Response, began: float) -> None:
        shown = f"{what}: {answer.status_code} {answer.text[:300]}"
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            self._ledger.fault("status", shown)
            return
        self._ledger.counts["503"] += 1
        code = answer.json().get("code")
        self._ledger.counts[f"503 {code}"] += 1
        if not answer.headers.get("retry-after", "").isdecimal():
            self._ledger.fault("status", f"{shown} without Retry-After")
        held = any(self._timeline.touches(one, began, time.monotonic(), grace_s=GRACE_S) for one in HELD)
        away = self._timeline.touches("postgres", began, time.monotonic(), grace_s=GRACE_S)
        if code == "database_unavailable" and not held and not away:
            self._ledger.fault("status", f"{shown} though the database was up")
