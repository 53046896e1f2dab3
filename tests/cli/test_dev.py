"""`jobsense dev`: from an empty folder to three lines that work as pasted, again at once, twice at once, and away.

The sample's searches are tried here too, since embedding its postings once costs more than all the rest.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from service.sample.generate import QUERIES
from service.shell import dev
from tests.cli.conftest import DEV_READY, Running, begin_dev, is_alive, is_ready
from tests.fake_ollama.clients import TLS

CPU_S = 5.0
SOLAR = "fix solar panels on roofs"


def stop(running: Running) -> str:
    """Ctrl-C; what it printed."""
    running.signal(signal.SIGINT)
    result = running.end()
    assert result.code == 0, result.err
    return result.out + result.err


@pytest.fixture(scope="module")
def first(dev_home: Path) -> Iterator[Running]:
    """The first run in the folder, ready; searches may take their time, since other tests run beside it."""
    running = begin_dev(dev_home, search_deadline="30s")
    try:
        running.wait_for(DEV_READY)
        yield running
    finally:
        running.discard()


def printed(running: Running) -> tuple[str, str, list[str]]:
    """Address, key and curl lines as dev printed them."""
    address, key = running.wait_for(r"ready at (http://\S+)"), running.wait_for(r"key: (js_\S+)")
    return address[1], key[1], re.findall(r"^curl .*$", running.out.replace("\r", ""), re.MULTILINE)


def paste(line: str) -> Any:
    """Run a line in a shell; its answer."""
    ended = subprocess.run(["bash", "-c", line], capture_output=True, check=True, timeout=30)
    return msgspec.json.decode(ended.stdout)


def database_pid(dev_home: Path) -> int:
    """The server's process."""
    return int((dev_home / "postgres-18" / "postmaster.pid").read_text().split()[0])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed, and the printed lines call it")
def test_the_first_run_prints_three_lines_that_work(first: Running) -> None:
    """A search by meaning, a new posting, and a search by address, each pasted as it stands."""
    assert "loaded 360 sample postings" in first.err
    address, key, lines = printed(first)
    assert is_ready(address)
    assert [key in line for line in lines] == [True] * 3
    found, made, asked = (paste(line) for line in lines)
    assert len(found["results"]) == 3
    right = {one["text"]: one["external_ids"] for one in msgspec.json.decode(QUERIES.read_bytes())}
    assert found["results"][0]["job"]["external_id"] in right[dev.QUESTION]
    assert found["mode"]["served"] == "hybrid"
    assert (made["title"], made["embedding"]["state"]) == ("Solar technician", "pending")
    first_asked = asked["results"][0]["job"]
    assert first_asked["title"] == "Solar technician" or first_asked["external_id"] in right[SOLAR]


def test_every_search_of_the_sample_finds_a_right_answer(first: Running) -> None:
    """Though they share no words with the titles: one of the right postings is among the first ten.

    By the mode that was asked for; all that are missed are named.
    """
    address, key, _ = printed(first)
    missed = []
    with httpx.Client(base_url=address, headers={"X-API-Key": key}, timeout=30, verify=TLS) as client:
        for search in msgspec.json.decode(QUERIES.read_bytes()):
            for mode in ("semantic", "hybrid"):
                answer = client.post("/api/v1/search", json={"text": search["text"], "top_k": 10, "mode": mode}).json()
                found = {hit["job"]["external_id"] for hit in answer["results"]}
                if answer["mode"]["served"] != mode or not found & set(search["external_ids"]):
                    missed.append((mode, answer["mode"]["served"], search["text"]))
    assert missed == []


def test_a_second_one_on_another_port_joins_the_database(first: Running, dev_home: Path) -> None:
    """Same key, other address; the database stays when one of them leaves."""
    second = begin_dev(dev_home)
    try:
        second.wait_for(DEV_READY)
        address, key, _ = printed(first)
        other, same, _ = printed(second)
        assert (other != address, same) == (True, key)
        assert is_ready(other)
        stop(second)
        assert is_ready(address)
    finally:
        second.discard()


def test_a_port_in_use_is_one_clear_line(first: Running, dev_home: Path) -> None:
    """Exit code 1 before anything else is touched, with what to set."""
    address, _, _ = printed(first)
    port = int(address.rpartition(":")[2])
    refused = begin_dev(dev_home, port=port)
    try:
        result = refused.end()
    finally:
        refused.discard()
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"jobsense: cannot listen on 127.0.0.1:{port}: address already in use; set JOBSENSE_")
    assert len(result.err.splitlines()) == 1


def test_ctrl_c_ends_it_with_its_database_and_the_next_start_is_quick(first: Running, dev_home: Path) -> None:
    """Exit code 0 and no process left; the next one prints the same key, loads nothing, and logs for people."""
    pid = database_pid(dev_home)
    _, key, _ = printed(first)
    stop(first)
    assert not is_alive(pid)
    again = begin_dev(dev_home, on_pty=True)
    try:
        again.wait_for(DEV_READY)
        cpu_s = sum(map(int, Path(f"/proc/{again.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        assert cpu_s / os.sysconf("SC_CLK_TCK") < CPU_S
        assert printed(again)[1] == key
        shown = stop(again)
    finally:
        again.discard()
    assert "loaded" not in shown
    assert "service.ready" in shown
    assert '"event"' not in shown


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    """A new key takes the place of an old file whatever the rights of that, in a folder that is made if need be."""
    path = tmp_path / "new" / dev.DEV_KEY
    dev._keep_key(path, "one")
    path.chmod(0o644)
    dev._keep_key(path, "two")
    assert dev._read_key(path) == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == [dev.DEV_KEY]
