"""Rate limits as callers meet them: who is counted, in which class, and what the headers say."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from service.access.domain import KEPT_S
from service.access.keys import revoke_key
from service.access.model import Caller
from service.config import Settings
from service.http.addresses import address_of
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import JOBS, SEARCH, Clock, problem, sample
from tests.api.test_access import key_of
from tests.conftest import Service, running
from tests.factories import job_body
from tests.fakes import WordEmbedder

SETTINGS = Settings(
    embed_in_serve=False,
    migrate_on_start=False,
    auth="required",
    rate_limit_search="5/minute",
    rate_limit_write="3/hour",
    rate_limit_read="4/minute",
    rate_limit_auth="3/minute",
)
MATCH = "/api/v1/match"
BAD = {"X-API-Key": "js_abc_wrong"}


@pytest.fixture
async def limited(
    dsn: str, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The application with small limits, and time as the test says."""
    monkeypatch.setattr("service.quota.memory.time", clock := Clock())
    monkeypatch.setattr("service.quota.limiter.time", clock)
    async with running(SETTINGS, dsn, telemetry, embedder, monkeypatch) as made:
        made.app.state["clock"] = clock
        yield made


def quota(answer: httpx.Response) -> tuple[str, str]:
    """The two headers, each sent once."""
    for name in ("ratelimit-policy", "ratelimit"):
        assert len(answer.headers.get_list(name)) == 1
    return answer.headers["ratelimit-policy"], answer.headers["ratelimit"]


def looked_up(api: Service) -> float:
    """How often the database was asked for a key."""
    name = "db_client_operation_duration_seconds_count"
    return sample(api, name, db_query_summary="access.fetch_api_key", error_type="")


async def test_the_headers_are_exact(limited: Service) -> None:
    """Quota, window, remainder and time are right on every answer, good or bad; past the limit it is 429."""
    key = await key_of(limited, "acme")
    clock = limited.app.state["clock"]
    paths = [JOBS, f"{JOBS}/1", f"{JOBS}?limit=0", "/api/v1/stats"]
    for left, path in zip((3, 2, 1, 0), paths, strict=True):
        answer = await limited.client.get(path, headers=key)
        assert answer.status_code in (200, 404, 422)
        assert quota(answer) == ('"read";q=4;w=60', f'"read";r={left};t=61')
    clock.now += 20
    refused = await limited.client.get(JOBS, headers=key)
    assert quota(refused) == ('"read";q=4;w=60', '"read";r=0;t=41')
    assert problem(refused, 429, "rate_limited")["detail"] == (
        "The limit 'read' of 4 in 60 s leaves too little for this request"
    )
    assert refused.headers["retry-after"] == "41"
    assert (await limited.client.head(JOBS, headers=key)).status_code == 429
    assert sample(limited, "jobsense_rate_limited_total", **{"class": "read"}) == 2
    clock.now += 41
    assert quota(await limited.client.get(JOBS, headers=key)) == ('"read";q=4;w=60', '"read";r=3;t=61')


async def test_each_class_and_each_key_has_its_own_quota(limited: Service) -> None:
    """Searches, writes and reads of a key are counted apart, keys of one tenant too, whatever their address."""
    one, two = await key_of(limited, "acme"), await key_of(limited, "acme")
    asked: list[tuple[str, str, Any, str]] = [
        ("POST", SEARCH, {"text": "x"}, '"search";r=4;t=61'),
        ("GET", f"{SEARCH}?q=x", None, '"search";r=3;t=61'),
        ("POST", MATCH, {"text": "cook"}, '"search";r=2;t=61'),
        ("GET", f"{JOBS}/1/similar", None, '"search";r=1;t=61'),
        ("POST", JOBS, job_body(), '"write";r=2;t=3620'),
        ("PATCH", f"{JOBS}/9", {}, '"write";r=1;t=3620'),
        ("POST", f"{JOBS}/batch", [job_body(), job_body()], '"write";r=0;t=3620'),
        ("GET", JOBS, None, '"read";r=3;t=61'),
    ]
    for method, path, body, told in asked:
        answer = await limited.client.request(method, path, headers=one, **({} if body is None else {"json": body}))
        assert answer.headers["ratelimit"] == told, (path, answer.text)
    problem(await limited.client.delete(f"{JOBS}/1", headers=one), 429, "rate_limited")
    assert quota(await limited.client.delete(f"{JOBS}/1", headers=two))[1] == '"write";r=2;t=3620'


async def test_a_batch_costs_as_many_searches_as_it_has(limited: Service) -> None:
    """Searches at once use up what as many in a row do; a batch that finds too little left is refused whole."""
    one, two = await key_of(limited, "acme"), await key_of(limited, "acme")

    async def batch(size: int, key: dict[str, str]) -> httpx.Response:
        searches = [{"text": "x", "mode": "lexical"}] * size
        return await limited.client.post(f"{SEARCH}/batch", json={"searches": searches}, headers=key)

    assert quota(await batch(3, one))[1] == '"search";r=2;t=61'
    refused = await batch(4, one)
    problem(refused, 429, "rate_limited")
    assert quota(refused)[1] == '"search";r=1;t=61'
    whole = await batch(5, two)
    assert (whole.status_code, quota(whole)[1]) == (200, '"search";r=0;t=61')
    assert (await batch(1, two)).status_code == 429


