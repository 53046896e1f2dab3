"""What callers write stays out of what leaves for operators: spans, log lines and metrics, every byte of them.

The path is recorded as it came, and so are User-Agent, `X-Request-ID` and `traceparent`; nothing else of a request is,
also where something fails whose exception quotes it.
"""

from base64 import b64encode
from typing import Any

import pytest

from service.loop import Loop
from tests.conftest import Service
from tests.factories import job_body
from tests.fakes import REFUSED
from tests.looking import until_next_look_async
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
    ("GET", JOBS, {"headers": {"x-api-key": CANARY}}),
    ("GET", JOBS, {"headers": {"x-api-key": f"js_0123456789ab_{CANARY}", "tracestate": f"{CANARY}"}}),
    ("GET", JOBS, {"headers": {"authorization": f"Bearer {CANARY}", "origin": f"https://{CANARY}.test"}}),
    ("GET", JOBS, {"headers": {"authorization": f"Basic {b64encode(CANARY.encode()).decode()}"}}),
    ("POST", JOBS, {"json": job_body(external_id="once"), "headers": {"idempotency-key": CANARY}}),
    ("POST", JOBS, {"json": job_body(external_id="other"), "headers": {"idempotency-key": CANARY}}),
    ("POST", "/api/v1/auth/token", {"data": {"username": CANARY, "password": CANARY}}),
    ("POST", "/api/v1/auth/refresh", {"data": {"refresh_token": CANARY}}),
)
FORMS = (CANARY.encode(), b64encode(CANARY.encode()).rstrip(b"="))
"""The canary, and as it is sent in a header of Basic credentials."""


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
    assert {200, 201, 401, 404, 409, 422} <= set(statuses), statuses
    assert 500 not in statuses, statuses
    await traced.stack.telemetry.flush()
    assert len(traced.stack.receiver.spans) > 50
    assert found(traced) == []


def found(traced: Traced) -> list[str]:
    """Where the canary is in what left: every exported byte, every log line, every metric."""
    stack = traced.stack
    left = {
        "spans": b"".join(stack.receiver.bodies),
        "log": stack.log.getvalue(),
        "metrics": stack.telemetry.metrics.render("")[0],
        "exemplars": stack.telemetry.metrics.render("application/openmetrics-text; version=1.0.0")[0],
    }
    assert all(left.values())
    return [
        f"{name}: {text[max(0, text.index(form) - 300) :][:600]!r}"
        for name, text in left.items()
        for form in FORMS
        if form in text
    ]


def failing(*given: Any, **more: Any) -> Any:
    """A fault of ours, in whose message and chain stand the arguments, as Python and the driver quote them."""
    try:
        return dict[str, Any]()[repr((given, more))]
    except KeyError as error:
        raise ValueError(f"invalid input for query argument $3: {(given, more)!r} (a str is expected)") from error


async def test_errors_quote_nobody(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 500 whose exceptions quote query and body, and a failing worker, say what failed, and not with which text."""
    await traced.client.post(JOBS, json=job_body(**POSTING | {"description": CANARY}))
    parts = traced.service.parts
    for part, name in ((parts.jobs, "create"), (parts.jobs, "list"), (parts.searcher, "search"), (parts.jobs, "store")):
        monkeypatch.setattr(part, name, failing)
    monkeypatch.setattr(traced.embedder, "embed_documents", failing)
    statuses = await ask_everything(traced.service)
    assert statuses.count(500) > 5, statuses
    worker = Loop("worker", parts.worker.run_once)
    worker.start()
    while b"loop.failed" not in traced.stack.log.getvalue():
        await until_next_look_async()
    await worker.stop()
    await traced.stack.telemetry.flush()
    assert found(traced) == []
    told = [line for line in traced.stack.lines() if line["event"] == "http.server.request.exception"]
    assert {line["exception.type"] for line in told} == {"ValueError"}
    assert all(line["exception.message"].startswith("invalid input for query argument $3: (") for line in told)
    assert all("in failing" in line["exception.stacktrace"] for line in told)
    assert all("KeyError" in line["exception.stacktrace"] for line in told)
