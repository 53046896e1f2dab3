"""Measures how late the event loop does what is due: whatever else waits there, waits as long."""

import asyncio
import time

from service.telemetry.stages import observe

EVERY_S = 0.1


class LoopLag:
    """Asks the running loop for a call again and again and notes how late each comes."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._asked: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        due = time.monotonic() + self._every_s
        self._asked = asyncio.get_running_loop().call_later(self._every_s, self._note, due)

    def stop(self) -> None:
        """Ask for no more; safe to call at any time."""
        if self._asked is not None:
            self._asked.cancel()
            self._asked = None

    def _note(self, due: float) -> None:
        observe("jobsense_event_loop_lag_seconds", max(0.0, time.monotonic() - due))
        self.start()
