"""Filters on pay over HTTP: a list and each mode of a search let through the same, and say how they compared."""

from datetime import UTC, datetime
from typing import Any

import pytest

from service.jobs.pay import monthly
from service.pay.model import Rate
from tests.api.calls import JOBS, SEARCH, Parameters, create, exported, faults, found_ids
from tests.conftest import Service
from tests.factories import job_body

OLD, NEW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
TEXT = "keep the books of the shop in town"
TO_SHILLINGS = {"KES": 1.0, "USD": 130.0, "EUR": 150.0}
"""The rates by which the rule below compares; of yen nothing is known."""
PAYS: list[dict[str, Any]] = [
    {},
    {"salary_min": 50_000, "salary_max": 70_000, "currency": "KES", "salary_period": "month"},
    {"salary_min": 50_000, "salary_max": 70_000, "currency": "KES"},
    {"salary_min": 50_000, "salary_max": 70_000, "salary_period": "month"},
    {"salary_min": 9_000, "currency": "USD", "salary_period": "year"},
    {"salary_max": 20, "currency": "EUR", "salary_period": "hour"},
    {"salary_min": 2_000, "salary_max": 2_500, "currency": "KES", "salary_period": "day"},
    {"salary_min": 300_000, "salary_max": 400_000, "currency": "JPY", "salary_period": "month"},
    {"currency": "KES", "salary_period": "month"},
]
FILTERS: list[dict[str, Any]] = [
    {"currency": "KES"},
    {"currency": "USD"},
    {"currency": "KES", "include_unpriced": True},
    {"salary_min": 60_000, "currency": "KES"},
    {"salary_min": 60_000, "currency": "KES", "include_unpriced": True},
    {"salary_max": 60_000, "currency": "KES"},
    {"salary_min": 700, "salary_max": 800, "currency": "USD"},
    {"salary_min": 15, "currency": "EUR", "salary_period": "hour"},
    {"salary_min": 500_000, "salary_max": 900_000, "currency": "KES", "salary_period": "year"},
    {"salary_min": 200_000, "currency": "JPY", "salary_period": "week", "include_unpriced": True},
    {"salary_max": 1, "currency": "KES"},
    {"salary_min": 40_000, "currency": "KES", "location": "nairobi", "active": True},
]


@pytest.fixture(scope="module")
async def stored(shared: Service) -> list[dict[str, Any]]:
    """Postings with each kind of pay as they are stored and embedded, newest first; and the rates."""
    await shared.parts.rates.store(
        [Rate("USD", "KES", 130.0, OLD, "bank"), Rate("KES", "EUR", 1 / 150, NEW, "bank")],
    )
    bodies = [job_body(**pay, location=place) for pay in PAYS for place in ("Nairobi", "Kisumu")]
    await shared.client.post(f"{JOBS}/batch", json=bodies)
    await shared.embed()
    items: list[dict[str, Any]] = (await shared.client.get(JOBS, params={"limit": 100})).json()["items"]
    assert len(items) == len(bodies)
    return items


def passes(job: dict[str, Any], filters: dict[str, Any]) -> bool:
    """The rule in plain words, for each period and currency by itself."""
    if filters.get("location") and job["location"].casefold() != filters["location"]:
        return False
    ends = [end for end in (job["salary_min"], job["salary_max"]) if end is not None]
    if not (ends and job["currency"] and job["salary_period"]):
        return bool(filters.get("include_unpriced"))
    asked = [filters.get("salary_min"), filters.get("salary_max")]
    if asked == [None, None]:
        return bool(job["currency"] == filters["currency"])
    if job["currency"] != filters["currency"] and not {job["currency"], filters["currency"]} <= TO_SHILLINGS.keys():
        return bool(filters.get("include_unpriced"))
    low, high = (
        monthly(end, job["salary_period"]) * TO_SHILLINGS.get(job["currency"], 1) for end in (ends[0], ends[-1])
    )
    period, worth = filters.get("salary_period", "month"), TO_SHILLINGS.get(filters["currency"], 1)
    least, most = (None if end is None else monthly(end, period) * worth for end in asked)
    return (least is None or high >= least) and (most is None or low <= most)


@pytest.mark.parametrize("filters", FILTERS, ids=str)
async def test_lists_and_searches_compare_pay_alike(
    shared: Service, stored: list[dict[str, Any]], filters: dict[str, Any]
) -> None:
    """A list, an export, and a search in each mode, by body and by URL, hold exactly what the rule lets through."""
    expected = [job["id"] for job in stored if passes(job, filters)]
    assert len(expected) < len(stored)
    parameters: Parameters = [(name, "true" if value is True else value) for name, value in filters.items()]
    listed = (await shared.client.get(JOBS, params=[*parameters, ("limit", "100")])).json()
    assert [job["id"] for job in listed["items"]] == expected
    assert await exported(shared, parameters) == listed["items"][::-1]
    for mode in ("semantic", "lexical", "hybrid"):
        asked = {"text": TEXT, "mode": mode, "top_k": 100, "min_score": 0, "filters": filters}
        answer = (await shared.client.post(SEARCH, json=asked)).json()
        assert sorted(found_ids(answer), reverse=True) == expected, mode
        assert answer["pay"] == listed["pay"]
        url = [("q", TEXT), ("mode", mode), ("top_k", "100"), ("min_score", "0"), *parameters]
        by_url = (await shared.client.get(SEARCH, params=url)).json()
        assert by_url | {"took_ms": 0} == answer | {"took_ms": 0}


