"""The local embedder against vectors of the reference implementation, and its lanes under concurrent callers."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from service.embedder import Embedder, Vector
from service.errors import EmbedderUnavailable, TextRefused
from service.minilm import embedder as minilm
from service.minilm.embedder import LocalEmbedder

if importlib.util.find_spec("tokenizers") is None or importlib.util.find_spec(minilm.PACKAGE) is None:
    pytest.skip("the `local` extra is not installed", allow_module_level=True)


class Golden(msgspec.Struct):
    """One text, its length with the special tokens, and the vector of its first 256 tokens."""

    text: str
    tokens: int
    vector: Vector


GOLDEN_FILE = Path(__file__).parent.parent / "golden" / "minilm.jsonl"
GOLDEN = [msgspec.json.decode(line, type=Golden) for line in GOLDEN_FILE.read_bytes().splitlines()]
WHOLE = [case for case in GOLDEN if case.tokens <= 256]
LONGER = [case for case in GOLDEN if case.tokens > 256]
PASSAGE = "We repair bicycles, trams and ferries by the lake. " * 17


def cosine(left: Vector, right: Vector) -> float:
    """The cosine of two unit vectors."""
    return sum(a * b for a, b in zip(left, right, strict=True))


def vector_of(result: Vector | TextRefused) -> Vector:
    """The vector, where none of the texts was to be refused."""
    assert not isinstance(result, TextRefused)
    return result


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def embedder() -> AsyncIterator[LocalEmbedder]:
    """One embedder with two document threads, so that slices of one call can finish out of order."""
    local = LocalEmbedder(document_threads=2)
    await local.start()
    yield local
    await local.close()


async def test_identity_names_the_checked_weights(embedder: LocalEmbedder) -> None:
    """The identity holds model, digest and limits, and the class fits the protocol."""
    fits: Embedder = embedder
    identity = fits.identity
    assert (identity.provider, identity.model, identity.dimensions) == ("local", "all-MiniLM-L6-v2", 384)
    assert identity.digest == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert identity.max_tokens == 256


async def test_token_counts_equal_the_reference(embedder: LocalEmbedder) -> None:
    """Counts include the two special tokens and are not cut at the model's limit."""
    assert LONGER
    assert [embedder.count_tokens(case.text) for case in GOLDEN] == [case.tokens for case in GOLDEN]


async def test_token_offsets_cover_the_words(embedder: LocalEmbedder) -> None:
    """Spans are in characters of the given text, also after characters of several bytes, and leave the specials out."""
    text = "naïve 🦓 Sous-chef"
    offsets = embedder.token_offsets(text)
    assert [text[begin:end] for begin, end in offsets] == ["naïve", "🦓", "Sous", "-", "chef"]
    for case in GOLDEN:
        assert len(embedder.token_offsets(case.text)) + 2 == case.tokens


async def test_queries_equal_the_reference(embedder: LocalEmbedder) -> None:
    """Every text within the limit gets the reference vector, with norm 1."""
    for case in WHOLE:
        vector = await embedder.embed_query(case.text)
        assert cosine(vector, case.vector) > 0.99999, case.text
        assert cosine(vector, vector) == pytest.approx(1, abs=1e-5)


async def test_documents_equal_the_reference_in_their_order(embedder: LocalEmbedder) -> None:
    """One call with all texts, longest first, answers in the order given."""
    cases = sorted(WHOLE, key=lambda case: -case.tokens)
    results = await embedder.embed_documents([case.text for case in cases])
    assert len(results) == len(cases)
    for case, result in zip(cases, results, strict=True):
        assert cosine(vector_of(result), case.vector) > 0.99999, case.text


async def test_a_batch_gives_what_each_text_gives_alone(embedder: LocalEmbedder) -> None:
    """Packing texts together does not let them see one another."""
    together = await embedder.embed_documents([case.text for case in WHOLE])
    for case, result in zip(WHOLE, together, strict=True):
        [alone] = await embedder.embed_documents([case.text])
        assert cosine(vector_of(result), vector_of(alone)) > 0.999999


async def test_arithmetic_at_the_limit_equals_the_reference(embedder: LocalEmbedder) -> None:
    """256 tokens, got by cutting longer texts the way the reference does, give its vectors."""
    tokenizer = embedder._require().tokenizer
    for case in LONGER:
        ids = tokenizer.encode(case.text).ids
        [vector] = embedder._embed([[*ids[:255], ids[-1]]])
        assert cosine(vector, case.vector) > 0.99999


async def test_a_text_over_the_limit_is_refused_and_never_cut(embedder: LocalEmbedder) -> None:
    """A query raises; among documents the refusal stands in the place of the text, and the rest is embedded."""
    short, long = WHOLE[0], LONGER[0]
    with pytest.raises(TextRefused, match=f"{long.tokens} tokens"):
        await embedder.embed_query(long.text)
    first, refused, last = await embedder.embed_documents([short.text, long.text, short.text])
    assert isinstance(refused, TextRefused)
    assert cosine(vector_of(first), short.vector) > 0.99999
    assert vector_of(first) == pytest.approx(vector_of(last), abs=1e-6)


async def test_a_text_that_is_not_unicode_is_refused(embedder: LocalEmbedder) -> None:
    """Half a surrogate pair is refused by every method that takes a text."""
    with pytest.raises(TextRefused):
        embedder.count_tokens("\ud800")
    with pytest.raises(TextRefused):
        embedder.token_offsets("\ud800")
    [refused] = await embedder.embed_documents(["\ud800"])
    assert isinstance(refused, TextRefused)


