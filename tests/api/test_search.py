"""POST and GET /search: modes, scores, passages, limits, and what is refused."""

from typing import Any

import pytest

from service.plaintext import to_plain_text
from tests.api.calls import JOBS, SEARCH, create, faults, found_ids, search
from tests.conftest import Service
from tests.factories import job_body

MODES = ("semantic", "lexical", "hybrid")
HOSTILE = [
    *("the", "'", '"; drop table job; --', "\\", "%", "& | !", ":*", "$1", "<->", "a\nb\tc", "\u202e"),
    *("\U0001f469\u200d\U0001f373", "-" * 2000, "x" * 2000, "ab " * 666, "\u1e9e" * 2000),
]
LONG = "<h1>Duties</h1>" + "".join(
    f"<p>Paragraph {n} of caf\u00e9 work &amp; <b>\U0001f469\u200d\U0001f373 kitchen{n}</b> duties.</p>"
    for n in range(60)
)


@pytest.fixture(scope="module")
async def kitchen(shared: Service) -> dict[str, int]:
    """A few embedded postings, by name."""
    made = {
        "chef": await create(shared, title="Chef", description="Cook meals in the kitchen of a hotel"),
        "baker": await create(shared, title="Baker", description="Bake bread in the kitchen at night"),
        "driver": await create(shared, title="Driver", description="Drive a lorry to Mombasa"),
        "long": await create(shared, title="Caf\u00e9 manager", description=LONG),
        "bare": await create(shared, title="Kitchen porter", description=None),
    }
    await shared.embed()
    return {name: job["id"] for name, job in made.items()}


async def test_an_answer_has_its_shape(shared: Service, kitchen: dict[str, int]) -> None:
    """An answer says what was asked and served, by which model and generation, and how long it took."""
    answer = await search(shared, "cook meals in the kitchen")
    assert set(answer) == {
        *("results", "total", "facets", "mode", "degraded", "warnings"),
        *("model", "generation", "next_cursor", "took_ms", "pay"),
    }
    assert answer["mode"] == {"asked": "hybrid", "served": "hybrid"}
    assert (answer["degraded"], answer["warnings"], answer["model"]) == (None, [], "words")
    assert answer["generation"] == 1
    assert answer["took_ms"] > 0
    best = answer["results"][0]
    assert set(best) == {"rank", "score", "job", "passage"}
    assert best["job"] == (await shared.client.get(f"{JOBS}/{kitchen['chef']}")).json()


@pytest.mark.parametrize("mode", MODES)
async def test_hits_are_ranked_by_score(shared: Service, kitchen: dict[str, int], mode: str) -> None:
    """Ranks count from 1, scores fall and lie in 0..1, no posting comes twice, and equal input gives equal order."""
    answer = await search(shared, "kitchen work of a chef", mode=mode, top_k=100, min_score=0)
    scores = [hit["score"] for hit in answer["results"]]
    assert [hit["rank"] for hit in answer["results"]] == list(range(1, len(scores) + 1))
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert len(set(found_ids(answer))) == len(scores) == answer["total"]["value"]
    assert {kitchen["chef"], kitchen["baker"], kitchen["bare"], kitchen["long"]} <= set(found_ids(answer))
    assert answer["mode"] == {"asked": mode, "served": mode}
    again = await search(shared, "kitchen work of a chef", mode=mode, top_k=100, min_score=0)
    assert again | {"took_ms": 0} == answer | {"took_ms": 0}


async def test_lexical_finds_words_and_semantic_likeness(shared: Service, kitchen: dict[str, int]) -> None:
    """Lexical finds the postings that hold a word, in any form, and no vectors are used: no model, no passage."""
    answer = await search(shared, "lorries", mode="lexical")
    assert found_ids(answer) == [kitchen["driver"]]
    assert (answer["model"], answer["generation"]) == (None, None)
    assert answer["results"][0]["passage"] is None
    assert found_ids(await search(shared, "xylophone", mode="lexical")) == []
    assert found_ids(await search(shared, "drive a lorry to mombasa", mode="semantic"))[0] == kitchen["driver"]


