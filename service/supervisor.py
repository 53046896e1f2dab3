"""The sockets to serve on, and several processes that share them: started, replaced when one died, ended in time."""

import asyncio
import errno
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from service.config import Settings, variable
from service.errors import OperatorError
from service.stopping import STOP_S, Stop
from service.telemetry.logs import get_logger

log = get_logger(__name__)

COULD_NOT_START = 3
"""The exit code of a process whose settings or schema are wrong, which another try would not help."""
REPLACE_AFTER_S = 0.5
LONGEST_PAUSE_S = 30.0
"""The pause before a process is replaced: twice as long after each one that did not come to serve."""
KEEP_S = 1.0
"""What the parent needs after its processes; those that still run then are killed."""
CHILD_STOP_S = STOP_S - 2 * KEEP_S
"""The budget of each of them."""
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

Child = Callable[[Sequence[socket.socket], Callable[[], object], int], None]
"""What a process does with the sockets, from its start to its end; a function of a module, or a partial of one.

It calls its second argument once it serves. The third is its place among the others, from 0, which its successor takes.
"""


@contextmanager
def listening(settings: Settings) -> Iterator[list[socket.socket]]:
    """Sockets on every address of HOST; raises OperatorError where that fails.

    They are bound before anything else is done, so that a port in use is told at once. uvicorn's own way leaves the
    protocol open, and the event loop turns off Nagle's algorithm (40 ms on small answers) on TCP only.
    """
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        port, missing = settings.port, None
        for family, kind, protocol, _, address in _addresses(settings):
            try:
                made = opened.enter_context(socket.socket(family, kind, protocol))
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                made.bind((address[0], port, *address[2:]))
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise _cannot_listen(settings, error) from error
                missing = error  # as `localhost` names ::1 on a machine without IPv6
            else:
                port = made.getsockname()[1]
                sockets.append(made)
        if missing is not None and not sockets:
            raise _cannot_listen(settings, missing)
        yield sockets


def _cannot_listen(settings: Settings, error: OSError) -> OperatorError:
    return OperatorError(
        f"cannot listen on {settings.host}:{settings.port}: {os.strerror(error.errno or 0).lower()}; set "
        f"{variable('host')} and {variable('port')} to an address of this machine and a free port"
    )


def _addresses(settings: Settings) -> list[Any]:
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise OperatorError(
            f"{variable('host')}={settings.host!r} is no address or known host: {error.strerror}"
        ) from None
    return list(dict.fromkeys(found))


def base_url(settings: Settings, sockets: Sequence[socket.socket]) -> str:
    """Where a caller on this machine finds the service; the port is the one that was really taken."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with, not listened on
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{anywhere.get(settings.host, host)}:{sockets[0].getsockname()[1]}"


async def supervise(child: Child, sockets: Sequence[socket.socket], *, workers: int, stop: Stop) -> None:
    """Keep `workers` processes alive until the stop; raises OperatorError when one of the first cannot start."""
    running: set[SpawnProcess] = set()
    ending = asyncio.Event()

    def end() -> None:
        ending.set()
        for process in running:
            process.terminate()

    stop.on_ask(end, end)
    keeping = {asyncio.create_task(_keep(child, sockets, number, running, ending)) for number in range(workers)}
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
    child: Child, sockets: Sequence[socket.socket], number: int, running: set[SpawnProcess], ending: asyncio.Event
) -> None:
    """One process after another, until the end.

    Where one has served, the next one's failure is taken to pass, and the other processes go on meanwhile.
    """
    has_served, pause_s = False, REPLACE_AFTER_S
    while not ending.is_set():
        process, told = _start(child, sockets, number)
        running.add(process)
        await _end_of(process)
        running.discard(process)
        if _has_told(told):
            has_served, pause_s = True, REPLACE_AFTER_S
        if process.exitcode == COULD_NOT_START and not has_served:
            raise OperatorError("a worker process could not start; the log says why")
        if not ending.is_set():
            log.warning("service.process_died", pid=process.pid, exit_code=process.exitcode, wait_s=pause_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _start(child: Child, sockets: Sequence[socket.socket], number: int) -> tuple[SpawnProcess, Connection]:
    """Start a process, and give the end of a pipe on which it tells that it serves.

    Ctrl-C in a terminal does not reach it: its parent tells it when to end, and only once.
    """
    context = multiprocessing.get_context("spawn")
    told, telling = context.Pipe(duplex=False)
    served = partial(telling.send_bytes, b"served")
    process = context.Process(target=child, args=(list(sockets), served, number), daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        telling.close()
    return process, told


def _has_told(told: Connection) -> bool:
    """Whether the process that ended had come to serve."""
    with told:
        try:
            return told.poll() and bool(told.recv_bytes())
        except (EOFError, OSError):
            return False


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
