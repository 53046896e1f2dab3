"""Hostile and mistaken requests against a toy application: each has one exact status, code and list of fields."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar, Router, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, HeaderParameter, JSONBody, RawBody
from msgspec import UNSET, Meta, UnsetType

from service.errors import FieldError, Invalid, UnreadableBody
from service.http.decoding import FORM, JSON, NDJSON, StrictRequest, check_parameters, decode_json, decode_rows, takes
from service.http.field_errors import MAX_ERRORS, all_errors
from service.http.parameters import decode_form, decode_query
from service.http.problem import EXCEPTION_HANDLERS

LIMIT = 65_536


class Pay(msgspec.Struct, forbid_unknown_fields=True):
    """Two bounds with a rule over both."""

    low: Annotated[float, Meta(ge=0)] | None = None
    high: Annotated[float, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise Invalid([FieldError(code="invalid", detail="Must not be below low", pointer="/high")])


class Card(msgspec.Struct, tag="card", tag_field="kind", forbid_unknown_fields=True):
    """One arm of a tagged union."""

    number: Annotated[str, Meta(min_length=4)]


class Cash(msgspec.Struct, tag="cash", tag_field="kind", forbid_unknown_fields=True):
    """The other arm."""

    amount: int


class Posting(msgspec.Struct, forbid_unknown_fields=True):
    """Every kind of field that the service has."""

    title: Annotated[str, Meta(min_length=2, max_length=20)]
    size: Annotated[int, Meta(ge=0, le=100)] = 0
    level: Literal["low", "high"] = "low"
    tags: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=3)] = []
    pay: Pay | None = None
    fee: Card | Cash | None = None
    when: Annotated[datetime, Meta(tz=True)] | None = None
    extra: dict[str, int] = {}
    free: Any = None
    slashed: int = msgspec.field(default=0, name="a/b~c")


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """A PATCH, which tells what is left out from null."""

    title: Annotated[str, Meta(min_length=2)] | UnsetType = UNSET
    note: str | UnsetType | None = UNSET


class ListQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Every kind of query parameter."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    tag: list[Annotated[str, Meta(min_length=2)]] = []
    level: Literal["low", "high"] | None = None
    score: Annotated[float, Meta(ge=0, le=1)] | None = None
    remote: bool | None = None
    after: Annotated[datetime, Meta(tz=True)] | None = None
    keyword: Annotated[str, Meta(max_length=50)] | None = None


class NeedyQuery(msgspec.Struct, forbid_unknown_fields=True):
    """A required parameter, with a rule over two."""

    q: str
    low: int = 0
    high: int = 9

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise Invalid([FieldError(code="invalid", detail="Must not be below low", pointer="/high")])


class Login(msgspec.Struct):
    """A form."""

    username: str
    password: str


@post("/postings")
async def add(data: JSONBody[Posting]) -> Posting:
    """Echo a posting."""
    return data


@post("/many")
async def add_many(data: JSONBody[Annotated[list[Posting], Meta(max_length=2)]]) -> int:
    """Count postings."""
    return len(data)


@post("/keyed")
async def add_keyed(
    data: JSONBody[Posting], key: Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=5)] = None
) -> str:
    """Take a body and a header."""
    return f"{data.title}{key}"


@post("/free")
async def add_free(data: JSONBody[Any]) -> str:
    """Take anything."""
    return json.dumps(data)


@post("/batch", opt=takes(body={JSON: list[Posting], NDJSON: Posting}), request_max_body_size=2 * LIMIT)
async def add_batch(request: StrictRequest, body: RawBody) -> list[str]:
    """Take rows and say which are good."""
    rows = decode_rows(body, request.media_type, Posting)
    return [row.title if isinstance(row, Posting) else ",".join(error.code for error in row) for row in rows]


@post("/token", opt=takes(body={FORM: Login}))
async def log_in(body: RawBody) -> str:
    """Take a form."""
    return decode_form(body, Login).username


@patch("/postings/{posting_id:int}")
async def change(posting_id: FromPath[int], data: JSONBody[Change]) -> dict[str, Any]:
    """Say what a change holds."""
    return {
        "id": posting_id,
        "set": sorted(name for name in data.__struct_fields__ if getattr(data, name) is not UNSET),
    }


@get("/postings", opt=takes(query=ListQuery))
async def list_postings(request: StrictRequest) -> ListQuery:
    """Echo the query."""
    return request.query(ListQuery)


@get("/search", opt=takes(query=NeedyQuery))
async def search(request: StrictRequest) -> NeedyQuery:
    """Echo the query."""
    return request.query(NeedyQuery)


HANDLERS: list[HTTPRouteHandler] = [
    add, add_many, add_keyed, add_free, add_batch, log_in, change, list_postings, search,
]  # fmt: skip


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the toy application."""
    app: Any = Litestar(  # Any: httpx and Litestar spell the type of an ASGI application differently
        [Router("/api/v1", route_handlers=HANDLERS, before_request=check_parameters)],
        request_class=StrictRequest,
        request_max_body_size=LIMIT,
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/api/v1") as client:
        yield client


OK = b'{"title":"cook"}'
# body, status, code of the problem, and the failing fields as "pointer code"
BODIES: dict[str, tuple[bytes, int, str, list[str]]] = {
    "good": (OK, 201, "", []),
    "empty": (b"", 400, "unreadable_body", []),
    "white space": (b" \n", 400, "unreadable_body", []),
    "truncated": (b'{"title":"co', 400, "unreadable_body", []),
    "truncated after an unknown field": (b'{"zz":1', 400, "unreadable_body", []),
    "trailing": (OK + b"x", 400, "unreadable_body", []),
    "two documents": (OK + OK, 400, "unreadable_body", []),
    "single quotes": (b"{'title':'cook'}", 400, "unreadable_body", []),
    "trailing comma": (b'{"title":"cook",}', 400, "unreadable_body", []),
    "broken UTF-8": (b'{"title":"\xff\xfe"}', 400, "unreadable_body", []),
    "surrogate in UTF-8": (b'{"title":"\xed\xa0\x80x"}', 400, "unreadable_body", []),
    "broken UTF-8 in a key": (b'{"\xff":1,"title":"cook"}', 400, "unreadable_body", []),
    "UTF-16": ('{"title":"cook"}'.encode("utf-16"), 400, "unreadable_body", []),
    "byte order mark": (b"\xef\xbb\xbf" + OK, 400, "unreadable_body", []),
    "NaN": (b'{"title":"cook","free":NaN}', 400, "unreadable_body", []),
    "Infinity": (b'{"title":"cook","free":-Infinity}', 400, "unreadable_body", []),
    "raw control character": (b'{"title":"co\x00ok"}', 400, "unreadable_body", []),
    "deep nesting": (b"[" * 60_000, 400, "unreadable_body", []),
    "deep nesting in a free field": (b'{"title":"cook","free":' + b"[" * 60_000, 400, "unreadable_body", []),
    "closed nesting": (b'{"title":"ok","free":' + b"[" * 9000 + b"]" * 9000 + b"}", 400, "unreadable_body", []),
    "too large": (b'{"title":"' + b"x" * LIMIT + b'"}', 413, "body_too_large", []),
    "null": (b"null", 422, "invalid", [" invalid"]),
    "array": (b"[]", 422, "invalid", [" invalid"]),
    "text": (b'"cook"', 422, "invalid", [" invalid"]),
    "1e400 as a number": (b'{"title":"cook","pay":{"low":1e400}}', 422, "invalid", ["/pay/low invalid"]),
    "1e400 in a free field": (b'{"title":"cook","free":[1e400]}', 422, "invalid", ["/free/0 invalid"]),
    "5000 digits": (b'{"title":"cook","size":1' + b"0" * 5000 + b"}", 422, "invalid", ["/size invalid"]),
    "5000 digits in a free field": (b'{"title":"cook","free":' + b"9" * 5000 + b"}", 422, "invalid", ["/free invalid"]),
    "20 digits": (b'{"title":"cook","size":99999999999999999999}', 422, "invalid", ["/size invalid"]),
    "NUL": (b'{"title":"co\\u0000ok"}', 422, "invalid", ["/title unstorable_text"]),
    "NUL in a free field": (b'{"title":"cook","free":{"a":"\\u0000"}}', 422, "invalid", ["/free/a unstorable_text"]),
    "NUL in a key": (b'{"title":"cook","free":{"\\u0000":1}}', 422, "invalid", ["/free/\x00 unstorable_text"]),
    "escaped text that looks like NUL": (b'{"title":"co\\\\u0000ok"}', 201, "", []),
    "lone high surrogate": (b'{"title":"co\\ud800"}', 422, "invalid", ["/title unstorable_text"]),
    "lone low surrogate": (b'{"title":"co\\udc00ok"}', 422, "invalid", ["/title unstorable_text"]),
    "lone surrogate for a choice": (b'{"title":"cook","level":"\\ud800"}', 422, "invalid", ["/level unstorable_text"]),
    "lone surrogate in a key": (b'{"title":"cook","\\ud800":1}', 422, "invalid", ["/? unstorable_text", "/? unknown"]),
    "surrogate pair": (b'{"title":"\\ud83d\\ude00 cook"}', 201, "", []),
    "repeated key, last good": (b'{"size":5,"size":7,"title":"cook"}', 201, "", []),
    "repeated key, last bad": (b'{"size":7,"size":-1,"title":"cook"}', 422, "invalid", ["/size invalid"]),
    "text for a number": (b'{"title":"cook","size":"1"}', 422, "invalid", ["/size invalid"]),
    "1.0 for a whole number": (b'{"title":"cook","size":1.0}', 422, "invalid", ["/size invalid"]),
    "true for a number": (b'{"title":"cook","size":true}', 422, "invalid", ["/size invalid"]),
    "null where none is allowed": (b'{"title":null}', 422, "invalid", ["/title invalid"]),
    "missing": (b"{}", 422, "invalid", ["/title missing"]),
    "unknown": (b'{"title":"cook","id":1}', 422, "invalid", ["/id unknown"]),
    "escaped pointer": (b'{"title":"cook","a/b~c":"x"}', 422, "invalid", ["/a~1b~0c invalid"]),
    "time without an offset": (b'{"title":"cook","when":"2026-01-01T00:00:00"}', 422, "invalid", ["/when invalid"]),
    "unknown kind": (b'{"title":"cook","fee":{"kind":"gold"}}', 422, "invalid", ["/fee/kind invalid"]),
    "no kind": (b'{"title":"cook","fee":{}}', 422, "invalid", ["/fee/kind missing"]),
    "wrong arm": (
        b'{"title":"cook","fee":{"kind":"cash","number":1}}', 422, "invalid",
        ["/fee/amount missing", "/fee/number unknown"],
    ),
    "rule over two fields": (b'{"title":"cook","pay":{"low":2,"high":1}}', 422, "invalid", ["/pay/high invalid"]),
    "too many items": (b'{"title":"cook","tags":["a","b","c","d"]}', 422, "invalid", ["/tags invalid"]),
    "white space only": (b'{"title":"   "}', 422, "invalid", ["/title invalid"]),
    "too long until trimmed": (b'{"title":"' + b" " * 30 + b'cook\\u00a0"}', 201, "", []),
    "everything at once": (
        (
            b'{"size":-1,"level":"mid","tags":["",1],"pay":{"low":-1,"high":"x","z":0},'
            b'"fee":{"kind":"card","number":"1"},"when":"never","extra":{"a":"b"},"more":1}'
        ),
        422,
        "invalid",
        [
            "/title missing", "/size invalid", "/level invalid", "/tags/0 invalid", "/tags/1 invalid",
            "/pay/low invalid", "/pay/high invalid", "/pay/z unknown", "/fee/number invalid", "/when invalid",
            "/extra/a invalid", "/more unknown",
        ],
    ),
}  # fmt: skip


def fields_of(answer: httpx.Response) -> list[str]:
    """The failing fields of an answer as "place code"."""
    errors = answer.json().get("errors", [])
    return [f"{error.get('pointer', error.get('parameter'))} {error['code']}" for error in errors]


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    """Hold an answer against the shape that every error has."""
    assert answer.status_code == status, answer.text
    if code:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (problem["code"], problem["status"]) == (code, status)
        assert problem["type"] == f"urn:jobsense:problem:{code}"
        assert problem["detail"]
        assert len(answer.content) < 20_000


@pytest.mark.parametrize("name", BODIES)
async def test_each_body_has_its_answer(client: httpx.AsyncClient, name: str) -> None:
    """A body is accepted, or refused with the right status and exactly the fields that are wrong."""
    body, status, code, fields = BODIES[name]
    answer = await client.post("/postings", content=body, headers={"Content-Type": JSON})
    assert_problem(answer, status, code)
    if code:
        assert sorted(fields_of(answer)) == sorted(fields)


@pytest.mark.parametrize("name", BODIES)
async def test_no_body_is_our_fault(client: httpx.AsyncClient, name: str) -> None:
    """Whatever the body, a route that takes anything and one that takes rows never answer 5xx."""
    for path, media_type in (("/free", JSON), ("/batch", JSON), ("/batch", NDJSON), ("/many", JSON)):
        answer = await client.post(path, content=BODIES[name][0], headers={"Content-Type": media_type})
        assert answer.status_code < 500, answer.text


HEADERS: list[tuple[dict[str, str], int, str]] = [
    ({"Content-Type": "application/json"}, 201, ""),
    ({"Content-Type": "Application/JSON; charset=UTF-8"}, 201, ""),
    ({"Content-Type": "application/merge-patch+json"}, 201, ""),
    ({"Content-Type": "application/json", "Content-Encoding": "identity"}, 201, ""),
    ({}, 415, "unsupported_media_type"),
    ({"Content-Type": ""}, 415, "unsupported_media_type"),
    ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/xml"}, 415, "unsupported_media_type"),
    ({"Content-Type": "text/xml+json"}, 415, "unsupported_media_type"),
    ({"Content-Type": NDJSON}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    ({"Content-Type": "multipart/form-data; boundary=x"}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/json; charset=latin-1"}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/json", "Content-Length": str(LIMIT + 1)}, 413, "body_too_large"),
    ({"Content-Type": "application/json", "Content-Length": "x"}, 400, "bad_request"),
]


@pytest.mark.parametrize(("headers", "status", "code"), HEADERS)
async def test_each_content_header_has_its_answer(
    client: httpx.AsyncClient, headers: dict[str, str], status: int, code: str
) -> None:
    """A good body is read only as uncompressed JSON of an allowed size."""
    assert_problem(await client.post("/postings", content=OK, headers=headers), status, code)


async def test_a_body_is_counted_as_it_arrives(client: httpx.AsyncClient) -> None:
    """A chunked body over the limit is refused, and so is one that says it is shorter than it is."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b" " * 1024

    headers = {"Content-Type": JSON}
    assert_problem(await client.post("/postings", content=chunks(), headers=headers), 413, "body_too_large")
    lying = {**headers, "Content-Length": "10"}
    assert_problem(await client.post("/postings", content=b" " * 80_000, headers=lying), 413, "body_too_large")
    roomier = await client.post("/batch", content=b"[" + b" " * 80_000 + b"]", headers=headers)
    assert_problem(roomier, 201, "")


async def test_a_body_that_is_cut_off_is_not_our_fault(client: httpx.AsyncClient) -> None:
    """A client that goes away in the middle of its body is answered 400, not logged as a failure of the service."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/postings", "raw_path": b"", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "server": ("test", 80), "client": ("test", 1),
        "scheme": "http", "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    await client._transport.app(scope, receive, send)  # type: ignore[attr-defined] # httpx has no public way to it
    assert sent[0]["status"] == 400


# query string, status, failing parameters
QUERIES: list[tuple[str, int, list[str]]] = [
    ("", 200, []),
    ("limit=5&tag=ab&tag=cd&level=low&score=0.5&remote=true&after=2026-01-01T00:00:00Z&keyword=%C3%A9", 200, []),
    ("after=2026-01-01T00:00:00%2B03:00", 200, []),
    ("after=2026-01-01T00:00:00+03:00", 200, []),
    ("keyword=null", 200, []),
    ("keyword=nan", 200, []),
    ("remote=1", 200, []),
    ("nope=1", 422, ["nope unknown"]),
    ("nope=1&nope=2&other=3", 422, ["nope unknown", "other unknown"]),
    ("limit=1&limit=2", 422, ["limit repeated"]),
    ("limit=", 422, ["limit invalid"]),
    ("keyword=", 422, ["keyword invalid"]),
    ("keyword=%20", 422, ["keyword invalid"]),
    ("keyword", 422, ["keyword invalid"]),
    ("tag=", 422, ["tag invalid"]),
    ("tag=ab&tag=c", 422, ["tag invalid"]),
    ("limit=0", 422, ["limit invalid"]),
    ("limit=101", 422, ["limit invalid"]),
    ("limit=abc", 422, ["limit invalid"]),
    ("limit=1.0", 422, ["limit invalid"]),
    ("limit=1e1", 422, ["limit invalid"]),
    ("limit=%2B5", 422, ["limit invalid"]),
    ("limit=1_0", 422, ["limit invalid"]),
    ("limit=%D9%A5", 422, ["limit invalid"]),
    ("limit=null", 422, ["limit invalid"]),
    ("limit=" + "9" * 5000, 422, ["limit invalid"]),
    ("score=nan", 422, ["score invalid"]),
    ("score=inf", 422, ["score invalid"]),
    ("score=-Infinity", 422, ["score invalid"]),
    ("score=1e400", 422, ["score invalid"]),
    ("score=null", 422, ["score invalid"]),
    ("score=1.1", 422, ["score invalid"]),
    ("remote=yes", 422, ["remote invalid"]),
    ("remote=2", 422, ["remote invalid"]),
    ("level=mid", 422, ["level invalid"]),
    ("level=null", 422, ["level invalid"]),
    ("after=2026-01-01", 422, ["after invalid"]),
    ("after=1700000000", 422, ["after invalid"]),
    ("keyword=a%00b", 422, ["keyword unstorable_text"]),
    ("keyword=%FF", 422, ["keyword invalid"]),
    ("keyword=%ED%A0%80", 422, ["keyword invalid"]),
    ("%FF=1", 422, ["\ufffd unknown"]),
    ("limit=x&score=y&nope=1&keyword=" + "k" * 51, 422,
     ["limit invalid", "score invalid", "nope unknown", "keyword invalid"]),
    ("&".join(f"a{number}=1" for number in range(201)), 422, [" invalid"]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "status", "fields"), QUERIES)
async def test_each_query_has_its_answer(client: httpx.AsyncClient, query: str, status: int, fields: list[str]) -> None:
    """A query string is read strictly, and every wrong, unknown and repeated parameter is named."""
    answer = await client.get(f"/postings?{query}")
    assert_problem(answer, status, "invalid" if status == 422 else "")
    assert sorted(fields_of(answer) if status == 422 else []) == sorted(fields)


async def test_query_values_have_their_types(client: httpx.AsyncClient) -> None:
    """What a handler gets are numbers, truth values, times and lists, not text."""
    answer = await client.get("/postings?limit=5&tag=ab&tag=cd&score=0.5&remote=false&after=2026-01-01T00:00:00+03:00")
    assert answer.json() == {
        "limit": 5, "tag": ["ab", "cd"], "level": None, "score": 0.5, "remote": False,
        "after": "2026-01-01T00:00:00+03:00", "keyword": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "fields"),
    [("", ["q missing"]), ("q=a&low=5&high=1", ["high invalid"]), ("low=x", ["q missing", "low invalid"])],
)
async def test_required_parameters_and_rules(client: httpx.AsyncClient, query: str, fields: list[str]) -> None:
    """A missing parameter is named, and a rule over several names the one it is about."""
    answer = await client.get(f"/search?{query}")
    assert_problem(answer, 422, "invalid")
    assert sorted(fields_of(answer)) == sorted(fields)


