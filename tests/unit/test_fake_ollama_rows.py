"""What the fake does beside the failing rows of the contract, which test_ollama_rows holds."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.fake_ollama.clients import MODEL, TLS
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
    async with httpx.AsyncClient(base_url=fake.url, trust_env=False, verify=TLS) as client:
        yield client


async def test_long_text_is_cut_when_allowed(http: httpx.AsyncClient, fake: FakeOllama) -> None:
    """With truncation on, or on a server that ignores it being off, only the token count tells of the cut."""
    cut = await http.post("/api/embed", json={"model": MODEL, "input": LONG})
    assert cut.json()["prompt_eval_count"] == 2048
    fake.set(silent_cut=True)
    ignored = await http.post("/api/embed", json={"model": MODEL, "input": LONG, "truncate": False})
    assert ignored.json()["prompt_eval_count"] == 2048


async def test_an_empty_array_unloads(http: httpx.AsyncClient, fake: FakeOllama) -> None:
    """With keep_alive 0 the model goes, and with it what made it give zeros; another server lists it for a while."""
    fake.set(zero_until_reload=True, lingering=1, dimensions=4, loaded=True)
    zeros = await http.post("/api/embed", json={"model": MODEL, "input": "x"})
    assert zeros.json()["embeddings"] == [[0.0] * 4]
    await http.post("/api/embed", json={"model": MODEL, "input": [], "keep_alive": 0})
    assert [len((await http.get("/api/ps")).json()["models"]) for _ in range(2)] == [1, 0]
    assert (fake.counts.unloads, fake.knobs.loaded) == (1, False)
    good = await http.post("/api/embed", json={"model": MODEL, "input": "x"})
    assert any(good.json()["embeddings"][0])


async def test_unstable_in_a_batch(http: httpx.AsyncClient, fake: FakeOllama) -> None:
    """A text has another vector beside others, still of unit length."""
    fake.set(unstable="batch", dimensions=8)
    (alone,) = (await http.post("/api/embed", json={"model": MODEL, "input": "x"})).json()["embeddings"]
    (beside, _) = (await http.post("/api/embed", json={"model": MODEL, "input": ["x", "y"]})).json()["embeddings"]
    assert beside == alone[::-1] != alone


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
