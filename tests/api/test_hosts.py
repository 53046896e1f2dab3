"""The Host header, and what else callers may say about where they think they are."""

from collections.abc import AsyncIterator
from itertools import product

import pytest

from service.config import Settings
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import JOBS, create, problem
from tests.conftest import Service, running
from tests.factories import job_body
from tests.fakes import WordEmbedder


@pytest.fixture
async def hosted(
    dsn: str, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The application for two hosts and the subdomains of one."""
    hosts = ("api.example", "*.api.example", "[2001:db8::1]", "intern.example:8443")
    settings = Settings(embed_in_serve=False, migrate_on_start=False, allowed_hosts=hosts)
    async with running(settings, dsn, telemetry, embedder, monkeypatch) as made:
        yield made


HOSTS = [
    ("api.example", True),
    ("API.Example:8000", True),
    ("eu.api.example", True),
    ("a.b.api.example:1", True),
    ("[2001:db8::1]:8000", True),
    ("intern.example:8443", True),
    ("intern.example", False),
    ("evil.example", False),
    ("api.example.evil.example", False),
    ("evilapi.example", False),
    (".api.example", False),
    ("api.example:port", False),
    ("api.example:", False),
    ("api.example@evil.example", False),
    ("evil.example#api.example", False),
    ("evil.example/api.example", False),
    ("api.example evil.example", False),
    ("api.example,evil.example", False),
    ("", False),
]


async def test_a_host_is_one_of_the_listed(hosted: Service) -> None:
    """Any other is 400 on every path but those of probes, with the headers of any answer."""
    for (host, known), path in product(HOSTS, (JOBS, "/nowhere", "/docs")):
        answer = await hosted.client.get(path, headers={"Host": host})
        if known:
            assert answer.status_code in (200, 404), host
        else:
            problem(answer, 400, "bad_request")
            assert answer.headers["x-content-type-options"] == "nosniff"
    probe = await hosted.client.get("/health/live", headers={"Host": "10.0.0.7:8000"})
    assert probe.status_code == 200


async def test_two_hosts_are_refused(hosted: Service, shared: Service) -> None:
    """Whichever comes first, with and without a list, and on the paths of probes too (RFC 9112, 3.2)."""
    for service, first, path in product((hosted, shared), ("api.example", "evil.example"), (JOBS, "/health/live")):
        answer = await service.client.get(path, headers=[("Host", first), ("Host", "api.example")])
        problem(answer, 400, "bad_request")


@pytest.mark.parametrize("host", ["a b", "a/b", "me@host", "a?b", "<script>", "a\\b"])
async def test_what_is_no_host_is_refused(shared: Service, host: str) -> None:
    """Also where any host is taken; its text is not repeated."""
    answer = await shared.client.get(JOBS, headers={"Host": host})
    assert host not in problem(answer, 400, "bad_request")["detail"]


async def test_other_headers_about_hosts_change_nothing(hosted: Service) -> None:
    """X-Forwarded-Host, Forwarded and the like neither let a caller in nor get into an answer."""
    said = dict.fromkeys(("X-Forwarded-Host", "X-Host", "X-Original-Host", "X-Forwarded-Server"), "evil.example") | {
        "Forwarded": "host=evil.example;proto=https",
        "X-Original-URL": "/admin",
        "X-Rewrite-URL": "/admin",
    }
    problem(await hosted.client.get(JOBS, headers=said | {"Host": "evil.example"}), 400, "bad_request")
    made = await hosted.client.post(JOBS, json=job_body(), headers=said | {"Host": "api.example"})
    assert made.headers["location"].startswith("/api/v1/jobs/")
    page = await hosted.client.get("/docs", headers=said | {"Host": "api.example"})
    assert "evil" not in str(made.headers) + made.text + str(page.headers) + page.text


async def test_a_location_is_relative(api: Service) -> None:
    """So no header of a caller or proxy can lead somebody elsewhere."""
    assert (await create(api))["id"]
    made = await api.client.post(JOBS, json=job_body(), headers={"Host": "anything.example"})
    assert made.headers["location"].startswith("/")