async def test_errors_of_body_query_and_header_come_together(client: httpx.AsyncClient) -> None:
    """One answer names what is wrong in the body, the query string and a header."""
    headers = {"Content-Type": JSON, "Idempotency-Key": "longer"}
    answer = await client.post("/keyed?x=1", content=b'{"size":-1}', headers=headers)
    assert_problem(answer, 422, "invalid")
    expected = ["/size invalid", "/title missing", "Idempotency-Key invalid", "x unknown"]
    assert sorted(fields_of(answer)) == sorted(expected)
    good_body = await client.post("/keyed?x=1", content=OK, headers=headers)
    assert sorted(fields_of(good_body)) == ["Idempotency-Key invalid", "x unknown"]


async def test_a_route_without_parameters_takes_none(client: httpx.AsyncClient) -> None:
    """A parameter is refused even where the body and everything else is good."""
    answer = await client.post("/free?debug=1", content=b"{}", headers={"Content-Type": JSON})
    assert_problem(answer, 422, "invalid")
    assert fields_of(answer) == ["debug unknown"]
    assert (await client.post("/token?a=1", content=b"", headers={"Content-Type": FORM})).status_code == 422


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"{}", 200, []),
        (b'{"note":null}', 200, ["note"]),
        (b'{"note":"x","title":"ab"}', 200, ["note", "title"]),
        (b'{"title":null}', 422, ["/title invalid"]),
        (b'{"title":"a","version":1}', 422, ["/title invalid", "/version unknown"]),
    ],
)
async def test_patch_tells_left_out_from_null(
    client: httpx.AsyncClient, body: bytes, status: int, expected: list[str]
) -> None:
    """A PATCH sets what it holds; null is allowed only where the field may be cleared."""
    answer = await client.patch("/postings/7", content=body, headers={"Content-Type": JSON})
    assert answer.status_code == status
    assert sorted(answer.json()["set"] if status == 200 else fields_of(answer)) == expected


