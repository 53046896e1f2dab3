"""Counts the calls of each caller in this process: moving windows in buckets, for so many callers at most."""

import time
from collections import OrderedDict

from service.quota.model import BUCKETS, Rate, Verdict

MOST_CALLERS = 20_000
"""About 9 MB. Past it the caller who has not called for longest is forgotten, and so has a full quota again."""

_Window = list[int]
"""All calls that count, then pairs of a bucket's number and its calls, the oldest first."""


class MemoryWindows:
    """The windows of one process."""

    def __init__(self, most: int = MOST_CALLERS) -> None:
        self._most = most
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def take(self, key: str, rate: Rate, cost: int = 1) -> Verdict:
        """Take `cost` calls of a quota, all or none. A key belongs to one length of window."""
        now = time.monotonic()
        width = rate.window_s / BUCKETS
        bucket = int(now / width)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = [0]
            if len(self._windows) > self._most:
                self._windows.popitem(last=False)
        else:
            self._windows.move_to_end(key)
            while len(window) > 1 and window[1] < bucket - BUCKETS:
                window[0] -= window[2]
                del window[1:3]
        allowed = window[0] + cost <= rate.amount
        if allowed:
            window[0] += cost
            if len(window) > 1 and window[-2] == bucket:
                window[-1] += cost
            else:
                window += (bucket, cost)
        reset_s = (window[1] + BUCKETS + 1) * width - now if len(window) > 1 else 0.0
        retry_s = 0.0 if allowed else _back_at(window, rate.amount - cost) * width - now
        return Verdict(allowed, max(rate.amount - window[0], 0), reset_s, retry_s)


def _back_at(window: _Window, most: int) -> int:
    """The bucket in which no more than `most` calls count."""
    used = window[0]
    for place in range(1, len(window), 2):
        used -= window[place + 1]
        if used <= most:
            return window[place] + BUCKETS + 1
    return window[-2] + BUCKETS + 1
