"""GET /api/v1/rates: what is known, with dates, and what is not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.access.keys import create_key
from service.pay.model import Rate
from tests.api.calls import faults, problem
from tests.conftest import Service

RATES = "/api/v1/rates"
DAY = datetime(2026, 1, 2, tzinfo=UTC)
TOLD = [
    Rate("USD", "KES", 100.0, DAY - timedelta(days=1), "bank"),
    Rate("USD", "KES", 125.0, DAY, "bank"),
    Rate("EUR", "KES", 150.0, DAY - timedelta(days=1), "desk"),
]


async def listed(api: Service, **parameters: str) -> dict[str, Any]:
    """The answer."""
    response = await api.client.get(RATES, params=parameters)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "private, max-age=60"
    found: dict[str, Any] = response.json()
    return found


async def test_nothing_is_known_at_first(api: Service) -> None:
    """Without rates the list is empty, and the base is the dollar unless told otherwise."""
    before = datetime.now(UTC)
    answer = await listed(api)
    assert (answer["base"], answer["rates"]) == ("USD", [])
    assert before <= datetime.fromisoformat(answer["at"]) <= datetime.now(UTC)


async def test_rates_are_listed_by_currency(api: Service) -> None:
    """As told, the other way round, and over other currencies, which is marked; each with its date and source."""
    await api.parts.rates.store(TOLD)
    dollar = await listed(api)
    assert dollar["rates"] == [
        {
            "currency": "EUR",
            "rate": pytest.approx(125 / 150),
            "valid_at": "2026-01-01T00:00:00Z",
            "source": "bank, desk",
            "derived": True,
        },
        {"currency": "KES", "rate": 125.0, "valid_at": "2026-01-02T00:00:00Z", "source": "bank", "derived": False},
    ]
    shilling = (await listed(api, base="KES"))["rates"]
    assert [(one["currency"], one["rate"], one["derived"]) for one in shilling] == [
        ("EUR", 1 / 150, True),
        ("USD", 1 / 125, True),
    ]
    assert (await listed(api, base="JPY"))["rates"] == []


async def test_a_moment_has_its_own_rates(api: Service) -> None:
    """Of an earlier moment the rates are those that were the last by then."""
    await api.parts.rates.store(TOLD)
    earlier = await listed(api, base="USD", at="2026-01-01T12:00:00+03:00")
    assert {one["currency"]: one["rate"] for one in earlier["rates"]}["KES"] == 100
    assert datetime.fromisoformat(earlier["at"]) == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert (await listed(api, at="2025-01-01T00:00:00Z"))["rates"] == []


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"base": "ABC"}, {"base": "unknown_currency"}),
        ({"base": "usd"}, {"base": "invalid"}),
        ({"at": "yesterday"}, {"at": "invalid"}),
        ({"at": "0001-01-01T00:00:00+03:00"}, {"at": "out_of_range"}),
        ({"at": "0001-01-01T00:00:00+03:00", "base": "ABC"}, {"at": "out_of_range", "base": "unknown_currency"}),
        ({"to": "KES"}, {"to": "unknown"}),
    ],
)
async def test_wrong_parameters_are_named(api: Service, parameters: dict[str, str], wrong: dict[str, str]) -> None:
    """Every one, with its code."""
    assert faults(await api.client.get(RATES, params=parameters)) == wrong


async def test_rates_need_the_scope_to_read(api: Service) -> None:
    """A key that may only search is refused."""
    key = await create_key(api.parts.db, tenant="public", name="searcher", scopes=["search"])
    problem(await api.client.get(RATES, headers={"X-API-Key": key}), 403, "forbidden")
