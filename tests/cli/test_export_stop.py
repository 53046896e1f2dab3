"""A stop does not wait for exports: what is not read in the time of the drain is cut, and nothing is left behind."""

import json
import signal
import socket
from pathlib import Path

import httpx

from tests.cli.conftest import Start, wait_for_database
from tests.cli.test_serve import begin
from tests.cli.test_shutdown import LONG, end
from tests.fake_ollama.clients import TLS

COPYING = "select exists (select from pg_stat_activity where query like 'COPY%' and wait_event = 'ClientWrite')"
JOB = {"title": "Nurse", "company": "Afya", "source": "linkedin"}


def test_a_stop_ends_exports_in_time(start: Start, tmp_path: Path, dsn: str) -> None:
    """One that nobody reads is cut when requests get no more time, with exit code 0 and no statement left."""
    running, address = begin(start, tmp_path, dsn)
    rows = [JOB | {"title": f"Cook {number}", "description": LONG} for number in range(100)]
    assert httpx.post(f"{address}/api/v1/jobs/batch", json=rows, timeout=30, verify=TLS).status_code == 200
    host, _, port = address.removeprefix("http://").rpartition(":")
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(20)
        reader.connect((host, int(port)))
        reader.sendall(b"GET /api/v1/export/jobs.csv HTTP/1.1\r\nHost: x\r\n\r\n")
        assert reader.recv(1) == b"H"
        wait_for_database(dsn, COPYING)
        running.signal(signal.SIGTERM)
        running.wait_for('"service.draining"')
        assert end(running) < 5
    wait_for_database(dsn, COPYING.replace("select exists", "select not exists"))
    lines = [json.loads(line) for line in running.out.splitlines() if line.startswith("{")]
    (told,) = [line for line in lines if line.get("http.route") == "/api/v1/export/jobs.csv"]
    assert told["http.response.status_code"] == 499
