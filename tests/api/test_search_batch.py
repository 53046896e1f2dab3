"""POST /search/batch: every search as if it came alone, whatever stands beside it; texts embedded once; refusals."""

from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar.routes import HTTPRoute

from service.app import App
from service.errors import TextRefused
from service.http.classes import CLASSES
from tests.api.calls import SEARCH, create, faults, found_ids, problem, sample, search
from tests.conftest import Service
from tests.fakes import REFUSED, WordEmbedder

BATCH = f"{SEARCH}/batch"
Search = dict[str, Any]

GOOD: list[Search] = [
    {"text": "cook meals in the kitchen"},
    {"text": "bread", "mode": "lexical", "highlight": True},
    {"text": "drive", "mode": "semantic", "top_k": 2, "explain": True, "min_score": 0},
    {"text": "kitchen", "filters": {"location": "nairobi"}, "facets": ["location"]},
    {"text": "kitchen", "top_k": 1, "min_score": 0},
]
BAD: list[tuple[Any, int, str, dict[str, str]]] = [
    ({"text": ""}, 422, "invalid", {"/text": "invalid"}),
    ({}, 422, "invalid", {"/text": "missing"}),
    ({"text": "x", "filters": {"remote": "yes"}, "limit": 3}, 422, "invalid", {"/filters/remote": "invalid"}),
    ({"text": "a\u0000b"}, 422, "invalid", {"/text": "unstorable_text"}),
    ({"text": "x", "cursor": "rubbish"}, 422, "invalid", {"/cursor": "invalid"}),
    (17, 422, "invalid", {"": "invalid"}),
    (None, 422, "invalid", {"": "invalid"}),
    ([{"text": "x"}], 422, "invalid", {"": "invalid"}),
]


@pytest.fixture(scope="module")
async def kitchen(shared: Service) -> None:
    """A few embedded postings."""
    for title, text in (("Chef", "Cook meals in the kitchen"), ("Baker", "Bake bread"), ("Driver", "Drive a lorry")):
        await create(shared, title=title, description=text)
    await shared.embed()


async def ask(api: Service, *searches: Any) -> list[dict[str, Any]]:
    """The results of a batch."""
    response = await api.client.post(BATCH, json={"searches": searches})
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "private, no-cache"
    results: list[dict[str, Any]] = response.json()["results"]
    assert len(results) == len(searches)
    return results


