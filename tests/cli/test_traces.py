"""Telemetry of processes: a stop delivers every span of `serve`, and each answers scrapes where it is told to."""

import re
import signal
import socket
from contextlib import suppress
from pathlib import Path

import httpx

from tests.cli.conftest import Start, environment
from tests.cli.test_commands import unused_port
from tests.fake_ollama.clients import TLS
from tests.otlp_receiver import otlp_receiver, values

ASKED = 60
OPEN_METRICS = "application/openmetrics-text"


def test_every_span_arrives_from_every_process(start: Start, tmp_path: Path, dsn: str) -> None:
    """Two processes serve, a connection each time, until SIGTERM right after the last answer: no span is missing."""
    with otlp_receiver() as receiver:
        away = f"http://127.0.0.1:{unused_port()}"
        given = {"database_url": dsn, "port": "0", "embedder": "ollama", "ollama_url": away, "workers": "2"}
        traced = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.endpoint}
        running = start("serve", env=environment(tmp_path, **given) | traced)
        address = running.wait_for(r'"service.starting".*"address":"(http://[^"]+)"')[1]
        running.wait_for(r'(?s)"service\.ready".*"service\.ready"')
        with httpx.Client(base_url=address, limits=httpx.Limits(max_keepalive_connections=0), verify=TLS) as client:
            answers = [client.get("/api/v1/jobs") for _ in range(ASKED)]
        running.signal(signal.SIGTERM)
        result = running.end()
        assert result.code == 0, result.out + result.err
        told = {answer.headers["traceresponse"].split("-")[1] for answer in answers}
        roots = {span.trace_id.hex(): span for span in receiver.spans if span.name == "GET /api/v1/jobs"}
        assert set(roots) == told
        assert len(told) == ASKED
        for trace_id, root in roots.items():
            inner = {span.name for span in receiver.spans if span.parent_span_id == root.span_id}
            assert {"authenticate", "pool.acquire", "jobs.list_jobs", "response.encode"} <= inner, trace_id
        assert (
            values(roots[answers[0].headers["traceresponse"].split("-")[1]].attributes)["http.route"] == "/api/v1/jobs"
        )
        assert len(receiver.instances) == 2


def test_every_process_of_a_service_can_be_scraped(start: Start, tmp_path: Path, dsn: str) -> None:
    """Two serve on one port, and each has its own for scrapes: together they count each request once."""
    ports = two_unused_ports()
    away = f"http://127.0.0.1:{unused_port()}"
    given = {"database_url": dsn, "port": "0", "embedder": "ollama", "ollama_url": away, "workers": "2"}
    told = {"OTEL_EXPORTER_PROMETHEUS_PORT": str(ports[0]), "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1"}
    running = start("serve", env=environment(tmp_path, **given) | told)
    address = running.wait_for(r'"service.starting".*"address":"(http://[^"]+)"')[1]
    running.wait_for(r'(?s)"service\.ready".*"service\.ready"')
    with httpx.Client(base_url=address, limits=httpx.Limits(max_keepalive_connections=0)) as client:
        assert {client.get("/api/v1/jobs").status_code for _ in range(ASKED)} == {200}
    counts = [served(port) for port in ports]
    assert sum(counts) == ASKED
    assert all(counts), "one process served everything, which says nothing of the other"
    assert [served(port) for port in ports] == counts, "each answers for itself alone, at every scrape"
    second = start("serve", env=environment(tmp_path, **given) | told).end()
    assert second.code == 1
    named = rf"cannot offer metrics on 127.0.0.1:({ports[0]}|{ports[1]}) \(OTEL_EXPORTER_PROMETHEUS_PORT\)"
    assert re.search(named, second.out), "a port in use is named"
    running.signal(signal.SIGTERM)
    assert running.end().code == 0


def two_unused_ports() -> tuple[int, int]:
    """Two ports in a row that nobody listens on."""
    while True:
        first = unused_port()
        with suppress(OSError), socket.create_server(("127.0.0.1", first + 1)):
            return first, first + 1


def served(port: int) -> int:
    """Lists of postings that the process behind a port says it has served."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    name = r'^http_server_request_duration_seconds_count\{[^}]*route="/api/v1/jobs"[^}]*\} (\S+)$'
    return sum(int(float(found)) for found in re.findall(name, text, re.MULTILINE))


def test_a_worker_can_be_scraped(start: Start, tmp_path: Path, dsn: str) -> None:
    """It offers its metrics on the port of OpenTelemetry's own setting, and ends as ever; a port in use is named."""
    port = unused_port()
    given = {"database_url": dsn, "embedder": "ollama", "ollama_url": f"http://127.0.0.1:{unused_port()}"}
    told = {"OTEL_EXPORTER_PROMETHEUS_PORT": str(port), "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1"}
    running = start("worker", env=environment(tmp_path, **given) | told)
    running.wait_for('"embedder.absent"')
    told_by = httpx.get(f"http://127.0.0.1:{port}/metrics", headers={"accept": OPEN_METRICS}, verify=TLS).text
    assert "jobsense_ingest_to_searchable_seconds_bucket" in told_by
    assert told_by.endswith("# EOF\n")
    second = start("worker", env=environment(tmp_path, **given) | told).end()
    assert second.code == 2
    assert f"cannot offer metrics on 127.0.0.1:{port} (OTEL_EXPORTER_PROMETHEUS_PORT)" in second.err
    running.signal(signal.SIGTERM)
    assert running.end().code == 0
