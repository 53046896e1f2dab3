"""Text made to be read as SQL, or to forge a line of a log: taken as the text it is."""

import io
import json
import time
from collections.abc import Iterator

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from service.telemetry.lifecycle import Identification, start_telemetry
from service.telemetry.logs import get_logger
from service.telemetry.sampling import OtelSettings
from tests.api.calls import JOBS, SEARCH, create
from tests.factories import job_body
from tests.fuzz.conftest import Target
from tests.fuzz.wire import Answer, request

pytestmark = pytest.mark.usefixtures("healthy")

SQL = [
    "' OR '1'='1", "' OR 1=1 --", "') OR ('1'='1", "')) OR 1=1 --", '" OR ""="', "1 OR 1=1", "1; DROP TABLE job; --",
    "'; DROP TABLE job; --", "'); DELETE FROM job; --", "' UNION SELECT secret_hash FROM api_key --", "' AND 1=0 --",
    "' UNION ALL SELECT null,null,version() --", "1 UNION SELECT * FROM pg_shadow", "'; SELECT pg_sleep(30); --",
    "' || pg_sleep(30) || '", "1 AND (SELECT 1 FROM pg_sleep(30))", "'; COPY job TO PROGRAM 'id'; --", "$1", "$$x$$",
    "$$; DROP TABLE job; $$", "'::regclass", "E'\\x27'", "\\' OR 1=1 --", "%' OR title LIKE '%", "_", "%", "%%", "\\%",
    "*",
    "/**/OR/**/1=1", "'/*", "*/ OR 1=1", "--", "#", ";", "'", "''", '"', "`", "\\", "\\\\", "\u02bc OR 1=1",
    "\uff07 OR 1=1",
    "') AS x; SET ROLE postgres; --", "{1,2}", "{}", "ARRAY[1]", "(1,2)", "null", "true", "current_user",
    "a:*", "a & b", "a | b", "!a", "a <-> b", "'a':1A", "a:*ABCD & !b", "<a>", "a\\:b", "((((", "))))", "OR", "-",
    "-'",
    '"unclosed phrase', '""', '" "', "@@", "'a' @@ 'b'", "[1,2,3]", "[0]::vector", "1e309", "@>", "?|", "\U0001f600'--",
]  # fmt: skip
PATIENCE_S = 10.0


async def test_text_in_every_field_is_text(target: Target) -> None:
    """Stored in every field it comes back as it was; a filter by it finds the posting that holds it, and no other."""
    rows = [
        job_body(title=f"x{text}", company=text, location=text, description=f"zebu {text}", external_id=text)
        for text in SQL
    ]
    (stored,) = await target.wire.post(f"{JOBS}/batch", msgspec.json.encode(rows))
    for row, result in zip(rows, stored.json()["results"], strict=True):
        assert result["status"] == "created", (row, result)
        text = row["company"]
        for filters in ({"company": [text]}, {"location": text}, {"company": ["nobody", text], "location": text}):
            listed = await target.api.client.get(JOBS, params=filters)
            (found,) = listed.json()["items"]
            assert found["id"] == result["id"], filters
            assert {name: found[name] for name in row} == row
        asked = {"text": "zebu", "mode": "lexical", "filters": {"company": [text]}}
        (searched,) = await target.wire.post(SEARCH, msgspec.json.encode(asked))
        assert [hit["job"]["id"] for hit in searched.json()["results"]] == [result["id"]], text
        (patched,) = await target.wire.send(patch(result["id"], msgspec.json.encode({"title": f"y{text}"})))
        assert patched.json()["title"] == f"y{text}"
        await target.api.client.delete(f"{JOBS}/{result['id']}")


