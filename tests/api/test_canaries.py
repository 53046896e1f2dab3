"""Secrets that callers and operators hand in come out nowhere: not in answers, logs, traces, metrics or settings.

A canary is planted in every place that may hold a secret, everything is made to go wrong, and all that leaves the
process is searched for it, in the clear and in the forms that it may be written in.
"""

import base64
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry
from rich.pretty import pretty_repr

from service.config import SECRETS, Settings, shown
from service.errors import DatabaseUnavailable
from service.telemetry.lifecycle import Identification, Telemetry, start_telemetry
from service.telemetry.sampling import OtelSettings, Sampling
from tests.api.calls import JOBS, SEARCH
from tests.api.test_access import key_of
from tests.conftest import running
from tests.fakes import WordEmbedder
from tests.otlp_receiver import OtlpReceiver, otlp_receiver
from tests.pay.feed_server import FeedServer, feed_server

CANARY = "canary+7f3a/9d"
FORMS = (CANARY, quote(CANARY, safe=""), base64.b64encode(f"me:{CANARY}".encode()).decode(), "canary", "Y2FuYXJ5")
TOKEN = f"js_0123456789ab_{CANARY}"


def planted(feed: FeedServer) -> Settings:
    """Settings with a canary in each that may hold a secret; the store is away, the feed answers."""
    settings = Settings(
        embed_in_serve=False,
        migrate_on_start=False,
        auth="required",
        jwt_secret=CANARY * 4,
        database_url=f"postgresql://me:{quote(CANARY, safe='')}@127.0.0.1:1/jobs",
        store_url=f"valkey://me:{quote(CANARY, safe='')}@127.0.0.1:1/0",
        ollama_url=f"http://me:{quote(CANARY, safe='')}@127.0.0.1:1",
        ollama_headers=(("Authorization", f"Bearer {CANARY}"), ("X-Key", CANARY)),
        rates_url=feed.url.replace("s3cret", quote(CANARY, safe="")),
        rate_limit_auth="1000/minute",
        rate_limit_read="1000/minute",
    )
    assert {name for name in SECRETS if getattr(settings, name)} == SECRETS
    return settings


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """What takes the traces."""
    with otlp_receiver() as made:
        yield made


@asynccontextmanager
async def recorded(receiver: OtlpReceiver, log: io.BytesIO) -> AsyncIterator[Telemetry]:
    """Every line, also those for debugging, and every trace."""
    made = start_telemetry(
        what=Identification(version="0.0.0"),
        otel=OtelSettings(endpoint=receiver.endpoint, sampling=Sampling(1.0)),
        log_level="debug",
        log_stream=log,
        registry=CollectorRegistry(),
    )
    yield made
    await made.stop()


REQUESTS: list[tuple[str, str, dict[str, str], Any]] = [
    *(
        ("GET", path, headers, None)
        for path in (JOBS, "/nowhere", f"{JOBS}?limit=0")
        for headers in (
            {"X-API-Key": CANARY},
            {"X-API-Key": TOKEN},
            {"Authorization": f"Bearer {TOKEN}"},
            {"Authorization": f"Basic {FORMS[2]}"},
            {"Authorization": CANARY},
            {"Cookie": f"session={CANARY}", "Proxy-Authorization": f"Basic {FORMS[2]}", "X-Auth-Token": CANARY},
        )
    ),
    *(
        ("GET", f"{path}?{name}={quote(CANARY, safe='')}", {}, None)
        for path in (JOBS, "/nowhere", "/health/live", "/docs")
        for name in ("token", "api_key", "password", "access_token")
    ),
    ("POST", SEARCH, {}, {"text": "x", "password": CANARY, "nested": {"token": CANARY}}),
    ("POST", f"{SEARCH}/batch", {}, {"searches": [{"text": "x", "api_key": CANARY}]}),
    ("POST", JOBS, {}, {"title": "Cook", "secret": CANARY}),
    ("POST", "/api/v1/auth/token", {}, {"username": "me", "password": CANARY}),
    ("PUT", JOBS, {"X-API-Key": TOKEN}, {"password": CANARY}),
]


async def ask_everything(client: httpx.AsyncClient, key: str) -> Iterator[str]:
    """Send all of them, with good credentials where they have none, and give the answers as text."""
    answers = []
    for method, path, headers, body in REQUESTS:
        for sent in (headers, {"X-API-Key": key} | headers):
            answer = await client.request(method, path, headers=sent, **({} if body is None else {"json": body}))
            assert answer.status_code != 429
            answers.append(answer)
    assert {answer.status_code for answer in answers} >= {200, 401, 404, 405, 422}
    return (f"{answer.status_code} {answer.headers} {answer.text}" for answer in answers)


async def fail(*_: object, **__: object) -> None:
    """A fault of ours whose text holds all that a library may put there."""
    raise RuntimeError(
        f"postgresql://me:{CANARY}@db/jobs password={CANARY} Authorization: Bearer {CANARY} "
        f"{{'X-API-Key': '{CANARY}', \"token\": \"{CANARY}\"}}"
    )


async def unavailable(*_: object, **__: object) -> None:
    """A database that is away, in the chain of whose exceptions the address stands."""
    try:
        await fail()
    except RuntimeError as error:
        raise DatabaseUnavailable("The database does not answer", reason="unreachable") from error


async def test_no_secret_comes_out(
    dsn: str,
    receiver: OtlpReceiver,
    embedder: WordEmbedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not by any header, parameter, field of a body, setting or exception, into any answer, line, span or metric."""
    log = io.BytesIO()
    said: list[str] = []
    async with feed_server() as feed, recorded(receiver, log) as telemetry:
        settings = planted(feed)
        async with running(settings, dsn, telemetry, embedder, monkeypatch) as api:
            key = (await key_of(api, "acme"))["X-API-Key"]
            said += await ask_everything(api.client, key)
            for fault in (fail, unavailable):
                monkeypatch.setattr(api.parts.jobs, "list", fault)
                answer = await api.client.get(JOBS, headers={"X-API-Key": key})
                assert answer.status_code in (500, 503)
                said.append(f"{answer.headers} {answer.text}")
            while not (feed.requests and b"rates.fetched" in log.getvalue()):
                await api.client.get("/health/live")
            said.append((await api.client.get("/health")).text)
            said.append((await api.client.get("/metrics")).text)
            await telemetry.flush()
    assert "canary" in feed.requests[0]  # it was used
    written = log.getvalue().decode()
    assert "store.lost" in written
    assert "exception.stacktrace" in written
    assert len(receiver.spans) > len(REQUESTS)
    said += [written, *(str(span) for span in receiver.spans)]
    said += [repr(settings), pretty_repr(settings), str(shown(settings)), str(msgspec.structs.asdict(Settings()))]
    found = [(form, text[max(0, text.index(form) - 200) :][:300]) for text in said for form in FORMS if form in text]
    assert not found, "\n\n".join(map(str, found))
    assert key.split("_")[2] not in "".join(said)