async def test_a_key_may_have_a_rate_of_its_own(limited: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in for the settings in every class, also where these set none."""

    async def caller(*_: object) -> Caller:
        return Caller(1, "public", frozenset({"jobs:read", "search"}), "abc", "2/second")

    monkeypatch.setattr("service.access.domain.Access.caller", caller)
    for path, name in ((JOBS, "read"), (f"{SEARCH}?q=x", "search")):
        answers = [await limited.client.get(path, headers=BAD) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert quota(answers[0]) == (f'"{name}";q=2;w=1', f'"{name}";r=1;t=2')
        assert answers[2].headers["retry-after"] == "2"


async def test_bad_credentials_are_counted_by_address(limited: Service) -> None:
    """After three of them an address gets 429 before its keys cost a look at the database, but for those known good."""
    good, unseen = await key_of(limited, "acme"), await key_of(limited, "acme")
    assert (await limited.client.get(JOBS, headers=good)).status_code == 200
    told = []
    for n in range(3):
        answer = await limited.client.get(JOBS, headers={"X-API-Key": f"js_{n}_wrong"})
        problem(answer, 401, "unauthenticated")
        told.append(quota(answer))
    assert told == [('"auth";q=3;w=60', f'"auth";r={left};t=61') for left in (2, 1, 0)]
    before = looked_up(limited)
    for n in range(20):
        answer = await limited.client.get(JOBS, headers={"Authorization": f"Bearer js_{n}_wrong"})
        problem(answer, 429, "rate_limited")
        assert (quota(answer)[1], answer.headers["retry-after"]) == ('"auth";r=0;t=61', "61")
    assert (await limited.client.get(JOBS, headers=unseen)).status_code == 429
    assert looked_up(limited) == before
    assert (await limited.client.get(JOBS, headers=good)).status_code == 200
    limited.app.state["clock"].now += 61
    assert (await limited.client.get(JOBS, headers=unseen)).status_code == 200


async def test_a_key_that_ended_is_no_longer_known_good(limited: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked up once more, then refused like any other from its address."""
    monkeypatch.setattr("service.access.domain.time", clock := Clock())
    good = await key_of(limited, "acme")
    assert (await limited.client.get(JOBS, headers=good)).status_code == 200
    for n in range(3):
        await limited.client.get(JOBS, headers={"X-API-Key": f"js_{n}_wrong"})
    await revoke_key(limited.parts.db, good["X-API-Key"].split("_")[1])
    clock.now += KEPT_S + 1
    before = looked_up(limited)
    for _ in range(3):
        problem(await limited.client.get(JOBS, headers=good), 429, "rate_limited")
    assert looked_up(limited) == before + 1


async def test_callers_without_credentials_are_counted_by_address(limited: Service) -> None:
    """Where keys are required too: a flood of them is 401, then 429, and takes nothing from keys of that address."""
    answers = [await limited.client.get(JOBS) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 429, 429]
    assert quota(answers[3]) == ('"read";q=4;w=60', '"read";r=0;t=61')
    assert (await limited.client.get(JOBS, headers=await key_of(limited, "acme"))).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/auth/token", "//api/v1//auth/refresh", "/api/v1/auth/nowhere"])
async def test_signing_in_is_counted_by_address(limited: Service, path: str) -> None:
    """Whatever is under /auth costs an address its log-ins, before anything is read; what a browser asks first, not."""
    for _ in range(3):
        assert "ratelimit" not in (await limited.client.options(f"http://test{path}")).headers
    answers = [await limited.client.post(f"http://test{path}") for _ in range(4)]
    assert [answer.status_code == 429 for answer in answers] == [False, False, False, True]
    assert quota(answers[2]) == ('"auth";q=3;w=60', '"auth";r=0;t=61')
    problem(answers[3], 429, "rate_limited")


async def test_what_is_public_has_no_limit(limited: Service) -> None:
    """Probes, metrics and documents are not counted."""
    for path in ("/health/live", "/metrics", "/openapi.json", "/docs", "/nowhere"):
        for _ in range(6):
            answer = await limited.client.get(path)
            assert answer.status_code in (200, 404)
            assert "ratelimit" not in answer.headers


async def test_without_limits_nothing_is_counted(shared: Service) -> None:
    """In development no answer has the headers, bad keys included."""
    for headers in ({}, BAD):
        assert "ratelimit" not in (await shared.client.get(JOBS, headers=headers)).headers


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("unknown", "unknown"),
        ("203.0.113.7, 10.0.0.1", "unknown"),
        ("", "unknown"),
    ],
)
def test_an_address_is_counted_by_what_one_customer_has(host: str, counted: str) -> None:
    """IPv4 whole, also inside IPv6; IPv6 by its /64; what is no address all together."""
    assert address_of({"client": (host, 1)}) == counted


def test_a_caller_without_address_is_counted() -> None:
    """A socket that is a file tells none."""
    assert address_of({"client": None}) == "unknown"


async def test_the_health_report_says_where_calls_are_counted(shared: Service) -> None:
    """Without a store they are counted in each process, which is no fault."""
    report = (await shared.client.get("/health")).json()
    assert report["parts"]["store"] == {"status": "up", "detail": {"counts": "in each process"}}
