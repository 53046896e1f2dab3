"""Processes under a supervisor: one that cannot start ends the service at first only; later it is tried again."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service import supervisor
from service.errors import OperatorError
from service.stopping import Stop
from service.supervisor import COULD_NOT_START, supervise


def live(
    lives: Sequence[str], folder: Path, sockets: Sequence[socket.socket], served: Callable[[], object], _number: int
) -> None:
    """A process that does at its nth start what the nth of `lives` says."""
    number = len(list(folder.iterdir()))
    (folder / str(number)).touch()
    if "serves" in lives[number]:
        served()
    if "dies" in lives[number]:
        os.kill(os.getpid(), signal.SIGKILL)
    if "cannot start" in lives[number]:
        sys.exit(COULD_NOT_START)
    sockets[0].sendall(b"up")
    signal.pause()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are replaced soon."""
    monkeypatch.setattr(supervisor, "REPLACE_AFTER_S", 0.001)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE_S", 0.002)


async def test_a_replacement_that_cannot_start_is_tried_again(tmp_path: Path) -> None:
    """Where one has served, the service goes on, after pauses that grow up to the longest."""
    lives = ("serves, dies", "cannot start", "cannot start", "serves")
    ours, theirs = socket.socketpair()
    stop = Stop(cut=lambda _code: None)
    with ours, theirs, capture_logs() as lines:
        ours.setblocking(False)
        supervising = asyncio.create_task(supervise(partial(live, lives, tmp_path), [theirs], workers=1, stop=stop))
        up = asyncio.create_task(asyncio.get_running_loop().sock_recv(ours, 2))
        await asyncio.wait({supervising, up}, return_when=asyncio.FIRST_COMPLETED)
        stop.ask()
        await supervising
        assert await up == b"up"
    stop.close()
    died = [(line["exit_code"], line["wait_s"]) for line in lines if line["event"] == "service.process_died"]
    assert died == [(-signal.SIGKILL, 0.001), (COULD_NOT_START, 0.002), (COULD_NOT_START, 0.002)]


async def test_a_service_that_never_served_ends_when_it_cannot_start(tmp_path: Path) -> None:
    """It would never serve: whoever started it is told, even if the first process only died."""
    lives = ("dies", "cannot start")
    with pytest.raises(OperatorError, match="could not start"):
        await supervise(partial(live, lives, tmp_path), [], workers=1, stop=Stop())
