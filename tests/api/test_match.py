"""POST /match: a long text against postings, piece by piece; places, scores, filters, degraded answers, refusals."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest

from service.plaintext import to_plain_text
from tests.api.calls import JOBS, create, faults, found_ids, problem, sample
from tests.conftest import Service
from tests.factories import job_body
from tests.fakes import REFUSED, WordEmbedder

MATCH = "/api/v1/match"
COOKING = "Cooked meals in the kitchen of a large hotel for five years. " * 6
DRIVING = "Drove lorries on long routes to Mombasa and back by night. " * 6
BOOKS = "Kept accounts and ledgers for three shops in the town. " * 6
RESUME = f"{COOKING}\n\n{DRIVING}\n\n{BOOKS}"


async def ask(api: Service, text: str, **more: Any) -> httpx.Response:
    """A match."""
    return await api.client.post(MATCH, json={"text": text, **more})


async def match(api: Service, text: str, **more: Any) -> dict[str, Any]:
    """The answer to a match."""
    response = await ask(api, text, **more)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


@pytest.fixture(scope="module")
async def town(shared: Service) -> dict[str, int]:
    """Postings that want one thing each, and one that wants two, by name."""
    made = {
        "cook": await create(shared, title="Cook", description=COOKING),
        "driver": await create(shared, title="Driver", description=DRIVING),
        "both": await create(shared, title="Driving cook", description=f"{COOKING}<p>{DRIVING}</p>", remote=True),
        "welder": await create(shared, title="Welder", company="Vyuma", description="Weld steel pipes" + " daily" * 9),
    }
    await shared.embed()
    return {name: job["id"] for name, job in made.items()}


async def test_an_answer_has_its_shape(shared: Service, town: dict[str, int]) -> None:
    """An answer says what matches, by which model, and how many match in all; each hit quotes at most three pairs."""
    answer = await match(shared, RESUME)
    assert set(answer) == {"results", "total", "degraded", "warnings", "model", "generation", "took_ms", "pay"}
    assert (answer["degraded"], answer["warnings"], answer["model"], answer["generation"]) == (None, [], "words", 1)
    hits = answer["results"]
    assert [hit["rank"] for hit in hits] == list(range(1, len(hits) + 1))
    assert all(set(hit) == {"rank", "score", "job", "passage", "matches"} for hit in hits)
    assert all(1 <= len(hit["matches"]) <= 3 for hit in hits)
    assert answer["total"] == {"value": len(hits), "relation": "exact"}
    assert hits[0]["job"] == (await shared.client.get(f"{JOBS}/{hits[0]['job']['id']}")).json()
    assert await match(shared, RESUME) | {"took_ms": 0} == answer | {"took_ms": 0}
    assert town


async def test_what_answers_more_of_a_text_comes_first(shared: Service, town: dict[str, int]) -> None:
    """A posting that fits two parts of a résumé is before those that fit one, however well they fit that one."""
    found = found_ids(await match(shared, f"{COOKING}\n\n{DRIVING}", top_k=100))
    assert found[0] == town["both"]
    assert set(found[:3]) == {town["both"], town["cook"], town["driver"]}
    assert town["welder"] not in found[:3]


async def test_pairs_are_places_in_both_texts(shared: Service, town: dict[str, int]) -> None:
    """A pair is characters of the text that was sent and a passage of the posting; the hit's is that of the best."""
    (hit,) = [hit for hit in (await match(shared, RESUME))["results"] if hit["job"]["id"] == town["both"]]
    plain = to_plain_text(hit["job"]["description"])
    for pair in hit["matches"]:
        passage = pair["passage"]
        assert passage["text"] == plain[passage["start"] : passage["end"]]
        piece = RESUME[pair["text"]["start"] : pair["text"]["end"]]
        assert ("kitchen" in piece and "kitchen" in passage["text"]) or ("lorries" in piece + passage["text"])
    similarities = [pair["similarity"] for pair in hit["matches"]]
    assert similarities == sorted(similarities, reverse=True)
    assert hit["passage"] == hit["matches"][0]["passage"]


