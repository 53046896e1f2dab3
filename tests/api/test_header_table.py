"""The README's table of headers: what answers carry is listed there, with the values that never change."""

from collections.abc import AsyncIterator

import httpx
import pytest

from service.config import Settings
from service.http.cors import ALLOWED, EXPOSED
from service.telemetry.lifecycle import Telemetry
from service.telemetry.security import security_headers
from tests.api.calls import JOBS, SEARCH
from tests.api.people import PASSWORD, TOKEN, add_person, post_form
from tests.api.test_access import key_of
from tests.conftest import Service, running
from tests.docs.test_readme import _rows
from tests.factories import job_body
from tests.fakes import WordEmbedder

ORIGIN = "https://app.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
OF_THE_SERVER = {"date"}


def listed(where: str) -> dict[str, str]:
    """The headers of requests or of answers, with what the table says of them."""
    return {
        name.strip("` ").lower(): row[2].strip("`")
        for row in _rows("Headers")
        if row[1] == where
        for name in row[0].split(",")
    }


@pytest.fixture
async def whole(
    dsn: str, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The application with everything on."""
    settings = Settings(
        embed_in_serve=False,
        migrate_on_start=False,
        auth="required",
        cors_origins=(ORIGIN,),
        rate_limit_read="100/minute",
        rate_limit_write="1/minute",
    )
    async with running(settings, dsn, telemetry, embedder, monkeypatch) as made:
        yield made


async def answers(api: Service) -> list[httpx.Response]:
    """One answer of each kind."""
    client, key = api.client, await key_of(api, "acme")
    made = await client.post(JOBS, json=job_body(description="cook " * 500), headers=key)
    found = [made, await client.get(JOBS, headers=key | {"Origin": ORIGIN, "Accept-Encoding": "zstd"})]
    read = await client.get(made.headers["location"], headers=key)
    found.append(read)
    found.append(await client.get(made.headers["location"], headers=key | {"If-None-Match": read.headers["etag"]}))
    found += [await client.options(JOBS, headers=PREFLIGHT), await client.put(JOBS), await client.get(JOBS)]
    found += [await client.post(JOBS, json=job_body(), headers=key), await client.get("https://test/health")]
    found += [await client.post(SEARCH, json={}, headers=key), await client.get("/nowhere"), await client.get("/docs")]
    await add_person(api, "Amina", role="reader")
    found.append(await post_form(api, TOKEN, username="Amina", password=PASSWORD))
    wanted = [201, 200, 200, 304, 204, 405, 401, 429, 200, 422, 404, 200, 200]
    assert [answer.status_code for answer in found] == wanted
    return found


async def test_the_headers_of_answers_are_listed(whole: Service) -> None:
    """Each that comes is in the table, and each in the table comes, or is one that a script may read."""
    seen = {name.lower() for answer in await answers(whole) for name in answer.headers} - OF_THE_SERVER
    table = set(listed("answer"))
    assert seen - table == set()
    assert table - seen <= {name.lower() for name in EXPOSED}


def test_what_scripts_may_read_and_set_is_listed() -> None:
    """Each header that CORS lets through is in the table."""
    assert {name.lower() for name in EXPOSED} <= set(listed("answer"))
    assert {name.lower() for name in ALLOWED} <= set(listed("request"))


def test_the_values_of_security_headers_are_listed() -> None:
    """The table quotes them as they are sent."""
    sent = {name.decode(): value.decode() for name, value in security_headers("/api/v1/jobs", https=True)}
    assert {name: value for name, value in listed("answer").items() if name in sent} == sent