async def test_empty_input(embedder: LocalEmbedder) -> None:
    """No texts give no vectors; an empty text is the two special tokens and has a vector."""
    assert await embedder.embed_documents([]) == []
    assert embedder.count_tokens("") == 2
    assert cosine(vector := await embedder.embed_query(""), vector) == pytest.approx(1, abs=1e-5)


async def test_a_query_overtakes_a_running_batch(embedder: LocalEmbedder) -> None:
    """A query that arrives after a long batch of documents is answered before it."""
    finished: list[str] = []
    documents = asyncio.create_task(embedder.embed_documents([PASSAGE] * 30))
    documents.add_done_callback(lambda _: finished.append("documents"))
    await embedder.embed_documents(["the batch before this one has begun"])
    for _ in range(2):
        await embedder.embed_query("nurse in Kisumu")
        finished.append("query")
    await documents
    assert finished == ["query", "query", "documents"]


async def test_a_short_call_overtakes_a_long_one(embedder: LocalEmbedder) -> None:
    """Callers of embed_documents take turns slice by slice, so a small ingest does not wait for a big one."""
    documents = asyncio.create_task(embedder.embed_documents([PASSAGE] * 30))
    await embedder.embed_documents(["bread"])
    assert not documents.done()
    assert len(await documents) == 30


async def test_many_callers_get_their_own_vectors(embedder: LocalEmbedder) -> None:
    """Queries that are embedded together and documents in two threads are not mixed up."""
    queries = [embedder.embed_query(case.text) for case in WHOLE * 2]
    batches = [embedder.embed_documents([case.text, WHOLE[0].text]) for case in WHOLE]
    answered, embedded = await asyncio.gather(asyncio.gather(*queries), asyncio.gather(*batches))
    for case, vector in zip(WHOLE * 2, answered, strict=True):
        assert cosine(vector, case.vector) > 0.99999
    for case, (own, shared) in zip(WHOLE, embedded, strict=True):
        assert cosine(vector_of(own), case.vector) > 0.99999
        assert cosine(vector_of(shared), WHOLE[0].vector) > 0.99999


async def test_one_refused_query_does_not_sink_its_neighbours(embedder: LocalEmbedder) -> None:
    """Of queries that are embedded together only the one that is too long raises."""
    first, refused, last = await asyncio.gather(
        embedder.embed_query(WHOLE[0].text),
        embedder.embed_query(LONGER[0].text),
        embedder.embed_query(WHOLE[1].text),
        return_exceptions=True,
    )
    assert isinstance(refused, TextRefused)
    assert isinstance(first, list)
    assert isinstance(last, list)


async def test_many_queries_have_an_outcome_each(embedder: LocalEmbedder) -> None:
    """Asked for together, the one that is too long has its refusal in its place, the others their vectors."""
    first, refused, last = await embedder.embed_queries([WHOLE[0].text, LONGER[0].text, WHOLE[1].text])
    assert isinstance(refused, TextRefused)
    for outcome, case in ((first, WHOLE[0]), (last, WHOLE[1])):
        assert isinstance(outcome, list)
        assert cosine(outcome, case.vector) > 0.99999


async def test_cancelled_callers_leave_the_others_alone(embedder: LocalEmbedder) -> None:
    """After cancelled queries and a cancelled batch, waiting and later callers are served."""
    doomed = [asyncio.create_task(embedder.embed_query(case.text)) for case in WHOLE]
    doomed_batch = asyncio.create_task(embedder.embed_documents([PASSAGE] * 30))
    kept = asyncio.create_task(embedder.embed_query(WHOLE[1].text))
    await embedder.embed_documents(["the batch before this one has begun"])
    for task in [*doomed, doomed_batch]:
        task.cancel()
    await asyncio.gather(*doomed, doomed_batch, return_exceptions=True)
    assert doomed_batch.cancelled()
    assert cosine(await kept, WHOLE[1].vector) > 0.99999
    assert cosine(await embedder.embed_query(WHOLE[0].text), WHOLE[0].vector) > 0.99999


async def test_closing_refuses_what_waits_and_what_comes() -> None:
    """close() ends a running batch and waiting queries with EmbedderUnavailable, and may be called twice."""
    local = LocalEmbedder()
    await local.start()
    batch = asyncio.create_task(local.embed_documents([PASSAGE] * 30))
    queries = [asyncio.create_task(local.embed_query(PASSAGE)) for _ in range(40)]
    await local.embed_documents(["the batch before this one has begun"])
    await local.close()
    results = await asyncio.gather(batch, *queries, return_exceptions=True)
    assert isinstance(results[0], EmbedderUnavailable)
    assert all(isinstance(result, list | EmbedderUnavailable) for result in results[1:])
    await local.close()
    with pytest.raises(EmbedderUnavailable, match="closed"):
        await local.embed_query("too late")


async def test_nothing_works_before_start() -> None:
    """An embedder that was not started says so instead of failing inside."""
    local = LocalEmbedder()
    with pytest.raises(EmbedderUnavailable, match="not loaded"):
        await local.embed_query("early")
    with pytest.raises(EmbedderUnavailable, match="not loaded"):
        await local.embed_documents(["early"])
    await local.close()


async def test_other_weights_are_refused(tmp_path: Path) -> None:
    """A file with another checksum is never loaded."""
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    local = LocalEmbedder(folder=tmp_path)
    with pytest.raises(EmbedderUnavailable, match="SHA-256") as caught:
        await local.start()
    assert caught.value.reason == "model_corrupt"
    await local.close()


async def test_missing_weights_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package of the weights the message tells how to install it."""
    monkeypatch.setattr(minilm, "PACKAGE", "a_package_that_nobody_installed")
    local = LocalEmbedder()
    with pytest.raises(EmbedderUnavailable, match=r"jobsense\[local\]") as caught:
        await local.start()
    assert caught.value.reason == "model_missing"
    await local.close()