async def test_a_score_is_the_mean_of_the_pieces(shared: Service, town: dict[str, int]) -> None:
    """Explained, a score is the sum of weight times similarity of pieces that cover the text, weighted by length."""
    answer = await match(shared, RESUME, explain=True, top_k=3)
    for hit in answer["results"]:
        pieces = hit["explain"]["pieces"]
        assert sum(piece["weight"] for piece in pieces) == pytest.approx(1)
        assert sum(piece["weight"] * max(piece["similarity"], 0) for piece in pieces) == pytest.approx(hit["score"])
        lengths = [piece["text"]["end"] - piece["text"]["start"] for piece in pieces]
        assert [piece["weight"] for piece in pieces] == pytest.approx([length / sum(lengths) for length in lengths])
        assert pieces[0]["text"]["start"] == 0
        assert pieces[-1]["text"]["end"] == len(RESUME.strip())
    assert answer["results"][0]["explain"]["scan"]["kind"] == "exact"
    assert town


async def test_the_longest_text_is_whole(shared: Service, town: dict[str, int]) -> None:
    """Fifty thousand characters are at most sixteen pieces, between which no word is lost."""
    text = ("One more year of ordinary duties at another place. " * 1000)[:49_900] + f" {DRIVING[:58]}"
    answer = await match(shared, text, explain=True, min_score=0, top_k=100)
    pieces = [piece["text"] for piece in answer["results"][0]["explain"]["pieces"]]
    assert 8 < len(pieces) <= 16
    assert (pieces[0]["start"], pieces[-1]["end"]) == (0, len(text.strip()))
    for before, after in pairwise(pieces):
        assert not text[before["end"] : after["start"]].strip()
    assert town["driver"] in found_ids(answer)


async def test_filters_and_floor_bind(shared: Service, town: dict[str, int]) -> None:
    """Filters say what may come, min_score from which score on; the total follows; top_k bounds the page alone."""
    assert found_ids(await match(shared, RESUME, filters={"remote": True})) == [town["both"]]
    assert found_ids(await match(shared, RESUME, filters={"company": ["nobody"]})) == []
    whole = await match(shared, RESUME, min_score=0, top_k=100)
    bound = whole["results"][1]["score"]
    answer = await match(shared, RESUME, min_score=bound - 1e-6, top_k=1)
    assert (len(answer["results"]), answer["total"]) == (1, {"value": 2, "relation": "exact"})
    assert (await match(shared, RESUME, min_score=1))["total"] == {"value": 0, "relation": "exact"}


async def test_a_narrow_filter_fills_the_page(api: Service) -> None:
    """100 wanted behind a filter that one posting in four passes: all 60 come, and the total is exactly 60."""
    rows = [job_body(title=f"Clerk {n}", source="jobwebkenya" if n % 4 else "linkedin") for n in range(240)]
    await api.client.post(f"{JOBS}/batch", json=rows)
    await api.embed()
    text = "Clerk. Keep the books of the shop in town. " * 20
    answer = await match(api, text, top_k=100, filters={"source": ["linkedin"]})
    assert {hit["job"]["source"] for hit in answer["results"]} == {"linkedin"}
    assert (len(answer["results"]), answer["total"]) == (60, {"value": 60, "relation": "exact"})
    page = await match(api, text, top_k=50)
    assert len(page["results"]) == 50
    assert page["total"]["value"] >= 50


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"/text": "missing"}),
        ({"text": " \u2003 "}, {"/text": "invalid"}),
        ({"text": "x" * 50_001}, {"/text": "invalid"}),
        ({"text": "a\u0000b"}, {"/text": "unstorable_text"}),
        ({"text": "x", "top_k": 0, "min_score": 2}, {"/top_k": "invalid", "/min_score": "invalid"}),
        ({"text": "x", "mode": "hybrid", "cursor": "c"}, {"/mode": "unknown", "/cursor": "unknown"}),
        ({"text": "x", "filters": {"remote": 1}}, {"/filters/remote": "invalid"}),
        ({"text": "x", "on_degraded": "maybe", "explain": 1}, {"/on_degraded": "invalid", "/explain": "invalid"}),
    ],
)
async def test_wrong_matches_are_refused_by_name(shared: Service, body: Any, wrong: dict[str, str]) -> None:
    """Every failing or unknown field is named, all of them at once."""
    assert faults(await shared.client.post(MATCH, json=body)) == wrong


@pytest.mark.parametrize("text", ["the", "...", "\u202e", "'; drop table job; --", "\\", "-" * 50_000, "ab " * 16_000])
async def test_hostile_texts_are_only_text(shared: Service, town: dict[str, int], text: str) -> None:
    """Whatever the text is, it is answered: perhaps with nothing."""
    assert len((await match(shared, text))["results"]) <= 10
    assert town


