"""An observed application for tests of telemetry, with everything that it emits at hand."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from litestar import Litestar, get
from litestar.params import FromPath
from litestar.response import Stream
from prometheus_client import CollectorRegistry

from service.telemetry.http import AsgiApp
from service.telemetry.lifecycle import Identification, Telemetry, start_telemetry
from service.telemetry.sampling import OtelSettings, Sampling
from service.telemetry.stages import annotate, current_trace_id, note_event, observe_pool_wait, outbound_headers, stage
from tests.otlp_receiver import OtlpReceiver

CANARY = "canary-7f3a9d"
PARENT = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


@get("/jobs/{job_id:int}")
async def fetch_job(job_id: FromPath[int]) -> dict[str, str]:
    """Run stages in sequence, nested and side by side."""
    annotate(jobsense_search_mode="hybrid", jobsense_search_k=job_id)
    sent: dict[str, str] = {}
    with stage("embed", gen_ai_request_model="nomic", gen_ai_provider_name="ollama"):
        sent = outbound_headers()
    observe_pool_wait(0.001)

    async def leg(summary: str) -> None:
        with stage("query") as s:
            await asyncio.sleep(0)
            s.set(db_query_summary=summary)

    async with asyncio.TaskGroup() as group:
        group.create_task(leg("SELECT jobs"))
        group.create_task(leg("SELECT passages"))
    with stage("send_task"), stage("encode"):
        note_event("search.degraded", jobsense_search_degraded_reason="embed_timeout")
    return {**sent, "trace_id": current_trace_id()}


@get("/broken")
async def fail() -> None:
    """Raise with a secret in the message."""
    raise RuntimeError(f"cannot reach postgresql://user:{CANARY}@db/jobs?password={CANARY}")


@get("/stream")
async def stream() -> Stream:
    """Answer in two pieces."""

    async def pieces() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    return Stream(pieces, media_type="text/plain")


@get(["/health/live", "/docs", "/metrics"])
async def plain() -> str:
    """Answer without stages."""
    return "ok"


class Stack:
    """An observed application with its receiver, log and client."""

    def __init__(self, receiver: OtlpReceiver, ratio: float, app: AsgiApp | None = None) -> None:
        self.receiver = receiver
        self.log = io.BytesIO()
        self.telemetry: Telemetry = start_telemetry(
            what=Identification(version="1.2.3", revision="abc"),
            otel=OtelSettings(endpoint=receiver.endpoint, sampling=Sampling(ratio)),
            log_stream=self.log,
            registry=CollectorRegistry(),
        )
        inner = app or Litestar([fetch_job, fail, stream, plain], openapi_config=None, logging_config=None)
        self.app = self.telemetry.observe(inner)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")

    def lines(self) -> list[dict[str, Any]]:
        """Give the log lines."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def requests(self) -> list[dict[str, Any]]:
        """Give the canonical log lines."""
        return [line for line in self.lines() if line["event"] == "http.request"]

    def metric(self, name: str, **labels: str) -> float | None:
        """Give the value of a metric."""
        return self.telemetry.metrics.registry.get_sample_value(name, labels)