@pytest.mark.parametrize("posting_id", ["+7", "007", "7_0", "7.0", "x", "%D9%A7", "9" * 5000])
async def test_an_id_has_one_spelling(client: httpx.AsyncClient, posting_id: str) -> None:
    """Other spellings of a number in the path lead nowhere."""
    answer = await client.patch(f"/postings/{posting_id}", content=b"{}", headers={"Content-Type": JSON})
    assert_problem(answer, 404, "not_found")


async def test_rows_are_judged_one_by_one(client: httpx.AsyncClient) -> None:
    """In a batch a bad row, even one that is no JSON, leaves the others alone; a bad array is refused whole."""
    rows = b'{"title":"cook"}\r\n\n{"title":1}\n{nope\n{"title":"\\u0000"}\n{"title":"\xff"}\n{"title":"baker"}'
    answer = await client.post("/batch", content=rows, headers={"Content-Type": NDJSON})
    assert answer.json() == ["cook", "invalid", "unreadable_body", "unstorable_text", "unreadable_body", "baker"]
    array = await client.post("/batch", content=b'[{"title":" cook "},{},3]', headers={"Content-Type": JSON})
    assert array.json() == ["cook", "missing", "invalid"]
    for body, status in ((b'{"title":"cook"}', 422), (b'[{"title":', 400), (b"", 400)):
        assert (await client.post("/batch", content=body, headers={"Content-Type": JSON})).status_code == status


