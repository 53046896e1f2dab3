"""What the Ollama client asks and learns, against a fake and, for what makes sense there, a real server."""

import asyncio
import math
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from service.embedder import Embedder
from service.errors import EmbedderUnavailable, SettingError, TextRefused
from service.ollama.client import OllamaEmbedder
from service.ollama.faults import Transient, WireFault
from service.ollama.wire import Tags, Wire
from tests.fake_ollama.clients import MODEL, opened, quick, started
from tests.fake_ollama.serve import FakeOllama


@pytest.fixture(scope="module")
def running_fake() -> Iterator[FakeOllama]:
    """One fake for the module."""
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def fake(running_fake: FakeOllama) -> FakeOllama:
    """The fake as new, with short vectors."""
    running_fake.reset()
    running_fake.set(dimensions=32)
    return running_fake


@pytest.fixture
async def embedder(fake: FakeOllama) -> AsyncIterator[OllamaEmbedder]:
    """A started client of the fake; the counts begin after its start."""
    async with started(fake) as client:
        yield client


def cosine(one: list[float], other: list[float]) -> float:
    """Return the cosine of two unit vectors."""
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


# --- start and identity


async def test_start_learns_the_identity(fake: FakeOllama) -> None:
    """Digest, templates and window come from the server and the table; the true dimensions from one probe."""
    fake.set(dimensions=48, context_length=1024)
    async with opened(quick(fake.url + "/")) as client:
        with pytest.raises(EmbedderUnavailable, match="not started") as caught:
            _ = client.identity
        assert caught.value.reason == "not_started"
        await client.start()
        conforming: Embedder = client
        identity = conforming.identity
    assert (identity.provider, identity.model, identity.digest) == ("ollama", MODEL, fake.knobs.digest)
    assert (identity.dimensions, identity.max_tokens) == (48, 1024)
    assert identity.query_template == "search_query: {text}"
    assert identity.document_template == "search_document: {text}"
    assert fake.counts.loads == 1


async def test_overrides_win_over_the_table(fake: FakeOllama) -> None:
    """An operator who knows better sets templates and window."""
    client = quick(fake.url, query_template="q: {text}", document_template="{text} .", max_tokens=99)
    async with opened(client):
        await client.start()
        await client.embed_documents(["a nurse"])
        assert client.identity.max_tokens == 99
    assert fake.texts()[0] == ("q: software engineer",)
    assert fake.texts()[-1] == ("a nurse .",)


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [
        ({"missing_model": True}, "model_missing"),
        ({"model": "nomic-embed-text:v1.5"}, "model_missing"),
        ({"capabilities": ["completion", "tools"]}, "unsupported_model"),
        ({"cannot_embed": True, "era": "A"}, "unsupported_model"),
        ({"load_error": "llama-server process has terminated: killed"}, "load_failed"),
        ({"zero_for": ""}, "bad_vectors"),
    ],
)
async def test_start_names_what_is_wrong(fake: FakeOllama, knobs: dict[str, object], reason: str) -> None:
    """A server that cannot embed with this model fails the start, with a reason."""
    fake.set(**knobs)
    async with opened(quick(fake.url)) as client:
        with pytest.raises(EmbedderUnavailable) as caught:
            await client.start()
        assert caught.value.reason == reason


async def test_start_fails_at_once_where_nobody_listens() -> None:
    """A refused connection is an answer: no retries, so that another embedder can be chosen at once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with opened(OllamaEmbedder(f"http://127.0.0.1:{port}", MODEL)) as client, asyncio.timeout(0.4):
        with pytest.raises(EmbedderUnavailable) as caught:
            await client.start()
        assert caught.value.reason == "refused"


async def test_old_servers_may_say_little(fake: FakeOllama) -> None:
    """Neither an odd version nor missing capabilities gate anything."""
    fake.set(version="0.0.0", capabilities=None)
    async with opened(quick(fake.url)) as client:
        await client.start()
        assert client.server_version == "0.0.0"


async def test_warm_up_outlives_the_query_timeout(fake: FakeOllama) -> None:
    """A slow load is waited for, because a client that leaves makes the server abort it."""
    fake.set(load_delay_s=0.2)
    async with opened(quick(fake.url, query_timeout_s=0.1)) as client:
        await client.start()
    assert (fake.counts.loads, fake.counts.aborted_loads) == (1, 0)


async def test_check_identity_sees_a_new_digest(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """A model pulled again under the same name is another model."""
    assert await embedder.check_identity()
    fake.set(digest="f" * 64)
    assert not await embedder.check_identity()


async def test_check_identity_rides_out_a_passing_fault(
    embedder: OllamaEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One connection that breaks does not cost the vectors that the question was about."""
    fetch, faults = Wire.fetch, [Transient("dropped", "gone")]

    async def fail_once(wire: Wire, path: str, kind: type[Tags]) -> Tags:
        if faults:
            raise WireFault(faults.pop())
        return await fetch(wire, path, kind)

    monkeypatch.setattr(Wire, "fetch", fail_once)
    assert await embedder.check_identity()
    assert not faults


@pytest.mark.parametrize("url", ["127.0.0.1:11434", "ftp://host", "http://", "http://host:port"])
def test_bad_address_is_a_setting_error(url: str) -> None:
    """What is no HTTP address is refused by the name of its setting."""
    with pytest.raises(SettingError, match="OLLAMA_URL"):
        OllamaEmbedder(url, MODEL)


