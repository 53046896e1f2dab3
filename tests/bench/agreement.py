"""Makes sure that both services do the same work: the same rows, fields and files, and the same rows stored."""

import csv
import io
from datetime import datetime
from typing import Any

from tests.bench.corpus import posting, search_text
from tests.bench.exporting import PATH
from tests.bench.stand import Stand
from tests.bench.workloads import FACETS, FILTERS, JOBS, NEW, SEARCH, SERVICES

LOOKED_AT = 20
NEAR = 2e-3
"""How far scores of one posting may be apart: one side sends the vector as text, the other in binary."""
_OWN = ("id", "external_id", "created_at", "updated_at")


async def check(stand: Stand) -> list[str]:
    """Compare; one line for each thing that was compared. Fails with what differs."""
    return [
        await _postings(stand),
        await _pages(stand),
        await _searches(stand),
        await _writes(stand),
        await _exports(stand),
    ]


def plain(value: Any) -> Any:
    """An answer with moments as moments, numbers as numbers, and without fields of an object that are null."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, str) and value[4:5] == "-" and value[10:11] == "T":
        return datetime.fromisoformat(value)
    return value


async def _answers(stand: Stand, method: str, path: str, body: object = None) -> list[Any]:
    return [plain((await stand.ask(side, method, path, body)).json()) for side in SERVICES]


async def _postings(stand: Stand) -> str:
    for number in range(1, LOOKED_AT + 1):
        one, other = await _answers(stand, "GET", f"{JOBS}/{number}")
        assert one == other, f"posting {number}: {one} and {other}"
    return f"{LOOKED_AT} postings: the same fields with the same values"


async def _pages(stand: Stand) -> str:
    one, other = await _answers(stand, "GET", f"{JOBS}?limit=20")
    assert one["items"] == other["items"]
    return "a page of twenty: the same postings in the same order"


async def _searches(stand: Stand) -> str:
    shared = found = 0
    for number in range(LOOKED_AT):
        body = {"text": search_text(10**8 + number), "mode": "semantic"}
        one, other = await _answers(stand, "POST", SEARCH, body)
        assert other.keys() <= one.keys(), other.keys() - one.keys()
        assert one["total"] == other["total"], (one["total"], other["total"])
        hits = {hit["job"]["id"]: hit for hit in one["results"]}
        for hit in other["results"]:
            found += 1
            if (same := hits.get(hit["job"]["id"])) is not None:
                shared += 1
                assert (same["job"], same["passage"]) == (hit["job"], hit["passage"])
                assert abs(same["score"] - hit["score"]) < NEAR, (same["score"], hit["score"])
    filtered: dict[str, Any] = {"text": search_text(10**8), "mode": "hybrid", "filters": FILTERS, "facets": FACETS}
    one, other = await _answers(stand, "POST", SEARCH, filtered)
    assert one["facets"].keys() == other["facets"].keys()
    return f"{LOOKED_AT} searches: {shared} of {found} hits shared, with the same fields, values, passages and scores"


async def _writes(stand: Stand) -> str:
    stored = []
    for number, side in enumerate(SERVICES, 3 * 10**6):
        body = posting(3 * 10**6, source=NEW) | {"external_id": f"bench-{number}"}
        answer = await stand.ask(side, "POST", JOBS, body)
        assert answer.status_code == 201
        batch = await stand.ask(side, "POST", f"{JOBS}/batch", [body, posting(4 * 10**6 + number, source=NEW)])
        assert [row["status"] for row in batch.json()["results"]][1] == "created"
        answered = {name: value for name, value in plain(answer.json()).items() if name not in _OWN}
        row = await stand.database.fetchrow(
            "select j.body, j.company_key, j.location_key, j.words::text, w.words::text as bare, j.posted_at,"
            " t.failed_at, t.lease, t.attempts, length(j.content_hash) as hash, j.text_hash = t.text_hash as task"
            " from job j join job_word w on w.job_id = j.id join embedding_task t on t.job_id = j.id where j.id = $1",
            answer.json()["id"],
        )
        assert row is not None
        assert row["task"]
        stored.append((answered, tuple(row)))
    await stand.forget_new()
    assert stored[0] == stored[1], stored
    return "a posting created, and in a batch: the same answer, the same row, words and task"


async def _exports(stand: Stand) -> str:
    files = [list(csv.reader(io.StringIO((await stand.ask(side, "GET", PATH)).text, newline=""))) for side in SERVICES]
    assert len(files[0]) == stand.postings + 1
    different = [(one, other) for one, other in zip(*files, strict=True) if one != other]
    assert not different, different[:1]
    return f"the export: {stand.postings} rows of {len(files[0][0])} columns, cell by cell the same"