def patch(job_id: int, body: bytes) -> bytes:
    """A PATCH on the wire."""
    head = (b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    return request(b"PATCH", f"{JOBS}/{job_id}", *head) + body


def requests(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Every parameter of the list and the search that takes text, with this text."""
    yield from ((JOBS, {name: text}) for name in ("keyword", "cursor", "source", "company", "location", "currency"))
    yield from ((JOBS, {name: text}) for name in ("employment_type", "salary_period", "salary_min", "posted_after"))
    for name in ("cursor", "source", "company", "location", "employment_type", "facets", "mode", "on_degraded"):
        yield (SEARCH, {"q": "zebu", name: text})
    yield from ((SEARCH, {"q": text, "mode": mode}) for mode in ("lexical", "semantic", "hybrid"))
    yield (f"{JOBS}/{text}", {})


@pytest.fixture(scope="module")
async def others(target: Target) -> int:
    """A few postings that no such text names; how many there are."""
    for _ in range(3):
        await create(target.api, title="Herder", description="Mind the goats")
    await target.api.embed()
    return await stored(target)


async def stored(target: Target) -> int:
    """How many postings there are."""
    async with target.api.parts.db.connection() as connection:
        count: int = await connection.fetchval("select count(*) from job")
    return count


SOME = [SQL[::4], pytest.param(SQL, marks=pytest.mark.long)]


@pytest.mark.parametrize("texts", SOME, ids=len)
async def test_text_in_every_parameter_is_text(target: Target, others: int, texts: list[str]) -> None:
    """It finds nothing by being there, is refused where it is no value of the parameter, and takes no time."""
    for text in texts:
        for path, params in requests(text):
            began = time.monotonic()
            answer = await target.api.client.get(path, params=params, timeout=60)
            assert time.monotonic() - began < PATIENCE_S
            assert answer.status_code in {200, 404, 410, 422}, (path, params, answer.text)
            narrow = {"company", "location", "keyword"} & params.keys() and not text.startswith("-")
            if answer.status_code == 200 and narrow:
                assert answer.json().get("items", answer.json().get("results")) == [], (params, answer.text)
    assert await stored(target) == others


@pytest.mark.parametrize("texts", SOME, ids=len)
async def test_text_in_headers_is_text(target: Target, others: int, texts: list[str]) -> None:
    """Where a header is compared with what is stored it is compared as text."""
    job = (await create(target.api))["id"]
    for text in texts:
        for name in ("If-Match", "If-None-Match", "X-API-Key", "Authorization", "Idempotency-Key"):
            header = f"{name}: {text}".encode()
            (answer,) = await target.wire.get(f"{JOBS}/{job}", header)
            assert answer.status in {200, 304, 400, 401, 412, 422}, (text, answer)
            (answer,) = await target.wire.send(request(b"DELETE", f"{JOBS}/{job}", header))
            assert answer.status in {204, 400, 401, 412, 422}, (text, answer)
            if answer.status == 204:
                job = (await create(target.api))["id"]
    await target.api.client.delete(f"{JOBS}/{job}")
    assert await stored(target) == others


FORGED = '2026-01-01 [info] forged","level":"critical","x":"'
CONTROLS = "\r\n\t\x0b\x0c\x1b[31m\x1b]0;t\x07\x00\x08\x7f\x85\x9b31m\u2028\u2029\u202e\u2066\ufeff" + FORGED


def hostile_requests() -> Iterator[bytes]:
    """Requests that carry control characters wherever a caller can put them."""
    escaped = "".join(f"%{byte:02x}" for byte in CONTROLS.encode())
    raw = CONTROLS.replace("\r", "").replace("\n", "").replace("\x00", "").encode()
    yield request(b"GET", f"/{escaped}")
    yield request(b"GET", f"/api/v1/jobs/{escaped}/similar")
    yield request(b"GET", f"{JOBS}?{escaped}={escaped}&limit={escaped}")
    yield request(b"GET", f"{SEARCH}?mode=lexical&q={escaped.replace('%00', '')}")
    for name in (
        b"X-Request-ID",
        b"User-Agent",
        b"traceparent",
        b"tracestate",
        b"X-Forwarded-For",
        b"Origin",
        b"Referer",
    ):
        yield request(b"GET", JOBS, name + b": \x80\xff\xc2\x9b" + FORGED.encode())
        yield request(b"GET", JOBS, name + b": " + raw)
    yield b"GET / HTTP/1.1\r\nHost: \x1b[31m\r\n\r\n" + CONTROLS.encode()
    yield CONTROLS.encode() + b"\r\n\r\n"
    for body in (json.dumps(job_body(title=CONTROLS, source=CONTROLS)).encode(), CONTROLS.encode()):
        yield request(b"POST", JOBS, b"Content-Type: application/json", b"Content-Length: %d" % len(body)) + body
        yield request(b"POST", JOBS, b"Content-Type: " + raw, b"Content-Length: %d" % len(body)) + body


def forged(written: bytes) -> bool:
    """Whether a log holds a byte that ends a line early or that a terminal obeys."""
    text = written.decode()
    return any(not char.isprintable() and char != "\n" for char in text)


async def test_no_request_forges_a_line_of_the_log(target: Target) -> None:
    """Whatever a caller sends, each line is one JSON object of a known event, with nothing that a terminal obeys."""
    begun = len(target.log.getvalue())
    answers: list[Answer] = []
    for sent in hostile_requests():
        answers += await target.wire.send(sent)
    assert {answer.status // 100 for answer in answers} <= {2, 4}
    written = target.log.getvalue()[begun:]
    lines = [json.loads(line) for line in written.splitlines()]
    assert len(lines) >= 20
    assert {line["level"] for line in lines} == {"info"}
    assert {line["event"] for line in lines} == {"http.request", "http.refused"}
    assert not forged(written)


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_no_text_forges_a_line_of_either_form(log_format: str) -> None:
    """In both forms of the log a field, however deep and whatever its text, stays within its line."""
    stream = io.BytesIO()
    telemetry = start_telemetry(
        what=Identification(version="0.0.0"),
        otel=OtelSettings(),
        log_format="console" if log_format == "console" else "json",
        log_stream=stream,
        registry=CollectorRegistry(),
    )
    log = get_logger(__name__)
    log.info("service.ready", version=CONTROLS, more={CONTROLS: [CONTROLS, (CONTROLS,)]})
    log.warning("log", message=CONTROLS)
    await telemetry.stop()
    written = stream.getvalue()
    assert written.count(b"\n") == len(written.decode().splitlines()) >= 2
    assert not forged(written)
