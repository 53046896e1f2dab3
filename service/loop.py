"""Runs a step again and again until told to stop: at once while there is work, else after a wake-up or an idle wait."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from service.telemetry.logs import get_logger
from service.telemetry.redact import tell_error

log = get_logger(__name__)

Step = Callable[[], Awaitable[float]]
"""One piece of work; answers after how many seconds it wants to be called again (0: at once)."""

BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses after failures in a row; each is shortened by up to half, so that processes do not fail in step.

A wake-up shortens them to the first of these, no further: else a step that fails would run at the rate of wake-ups.
"""
END_S = 1.0
CLEAN_UP_S = 3.5
"""A cancelled step may still give back what it took."""


class Loop:
    """A background loop around a step. Knows no feature."""

    def __init__(self, name: str, step: Step) -> None:
        self.name = name
        self._step = step
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    def wake(self) -> None:
        """Ask for a step now rather than after the idle wait."""
        self._wake.set()

    async def stop(self, *, timeout_s: float = END_S, clean_up_s: float = CLEAN_UP_S) -> None:
        """Let the running step end for `timeout_s` at most, then cancel it, and `clean_up_s` later leave it alone."""
        self._stop.set()
        self._wake.set()
        if self._task is None:
            return
        _, pending = await asyncio.wait({self._task}, timeout=timeout_s)
        for task in pending:
            task.cancel()
            _, pending = await asyncio.wait({task}, timeout=clean_up_s)
        if pending:
            log.warning("loop.failed", loop=self.name, error="the step does not end", wait_s=timeout_s + clean_up_s)

    async def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            self._wake.clear()
            try:
                wait_s = await self._step()
                failures = 0
            except Exception as error:
                wait_s = BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)] * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
                failures += 1
                log.warning(
                    "loop.failed",
                    loop=self.name,
                    error=tell_error(error),
                    wait_s=round(wait_s, 3),
                    exc_info=failures == 1,
                )
            firm_s = min(wait_s, BACK_OFF_S[0]) if failures else 0.0
            await _wait(self._stop, firm_s)
            await _wait(self._wake, wait_s - firm_s)


async def _wait(event: asyncio.Event, wait_s: float) -> None:
    """Let others run, and wait for the event, so long at most."""
    if wait_s <= 0:
        await asyncio.sleep(0)
        return
    try:
        async with asyncio.timeout(wait_s):
            await event.wait()
    except TimeoutError:
        return