async def test_wrong_path_prefix_is_not_a_missing_model(fake: FakeOllama) -> None:
    """A plain 404 says that the address is wrong."""
    async with opened(quick(fake.url + "/elsewhere")) as client:
        with pytest.raises(EmbedderUnavailable) as caught:
            await client.start()
        assert caught.value.reason == "protocol"


# --- requests


async def test_requests_are_byte_identical_but_for_the_input(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """No options, no keep_alive, truncate off, a Content-Length, no Origin: nothing that reloads or cuts."""
    await embedder.embed_query("nurse")
    await embedder.embed_documents(["nurse"])
    bodies = [msgspec.json.decode(call.body) for call in fake.calls]
    assert [set(body) for body in bodies] == [{"model", "input", "truncate"}] * 2
    assert all(body["truncate"] is False for body in bodies)
    assert [body["input"] for body in bodies] == [["search_query: nurse"], ["search_document: nurse"]]
    headers = fake.calls[0].headers
    assert int(headers["content-length"]) == len(fake.calls[0].body)
    assert not {"origin", "transfer-encoding"} & set(headers)


async def test_extra_headers_are_sent(fake: FakeOllama) -> None:
    """A proxy in front of Ollama gets its credentials."""
    async with opened(quick(fake.url, headers={"Authorization": "Bearer x"})) as client:
        await client.start()
    assert {call.headers.get("authorization") for call in fake.calls} == {"Bearer x"}


async def test_proxy_variables_are_ignored(fake: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY does not catch requests to the server."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with opened(quick(fake.url)) as client:
        await client.start()


async def test_documents_come_back_in_order(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """Batches are sorted by length, results are not."""
    texts = [f"word{n} " * (n % 7 + 1) for n in range(40)]
    vectors = await embedder.embed_documents(texts)
    alone = [(await embedder.embed_documents([text]))[0] for text in texts[:5]]
    assert vectors[:5] == alone
    assert len({tuple(vector) for vector in vectors if isinstance(vector, list)}) == 40
    sent = [text for batch in fake.texts()[:-5] for text in batch]
    assert [len(text) for text in sent] == sorted(len(text) for text in sent)
    assert len(fake.texts()) < 40
    assert await embedder.embed_documents([]) == []


# --- counting


def test_count_includes_templates_and_special_tokens() -> None:
    """What every passage costs beside its pieces is the count of the empty text."""
    client = OllamaEmbedder("http://127.0.0.1:1", MODEL)
    fixed = client.count_tokens("")
    assert fixed > OllamaEmbedder("http://127.0.0.1:1", "bge-m3").count_tokens("")
    assert client.count_tokens("a nurse") == fixed + len(client.token_offsets("a nurse"))


# --- fake or real


@pytest.fixture(params=["fake", "real"])
async def any_server(request: pytest.FixtureRequest, fake: FakeOllama) -> AsyncIterator[OllamaEmbedder]:
    """A started client of the fake, and of a real server where JOBSENSE_TEST_OLLAMA_URL names one."""
    url = fake.url if request.param == "fake" else os.environ.get("JOBSENSE_TEST_OLLAMA_URL")
    if url is None:
        pytest.skip("JOBSENSE_TEST_OLLAMA_URL is not set")
    async with opened(OllamaEmbedder(url, os.environ.get("JOBSENSE_TEST_OLLAMA_MODEL", MODEL))) as client:
        await client.start()
        yield client


async def test_alone_and_in_company_are_alike(any_server: OllamaEmbedder) -> None:
    """The same text has the same vector alone, in a batch and beside other requests (cosine over 0.999)."""
    (alone,) = await any_server.embed_documents(["a nurse for the night shift"])
    batch, beside = await asyncio.gather(
        any_server.embed_documents(["a cook", "a nurse for the night shift", "a driver"]),
        any_server.embed_documents(["a nurse for the night shift"]),
    )
    for other in (batch[1], beside[0]):
        assert isinstance(alone, list)
        assert isinstance(other, list)
        assert cosine(alone, other) > 0.999


async def test_meaning_is_near(any_server: OllamaEmbedder) -> None:
    """A query is nearer to a posting about it than to another."""
    query = await any_server.embed_query("night nurse")
    near, far = await any_server.embed_documents(["a nurse for the night shift", "senior tax accountant"])
    assert isinstance(near, list)
    assert isinstance(far, list)
    assert len(query) == any_server.identity.dimensions
    assert cosine(query, near) > cosine(query, far)


async def test_text_over_the_window_is_refused(any_server: OllamaEmbedder) -> None:
    """The server refuses rather than cuts, and the client names that text alone."""
    fits, too_long = await any_server.embed_documents(["a cook", "night shift nurse wanted " * 5000])
    assert isinstance(fits, list)
    assert isinstance(too_long, TextRefused)


async def test_certificates_are_read_for_https_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent server is tried again every second or two, and reading them would hold up the event loop each time."""
    read: list[object] = []
    make = ssl.create_default_context

    def count(**given: Any) -> ssl.SSLContext:
        read.append(given)
        return make(**given)

    monkeypatch.setattr(ssl, "create_default_context", count)
    for url, times in (("http://127.0.0.1:9", 0), ("https://127.0.0.1:9", 1)):
        await OllamaEmbedder(url, "words").close()
        assert len(read) == times, url
