"""How the time of a computation grows with its input, told so that a slow or busy machine changes nothing."""

import time
from collections.abc import Callable

TIMES = 4
"""How much longer the long input is than the short one."""
MOST = 8.0
"""The growth below which time is linear: that alone would be 4, a square 16, and noise is far less than either."""
LEAST_S = 0.01
"""A short input counts for no less than this, which is within the noise of the clock."""
LONGEST_S = 10.0
"""What a long input may take anywhere: several times what the slowest takes here."""
TRIES = 5


def check_linear(run: Callable[[int], object], size: int) -> None:
    """Four times the size takes about four times as long, by the processor time of this thread; else it fails.

    Neighbours can only make a run longer: of several tries the least of each counts, and the first that shows linear
    growth is enough.
    """
    run(size // 100)  # whatever only the first run does
    short_s = long_s = float("inf")
    for _ in range(TRIES):
        short_s = min(short_s, _cpu_s(run, size // TIMES))
        long_s = min(long_s, _cpu_s(run, size))
        if long_s < min(MOST * max(short_s, LEAST_S), LONGEST_S):
            return
        if long_s > LONGEST_S:
            break
    raise AssertionError(f"{size // TIMES} take {short_s:.3f} s of processor time, {size} take {long_s:.3f} s")


def _cpu_s(run: Callable[[int], object], size: int) -> float:
    began = time.thread_time()
    run(size)
    return time.thread_time() - began
