"""How many of the truly nearest ten postings each service finds, over HTTP, against a look at every row."""

from typing import Any

import msgspec
from pgvector import HalfVector

from service.jobs.prepare import fold
from tests.bench.corpus import search_text, vectors_of
from tests.bench.stand import Stand
from tests.bench.workloads import FILTERS, KIND, PLACE, SEARCH, SERVICES

QUERIES = 100
K = 10
EXACT = (
    "select p.job_id from passage_g1 p join job j on j.id = p.job_id"
    " where $2::text is null or (j.location_key = $2 and j.employment_type = any($3::text[]))"
    " order by (p.embedding <#> $1) + 0, p.job_id limit 10"
)


class Recall(msgspec.Struct):
    """Recall@10 of a service, of all postings and behind the filters of the hybrid workload."""

    everywhere: float
    filtered: float


async def measure(stand: Stand) -> dict[str, Recall]:
    """The recall of each service, with the ef_search that both use."""
    texts = [search_text(2 * 10**8 + number) for number in range(QUERIES)]
    await stand.knobs(known=[f"search_query: {text}" for text in texts])
    everywhere = await _recalls(stand, texts, filtered=False)
    filtered = await _recalls(stand, texts, filtered=True)
    return {side: Recall(everywhere[side], filtered[side]) for side in SERVICES}


async def _recalls(stand: Stand, texts: list[str], *, filtered: bool) -> dict[str, float]:
    hits = dict.fromkeys(SERVICES, 0)
    for text, vector in zip(texts, vectors_of(texts), strict=True):
        place = fold(PLACE) if filtered else None
        rows = await stand.database.fetch(EXACT, HalfVector(vector), place, [KIND], timeout=300)
        body: dict[str, Any] = {"text": text, "mode": "semantic", "top_k": K, "filters": FILTERS if filtered else {}}
        for side in SERVICES:
            answer = (await stand.ask(side, "POST", SEARCH, body)).json()
            hits[side] += len({row[0] for row in rows} & {hit["job"]["id"] for hit in answer["results"]})
    return {side: found / (K * len(texts)) for side, found in hits.items()}
