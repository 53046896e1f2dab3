"""GET /stats: counts by source, place and state of embedding, a minute old at most."""

import asyncio

import pytest

from service.jobs.stats import MAX_AGE_S
from tests.api.calls import Clock, create, faults
from tests.conftest import Service

STATS = "/api/v1/stats"


async def test_counts_by_source_place_and_state(api: Service) -> None:
    """Largest first; places are counted whatever their case; what has none is left out there."""
    await create(api, source="jobwebkenya", location="Nairobi")
    await create(api, title="An unembeddable thing", location=" NAIROBI ")
    await api.embed()
    await create(api, location="Kisumu")
    await create(api, location=None)
    answer = await api.client.get(STATS)
    assert answer.headers["cache-control"] == "private, max-age=60"
    assert answer.json() == {
        "jobs": 4,
        "sources": [{"value": "linkedin", "jobs": 3}, {"value": "jobwebkenya", "jobs": 1}],
        "locations": [{"value": answer.json()["locations"][0]["value"], "jobs": 2}, {"value": "Kisumu", "jobs": 1}],
        "embedding": {"pending": 2, "done": 1, "failed": 1},
    }
    assert answer.json()["locations"][0]["value"].casefold() == "nairobi"


async def test_an_empty_service_counts_nothing(api: Service) -> None:
    """Without postings every count is there and zero; parameters are refused by name."""
    empty = {"jobs": 0, "sources": [], "locations": [], "embedding": {"pending": 0, "done": 0, "failed": 0}}
    assert (await api.client.get(STATS)).json() == empty
    assert faults(await api.client.get(STATS, params={"source": "linkedin"})) == {"source": "unknown"}


async def test_counts_are_kept_for_a_minute(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a minute the same counts are given, after it new ones."""
    clock = Clock()
    monkeypatch.setattr("service.jobs.stats.time", clock)
    await create(api)
    assert (await api.client.get(STATS)).json()["jobs"] == 1
    await create(api)
    clock.now += MAX_AGE_S - 0.001
    assert (await api.client.get(STATS)).json()["jobs"] == 1
    clock.now += 0.001
    assert (await api.client.get(STATS)).json()["jobs"] == 2


async def test_many_callers_count_once(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers at once wait for one count instead of each counting."""
    counts = 0
    count = api.parts.jobs.stats.count

    async def counting(tenant_id: int) -> object:
        nonlocal counts
        counts += 1
        return await count(tenant_id)

    monkeypatch.setattr(api.parts.jobs.stats, "count", counting)
    answers = await asyncio.gather(*(api.client.get(STATS) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert counts == 1
