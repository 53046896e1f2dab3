"""Hostile and mistaken bodies: each has one exact status, code and list of failing fields."""

import httpx
import pytest

from service.http.decoding import JSON, NDJSON
from tests.toy_postings import GOOD, LIMIT, assert_problem, fields_of

# body, status, code of the problem, and the failing fields as "pointer code"
BODIES: dict[str, tuple[bytes, int, str, list[str]]] = {
    "good": (GOOD, 201, "", []),
    "empty": (b"", 400, "unreadable_body", []),
    "white space": (b" \n", 400, "unreadable_body", []),
    "truncated": (b'{"title":"co', 400, "unreadable_body", []),
    "truncated after an unknown field": (b'{"zz":1', 400, "unreadable_body", []),
    "trailing": (GOOD + b"x", 400, "unreadable_body", []),
    "two documents": (GOOD + GOOD, 400, "unreadable_body", []),
    "single quotes": (b"{'title':'cook'}", 400, "unreadable_body", []),
    "trailing comma": (b'{"title":"cook",}', 400, "unreadable_body", []),
    "broken UTF-8": (b'{"title":"\xff\xfe"}', 400, "unreadable_body", []),
    "surrogate in UTF-8": (b'{"title":"\xed\xa0\x80x"}', 400, "unreadable_body", []),
    "broken UTF-8 in a key": (b'{"\xff":1,"title":"cook"}', 400, "unreadable_body", []),
    "UTF-16": ('{"title":"cook"}'.encode("utf-16"), 400, "unreadable_body", []),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, 400, "unreadable_body", []),
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


@pytest.mark.parametrize("name", BODIES)
async def test_each_body_has_its_answer(postings: httpx.AsyncClient, name: str) -> None:
    """A body is accepted, or refused with the right status and exactly the fields that are wrong."""
    body, status, code, fields = BODIES[name]
    answer = await postings.post("/postings", content=body, headers={"Content-Type": JSON})
    assert_problem(answer, status, code)
    if code:
        assert sorted(fields_of(answer)) == sorted(fields)


@pytest.mark.parametrize("name", BODIES)
async def test_no_body_is_our_fault(postings: httpx.AsyncClient, name: str) -> None:
    """Whatever the body, a route that takes anything and one that takes rows never answer 5xx."""
    for path, media_type in (("/free", JSON), ("/batch", JSON), ("/batch", NDJSON), ("/many", JSON)):
        answer = await postings.post(path, content=BODIES[name][0], headers={"Content-Type": media_type})
        assert answer.status_code < 500, answer.text


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
    postings: httpx.AsyncClient, body: bytes, status: int, expected: list[str]
) -> None:
    """A PATCH sets what it holds; null is allowed only where the field may be cleared."""
    answer = await postings.patch("/postings/7", content=body, headers={"Content-Type": JSON})
    assert answer.status_code == status
    assert sorted(answer.json()["set"] if status == 200 else fields_of(answer)) == expected
