"""Every row of the wire contract, as the fake answers it."""

import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.fake_ollama.clients import MODEL
from tests.fake_ollama.serve import FakeOllama

LONG = "word " * 3000


@pytest.fixture(scope="module")
def running_fake() -> Iterator[FakeOllama]:
    """One fake for the module."""
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def fake(running_fake: FakeOllama) -> FakeOllama:
    """The fake as new."""
    running_fake.reset()
    return running_fake


@pytest.fixture
async def http(fake: FakeOllama) -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client of the fake."""
    async with httpx.AsyncClient(base_url=fake.url, trust_env=False) as client:
        yield client


ROWS: list[tuple[dict[str, object], dict[str, Any] | bytes, int, str]] = [
    ({}, b"", 400, "missing request body"),
    ({}, b"{x", 400, "invalid character"),
    ({}, b'{"model": "x"', 400, "unexpected EOF"),
    ({}, {"model": 7}, 400, "json: cannot unmarshal"),
    ({}, {"model": MODEL, "input": 7}, 400, "invalid input type"),
    ({}, {"model": "nobody", "input": ["x", 7]}, 400, "invalid input type"),
    ({}, {"input": "x"}, 404, "model '' not found"),
    ({}, {"model": "no body", "input": "x"}, 400, "invalid model name"),
    ({}, {"model": "nobody", "input": "x"}, 404, "model 'nobody' not found"),
    ({}, {"model": MODEL, "input": "x", "keep_alive": "10"}, 400, "missing unit"),
    ({}, {"model": MODEL, "input": "x", "options": {"num_ctx": "1"}}, 500, "must be of type integer"),
    ({"era": "A"}, {"model": MODEL, "input": LONG, "truncate": False}, 400, "input exceeds maximum context length"),
    ({"era": "B"}, {"model": MODEL, "input": LONG, "truncate": False}, 400, "exceeds the context length"),
    ({"era": "C"}, {"model": MODEL, "input": LONG, "truncate": False}, 400, "exceeds the context length"),
    ({"era": "A", "cannot_embed": True}, {"model": MODEL, "input": "x"}, 500, "does not support embeddings"),
    ({"era": "B", "cannot_embed": True}, {"model": MODEL, "input": "x"}, 501, "does not support embeddings"),
    ({"era": "C", "cannot_embed": True}, {"model": MODEL, "input": "x"}, 501, "Start it with"),
    ({"queue_full": True}, {"model": MODEL, "input": "x"}, 503, "please try again.  maximum pending"),
    ({"era": "A", "nan_for": "x"}, {"model": MODEL, "input": ["y", "x"]}, 500, "unsupported value: NaN"),
    ({"era": "B", "nan_for": "x"}, {"model": MODEL, "input": ["y", "x"]}, 400, "NaN or Inf"),
    ({"load_error": "out-of-memory"}, {"model": MODEL, "input": "x"}, 500, "out-of-memory"),
    ({"era": "A", "runner_deaths": 1}, {"model": MODEL, "input": "x"}, 500, "do embedding request"),
    ({"era": "C", "runner_deaths": 1}, {"model": MODEL, "input": "x"}, 400, "do embedding request"),
]


@pytest.mark.parametrize(("knobs", "request_body", "status", "words"), ROWS)
async def test_rows_of_the_contract(
    http: httpx.AsyncClient,
    fake: FakeOllama,
    knobs: dict[str, object],
    request_body: dict[str, Any] | bytes,
    status: int,
    words: str,
) -> None:
    """Every failing row has the status and the words of its era."""
    fake.set(**knobs)
    if isinstance(request_body, bytes):
        answer = await http.post("/api/embed", content=request_body)
    else:
        answer = await http.post("/api/embed", json=request_body)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("given", [{}, {"input": None}, {"input": ""}, {"input": []}])
async def test_no_input_loads_the_model(http: httpx.AsyncClient, fake: FakeOllama, given: dict[str, object]) -> None:
    """The warm-up call answers no vectors and no durations."""
    answer = await http.post("/api/embed", json={"model": MODEL, **given})
    assert answer.json() == {"model": MODEL, "embeddings": []}
    assert fake.knobs.loaded


async def test_long_text_is_cut_when_allowed(http: httpx.AsyncClient, fake: FakeOllama) -> None:
    """With truncation on, or on a server that ignores it being off, only the token count tells of the cut."""
    cut = await http.post("/api/embed", json={"model": MODEL, "input": LONG})
    assert cut.json()["prompt_eval_count"] == 2048
    fake.set(silent_cut=True)
    ignored = await http.post("/api/embed", json={"model": MODEL, "input": LONG, "truncate": False})
    assert ignored.json()["prompt_eval_count"] == 2048


async def test_nan_becomes_zeros_in_era_c(http: httpx.AsyncClient, fake: FakeOllama) -> None:
    """The newest servers answer 200 with zeros where older ones failed."""
    fake.set(nan_for="poison", dimensions=8)
    answer = await http.post("/api/embed", json={"model": MODEL, "input": ["poison", "nurse"]})
    zeros, good = answer.json()["embeddings"]
    assert zeros == [0.0] * 8
    assert math.hypot(*good) == pytest.approx(1)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "text"),
    [
        ("GET", "/", {}, 200, "Ollama is running"),
        ("HEAD", "/", {}, 200, ""),
        ("HEAD", "/api/version", {}, 200, ""),
        ("GET", "/api/nothing", {}, 404, "404 page not found"),
        ("GET", "/api/embed", {}, 405, "405 method not allowed"),
        ("GET", "/api/tags", {"origin": "https://example.com"}, 403, ""),
        ("GET", "/api/version", {"origin": "http://localhost:3000"}, 200, '{"version":"0.32.15"}'),
        ("GET", "/api/tags", {"host": "example.com"}, 403, ""),
        ("POST", "/api/embed/", {}, 307, ""),
    ],
)
async def test_http_facts(
    http: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], status: int, text: str
) -> None:
    """Router and guards answer with plain text or nothing."""
    answer = await http.request(method, path, headers=headers)
    assert (answer.status_code, answer.text) == (status, text)