async def test_without_vectors_rare_words_serve(api: Service, embedder: WordEmbedder) -> None:
    """With the embedder down the rarest words decide, the answer says so and since when, and it recovers by itself."""
    rows = [job_body(title=f"Clerk {n}", description="Ordinary duties in an office of the town") for n in range(30)]
    await api.client.post(f"{JOBS}/batch", json=rows)
    falconer = await create(api, title="Falconer", description="Train peregrine falcons")
    keeper = await create(api, title="Keeper", description="Feed falcons in an office")
    await api.embed()
    text = "I trained falcons, among them a peregrine, and had ordinary duties in an office of the town. " * 20
    whole = await match(api, text)
    before, embedder.down = datetime.now(UTC), "unreachable"
    answer = await match(api, text, explain=True)
    assert found_ids(answer)[:2] == [falconer["id"], keeper["id"]]
    assert answer["degraded"]["reason"] == "unreachable"
    assert before <= datetime.fromisoformat(answer["degraded"]["since"]) <= datetime.now(UTC)
    assert (answer["model"], answer["generation"]) == (None, None)
    assert all(hit["matches"] == [] and hit["passage"] is None and 0 < hit["score"] <= 1 for hit in answer["results"])
    assert answer["results"][0]["explain"]["scan"] is None
    assert (await match(api, text))["degraded"] == answer["degraded"]
    assert sample(api, "jobsense_search_total", mode="match", outcome="degraded") == 2
    embedder.down = None
    await api.parts.live.connect()
    assert await match(api, text) | {"took_ms": 0} == whole | {"took_ms": 0}


async def test_whoever_wants_no_less_gets_503(api: Service, embedder: WordEmbedder) -> None:
    """on_degraded=fail answers 503 with Retry-After while no vectors can be made, and is whole afterwards."""
    embedder.down = "unreachable"
    refused = await ask(api, "x", on_degraded="fail")
    problem(refused, 503, "embedder_unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    embedder.down = None
    await api.parts.live.connect()
    assert (await match(api, "x", on_degraded="fail"))["degraded"] is None


async def test_words_alone_keep_to_filters_and_pages(api: Service, embedder: WordEmbedder) -> None:
    """By words the filters bind, top_k bounds the page and not the total; a text of stop words finds nothing."""
    rows = [job_body(title="Falconer", remote=n % 2 == 0) for n in range(8)]
    await api.client.post(f"{JOBS}/batch", json=rows)
    await api.embed()
    embedder.down = "unreachable"
    answer = await match(api, "falconer", top_k=3, filters={"remote": True})
    assert (len(answer["results"]), answer["total"]) == (3, {"value": 4, "relation": "exact"})
    assert all(hit["job"]["remote"] for hit in answer["results"])
    nothing = await match(api, "the and of")
    assert (nothing["results"], nothing["total"]) == ([], {"value": 0, "relation": "exact"})


async def test_a_refused_piece_is_named(api: Service) -> None:
    """A piece that the model refuses counts for nothing, and a warning names its place; if all are, words answer."""
    job = await create(api, title="Cook", description=COOKING)
    await api.embed()
    text = f"{COOKING * 2}\n\n{REFUSED} {DRIVING}"
    answer = await match(api, text, explain=True)
    assert found_ids(answer) == [job["id"]]
    assert answer["degraded"] is None
    (warning,) = answer["warnings"]
    start, end = (int(word) for word in warning.split() if word.isdigit())
    assert REFUSED in text[start:end]
    assert {"start": start, "end": end} not in [piece["text"] for piece in answer["results"][0]["explain"]["pieces"]]
    none = await match(api, f"{REFUSED} kitchen")
    assert (none["degraded"]["reason"], found_ids(none)) == ("text_refused", [job["id"]])


async def test_a_changed_posting_quotes_nothing(api: Service) -> None:
    """While a changed text waits, its posting is found by the old vectors, without quotes; waiting ones are told of."""
    job = await create(api, title="Cook", description=COOKING)
    await api.embed()
    await api.client.patch(f"{JOBS}/{job['id']}", json={"description": "Weld steel pipes"})
    await api.parts.worker.watch_backlog()
    answer = await match(api, COOKING)
    assert found_ids(answer) == [job["id"]]
    assert answer["results"][0]["passage"] is None
    assert [pair["passage"] for pair in answer["results"][0]["matches"]] == [None] * len(
        answer["results"][0]["matches"]
    )
    assert any("cannot be found by meaning" in warning for warning in answer["warnings"])
