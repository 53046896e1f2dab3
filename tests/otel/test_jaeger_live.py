"""Traces read back from a real Jaeger, where JOBSENSE_TEST_JAEGER_URL names its query address (port 16686).

Its OTLP port is taken to be 4318 of the same host. It must keep every trace, as with otel/jaeger.dev.yaml.
"""

import os
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.otlp_receiver import OtlpReceiver
from tests.telemetry_stack import Stack

URL = os.environ.get("JOBSENSE_TEST_JAEGER_URL", "")
PATIENCE_S = 20.0

pytestmark = pytest.mark.skipif(not URL, reason="JOBSENSE_TEST_JAEGER_URL is not set (a real Jaeger)")


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    """A stack that exports to Jaeger."""
    made = Stack(OtlpReceiver(f"http://{urlsplit(URL).hostname}:4318/v1/traces"), 1.0)
    yield made
    await made.client.aclose()
    await made.telemetry.stop()


async def test_a_trace_is_read_back(stack: Stack) -> None:
    """Each span of a request is in Jaeger with its name, parent and attributes."""
    answer = await stack.client.get("/jobs/7")
    trace_id = answer.headers["traceresponse"].split("-")[1]
    await stack.telemetry.flush()
    deadline = time.monotonic() + PATIENCE_S
    async with httpx.AsyncClient(base_url=URL) as jaeger:
        while (read := await jaeger.get(f"/api/v3/traces/{trace_id}")).status_code != 200:
            assert time.monotonic() < deadline, read.text
    spans = [
        span
        for resource in read.json()["result"]["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    names = {span["spanId"]: span["name"] for span in spans}
    assert {(names.get(span.get("parentSpanId", ""), ""), span["name"]) for span in spans} == {
        ("", "GET /jobs/{job_id}"),
        ("GET /jobs/{job_id}", "embeddings nomic"),
        ("GET /jobs/{job_id}", "pool.acquire"),
        ("GET /jobs/{job_id}", "SELECT jobs"),
        ("GET /jobs/{job_id}", "SELECT passages"),
        ("GET /jobs/{job_id}", "send embed_queue"),
        ("send embed_queue", "response.encode"),
    }
    (root,) = [span for span in spans if span["name"].startswith("GET")]
    assert {"key": "http.route", "value": {"stringValue": "/jobs/{job_id}"}} in root["attributes"]
