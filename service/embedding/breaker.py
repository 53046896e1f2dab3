"""The circuit breaker before the embedder: after failures in a row queries fail at once, until a probe succeeds."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from service.errors import EmbedderUnavailable

State = Literal["closed", "half_open", "open"]
STATES: tuple[State, ...] = ("closed", "half_open", "open")
"""In the order of their numbers in the metric `jobsense_breaker_state`."""

THRESHOLD = 3
"""Failures in a row that open it: one or two may be an accident, and each costs a caller its deadline."""
PAUSE_S = (1.0, 2.0)
"""Shortest and longest pause before the next probe, drawn at random, so that processes do not probe in step."""
MOST_PAUSE_S = 10.0
SLOW_S = 0.5
"""A probe that fails after so long keeps a server busy that is in trouble: the pauses double from one to the next."""


class Breaker:
    """Counts failures of queries in a row; closed lets them through, open and half open (a probe is out) do not.

    Knows nothing of the event loop. `clock` gives seconds that never go back; `draw` a number between
    two, for the pauses. Source: M. Nygard, "Release It!", Circuit Breaker.
    """

    def __init__(
        self,
        *,
        threshold: int = THRESHOLD,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._threshold = threshold
        self._clock = clock
        self._draw = draw
        self._failures = 0
        self._slow_probes = 0
        self._state: State = "closed"

    @property
    def state(self) -> State:
        """What becomes of queries now."""
        return self._state

    @property
    def number(self) -> int:
        """The state as the metric gives it."""
        return STATES.index(self._state)

    def succeed(self) -> bool:
        """Note a query or probe that was answered; True when this closed the breaker."""
        closed_now = self._state != "closed"
        self._state = "closed"
        self._failures = self._slow_probes = 0
        return closed_now

    def fail(self) -> bool:
        """Note a query that failed; True when this opened the breaker.

        One that was on its way when the breaker opened changes nothing, however late it fails.
        """
        self._failures += 1
        if self._state != "closed" or self._failures < self._threshold:
            return False
        self._state = "open"
        return True

    @contextmanager
    def probing(self) -> Iterator[None]:
        """An attempt of whoever looks whether the embedder is back; whatever ends it without a success opens again."""
        began = self._clock()
        if self._state == "open":
            self._state = "half_open"
        try:
            yield
        except EmbedderUnavailable:  # what another part of the process fails by says nothing of the embedder
            self._slow_probes = self._slow_probes + 1 if self._clock() - began >= SLOW_S else 0
            raise
        finally:
            if self._state == "half_open":
                self._state = "open"

    def pause_s(self) -> float:
        """Seconds until the next probe: short while probes fail quickly, longer with each that took its time."""
        return min(self._draw(*PAUSE_S) * 2.0 ** min(self._slow_probes, 10), MOST_PAUSE_S)
