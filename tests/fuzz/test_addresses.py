"""Paths, queries, methods and hosts that try to be read as something else."""

from collections.abc import Iterator

import pytest

from tests.api.calls import JOBS, SEARCH, create
from tests.fuzz.conftest import Target
from tests.fuzz.wire import PROBLEM, Answer, is_refused, request

pytestmark = pytest.mark.usefixtures("healthy")

TRICKS = [
    "/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/docs/../../etc/passwd", "/docs/%2e%2e%2f%2e%2e%2fetc/passwd",
    "/docs/..%5c..%5cconfig.py", "/docs//etc/passwd", "/docs/%00", "/docs/swagger-ui.css%00.js", "/docs/.", "/docs/..",
    "/%00", "/api/v1/jobs/%00", "/api/v1/jobs/1%00", "/api/v1/jobs/1;a=b", "/api/v1/jobs;a=b", "/;/api/v1/jobs",
    "/api/v1/jobs/../jobs", "/api/v1/./jobs", "/api/v1/jobs/%2e", "/api/v1/%6aobs/%31%2e%30", "/api/v1/jobs%2f1",
    "/api/v1/jobs/1/../../../health", "/api/v1/jobs/-1", "/api/v1/jobs/0", "/api/v1/jobs/+1", "/api/v1/jobs/01",
    "/api/v1/jobs/1e3", "/api/v1/jobs/1.0", "/api/v1/jobs/0x1", "/api/v1/jobs/1_0", "/api/v1/jobs/%D9%A1",
    "/api/v1/jobs/9223372036854775808", "/api/v1/jobs/" + "9" * 4301, "/api/v1/jobs/" + "9" * 60_000,
    "/api/v1/jobs/%EF%BC%91", "/api/v1/jobs/nan", "/api/v1/jobs/null", "/api/v1/jobs/1%0d%0aX-Injected:%20yes",
    "/api/v1/jobs/%E2%80%AE1", "/api/v1/jobs/%f0%28%8c%bc", "/%ff%fe", "/%c0%af%c0%ae%c0%ae", "/%u002e", "/%", "/%zz",
    "/" + "a/" * 20_000, "/" + "%2f" * 20_000, "/" + "/" * 60_000, "/" + "%F0%9F%98%80" * 5000,
    "/api/v1/jobs/1/similar/../../batch", "/metrics/../api/v1/jobs", "/health/../admin", "/API/V1/JOBS", "/api/v2/jobs",
    "http://elsewhere/nowhere", "http://user:secret@elsewhere/nowhere", "//elsewhere/nowhere", "///", "/?/../",
]  # fmt: skip


@pytest.mark.parametrize("path", TRICKS, ids=lambda path: path[:40])
async def test_a_path_is_what_it_is(target: Target, path: str) -> None:
    """A path that leads nowhere is a small problem of status 4xx, whatever it would be after a second reading."""
    answers = await target.wire.get(path)
    assert is_refused(answers, 400, 404, 405, 422), answers
    (answer,) = answers
    assert b"x-injected" not in answer.headers
    assert len(answer.body) < 20_000
    assert b"root:" not in answer.body


async def test_one_posting_has_one_address(target: Target) -> None:
    """Slashes more or less and escapes that need not be lead to the posting, and so does an absolute address."""
    job = (await create(target.api))["id"]
    escaped = "".join(f"%3{digit}" for digit in str(job))
    for path in (f"{JOBS}/{job}", f"//api//v1/jobs/{job}/", f"http://localhost{JOBS}/{job}", f"{JOBS}/{escaped}"):
        (answer,) = await target.wire.get(path)
        assert (answer.status, answer.json()["id"]) == (200, job), path


def queries() -> Iterator[str]:
    """Query strings for every parameter of the list and the search that hold what no caller means."""
    values = (
        "%00", "a%00b", "%ff", "%ed%a0%80", "%C0%80", "", "%20", "nan", "NaN", "inf", "-inf", "Infinity",
        "1e400", "-1e400",
        "9" * 400, "-" + "9" * 400, "9223372036854775808", "1e-400", "0x10", "1_0", "%D9%A1", "null", "[]", "{}",
        "%E2%80%AE%E2%80%8B%EF%BB%BF", "%F0%9F%98%80" * 100, "x" * 3000, "0000-00-00T00:00:00Z", "9999-12-31T23:59:60Z",
        "2026-02-30T00:00:00Z", "0001-01-01T00:00:00%2B14:00", "'", "%27%3B--", "../../etc/passwd",
        "true%00", "%0d%0aX-Injected:1",
    )  # fmt: skip
    names = (
        "limit", "cursor", "keyword", "source", "company", "location", "remote", "employment_type", "salary_min",
        "salary_max", "currency", "salary_period", "include_unpriced", "posted_after", "posted_before", "active",
    )  # fmt: skip
    for name in names:
        yield from (f"{name}={value}" for value in values)


async def test_a_query_is_read_or_refused(target: Target) -> None:
    """Every parameter with every hostile value: read as what it is, or refused by its name; never a fault of ours."""
    refused = 0
    for number, query in enumerate(queries()):
        path = (f"{JOBS}?", f"{SEARCH}?q=cook&mode=lexical&")[number % 2]
        priced = "&currency=KES" if query.startswith("salary_m") else ""
        (answer,) = await target.wire.get(f"{path}{query}{priced}")
        assert fits(answer, query.split("=")[0]), (query, answer)
        refused += answer.status == 422
    assert refused > 250


