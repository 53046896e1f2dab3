"""GET /jobs/{id}/similar: neighbours without copies, what filters leave, old and missing vectors, refusals."""

from typing import Any

import pytest

from service.plaintext import to_plain_text
from tests.api.calls import JOBS, create, faults, found_ids, problem
from tests.conftest import Service
from tests.factories import job_body
from tests.fakes import REFUSED, WordEmbedder

SHIFTS = "Cook meals in the kitchen of a hotel with many guests and two shifts a day in the summer"


async def similar(api: Service, job_id: int, **more: Any) -> dict[str, Any]:
    """The answer for a posting."""
    response = await api.client.get(f"{JOBS}/{job_id}/similar", params=more)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


@pytest.fixture(scope="module")
async def kitchen(shared: Service) -> dict[str, int]:
    """A chef's posting, neighbours at several distances, and copies of both; by name."""
    made = {
        "chef": await create(shared, title="Chef", description=SHIFTS),
        "same text": await create(shared, title="Chef", description=SHIFTS, source="jobwebkenya"),
        "nearly": await create(shared, title="CHEF", company="tumaini traders", description=SHIFTS + " now"),
        "elsewhere": await create(shared, title="Chef", company="Bahari Hotel", description=SHIFTS, location="Lamu"),
        "cook": await create(shared, title="Cook", description="Cook meals in the kitchen of a school", remote=True),
        "cook again": await create(shared, title="Cook", description="Cook meals in the kitchen of a school"),
        "driver": await create(shared, title="Driver", company="Lori Ltd", description="Drive lorries to Mombasa"),
    }
    await shared.embed()
    return {name: job["id"] for name, job in made.items()}


async def test_neighbours_come_by_likeness(shared: Service, kitchen: dict[str, int]) -> None:
    """The nearest comes first, with score, posting and passage as in a search; what is far away does not come."""
    answer = await similar(shared, kitchen["chef"])
    assert set(answer) == {"results", "warnings", "model", "generation", "took_ms", "pay"}
    assert (answer["warnings"], answer["model"], answer["generation"]) == ([], "words", 1)
    assert found_ids(answer)[:2] == [kitchen["elsewhere"], kitchen["cook"]]
    scores = [hit["score"] for hit in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0.25 <= score <= 1 for score in scores)
    assert [hit["rank"] for hit in answer["results"]] == list(range(1, len(scores) + 1))
    hit = answer["results"][1]
    assert set(hit) == {"rank", "score", "job", "passage"}
    assert hit["job"] == (await shared.client.get(f"{JOBS}/{kitchen['cook']}")).json()
    text = to_plain_text(hit["job"]["description"])
    assert hit["passage"] == {"text": text, "start": 0, "end": len(text)}
    assert await similar(shared, kitchen["chef"]) | {"took_ms": 0} == answer | {"took_ms": 0}


async def test_neither_itself_nor_copies_come(shared: Service, kitchen: dict[str, int]) -> None:
    """Same text, or title and company and nearly the same passage: a copy. Of copies among neighbours one comes."""
    found = found_ids(await similar(shared, kitchen["chef"], top_k=100))
    assert not {kitchen[name] for name in ("chef", "same text", "nearly")} & set(found)
    assert kitchen["cook"] in found
    assert kitchen["cook again"] not in found
    back = found_ids(await similar(shared, kitchen["cook"], top_k=100))
    assert kitchen["cook again"] not in back
    assert len({kitchen[name] for name in ("chef", "same text", "nearly")} & set(back)) == 1


async def test_filters_bind_the_neighbours_alone(shared: Service, kitchen: dict[str, int]) -> None:
    """Filters say which neighbours come, whatever the posting itself is; where nothing passes, nothing comes."""
    assert found_ids(await similar(shared, kitchen["chef"], company="bahari hotel")) == [kitchen["elsewhere"]]
    assert found_ids(await similar(shared, kitchen["chef"], remote=True)) == [kitchen["cook"]]
    assert found_ids(await similar(shared, kitchen["chef"], location="lamu", remote=True)) == []
    assert len(found_ids(await similar(shared, kitchen["chef"], top_k=1))) == 1


async def test_reposts_do_not_fill_the_page(api: Service) -> None:
    """Behind two hundred copies of the posting, and as many of one neighbour, the others still come."""
    text = {"title": "Clerk", "description": SHIFTS}
    near = {"title": "Junior clerk", "description": SHIFTS}
    rows = [job_body(**text) for _ in range(200)] + [job_body(**near) for _ in range(200)]
    rows += [job_body(title=f"Clerk {n}", company=f"Company {n}", description=SHIFTS) for n in range(5)]
    made = (await api.client.post(f"{JOBS}/batch", json=rows)).json()["results"]
    await api.embed()
    answer = await similar(api, made[0]["id"], top_k=6)
    assert len(answer["results"]) == 6
    assert sorted(hit["job"]["title"] for hit in answer["results"])[:5] == [f"Clerk {n}" for n in range(5)]


