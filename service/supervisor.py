"""Several processes that serve on the same sockets: starts them, replaces one that died, ends them all in time."""

import asyncio
import multiprocessing
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.context import SpawnProcess

from service.errors import OperatorError
from service.stopping import STOP_S, Stop
from service.telemetry.logs import get_logger

log = get_logger(__name__)

COULD_NOT_START = 3
"""The exit code of a process that another try would not help."""
REPLACE_AFTER_S = 1.0
KEEP_S = 1.0
"""What the parent needs after its processes; those that still run then are killed."""
CHILD_STOP_S = STOP_S - 2 * KEEP_S
"""The budget of each of them."""

Child = Callable[[Sequence[socket.socket]], None]
"""What a process does with the sockets, from its start to its end; a function of a module, or a partial of one."""


async def supervise(child: Child, sockets: Sequence[socket.socket], *, workers: int, stop: Stop) -> None:
    """Keep `workers` processes alive until the stop; raises OperatorError when one of them cannot start."""
    running: set[SpawnProcess] = set()
    ending = asyncio.Event()

    def end() -> None:
        ending.set()
        for process in running:
            process.terminate()

    stop.on_ask(end, end)
    keeping = {asyncio.create_task(_keep(child, sockets, running, ending)) for _ in range(workers)}
    told = asyncio.create_task(ending.wait())
    await asyncio.wait({told, *keeping}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not ending.is_set():  # a second SIGTERM would hurry them
        end()
    await asyncio.wait(keeping, timeout=stop.left_s(CHILD_STOP_S + KEEP_S, keep_s=KEEP_S))
    for process in running:
        log.warning("service.process_killed", pid=process.pid)
        process.kill()
    await asyncio.gather(*keeping)


async def _keep(
    child: Child, sockets: Sequence[socket.socket], running: set[SpawnProcess], ending: asyncio.Event
) -> None:
    """One process after another, until the end."""
    while not ending.is_set():
        process = _start(child, sockets)
        running.add(process)
        await _end_of(process)
        running.discard(process)
        if process.exitcode == COULD_NOT_START:
            raise OperatorError("a worker process could not start; the log says why")
        if not ending.is_set():
            log.warning("service.process_died", pid=process.pid, exit_code=process.exitcode)
            with suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), REPLACE_AFTER_S)


def _start(child: Child, sockets: Sequence[socket.socket]) -> SpawnProcess:
    """Start a process that Ctrl-C in a terminal does not reach: its parent tells it when to end, and only once."""
    process = multiprocessing.get_context("spawn").Process(target=child, args=(list(sockets),), daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


async def _end_of(process: SpawnProcess) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process.sentinel)
    process.join()


def when_orphaned(act: Callable[[], object]) -> None:
    """In such a process: call `act` once when the parent is gone, whose sockets would stay in use otherwise."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    loop, sentinel = asyncio.get_running_loop(), parent.sentinel

    def gone() -> None:
        loop.remove_reader(sentinel)
        act()

    loop.add_reader(sentinel, gone)
