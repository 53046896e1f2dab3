"""When what was out of order in a run, so that an answer can be judged by what was true while it was made."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class Timeline:
    """Spans of the monotonic clock by name; a span that has not ended reaches into the future."""

    def __init__(self) -> None:
        self._spans: dict[str, list[tuple[float, float]]] = {}

    def begin(self, what: str) -> None:
        """From now on; one that is open already stays open."""
        spans = self._spans.setdefault(what, [])
        if not spans or spans[-1][1] != float("inf"):
            spans.append((time.monotonic(), float("inf")))

    def end(self, what: str) -> None:
        """No longer, from now on."""
        spans = self._spans.get(what)
        if spans and spans[-1][1] == float("inf"):
            spans[-1] = (spans[-1][0], time.monotonic())

    def overlap_s(self, what: str, since: float, until: float, *, grace_s: float = 0.0) -> float:
        """For how many seconds of a time; each span counts for `grace_s` longer than it lasted."""
        spans = self._spans.get(what, [])
        return sum(max(0.0, min(until, end + grace_s) - max(since, begin)) for begin, end in spans)

    def touches(self, what: str, since: float, until: float, *, grace_s: float = 0.0) -> bool:
        """Whether at any moment of a time."""
        return any(begin <= until and since <= end + grace_s for begin, end in self._spans.get(what, []))

    def covers(self, what: str, since: float, until: float) -> bool:
        """Whether during the whole of a time."""
        return any(begin <= since and until <= end for begin, end in self._spans.get(what, []))


class Over:
    """Tells everybody that the run is over."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def declare(self) -> None:
        """It is."""
        self._event.set()

    async def within(self, seconds: float) -> bool:
        """Whether it is over before so many seconds have passed: how an interval of the experiment is waited out."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return False
        return True


LOOK_EVERY_S = 0.1


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, timeout_s: float) -> float:
    """Ask until a condition holds, and say after how many seconds; raises AssertionError that names it."""
    began, never = time.monotonic(), Over()
    while not await condition():
        assert time.monotonic() - began < timeout_s, f"not within {timeout_s:g} s: {what}"
        await never.within(LOOK_EVERY_S)
    return time.monotonic() - began
