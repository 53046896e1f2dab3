"""Filters of lists and searches against the same rule written in Python: alone, combined, at their edges."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.calls import JOBS, SEARCH, Parameters, exported, faults, found_ids
from tests.conftest import Service
from tests.factories import job_body

SOURCES = ["linkedin", "jobwebkenya", "brightermonday"]
COMPANIES = ["Tumaini Traders", "STRASSE GmbH", "İstanbul Ltd", "O'Neil & Sons"]
LOCATIONS = [None, "Nairobi", "Kisumu, Kenya", "Straße 5"]
TYPES = [None, "full_time", "Full_Time", "contract"]
MOMENTS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=30 * n) for n in range(5)]
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
TEXT = "keep the books of the shop in town"

Job = dict[str, Any]


def bodies() -> list[Job]:
    """Ninety postings in which the values of the fields meet in every way that matters."""
    fields = zip(
        cycle(SOURCES),
        cycle(COMPANIES),
        cycle([*LOCATIONS, "nairobi"]),
        cycle([None, True, False, True, False, None, True]),
        cycle(TYPES * 2 + [None]),
        cycle([None, *MOMENTS] * 2 + [MOMENTS[2]]),
        cycle([None, PAST, FUTURE, None, None, PAST, FUTURE, PAST]),
        strict=False,
    )
    names = ("source", "company", "location", "remote", "employment_type", "posted_at", "expires_at")
    rows = (dict(zip(names, values, strict=True)) for values in islice(fields, 90))
    return [
        job_body(**{name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()})
        for row in rows
    ]


@pytest.fixture(scope="module")
async def stored(shared: Service) -> list[Job]:
    """The postings as they are stored and embedded, newest first."""
    answer = await shared.client.post(f"{JOBS}/batch", json=bodies())
    assert {result["status"] for result in answer.json()["results"]} == {"created"}
    await shared.embed()
    items: list[Job] = (await shared.client.get(JOBS, params={"limit": 100})).json()["items"]
    assert len(items) == 90
    return items


def fold(text: str) -> str:
    """How names are compared."""
    return text.strip().casefold()


def moment(text: str) -> datetime:
    """A moment as it is compared."""
    return datetime.fromisoformat(text)


RULES: dict[str, Callable[[Job, Any], bool]] = {
    "source": lambda job, value: job["source"] in value,
    "company": lambda job, value: fold(job["company"]) in [fold(name) for name in value],
    "location": lambda job, value: job["location"] is not None and fold(job["location"]) == fold(value),
    "remote": lambda job, value: job["remote"] is value,
    "employment_type": lambda job, value: job["employment_type"] in value,
    "posted_after": lambda job, value: job["posted_at"] is not None and moment(job["posted_at"]) >= moment(value),
    "posted_before": lambda job, value: job["posted_at"] is not None and moment(job["posted_at"]) < moment(value),
    "active": lambda job, value: value is (job["expires_at"] is None or moment(job["expires_at"]) > datetime.now(UTC)),
}


def passing(jobs: list[Job], filters: Job) -> list[int]:
    """The ids that the rule lets through, in order."""
    return [job["id"] for job in jobs if all(RULES[name](job, value) for name, value in filters.items())]


def parameters(filters: Job) -> Parameters:
    """Filters as the parameters of a URL."""
    items = [(name, one) for name, value in filters.items() for one in (value if isinstance(value, list) else [value])]
    return [(name, str(value).lower() if isinstance(value, bool) else value) for name, value in items]


def several(values: list[str]) -> st.SearchStrategy[list[str]]:
    """Some of these, and perhaps one that no posting has."""
    return st.lists(st.sampled_from([*values, "nowhere"]), min_size=1, max_size=3)


edges = st.sampled_from([shifted for at in MOMENTS for shifted in (at, at + timedelta(microseconds=1))]).map(
    lambda at: at.astimezone().isoformat()
)
names = [*COMPANIES, " strasse gmbh", "TUMAINI TRADERS ", "i̇stanbul ltd"]
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "source": several(SOURCES),
        "company": several(names),
        "location": st.sampled_from(["Nairobi", "NAIROBI", " kisumu, kenya ", "strasse 5", "STRAẞE 5", "nowhere"]),
        "remote": st.booleans(),
        "employment_type": several([kind for kind in TYPES if kind]),
        "posted_after": edges,
        "posted_before": edges,
        "active": st.booleans(),
    },
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(filters=FILTERS)
async def test_lists_and_searches_let_through_the_same(shared: Service, stored: list[Job], filters: Job) -> None:
    """A list, an export, a search in each mode, by body and by URL, and a match hold what the rule lets through."""
    expected = passing(stored, filters)
    items = (await shared.client.get(JOBS, params=[*parameters(filters), ("limit", "100")])).json()["items"]
    assert [job["id"] for job in items] == expected
    assert await exported(shared, parameters(filters)) == items[::-1]
    for mode in ("semantic", "lexical", "hybrid"):
        asked = {"text": TEXT, "mode": mode, "top_k": 100, "min_score": 0, "filters": filters}
        answer = (await shared.client.post(SEARCH, json=asked)).json()
        assert sorted(found_ids(answer), reverse=True) == expected, mode
        assert answer["total"] == {"value": len(expected), "relation": "exact"}
        url = [("q", TEXT), ("mode", mode), ("top_k", "100"), ("min_score", "0"), *parameters(filters)]
        by_url = (await shared.client.get(SEARCH, params=url)).json()
        assert by_url | {"took_ms": 0} == answer | {"took_ms": 0}
    asked = {"text": TEXT, "top_k": 100, "min_score": 0, "filters": filters}
    matched = (await shared.client.post("/api/v1/match", json=asked)).json()
    assert sorted(found_ids(matched), reverse=True) == expected
    assert matched["total"] == {"value": len(expected), "relation": "exact"}
    like = stored[0]["id"]
    near = await shared.client.get(f"{JOBS}/{like}/similar", params=[*parameters(filters), ("top_k", "100")])
    assert set(found_ids(near.json())) <= set(expected) - {like}
    assert bool(found_ids(near.json())) == bool(set(expected) - {like})


@pytest.mark.parametrize("name", list(RULES))
async def test_each_filter_alone_divides_the_postings(shared: Service, stored: list[Job], name: str) -> None:
    """Each filter by itself lets some postings through and not all: the rule above is really put to the test."""
    values: dict[str, Any] = {
        "source": ["linkedin"],
        "company": ["o'neil & sons"],
        "location": "straße 5",
        "remote": True,
        "employment_type": ["contract", "full_time"],
        "posted_after": MOMENTS[2].isoformat(),
        "posted_before": MOMENTS[2].isoformat(),
        "active": True,
    }
    expected = passing(stored, {name: values[name]})
    assert 0 < len(expected) < len(stored)
    answer = await shared.client.get(JOBS, params=[*parameters({name: values[name]}), ("limit", "100")])
    assert [job["id"] for job in answer.json()["items"]] == expected


@pytest.mark.parametrize(
    ("filters", "wrong"),
    [
        ({"source": []}, "/filters/source"),
        ({"source": ["x"] * 51}, "/filters/source"),
        ({"source": "linkedin"}, "/filters/source"),
        ({"company": [1]}, "/filters/company/0"),
        ({"company": ["x" * 201]}, "/filters/company/0"),
        ({"location": ""}, "/filters/location"),
        ({"location": ["Nairobi"]}, "/filters/location"),
        ({"remote": "true"}, "/filters/remote"),
        ({"employment_type": ["x" * 101]}, "/filters/employment_type/0"),
        ({"posted_after": "2026-01-01"}, "/filters/posted_after"),
        ({"posted_before": "2026-01-01T00:00:00"}, "/filters/posted_before"),
        ({"active": 1}, "/filters/active"),
        ({"salary": 1}, "/filters/salary"),
        ({"tenant_id": 2}, "/filters/tenant_id"),
        ({"location": "a\u0000b"}, "/filters/location"),
        ({"company": ["a\u0000b"]}, "/filters/company/0"),
    ],
)
async def test_wrong_filters_are_named(shared: Service, filters: Job, wrong: str) -> None:
    """A filter of a wrong type, size or name is refused with its place in the body."""
    assert list(faults(await shared.client.post(SEARCH, json={"text": "x", "filters": filters}))) == [wrong]


async def test_null_filters_let_all_through(shared: Service, stored: list[Job]) -> None:
    """A filter that is null, or an empty object, is no filter."""
    asked = {"text": TEXT, "mode": "lexical", "filters": dict.fromkeys(RULES)}
    answer = (await shared.client.post(SEARCH, json=asked)).json()
    assert answer["total"]["value"] == len(stored)