def fits(answer: Answer, name: str) -> bool:
    """Whether an answer is a result, or a problem that names the parameter."""
    if answer.status == 200:
        return True
    said = answer.json()
    named = [error.get("parameter") for error in said.get("errors", ())]
    return answer.headers[b"content-type"] == PROBLEM and answer.status in {410, 422} and (name in named or not named)


@pytest.mark.parametrize(
    "query",
    [
        "limit=1&" * 5000, "source=linkedin&" * 199, "source=linkedin&" * 3000, "&" * 50_000, "=" * 50_000,
        "?" * 50_000,
        "%" * 50_000, "%26" * 20_000, "a[b][c]=1", "limit[]=1", "limit=1&limit=2", "limit=1;limit=2", "limit=1#x",
        "+=+",
        "&".join(f"x{number}=1" for number in range(199)), "__proto__[x]=1", "filters[source]=x",
        "\x7f", "limit=1&LIMIT=2",
        "keyword=" + "%22" * 400, "keyword=" + "-a " * 100 + "OR", "keyword=" + "(" * 400,
        "keyword=" + "a%20OR%20" * 60,
    ],
    ids=lambda query: query[:20],
)  # fmt: skip
async def test_a_flood_of_parameters_is_cheap(target: Target, query: str) -> None:
    """Thousands of parameters, or one parameter a thousand times, are refused or read in a moment."""
    answers = await target.wire.get(f"{JOBS}?{query}".replace(" ", "%20"))
    assert is_refused(answers, 400, 422) or answers[0].status == 200, answers
    assert len(answers[0].body) < 20_000


@pytest.mark.parametrize(
    "method", ["TRACE", "PUT", "PROPFIND", "PURGE", "SEARCH", "M-SEARCH", "LINK", "QUERY", "SOURCE", "PRI", "DESCRIBE"]
)
async def test_a_method_that_nobody_asked_for_is_refused(target: Target, method: str) -> None:
    """It is 405 with what the path answers, or no method of HTTP at all; nothing that was sent comes back."""
    (answer,) = await target.wire.send(request(method.encode(), JOBS, b"X-Secret: canary"))
    assert (answer.status, answer.headers[b"content-type"]) in {(405, PROBLEM), (400, PROBLEM)}
    assert answer.status == 400 or b"GET" in answer.headers[b"allow"]
    assert b"canary" not in answer.body


async def test_no_header_changes_the_method_or_the_path(target: Target) -> None:
    """Headers by which some frameworks let a request be another one are headers like any other."""
    job = (await create(target.api))["id"]
    tricks = (b"X-HTTP-Method-Override: DELETE", b"X-Method-Override: DELETE", b"X-HTTP-Method: DELETE")
    paths = (b"X-Original-URL: /metrics", b"X-Rewrite-URL: /metrics", b"X-Forwarded-Prefix: /metrics")
    (answer,) = await target.wire.get(f"{JOBS}/{job}", *tricks, *paths)
    assert (answer.status, answer.json()["id"]) == (200, job)
    posted = await target.wire.post(f"{JOBS}/{job}", b"_method=DELETE", *tricks)
    assert is_refused(posted, 405)


@pytest.mark.parametrize(
    "header",
    [
        b"X-Request-ID: a\tb", b"X-Request-ID: " + b"a" * 129, b"X-Request-ID: \xff\xfe", b"X-Request-ID: ${jndi}",
        b"traceparent: 00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"traceparent: \xff",
        b"traceparent: " + b"a" * 9000, b"tracestate: " + b"a=b," * 2000, b"If-None-Match: \xff",
        b"If-None-Match: " + b'"' * 9000, b"If-None-Match: W/",
        b"If-Match: \xff\x80", b"Accept: \xff", b"Accept: */*;q=nan", b"Accept-Encoding: " + b"gzip;q=1e400," * 900,
        b"Accept-Encoding: \xff", b"Range: bytes=0-18446744073709551616", b"Range: bytes=" + b"0-1," * 2000,
        b"Cookie: " + b"a=b;" * 2000, b"Cookie: \xff=\xff", b"Authorization: Bearer \xff", b"Authorization: Bearer",
        b"Authorization: \xff", b"Authorization: Basic ====", b"X-API-Key: \xff", b"X-API-Key: a,b", b"Origin: \xff",
        b"Origin: null", b"Origin: http://x\xffy", b'Forwarded: for="[::1]";by=\xff', b"X-Forwarded-For: \xff, 1",
        b"X-Forwarded-Proto: javascript", b"X-Forwarded-Host: evil", b"Idempotency-Key: \xff", b"Expect: 200-maybe",
        b"Content-Type: \xff", b"Content-Type: " + b"a/b;" * 2000, b"Content-Encoding: \xff",
        b"Date: \xff", b"Via: \xff",
        b"Access-Control-Request-Method: \xff", b"Accept-Language: \xff", b"User-Agent: \x80\xff", b"Referer: \xff",
    ],
    ids=lambda header: header[:40].decode("latin-1"),
)  # fmt: skip
async def test_a_header_that_says_nothing_breaks_nothing(target: Target, header: bytes) -> None:
    """It is passed over, or refused with a problem, on reading, writing and preflight alike."""
    job = (await create(target.api))["id"]
    patch = (b"Content-Type: application/json", b"Content-Length: 2", header)
    for sent in (
        request(b"GET", f"{JOBS}/{job}", header),
        request(b"PATCH", f"{JOBS}/{job}", *patch) + b"{}",
        request(b"OPTIONS", JOBS, header),
        request(b"GET", "/docs", header),
        request(b"GET", "/metrics", header),
    ):
        answers = await target.wire.send(sent)
        assert is_refused(answers, *range(400, 432)) or answers[0].status < 400, answers
        assert b"\xff" not in b"".join(answers[0].headers.values())
