"""Traces of `jobsense serve`: a stop delivers what was made, from every process."""

import signal
from pathlib import Path

import httpx

from tests.cli.conftest import Start, environment
from tests.cli.test_commands import unused_port
from tests.otlp_receiver import otlp_receiver, values

ASKED = 60


def test_every_span_arrives_from_every_process(start: Start, tmp_path: Path, dsn: str) -> None:
    """Two processes serve, a connection each time, until SIGTERM right after the last answer: no span is missing."""
    with otlp_receiver() as receiver:
        away = f"http://127.0.0.1:{unused_port()}"
        given = {"database_url": dsn, "port": "0", "embedder": "ollama", "ollama_url": away, "workers": "2"}
        traced = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.endpoint}
        running = start("serve", env=environment(tmp_path, **given) | traced)
        address = running.wait_for(r'"service.starting".*"address":"(http://[^"]+)"')[1]
        running.wait_for(r'(?s)"service\.ready".*"service\.ready"')
        with httpx.Client(base_url=address, limits=httpx.Limits(max_keepalive_connections=0)) as client:
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
