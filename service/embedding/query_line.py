"""The line of queries before the embedder: refuses one that could not be served before its deadline."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import EmbedderUnavailable

WEIGHT = 0.2
"""Of the newest query in the moving mean: after ten queries, nine tenths of it are these."""


class QueryLine:
    """Counts the queries in progress and learns for how long one holds the embedder.

    Behind n others a query is served after n + 1 times that mean where they are served one after the other; where
    several are served together the mean comes out shorter by as much. `clock` gives seconds that never go back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.length = 0
        self._clock = clock
        self._mean_s = 0.0

    @property
    def wait_s(self) -> float:
        """After how long a query that came now would be served; 0 for the only one, which is let in however long."""
        return (self.length + 1) * self._mean_s if self.length else 0.0

    @contextmanager
    def join(self, within_s: float) -> Iterator[None]:
        """Stand in line; raises EmbedderUnavailable (reason overloaded) at once when it takes longer than that."""
        if within_s <= 0 or self.wait_s > within_s:
            raise EmbedderUnavailable(
                f"{self.length} queries before this one, and it, would take {self.wait_s:.1f} s, and there are "
                f"{max(0.0, within_s):.1f} s left",
                reason="overloaded",
            )
        ahead, began = self.length, self._clock()
        self.length += 1
        try:
            yield
        except EmbedderUnavailable:
            # One that failed says at least how long it has waited; a quick refusal says nothing of the others.
            self._learn(max(self._mean_s, (self._clock() - began) / (ahead + 1)))
            raise
        else:
            self._learn((self._clock() - began) / (ahead + 1))
        finally:
            self.length -= 1

    def forget(self) -> None:
        """Begin anew, as after an outage: what queries took then says nothing of now."""
        self._mean_s = 0.0

    def _learn(self, seconds: float) -> None:
        self._mean_s += WEIGHT * (seconds - self._mean_s)
