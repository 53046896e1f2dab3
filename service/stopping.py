"""The one budget of a stop: all that ends at a signal shares a deadline, and a process that hangs past it is cut."""

import asyncio
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar

SIGNALS = (signal.SIGTERM, signal.SIGINT)
STOP_S = 9.0
"""From the first signal until everything is told to have ended."""
HURRY_S = 2.0
"""The same from a second signal, which asks for an end at once."""
CUT_S = 0.6
"""How long after its deadline a process that still runs is cut: the state on disk is then as after SIGKILL."""


class Stop:
    """The stop of one process: when it was asked for, and how long each part may still take.

    A process that hangs ends with `exit_code`: 0 where being stopped is no failure, as with a service.
    """

    def __init__(
        self, *, within_s: float = STOP_S, exit_code: int = 0, cut: Callable[[int], object] | None = None
    ) -> None:
        self.asked = asyncio.Event()
        self._within_s = within_s
        self._exit_code = exit_code
        self._deadline = math.inf
        self._cut = cut or os._exit
        self._alarm: threading.Timer | None = None
        self._act: Callable[[], object] = _nothing
        self._hurry: Callable[[], object] = _nothing

    def listen(self) -> None:
        """Take SIGTERM and SIGINT from now on, in the running event loop; what begins after it finds this stop."""
        _listening.set(self)
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self.ask)

    def on_ask(self, act: Callable[[], object], hurry: Callable[[], object] | None = None) -> None:
        """Say what the first signal does from now on, and what a further one does."""
        self._act, self._hurry = act, hurry or _nothing

    def ask(self) -> None:
        """Begin the stop; asked again, leave it little time."""
        first = not self.asked.is_set()
        self._deadline = min(self._deadline, time.monotonic() + (self._within_s if first else HURRY_S))
        self._set_alarm()
        self.asked.set()
        (self._act if first else self._hurry)()

    async def wait(self) -> None:
        """Wait for the first signal, which from now on does nothing else."""
        self.on_ask(_nothing)
        await self.asked.wait()

    def left_s(self, most_s: float, *, keep_s: float = 0.0) -> float:
        """Seconds that a part may take: `most_s`, or what is left beside the `keep_s` of those that end after it."""
        return max(0.0, min(most_s, self._deadline - time.monotonic() - keep_s))

    def close(self) -> None:
        """Cut nothing any more; a process that ends does not call it, since its last threads may hang."""
        if self._alarm is not None:
            self._alarm.cancel()

    def _set_alarm(self) -> None:
        """A thread's timer, since what hangs may be the event loop itself, or a thread that the interpreter awaits."""
        self.close()
        self._alarm = threading.Timer(self.left_s(self._within_s) + CUT_S, self._cut, [self._exit_code])
        self._alarm.daemon = True
        self._alarm.start()


_listening: ContextVar[Stop | None] = ContextVar("stop", default=None)


def current_stop() -> Stop:
    """The stop that this process listens for, else one that nobody asks for."""
    return _listening.get() or Stop()


def _nothing() -> None:
    return None