async def test_forms_are_read_strictly(client: httpx.AsyncClient) -> None:
    """A form names its failing fields by pointer, and passes over fields it does not know."""
    headers = {"Content-Type": FORM}
    good = await client.post("/token", content=b"username=amina&password=p%26w&grant_type=password", headers=headers)
    assert (good.status_code, good.text) == (201, "amina")
    bad = await client.post("/token", content=b"username=a&username=b", headers=headers)
    assert sorted(fields_of(bad)) == ["/password missing", "/username repeated"]


def test_the_list_of_errors_is_bounded() -> None:
    """A body with a thousand faults is answered with fifty of them."""
    assert len(all_errors(list[int], ["x"] * 1000)) == MAX_ERRORS
    assert len(all_errors(Posting, {"title": "cook", **{f"k{number}": 1 for number in range(1000)}})) == MAX_ERRORS


def test_containers_and_nested_types_are_walked() -> None:
    """Tuples, sets, maps and lists of Structs name the item that is wrong; a union of plain types names itself."""
    assert [error.pointer for error in all_errors(tuple[int, str], [1, 2])] == ["/1"]
    assert [error.pointer for error in all_errors(set[int], [1, "a"])] == ["/1"]
    assert [error.pointer for error in all_errors(dict[str, list[Pay]], {"a/b": [{}, {"low": "x"}]})] == ["/a~1b/1/low"]
    assert [error.pointer for error in all_errors(int | str | None, 1.5)] == [""]
    assert all_errors(dict[int, str], {"1": "a"}) == []


