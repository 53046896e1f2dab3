"""The fake Ollama has the shapes and the faults of the real one."""

import asyncio
import base64
import math
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import ollama
import pytest

from tests.fake_ollama.clients import MODEL, TLS
from tests.fake_ollama.serve import FakeOllama
from tests.fake_ollama.words import embed


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


@pytest.fixture
async def official(fake: FakeOllama) -> AsyncIterator[ollama.AsyncClient]:
    """The official client of the fake."""
    async with ollama.AsyncClient(host=fake.url, trust_env=False, verify=TLS) as client:
        yield client


# --- shapes, as the official client reads them


async def test_official_client_embeds(official: ollama.AsyncClient) -> None:
    """Vectors come by index, of unit length, with durations and a token count."""
    answer = await official.embed(model=MODEL, input=["a nurse", "a cook"], truncate=False, keep_alive="10m")
    assert [len(vector) for vector in answer.embeddings] == [768, 768]
    assert all(math.hypot(*vector) == pytest.approx(1, abs=1e-6) for vector in answer.embeddings)
    assert answer.model == MODEL
    assert answer.prompt_eval_count == 8
    assert answer.total_duration
    assert answer.load_duration
    short = await official.embed(model=MODEL, input="a nurse", dimensions=64)
    assert math.hypot(*short.embeddings[0]) == pytest.approx(1)
    assert len(short.embeddings[0]) == 64


