"""What callers write stays out of what leaves for operators: spans, log lines and metrics, every byte of them.

The path is recorded as it came, and so are User-Agent, `X-Request-ID` and `traceparent`; nothing else of a request is.
"""

from typing import Any

import pytest

from tests.conftest import Service
from tests.factories import job_body
from tests.fakes import REFUSED
from tests.otel.conftest import Traced

CANARY = "zebrafinch4711"
SEARCH = "/api/v1/search"
JOBS = "/api/v1/jobs"
POSTING = {
    "title": f"Welder {CANARY}",
    "company": f"{CANARY} Ltd",
    "description": f"Weld with {CANARY} in the yard. {REFUSED}",
    "location": f"{CANARY} Town",
    "external_id": f"x-{CANARY}",
    "url": f"https://jobs.test/{CANARY}?token={CANARY}",
}
REQUESTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", JOBS, {"json": job_body(**POSTING)}),
    ("POST", JOBS, {"json": job_body(**POSTING)}),
    ("POST", JOBS, {"json": job_body(title="", **{CANARY: CANARY})}),
    ("POST", JOBS, {"content": f'{{"title": "{CANARY}', "headers": {"content-type": "application/json"}}),
    ("POST", f"{JOBS}/batch", {"json": [job_body(**POSTING), job_body(salary_min=CANARY), CANARY]}),
    ("PATCH", f"{JOBS}/1", {"json": {"title": f"Smith {CANARY}"}, "headers": {"if-match": f'"{CANARY}"'}}),
    ("GET", f"{JOBS}/1", {"headers": {"if-none-match": f'"{CANARY}"', "cookie": CANARY, "referer": CANARY}}),
    ("GET", JOBS, {"params": {"q": CANARY, "company": CANARY, "cursor": CANARY}}),
    ("POST", SEARCH, {"json": {"text": f"welder {CANARY}", "filters": {"company": [CANARY]}, "explain": True}}),
    ("POST", SEARCH, {"json": {"text": f"welder {CANARY}", "highlight": True, "cursor": CANARY}}),
    ("POST", SEARCH, {"json": {"text": f"{CANARY} {REFUSED}", "on_degraded": "fail"}}),
    ("POST", SEARCH, {"json": {"text": f"nul {CANARY} \0", "filters": {"location": f"\0{CANARY}"}}}),
    ("GET", SEARCH, {"params": {"q": f"welder {CANARY}", "text": CANARY, CANARY: CANARY}}),
    ("POST", f"{SEARCH}/batch", {"json": {"searches": [{"text": CANARY}, {"text": CANARY, "mode": CANARY}]}}),
    ("POST", "/api/v1/match", {"json": {"text": f"I am {CANARY}. " * 40}}),
    ("GET", "/api/v1/nowhere", {"params": {CANARY: CANARY}}),
    ("QUERY", SEARCH, {"content": CANARY, "headers": {CANARY: CANARY, "baggage": f"a={CANARY}"}}),
)


async def ask_everything(service: Service) -> list[int]:
    """Send every request; the statuses of the answers."""
    return [(await service.client.request(method, path, **sent)).status_code for method, path, sent in REQUESTS]


@pytest.mark.parametrize("down", [None, "unreachable"])
async def test_what_callers_write_is_not_exported(traced: Traced, down: str | None) -> None:
    """Whether served, refused, turned down by the model or in an outage: no text of a caller is in any output."""
    statuses = await ask_everything(traced.service)
    await traced.service.embed()
    traced.embedder.down = down
    statuses += await ask_everything(traced.service)
    await traced.service.parts.worker.step() if down is None else None
    assert {200, 201, 404, 409, 422} <= set(statuses), statuses
    assert 500 not in statuses, statuses
    await traced.stack.telemetry.flush()
    exported = traced.stack.receiver.bodies
    assert len(traced.stack.receiver.spans) > 50
    assert not [body for body in exported if CANARY.encode() in body]
    assert not [line for line in traced.stack.lines() if CANARY in repr(line)]
    assert CANARY.encode() not in traced.stack.log.getvalue()
    metrics = traced.stack.telemetry.metrics
    for accepted in ("", "application/openmetrics-text; version=1.0.0"):
        assert CANARY.encode() not in metrics.render(accepted)[0]