async def test_min_score_is_a_bound_on_similarity(shared: Service, kitchen: dict[str, int]) -> None:
    """By meaning nothing below min_score is a hit, the total follows, and a bound of 1 leaves the identical text."""
    whole = await search(shared, "bake bread in the kitchen", mode="semantic", min_score=0, top_k=100)
    bound = whole["results"][1]["score"]
    answer = await search(shared, "bake bread in the kitchen", mode="semantic", min_score=bound - 1e-6, top_k=100)
    assert found_ids(answer) == found_ids(whole)[:2]
    assert answer["total"] == {"value": 2, "relation": "exact"}
    none = await search(shared, "bake bread in the kitchen", mode="semantic", min_score=1)
    assert (none["results"], none["total"]) == ([], {"value": 0, "relation": "exact"})
    assert kitchen["baker"] == found_ids(whole)[0]


@pytest.mark.parametrize("mode", ["semantic", "hybrid"])
async def test_passages_are_places_in_the_plain_text(shared: Service, kitchen: dict[str, int], mode: str) -> None:
    """A passage is characters start to end of the description as text, HTML gone, whatever characters come before."""
    plain = to_plain_text(LONG)
    starts = set()
    for n in (0, 17, 31, 59):
        answer = await search(shared, f"Caf\u00e9 manager paragraph {n} kitchen{n}", mode=mode, top_k=100, min_score=0)
        (hit,) = [hit for hit in answer["results"] if hit["job"]["id"] == kitchen["long"]]
        passage = hit["passage"]
        assert passage["text"] == plain[passage["start"] : passage["end"]]
        assert f"kitchen{n} " in passage["text"]
        assert "<" not in passage["text"]
        starts.add(passage["start"])
        others = [one for one in answer["results"] if one["job"]["id"] in (kitchen["chef"], kitchen["baker"])]
        for one in others:
            text = to_plain_text(one["job"]["description"])
            assert one["passage"] == {"text": text, "start": 0, "end": len(text)}
    assert len(starts) > 2
    bare = await search(shared, "kitchen porter", mode=mode, min_score=0, top_k=100)
    assert [hit["passage"] for hit in bare["results"] if hit["job"]["id"] == kitchen["bare"]] == [None]


async def test_post_and_get_answer_alike(shared: Service, kitchen: dict[str, int]) -> None:
    """Every field of the body has a parameter of the URL, and both give the same answer; the defaults too."""
    asked: dict[str, Any] = {"text": "kitchen caf\u00e9", "top_k": 2, "mode": "semantic", "min_score": 0.05}
    filters = {"source": ["linkedin", "jobwebkenya"], "location": "nairobi", "company": ["Tumaini Traders"]}
    body = await search(shared, **asked, filters=filters, on_degraded="fail")
    url = [("q", "kitchen caf\u00e9"), ("top_k", "2"), ("mode", "semantic"), ("min_score", "0.05")]
    url += [("source", "linkedin"), ("source", "jobwebkenya"), ("location", "nairobi"), ("company", "tumaini traders")]
    answer = await shared.client.get(SEARCH, params=[*url, ("on_degraded", "fail")])
    assert answer.headers["cache-control"] == "private, no-cache"
    own = {"took_ms": 0, "next_cursor": None}
    assert answer.json() | own == body | own
    assert len(body["results"]) == 2
    plain = (await shared.client.get(SEARCH, params={"q": "kitchen"})).json()
    assert plain | {"took_ms": 0} == await search(shared, "kitchen") | {"took_ms": 0}
    assert kitchen


