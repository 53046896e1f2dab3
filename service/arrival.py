"""When the request that is served here came in, so that a wait in one place leaves less time for the next."""

import time
from contextvars import ContextVar

_ARRIVED: ContextVar[float] = ContextVar("arrived")


def note_arrival() -> None:
    """A request has come in; holds for the task that serves it and those that it starts."""
    _ARRIVED.set(time.monotonic())


def waited_s() -> float:
    """Seconds since the request came in; 0 outside one."""
    arrived = _ARRIVED.get(None)
    return 0.0 if arrived is None else time.monotonic() - arrived
