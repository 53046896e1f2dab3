"""HEAD answers like GET without the body, OPTIONS names the methods of a path, and CORS preflights are left alone."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from service.config import Settings
from service.http.methods import serve_methods
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import JOBS, SEARCH, create, problem
from tests.conftest import Service, running
from tests.fakes import WordEmbedder

ALLOWED = {
    JOBS: "GET, HEAD, OPTIONS, POST",
    f"{JOBS}/1": "DELETE, GET, HEAD, OPTIONS, PATCH",
    f"{JOBS}/batch": "OPTIONS, POST",
    SEARCH: "GET, HEAD, OPTIONS, POST",
    "/api/v1/stats": "GET, HEAD, OPTIONS",
    "/health": "GET, HEAD, OPTIONS",
    "/metrics": "GET, HEAD, OPTIONS",
    "/docs": "GET, HEAD, OPTIONS",
}
CHANGING = {"server-timing", "x-request-id", "traceresponse", "date"}


def settled(answer: httpx.Response) -> dict[str, str]:
    """The headers that do not differ from call to call."""
    return {name: value for name, value in answer.headers.items() if name not in CHANGING}


async def test_head_is_get_without_the_body(api: Service, wire: httpx.AsyncClient) -> None:
    """HEAD has the status and the headers of GET, Content-Length included, on success, 304 and errors."""
    job = await create(api)
    url = f"{JOBS}/{job['id']}"
    cases: list[tuple[str, dict[str, str]]] = [
        (path, {}) for path in (JOBS, url, "/health/live", "/docs", "/openapi.json")
    ]
    cases += [(url, {"If-None-Match": '"1-pending"'}), (f"{JOBS}/99", {}), ("/nowhere", {}), (f"{JOBS}?limit=0", {})]
    cases += [("/docs/swagger-ui-bundle.js", {"Accept-Encoding": "gzip"})]
    for path, headers in cases:
        got, head = await wire.get(path, headers=headers), await wire.head(path, headers=headers)
        assert head.status_code == got.status_code
        same_length = got.status_code < 400  # a problem repeats the ids of its request, whose length may differ
        for answer in (got, head):
            if not same_length:
                answer.headers.pop("content-length")
        assert settled(head) == settled(got), path
        assert head.content == b""
    assert (await wire.get(url)).json() == job


async def test_head_is_known_to_the_log_as_head(api: Service, log: io.BytesIO) -> None:
    """The line of a HEAD names its method and the route that answered."""
    await api.client.head(f"{JOBS}/7")
    line = json.loads(log.getvalue().splitlines()[-1])
    assert (line["http.request.method"], line["http.route"]) == ("HEAD", f"{JOBS}/{{job_id}}")


@pytest.mark.parametrize("path", list(ALLOWED))
async def test_options_and_405_name_the_methods(shared: Service, path: str) -> None:
    """OPTIONS is 204 with every method of the path in Allow; a method that is missing is 405 with the same."""
    options = await shared.client.options(path)
    assert (options.status_code, options.content, options.headers["allow"]) == (204, b"", ALLOWED[path])
    assert "content-type" not in options.headers
    wrong = await shared.client.request("PUT", path)
    problem(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == ALLOWED[path]


async def test_head_and_options_of_what_is_not_there(shared: Service) -> None:
    """OPTIONS of no path is 404; HEAD where there is no GET is 405 without a body."""
    problem(await shared.client.options("/nowhere"), 404, "not_found")
    head = await shared.client.head(f"{JOBS}/batch")
    assert (head.status_code, head.content, head.headers["allow"]) == (405, b"", "OPTIONS, POST")


@pytest.fixture
async def cross(
    dsn: str, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The application with an origin that browsers may call from."""
    settings = Settings(embed_in_serve=False, migrate_on_start=False, cors_origins=("https://app.example",))
    async with running(settings, dsn, telemetry, embedder, monkeypatch) as made:
        yield made


async def test_preflights_are_answered_by_cors(cross: Service) -> None:
    """A preflight of a listed origin is allowed, of another not; a plain OPTIONS still names the methods."""
    ask = {"Access-Control-Request-Method": "POST", "Origin": "https://app.example"}
    allowed = await cross.client.options(JOBS, headers=ask)
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    assert "POST" in allowed.headers["access-control-allow-methods"]
    other = await cross.client.options(JOBS, headers=ask | {"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
    plain = await cross.client.options(JOBS, headers={"Origin": "https://app.example"})
    assert (plain.status_code, plain.headers["allow"]) == (204, ALLOWED[JOBS])
    read = await cross.client.get(JOBS, headers={"Origin": "https://app.example"})
    assert read.headers["access-control-allow-origin"] == "https://app.example"
    missing = await cross.client.get("/nowhere", headers={"Origin": "https://app.example"})
    assert missing.headers["access-control-allow-origin"] == "https://app.example"


async def test_a_body_in_pieces_is_blanked_whole() -> None:
    """Every piece of a streamed answer to HEAD is emptied, and the scope of the server keeps its method."""
    sent: list[Any] = []

    async def stream(scope: Any, _receive: Any, send: Any) -> None:
        assert scope["method"] == "GET"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "HEAD", "headers": []}
    await serve_methods(stream, scope, receive, send)
    assert [message.get("body") for message in sent] == [None, b"", b""]
    assert sent[1]["more_body"] is True
    assert scope["method"] == "HEAD"