@pytest.mark.parametrize("mode", MODES)
async def test_a_page_is_full_whenever_enough_match(api: Service, mode: str) -> None:
    """50 wanted of 60 that match behind a filter that one posting in four passes: 50 come, and 100 give all 60."""
    rows = [job_body(title=f"Clerk {n}", source="jobwebkenya" if n % 4 else "linkedin") for n in range(240)]
    await api.client.post(f"{JOBS}/batch", json=rows)
    await api.embed()
    filters = {"source": ["linkedin"]}
    for top_k, expected in ((1, 1), (50, 50), (100, 60)):
        answer = await search(api, "clerk books of the shop in town", mode=mode, top_k=top_k, filters=filters)
        assert len(answer["results"]) == expected
        assert {hit["job"]["source"] for hit in answer["results"]} == {"linkedin"}
    assert answer["total"] == {"value": 60, "relation": "exact"}


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"/text": "missing"}),
        ({"text": ""}, {"/text": "invalid"}),
        ({"text": " \u2003 "}, {"/text": "invalid"}),
        ({"text": "x" * 2001}, {"/text": "invalid"}),
        ({"text": "a\u0000b"}, {"/text": "unstorable_text"}),
        ({"text": "x", "top_k": 0}, {"/top_k": "invalid"}),
        ({"text": "x", "top_k": 101}, {"/top_k": "invalid"}),
        ({"text": "x", "top_k": "10"}, {"/top_k": "invalid"}),
        ({"text": "x", "mode": "fuzzy"}, {"/mode": "invalid"}),
        ({"text": "x", "min_score": -0.1}, {"/min_score": "invalid"}),
        ({"text": "x", "min_score": 1.1}, {"/min_score": "invalid"}),
        ({"text": "x", "on_degraded": "maybe"}, {"/on_degraded": "invalid"}),
        ({"q": "x", "limit": 1}, {"/text": "missing", "/q": "unknown", "/limit": "unknown"}),
        ({"text": "x", "filters": []}, {"/filters": "invalid"}),
        ({"text": "x", "filters": None}, {"/filters": "invalid"}),
    ],
)
async def test_wrong_searches_are_refused_by_name(shared: Service, body: Any, wrong: dict[str, str]) -> None:
    """Every failing or unknown field of a search is named, all of them at once."""
    assert faults(await shared.client.post(SEARCH, json=body)) == wrong


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("", {"q": "missing"}),
        ("q=", {"q": "invalid"}),
        ("q=x&q=y&mode=lexical&mode=lexical", {"q": "repeated", "mode": "repeated"}),
        ("q=x&text=y&filters=z", {"text": "unknown", "filters": "unknown"}),
        ("q=x&top_k=0&min_score=nan&remote=perhaps", {"top_k": "invalid", "min_score": "invalid", "remote": "invalid"}),
        ("q=a%00b", {"q": "unstorable_text"}),
        ("q=%ff", {"q": "invalid"}),
        ("q=x&top_k=" + "9" * 400, {"top_k": "invalid"}),
    ],
)
async def test_wrong_search_urls_are_refused_by_name(shared: Service, query: str, wrong: dict[str, str]) -> None:
    """The same for the parameters of a URL, where repeated ones are refused too."""
    assert faults(await shared.client.get(f"{SEARCH}?{query}")) == wrong


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_texts_are_only_text(shared: Service, kitchen: dict[str, int], mode: str, text: str) -> None:
    """Whatever the text of a search is, it is answered: perhaps with nothing."""
    answer = await search(shared, text, mode=mode)
    assert answer["mode"] == {"asked": mode, "served": mode}
    assert len(answer["results"]) <= 10
    assert kitchen


async def test_a_new_posting_is_found_by_its_words_at_once(api: Service) -> None:
    """Before it is embedded a posting is found in lexical and hybrid mode, and not yet in semantic mode."""
    job = await create(api, title="Falconer")
    found = [found_ids(await search(api, "falconer", mode=mode)) for mode in ("lexical", "hybrid", "semantic")]
    assert found == [[job["id"]], [job["id"]], []]


async def test_an_empty_service_finds_nothing(api: Service) -> None:
    """Without postings every mode answers with no results and a total of exactly 0."""
    for mode in MODES:
        answer = await search(api, "anything", mode=mode)
        assert (answer["results"], answer["total"]) == ([], {"value": 0, "relation": "exact"})