async def test_the_answer_says_how_pay_was_compared(shared: Service, stored: list[dict[str, Any]]) -> None:
    """The band for a month in the filter's currency, the dates of the rates, and what a week is taken to have."""
    assert stored
    filters: dict[str, Any] = {"salary_min": 1_200, "salary_max": 2_400, "currency": "KES", "salary_period": "year"}
    answer = (await shared.client.get(JOBS, params=filters)).json()
    note = {
        "currency": "KES",
        "monthly_min": 100.0,
        "monthly_max": 200.0,
        "rates_from": "2026-01-01T00:00:00Z",
        "rates_to": "2026-02-01T00:00:00Z",
        "hours_per_week": 40,
        "days_per_week": 5,
    }
    assert answer["pay"] == note
    alone = (await shared.client.get(JOBS, params={"currency": "KES"})).json()["pay"]
    assert alone == note | dict.fromkeys(("monthly_min", "monthly_max", "rates_from", "rates_to"))
    yen = (await shared.client.get(JOBS, params={"currency": "JPY", "salary_min": 5})).json()["pay"]
    assert (yen["rates_from"], yen["monthly_min"], yen["monthly_max"]) == (None, 5, None)
    assert (await shared.client.get(JOBS, params={"include_unpriced": "true"})).json()["pay"] is None
    assert (await shared.client.get(SEARCH, params={"q": TEXT})).json()["pay"] is None


WRONG = [
    ({"salary_min": 1}, {"currency": "missing"}),
    ({"salary_max": 1, "salary_period": "day"}, {"currency": "missing"}),
    ({"salary_min": 1, "currency": "ABC"}, {"currency": "unknown_currency"}),
    ({"currency": "ABC"}, {"currency": "unknown_currency"}),
    ({"salary_period": "day"}, {"salary_period": "missing_amount"}),
    ({"salary_period": "day", "currency": "KES"}, {"salary_period": "missing_amount"}),
    ({"salary_min": 2, "salary_max": 1, "currency": "KES"}, {"salary_min": "salary_out_of_order"}),
    ({"salary_min": 2, "salary_max": 1}, {"salary_min": "salary_out_of_order", "currency": "missing"}),
    ({"currency": "ABC", "salary_period": "day"}, {"currency": "unknown_currency", "salary_period": "missing_amount"}),
    ({"salary_min": -1, "currency": "KES"}, {"salary_min": "invalid"}),
    (
        {"salary_min": 1, "currency": "kes", "salary_period": "hourly"},
        {"currency": "invalid", "salary_period": "invalid"},
    ),
    ({"include_unpriced": "perhaps"}, {"include_unpriced": "invalid"}),
]


@pytest.mark.parametrize(("filters", "wrong"), WRONG, ids=str)
async def test_wrong_filters_on_pay_are_all_named(
    shared: Service, filters: dict[str, Any], wrong: dict[str, str]
) -> None:
    """Each field that is wrong, in a URL as a parameter, in a body by its place, beside whatever else is wrong."""
    assert faults(await shared.client.get(JOBS, params=filters)) == wrong
    assert faults(await shared.client.get(SEARCH, params={"q": TEXT} | filters)) == wrong
    posted = await shared.client.post(SEARCH, json={"text": "", "filters": filters})
    assert faults(posted) == {f"/filters/{name}": code for name, code in wrong.items()} | {"/text": "invalid"}


async def test_a_new_rate_between_two_pages_is_no_other_list(api: Service) -> None:
    """A cursor holds what was asked, not what money was worth; another way to say the same is the same, too."""
    ids = [(await create(api, salary_min=n * 100, currency="USD", salary_period="month"))["id"] for n in range(1, 4)]
    await api.parts.rates.store([Rate("USD", "KES", 130.0, OLD, "bank")])
    asked: dict[str, Any] = {"salary_min": 13_000, "currency": "KES", "limit": 2}
    first = (await api.client.get(JOBS, params=asked)).json()
    assert [job["id"] for job in first["items"]] == ids[:0:-1]
    await api.parts.rates.store([Rate("USD", "KES", 131.0, NEW, "bank")])
    same = asked | {"salary_min": 156_000, "salary_period": "year", "cursor": first["next_cursor"]}
    second = (await api.client.get(JOBS, params=same)).json()
    assert [job["id"] for job in second["items"]] == ids[:1]
    assert second["pay"]["rates_to"] == "2026-02-01T00:00:00Z"
    other = await api.client.get(JOBS, params=same | {"salary_min": 157_000})
    assert other.status_code in (410, 422)
