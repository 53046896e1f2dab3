"""Browsers of other origins: what those that are listed get, to the letter, and that others get nothing."""

from collections.abc import AsyncIterator
from itertools import product

import httpx
import pytest

from service.config import Settings, read
from service.errors import SettingError
from service.http.cors import ALLOWED, EXPOSED
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import JOBS
from tests.conftest import Service, running
from tests.fakes import WordEmbedder

ORIGIN = "https://app.example"
ASK = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "if-match, x-api-key"}


@pytest.fixture
async def cross(
    dsn: str, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application with two listed origins, one written carelessly."""
    origins = (ORIGIN, "https://Other.Example:443")
    settings = Settings(embed_in_serve=False, migrate_on_start=False, cors_origins=origins)
    async with running(settings, dsn, telemetry, embedder, monkeypatch) as made:
        yield made.client


def granted(answer: httpx.Response) -> dict[str, str]:
    """What the answer says of CORS."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def varies(answer: httpx.Response) -> set[str]:
    """What the answer varies by."""
    return {part.strip() for value in answer.headers.get_list("vary") for part in value.split(",")}


async def test_a_preflight_of_a_listed_origin(cross: httpx.AsyncClient) -> None:
    """It is told the methods of that path, the headers, and how long that holds; nothing about credentials."""
    for origin in (ORIGIN, "https://other.example"):
        answer = await cross.options(f"{JOBS}/7", headers=ASK | {"Origin": origin})
        assert (answer.status_code, answer.content) == (204, b"")
        assert granted(answer) == {
            "access-control-allow-origin": origin,
            "access-control-allow-methods": "DELETE, GET, HEAD, OPTIONS, PATCH",
            "access-control-allow-headers": ", ".join(ALLOWED),
            "access-control-max-age": "600",
        }
        assert varies(answer) == {"Origin"}


async def test_an_answer_to_a_listed_origin(cross: httpx.AsyncClient) -> None:
    """Every status is readable, with the headers that clients need; the cache is told that it depends on the origin."""
    for path, status in ((JOBS, 200), (f"{JOBS}/7", 404), ("/nowhere", 404), (f"{JOBS}?limit=0", 422)):
        answer = await cross.get(path, headers={"Origin": ORIGIN})
        assert answer.status_code == status
        assert granted(answer) == {
            "access-control-allow-origin": ORIGIN,
            "access-control-expose-headers": ", ".join(EXPOSED),
        }
        assert varies(answer) >= {"Origin", "Accept-Encoding"}
    assert {"ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"} <= set(EXPOSED)


OTHERS = (
    "https://evil.example",
    "http://app.example",
    "https://app.example:8443",
    "https://app.example.evil.example",
    "https://sub.app.example",
    "https://app.example/",
    "HTTPS://APP.EXAMPLE",
    "null",
    "*",
    "",
)


async def test_another_origin_gets_nothing(cross: httpx.AsyncClient) -> None:
    """No header of CORS at all, whatever it asks; the answer is as without, and varies alike."""
    asks: list[tuple[str, dict[str, str]]] = [("OPTIONS", ASK), ("GET", {})]
    for origin, (method, ask) in product(OTHERS, asks):
        answer = await cross.request(method, JOBS, headers=ask | {"Origin": origin})
        assert granted(answer) == {}, origin
        assert "Origin" in varies(answer)


async def test_two_origins_are_none(cross: httpx.AsyncClient) -> None:
    """A request that names several is of no listed one."""
    answer = await cross.get(JOBS, headers=[("Origin", ORIGIN), ("Origin", "https://evil.example")])
    assert granted(answer) == {}


async def test_without_an_origin_the_answer_still_varies(cross: httpx.AsyncClient) -> None:
    """Else a cache would give an answer without the headers to a browser."""
    answer = await cross.get(JOBS)
    assert granted(answer) == {}
    assert varies(answer) >= {"Origin", "Accept-Encoding"}


async def test_a_preflight_of_no_path_is_404(cross: httpx.AsyncClient) -> None:
    """It may be read, and grants no methods."""
    answer = await cross.options("/nowhere", headers=ASK | {"Origin": ORIGIN})
    assert answer.status_code == 404
    assert "access-control-allow-methods" not in granted(answer)


async def test_without_listed_origins_nothing_is_said(shared: Service) -> None:
    """Neither of origins nor of varying by them; a preflight is answered as any OPTIONS."""
    answer = await shared.client.options(JOBS, headers=ASK | {"Origin": ORIGIN})
    assert (answer.status_code, granted(answer), varies(answer)) == (204, {}, set())


def test_a_star_refuses_to_start() -> None:
    """Callers send credentials, with which a star must not be."""
    with pytest.raises(SettingError, match="exact origins"):
        read({"JOBSENSE_CORS_ORIGINS": "https://app.example,*"})