async def test_a_long_posting_is_like_any_of_its_parts(api: Service) -> None:
    """Of a posting of several passages each is looked from, and the passage that fits best is quoted."""
    parts = [
        "Keep accounts and ledgers. " * 12,
        "Fly helicopters over mountains safely. " * 12,
        "Paint walls of houses. " * 12,
    ]
    long = await create(api, title="Staff", description=" ".join(parts))
    pilot = await create(api, title="Pilot", description="Fly helicopters over mountains safely")
    await api.embed()
    (hit,) = [hit for hit in (await similar(api, long["id"]))["results"] if hit["job"]["id"] == pilot["id"]]
    assert hit["score"] > 0.5
    back = await similar(api, pilot["id"])
    assert "helicopters over mountains" in back["results"][0]["passage"]["text"]
    assert back["results"][0]["score"] == pytest.approx(hit["score"], abs=1e-3)


async def test_without_vectors_there_are_no_neighbours(api: Service) -> None:
    """Before a posting is embedded the answer is empty and says why; one that never will be says that."""
    job = await create(api, title="Chef")
    answer = await similar(api, job["id"])
    assert answer["results"] == []
    assert "not embedded yet" in answer["warnings"][0]
    refused = await create(api, title=f"Chef {REFUSED}")
    await api.embed()
    assert (await similar(api, job["id"]))["warnings"] == []
    assert "could not be embedded" in (await similar(api, refused["id"]))["warnings"][0]


async def test_a_changed_text_has_its_old_neighbours_for_a_while(api: Service) -> None:
    """While a changed text waits the neighbours are those of the text before, which is said; then the new ones."""
    job = await create(api, title="Beekeeper", description="Look after bees and honey")
    bees = await create(api, title="Apiarist", company="Asali", description="Look after bees and honey")
    wood = await create(api, title="Joiner", company="Mbao", description="Build tables from timber boards")
    await api.embed()
    change = {"title": "Carpenter", "description": "Build tables from timber boards"}
    await api.client.patch(f"{JOBS}/{job['id']}", json=change)
    old = await similar(api, job["id"])
    assert found_ids(old)[0] == bees["id"]
    assert any("text before" in warning for warning in old["warnings"])
    await api.embed()
    new = await similar(api, job["id"])
    assert (found_ids(new)[0], new["warnings"]) == (wood["id"], [])


async def test_postings_that_wait_are_told_of(api: Service) -> None:
    """While some postings cannot be found by meaning yet the answer warns of it."""
    job = await create(api, title="Chef")
    await api.embed()
    await create(api, title="Cook")
    await api.parts.worker.watch_backlog()
    assert any("cannot be found by meaning" in warning for warning in (await similar(api, job["id"]))["warnings"])


async def test_no_model_is_needed(api: Service, embedder: WordEmbedder) -> None:
    """Neighbours come from stored vectors: an embedder that is down is not asked."""
    chef = await create(api, title="Chef", description=SHIFTS)
    cook = await create(api, title="Cook", description=SHIFTS)
    await api.embed()
    embedder.down = "unreachable"
    assert found_ids(await similar(api, chef["id"])) == [cook["id"]]


async def test_what_is_not_there_is_404(shared: Service) -> None:
    """An unknown posting is a problem of its own; what is no number is no path."""
    problem(await shared.client.get(f"{JOBS}/999999/similar"), 404, "job_not_found")
    for path in ("x", "1.5", "007"):
        problem(await shared.client.get(f"{JOBS}/{path}/similar"), 404, "not_found")
    assert faults(await shared.client.get(f"{JOBS}/0/similar")) == {"job_id": "invalid"}


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("top_k=0", {"top_k": "invalid"}),
        ("top_k=101&remote=perhaps", {"top_k": "invalid", "remote": "invalid"}),
        ("text=x&mode=lexical", {"text": "unknown", "mode": "unknown"}),
        ("top_k=1&top_k=2", {"top_k": "repeated"}),
    ],
)
async def test_wrong_parameters_are_refused_by_name(shared: Service, query: str, wrong: dict[str, str]) -> None:
    """Every failing, unknown or repeated parameter is named."""
    assert faults(await shared.client.get(f"{JOBS}/1/similar?{query}")) == wrong