def test_a_parameter_is_one_value_deep() -> None:
    """A Struct that no query string can express is refused when it is first used, not half read."""

    class Deep(msgspec.Struct):
        pay: Pay | None = None

    with pytest.raises(TypeError, match="pay"):
        decode_query(b"", Deep)


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NEAR_POSTINGS = st.fixed_dictionaries(
    {},
    optional={
        "title": JSON_VALUES | st.just("cook"), "size": JSON_VALUES | st.just(1), "level": JSON_VALUES | st.just("low"),
        "tags": JSON_VALUES | st.just(["a"]), "pay": JSON_VALUES | st.fixed_dictionaries({"low": JSON_VALUES}),
        "fee": JSON_VALUES | st.fixed_dictionaries({"kind": st.just("card"), "number": JSON_VALUES}),
        "when": JSON_VALUES, "extra": JSON_VALUES, "free": JSON_VALUES, "odd": JSON_VALUES,
    },
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(JSON_VALUES | NEAR_POSTINGS)
def test_errors_are_listed_exactly_when_decoding_fails(value: Any) -> None:
    """`all_errors` never raises, is empty exactly for what fits, and points at places that exist or are missing."""
    errors = all_errors(Posting, value)
    text = json.dumps(value)
    if "\\u0000" not in text and not any(isinstance(item, str) and "\ud800" <= item <= "\udfff" for item in [value]):
        try:
            msgspec.json.decode(text, type=Posting)
        except (ValueError, Invalid):
            assert errors
        else:
            assert errors == []
    for error in errors:
        assert error.pointer is not None
        assert error.parameter is None
        assert error.detail
        assert error.code in ("missing", "unknown", "invalid", "unstorable_text")


FAULTS: dict[str, Any] = {
    "/title": 5, "/size": -1, "/level": "mid", "/tags": 3, "/pay": [], "/fee": "x", "/when": "now", "/extra": 1,
    "/odd": 1,
}  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.sets(st.sampled_from(sorted(FAULTS))))
def test_every_wrong_field_is_named(places: set[str]) -> None:
    """Any mixture of faults is answered with exactly their pointers."""
    value = {"title": "cook", **{place[1:]: FAULTS[place] for place in places}}
    assert {error.pointer for error in all_errors(Posting, value)} == places


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_decoding_any_bytes_gives_a_value_or_our_error(body: bytes) -> None:
    """Bytes of any kind are decoded or refused by an error of ours, as a body, as rows and as a query string."""
    for read in (
        lambda: decode_json(body, Posting),
        lambda: decode_rows(body, JSON, Posting),
        lambda: decode_rows(body, NDJSON, Posting),
        lambda: decode_query(body, ListQuery),
        lambda: decode_form(body, Login),
    ):
        try:
            read()
        except (UnreadableBody, Invalid) as error:
            assert error.detail  # noqa: PT017 - either outcome is right; anything else fails the test
