"""Results by a deadline, whatever the work does when it is cancelled: a caller is answered in time in any case."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

_LEFT: set[asyncio.Task[Any]] = set()
"""Tasks that were cancelled and have not ended; the event loop itself keeps no hold on them."""


async def all_within(timeout_s: float, *work: Coroutine[Any, Any, Result]) -> list[Result]:
    """Run all at once and return their results in order; the first failure ends it.

    Raises TimeoutError after `timeout_s`. What is not done then is cancelled and not waited for, unlike under
    `asyncio.timeout`, which answers only once the work has let go.
    """
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, pending = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_EXCEPTION)
        if pending:
            for task in done:
                task.result()
            raise TimeoutError
        return [task.result() for task in tasks]
    finally:
        for task in tasks:
            leave(task)


def leave(task: asyncio.Task[Any]) -> None:
    """Cancel a task and do not wait for it; what it raises is nobody's."""
    _LEFT.add(task)
    task.add_done_callback(_forget)
    task.cancel()


def _forget(task: asyncio.Task[Any]) -> None:
    _LEFT.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that nobody is told of an exception that was never retrieved
