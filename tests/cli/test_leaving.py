"""A signal where others send requests by the answer of /health/ready, and one before a command listens for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.cli.conftest import Start
from tests.cli.test_serve import BODY, begin

EARLY = """
import signal, sys
import click
import service.__main__ as command
def strike():
    signal.raise_signal(signal.SIGTERM)
command._Commands.get_command = lambda *_: click.Command("serve", callback=strike)
sys.argv = ["jobsense", "serve"]
command.main()
"""


def test_whoever_watches_readiness_is_told_before_the_door_closes(start: Start, tmp_path: Path, dsn: str) -> None:
    """A proxy that asks again and again learns that the process leaves, while requests under way are still served."""
    running, address = begin(start, tmp_path, dsn)
    watched = [httpx.get(f"{address}/health/ready").status_code for _ in range(2)]
    assert watched == [200, 200]
    running.signal(signal.SIGTERM)
    began = time.monotonic()
    running.wait_for('"service.draining"')
    ready = httpx.get(f"{address}/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"status": "stopping", "failing": ["process"]})
    made = httpx.post(f"{address}/api/v1/jobs", content=BODY, headers={"Content-Type": "application/json"})
    assert made.status_code == 201
    result = running.end()
    assert result.code == 0, result.out
    assert 1 < time.monotonic() - began < 5


def test_a_second_signal_closes_the_door_at_once(start: Start, tmp_path: Path, dsn: str) -> None:
    """Whoever presses twice is not kept waiting for watchers."""
    running, address = begin(start, tmp_path, dsn)
    assert [httpx.get(f"{address}/health/ready").status_code for _ in range(2)] == [200, 200]
    running.signal(signal.SIGTERM)
    running.wait_for('"service.draining"')
    began = time.monotonic()
    running.signal(signal.SIGTERM)
    assert running.end().code == 0
    assert time.monotonic() - began < 1.4


def test_a_signal_before_the_command_listens_ends_it() -> None:
    """As the first process of a container a signal without a handler would be lost; it has one from the beginning."""
    done = subprocess.run([sys.executable, "-c", EARLY], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (130, "jobsense: stopped")


STRIKES = """
import builtins, signal
run = builtins.exec
def strike(code, *names):
    if isinstance(code, str) and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        builtins.exec = run
        code = "import signal\\nsignal.raise_signal(signal.SIGTERM)"
    return run(code, *names)
builtins.exec = strike
"""


def test_a_signal_while_a_module_makes_its_classes_ends_it_in_the_same_way(tmp_path: Path) -> None:
    """Python notes a KeyboardInterrupt in text that is executed, and with `-m` dies of SIGINT whatever caught it."""
    (tmp_path / "sitecustomize.py").write_text(STRIKES)
    done = subprocess.run(
        [sys.executable, "-m", "service", "worker"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stderr.strip()) == (130, "jobsense: stopped")