async def test_official_client_shows_lists_and_counts_loaded_models(official: ollama.AsyncClient) -> None:
    """Show, tags and ps have the fields of the real server; ps lists a model only once it is loaded."""
    shown = await official.show(MODEL)
    assert shown.capabilities == ["embedding"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["nomic-bert.context_length"] == 2048
    (listed,) = (await official.list()).models
    assert listed.model == f"{MODEL}:latest"
    assert len(listed.digest or "") == 64
    assert (await official.ps()).models == []
    await official.embed(model=MODEL, input=[])
    (loaded,) = (await official.ps()).models
    assert loaded.context_length == 2048


async def test_official_client_pulls(official: ollama.AsyncClient, fake: FakeOllama) -> None:
    """A pull streams progress that ends in success, and the model is there afterwards."""
    fake.set(missing_model=True)
    with pytest.raises(ollama.ResponseError, match="not found") as missing:
        await official.show(MODEL)
    assert missing.value.status_code == 404
    lines = [line async for line in await official.pull(MODEL, stream=True)]
    assert [lines[0].status, lines[-1].status] == ["pulling manifest", "success"]
    assert any(line.completed for line in lines)
    assert (await official.list()).models


async def test_pull_fails_inside_a_200(official: ollama.AsyncClient, http: httpx.AsyncClient, fake: FakeOllama) -> None:
    """An error in the middle of a streamed pull is a line of a 200, and a 500 without streaming."""
    fake.set(pull_error="max retries exceeded: EOF")
    with pytest.raises(ollama.ResponseError, match="max retries"):
        _ = [line async for line in await official.pull(MODEL, stream=True)]
    assert (await http.post("/api/pull", json={"model": MODEL})).status_code == 200
    assert (await http.post("/api/pull", json={"model": MODEL, "stream": False})).status_code == 500


async def test_legacy_vectors_are_not_normalised(official: ollama.AsyncClient, http: httpx.AsyncClient) -> None:
    """The old route gives raw vectors, and an empty one for the field of the new route."""
    answer = await official.embeddings(model=MODEL, prompt="a nurse")
    assert math.hypot(*answer.embedding) > 2
    wrong = await http.post("/api/embeddings", json={"model": MODEL, "input": "a nurse"})
    assert (wrong.status_code, wrong.json()) == (200, {"embedding": []})


async def test_openai_shape(http: httpx.AsyncClient) -> None:
    """The OpenAI route gives floats or packed float32, and errors in its own shape."""
    asked = {"model": MODEL, "input": ["a nurse"]}
    floats = (await http.post("/v1/embeddings", json=asked)).json()
    packed = (await http.post("/v1/embeddings", json={**asked, "encoding_format": "base64"})).json()
    raw = struct.unpack("<768f", base64.b64decode(packed["data"][0]["embedding"]))
    assert raw == pytest.approx(floats["data"][0]["embedding"], abs=1e-6)
    assert floats["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    failed = await http.post("/v1/embeddings", json={"model": MODEL, "input": []})
    assert (failed.status_code, failed.json()["error"]["type"]) == (400, "invalid_request_error")


# --- time and faults of the connection


async def test_load_is_aborted_when_its_client_leaves(http: httpx.AsyncClient, fake: FakeOllama) -> None:
    """A client whose timeout is below the load time never gets a model."""
    fake.set(load_delay_s=30)
    with pytest.raises(httpx.ReadTimeout):
        await http.post("/api/embed", json={"model": MODEL, "input": []}, timeout=0.05)
    await fake.wait_until(lambda counts: counts.aborted_loads == 1)
    assert not fake.knobs.loaded


async def test_changed_options_reload_the_model(http: httpx.AsyncClient, fake: FakeOllama) -> None:
    """Two requests with different options load twice."""
    await http.post("/api/embed", json={"model": MODEL, "input": "x"})
    await http.post("/api/embed", json={"model": MODEL, "input": "x"})
    assert fake.counts.loads == 1
    await http.post("/api/embed", json={"model": MODEL, "input": "x", "options": {"num_ctx": 512}})
    assert fake.counts.loads == 2


async def test_texts_are_served_in_order_of_arrival(http: httpx.AsyncClient, fake: FakeOllama) -> None:
    """There is one slot: a single text waits for every text of the array that came before it."""
    fake.set(item_delay_s=0.005, dimensions=4)
    done: list[str] = []

    async def post(name: str, texts: list[str]) -> None:
        await http.post("/api/embed", json={"model": MODEL, "input": texts})
        done.append(name)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(post("array", ["x"] * 20))
        await fake.wait_until(lambda counts: counts.items_computed >= 1)
        tasks.create_task(post("single", ["y"]))
    assert done == ["array", "single"]


async def test_waiting_texts_are_dropped_with_their_client(http: httpx.AsyncClient, fake: FakeOllama) -> None:
    """After a disconnect the text in the slot runs to its end, the others never start, and the slot is free again."""
    fake.set(item_delay_s=0.2, dimensions=4)
    with pytest.raises(httpx.ReadTimeout):
        await http.post("/api/embed", json={"model": MODEL, "input": ["x"] * 50}, timeout=0.05)
    await fake.wait_until(lambda counts: counts.disconnects == 1)
    computed = fake.counts.items_computed  # none, or a few on a machine that notices the disconnect late
    fake.set(item_delay_s=0)
    await http.post("/api/embed", json={"model": MODEL, "input": "y"})
    assert computed < fake.counts.items_computed <= computed + 2


@pytest.mark.parametrize(("drop", "error"), [("before", httpx.TransportError), ("middle", httpx.RemoteProtocolError)])
async def test_connections_can_be_cut(
    http: httpx.AsyncClient, fake: FakeOllama, drop: str, error: type[Exception]
) -> None:
    """A dropped connection is a transport error for the client, before or in the middle of an answer."""
    fake.set(drop=drop)
    with pytest.raises(error):
        await http.post("/api/embed", json={"model": MODEL, "input": "x"})


async def test_slow_and_hanging_answers(http: httpx.AsyncClient, fake: FakeOllama) -> None:
    """A slow body arrives in the end; a hanging server answers nothing until it is told to."""
    fake.set(slow_s=0.01)
    assert (await http.post("/api/embed", json={"model": MODEL, "input": "x"})).status_code == 200
    fake.set(hang=True, slow_s=0)
    call = asyncio.create_task(http.get("/api/version"))
    await fake.wait_until(lambda counts: "/api/version" in counts.by_path)
    assert not call.done()
    fake.set(hang=False)
    assert (await call).status_code == 200


# --- control


async def test_control_over_http(http: httpx.AsyncClient) -> None:
    """Another process switches knobs and reads counts over HTTP; an unknown knob is refused."""
    knobs = await http.post("/__fake/knobs", json={"fail_next": 1, "fail_status": 503, "fail_text": "server busy"})
    assert knobs.json()["fail_next"] == 1
    assert (await http.post("/__fake/knobs", json={"nonsense": 1})).status_code == 400
    assert (await http.post("/api/embed", json={"model": MODEL, "input": "x"})).status_code == 503
    assert (await http.post("/api/embed", json={"model": MODEL, "input": ["x", "y"]})).status_code == 200
    counts = (await http.get("/__fake/counts")).json()
    assert (counts["embed_requests"], counts["texts"], counts["by_path"]) == (2, 3, {"/api/embed": 2})


def test_process_serves_until_killed() -> None:
    """`python -m tests.fake_ollama` prints its address, takes knobs, and can be killed like a crashing server."""
    command = [sys.executable, "-m", "tests.fake_ollama", "--knobs", '{"version": "9.9.9"}']
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with httpx.Client(base_url=url, trust_env=False) as client:
                assert client.get("/api/version").json() == {"version": "9.9.9"}
                process.kill()
                process.wait()
                with pytest.raises(httpx.TransportError):
                    client.get("/api/version")
        finally:
            process.kill()


def test_shared_words_are_near() -> None:
    """Embeddings are deterministic; texts that share words are nearer than texts that do not, in any dimensions."""
    for dimensions in (1, 64, 768):
        assert embed("a night nurse", dimensions) == embed("A NIGHT NURSE", dimensions)
    query, near, far = (embed(text, 768) for text in ("night nurse", "nurse on night shift", "tax accountant"))
    assert _dot(query, near) > 0.5
    assert abs(_dot(query, far)) < 0.2
    assert math.hypot(*embed("", 768)) == 1


def _dot(one: list[float], other: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))