def bare(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs each time it is asked."""
    return answer | {"took_ms": 0, "next_cursor": bool(answer["next_cursor"])}


async def test_each_answer_is_that_of_the_search_alone(shared: Service, kitchen: None) -> None:
    """Whatever a search asks for, filters, facets, marks, explanations, it gets in a batch what it gets alone."""
    for wanted, result in zip(GOOD, await ask(shared, *GOOD), strict=True):
        alone = await shared.client.post(SEARCH, json=wanted)
        assert bare(result) == bare(alone.json())
    assert kitchen is None


async def test_a_cursor_goes_on_in_a_batch(shared: Service, kitchen: None) -> None:
    """A later page may be asked for in a batch, with the cursor of a search that came alone; a strange one is 410."""
    asked: dict[str, Any] = {"text": "kitchen", "top_k": 1, "min_score": 0}
    first = await search(shared, **asked)
    following, strange = await ask(
        shared, asked | {"cursor": first["next_cursor"]}, {"text": "bread", "cursor": first["next_cursor"]}
    )
    assert set(found_ids(following)).isdisjoint(found_ids(first))
    assert (strange["problem"]["status"], strange["problem"]["code"]) == (410, "cursor_stale")
    assert kitchen is None


@pytest.mark.parametrize(("wrong", "status", "code", "errors"), BAD)
async def test_a_wrong_search_has_its_problem(
    shared: Service, kitchen: None, wrong: Any, status: int, code: str, errors: dict[str, str]
) -> None:
    """A search that cannot be answered has a problem as it would alone, with pointers into itself, in its own place."""
    good, result = await ask(shared, GOOD[0], wrong)
    assert found_ids(good)
    found = result["problem"]
    assert set(result) == {"problem"}
    assert (found["status"], found["code"], found["type"]) == (status, code, f"urn:jobsense:problem:{code}")
    assert found["instance"] == f"{BATCH}#/searches/1"
    assert found["title"]
    assert found["detail"]
    assert found["request_id"]
    assert errors.items() <= {error["pointer"]: error["code"] for error in found["errors"]}.items()
    assert kitchen is None


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(chosen=st.lists(st.integers(0, len(GOOD) + len(BAD) - 1), min_size=1, max_size=12))
async def test_no_search_minds_what_stands_beside_it(shared: Service, kitchen: None, chosen: list[int]) -> None:
    """However good and wrong searches are mixed and repeated, each result is the one it has alone, in its place."""
    every = [*GOOD, *(wrong for wrong, *_ in BAD)]
    results = await ask(shared, *(every[place] for place in chosen))
    for place, result in zip(chosen, results, strict=True):
        if place < len(GOOD):
            assert bare(result) == bare((await shared.client.post(SEARCH, json=GOOD[place])).json())
        else:
            assert result["problem"]["code"] == BAD[place - len(GOOD)][2]
    assert kitchen is None


async def test_half_a_character_is_the_fault_of_its_search_alone(shared: Service, kitchen: None) -> None:
    """Half of a surrogate pair, a number past every range and a repeated key keep no other search from its answer."""
    wrong = b'{"text": "\\ud800"}, {"text": "x", "top_k": 1e999}, {"text": 1, "text": "x"}'
    body = b'{"searches": [{"text": "bread"}, %b]}' % wrong
    response = await shared.client.post(BATCH, content=body, headers={"Content-Type": "application/json"})
    first, second, third, fourth = response.json()["results"]
    assert found_ids(first)
    assert second["problem"]["errors"][0]["code"] == "unstorable_text"
    assert third["problem"]["errors"][0]["pointer"] == "/top_k"
    assert "results" in fourth
    assert kitchen is None


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"/searches": "missing"}),
        ({"searches": []}, {"/searches": "invalid"}),
        ({"searches": [{"text": "x"}] * 51}, {"/searches": "invalid"}),
        ({"searches": {"text": "x"}}, {"/searches": "invalid"}),
        ({"searches": [{"text": "x"}], "top_k": 3}, {"/top_k": "unknown"}),
        ([{"text": "x"}], {"": "invalid"}),
    ],
)
async def test_what_is_no_batch_is_refused(shared: Service, body: Any, wrong: dict[str, str]) -> None:
    """No search, more than fifty, or something else beside them is 422 for the whole."""
    assert faults(await shared.client.post(BATCH, json=body)) == wrong


async def test_what_cannot_be_read_is_refused(shared: Service) -> None:
    """Broken JSON is 400, too much of it 413, another kind 415; parameters of a URL are refused."""
    headers = {"Content-Type": "application/json"}
    for broken in (b'{"searches": [{"text": "x"}', b"", b"\xff", b"[" * 10_000):
        problem(await shared.client.post(BATCH, content=broken, headers=headers), 400, "unreadable_body")
    large = b'{"searches": [{"text": "' + b"x" * 1_100_000 + b'"}]}'
    problem(await shared.client.post(BATCH, content=large, headers=headers), 413, "body_too_large")
    text = await shared.client.post(BATCH, content=b"x", headers={"Content-Type": "text/plain"})
    problem(text, 415, "unsupported_media_type")
    assert faults(await shared.client.post(f"{BATCH}?top_k=1", json={"searches": [GOOD[0]]})) == {"top_k": "unknown"}


def test_dear_requests_are_heavy(shared: Service) -> None:
    """Batches and matches are routes of this service, and stand in a line of their own."""
    routes = [route for route in shared.app.routes if isinstance(route, HTTPRoute)]
    assert set(CLASSES) <= {(method, route.path_format) for route in routes for method in route.methods}
    admission = cast("App", shared.app).admission
    assert admission is not None
    for (method, path), name in CLASSES.items():
        assert admission._door({"method": method, "path": path}).name == name
    assert admission._door({"method": "POST", "path": SEARCH}).name == "light"


async def test_fifty_are_answered(shared: Service, kitchen: None) -> None:
    """As many searches as a batch may hold are answered, in their order."""
    results = await ask(shared, *({"text": "kitchen", "top_k": 1 + n % 2, "min_score": 0} for n in range(50)))
    assert [len(result["results"]) for result in results] == [1, 2] * 25
    assert kitchen is None


@pytest.fixture
async def one(api: Service) -> int:
    """An embedded posting of a service of this test's own."""
    job = await create(api, title="Beekeeper")
    await api.embed()
    made: int = job["id"]
    return made


async def test_equal_texts_are_embedded_once(api: Service, one: int, embedder: WordEmbedder) -> None:
    """Each text that is looked for by meaning is embedded once, those of lexical searches not at all."""
    texts = ["beekeeper", "honey", "beekeeper", "beekeeper"]
    results = await ask(api, *({"text": text} for text in texts), {"text": "wax", "mode": "lexical"})
    assert sorted(embedder.queries) == ["beekeeper", "honey"]
    assert found_ids(results[0]) == [one]


async def test_a_batch_degrades_search_by_search(api: Service, one: int, embedder: WordEmbedder) -> None:
    """With the embedder down each search is answered by words and says so; one that wants no less has a 503 of its own.

    The metrics count a batch as one degraded search.
    """
    embedder.down = "unreachable"
    by_words, lexical, failed = await ask(
        api, {"text": "beekeeper"}, {"text": "beekeeper", "mode": "lexical"}, {"text": "x", "on_degraded": "fail"}
    )
    assert found_ids(by_words) == found_ids(lexical) == [one]
    assert by_words["degraded"]["reason"] == "unreachable"
    assert lexical["degraded"] is None
    assert (failed["problem"]["status"], failed["problem"]["code"]) == (503, "embedder_unavailable")
    assert sample(api, "jobsense_search_total", mode="batch", outcome="degraded") == 1
    embedder.down = None
    assert [result["degraded"] for result in await ask(api, {"text": "beekeeper"}, {"text": "x"})] == [None, None]
    assert sample(api, "jobsense_search_total", mode="batch", outcome="ok") == 1


async def test_a_refused_text_degrades_its_own_search(api: Service, one: int, embedder: WordEmbedder) -> None:
    """A text that the model refuses is answered by words; the search beside it has its vector."""
    refuse_by_word(embedder)
    refused, whole = await ask(api, {"text": f"beekeeper {REFUSED}"}, {"text": "beekeeper"})
    assert refused["degraded"]["reason"] == "text_refused"
    assert whole["degraded"] is None
    assert found_ids(refused) == found_ids(whole) == [one]


def refuse_by_word(embedder: WordEmbedder) -> None:
    """Let queries be refused by the word that postings are refused by."""
    embed = embedder.embed_query

    async def strict(text: str) -> list[float]:
        if REFUSED in text:
            raise TextRefused("the model yields no number")
        return await embed(text)

    embedder.embed_query = strict  # type: ignore[method-assign] # this test's embedder
