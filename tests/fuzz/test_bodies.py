"""Bodies that no client library makes, sent to every operation of the document that reads one."""

import asyncio
import gzip
import json
import re
import zlib
from typing import Any

import msgspec
import pytest
import zstandard

import service.http.admission
from service.access.keys import create_key
from service.access.model import SCOPES
from service.http.decoding import MAX_BODY_BYTES
from service.http.openapi import document
from tests.api.calls import JOBS, SEARCH, create
from tests.factories import job_body
from tests.fuzz.conftest import MOST_HELD_S, Target, Turns
from tests.fuzz.wire import Answer, is_refused, request

pytestmark = pytest.mark.usefixtures("healthy")

UNREADABLE = {
    "broken UTF-8": b'{"title":"\xff","text":"\xff"}',
    "half a character in UTF-8": b'{"title":"\xed\xa0\x80","text":"\xed\xa0\x80"}',
    "overlong UTF-8": b'{"title":"\xc0\x80","text":"\xc0\x80"}',
    "UTF-16": '{"title":"x"}'.encode("utf-16"),
    "UTF-32": '{"title":"x"}'.encode("utf-32"),
    "a byte order mark": b'\xef\xbb\xbf{"title":"x"}',
    "nothing": b"",
    "white space": b" \r\n\t",
    "a zero byte": b'{"title":"x\x00","text":"x\x00"}',
    "a line in a text": b'{"title":"x\n","text":"x\n"}',
    "a comment": b'{"title":"x"} // x',
    "a second value": b"{}{}",
    "a comma too many": b'{"title":"x",}',
    "single quotes": b"{'title':'x'}",
    "NaN": b'{"min_score":NaN,"salary_min":NaN}',
    "Infinity": b'{"min_score":-Infinity}',
    "a leading zero": b'{"top_k":01}',
    "hexadecimal": b'{"top_k":0x1}',
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep and whole": b"[" * 100_000 + b"]" * 100_000,
    "deep in a text field": b'{"title":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
}
INVALID = {
    "null": b"null",
    "true": b"true",
    "a text": b'"x"',
    "a number past every range": b'{"top_k":' + b"9" * 5000 + b"}",
    "a float past every range": b'{"min_score":1e400,"salary_min":-1e400,"title":1e999}',
    "a long float": b'{"salary_min":0.' + b"1" * 100_000 + b',"x":1}',
    "half a character": rb'{"title":"\ud800","text":"\udc00","searches":[{"text":"\ud800"}],"\udfff":1}',
    "an escaped zero byte": rb'{"title":"\u0000","text":"\u0000","searches":"\u0000"}',
    "unknown keys": b"{" + b",".join(b'"k%d":1' % number for number in range(80_000)) + b"}",
    "prototypes": b'{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}},"__class__":1}',
    "one key again and again": b"{" + b'"title":1,"text":1,"searches":1,' * 20_000 + b'"x":1}',
    "long keys": b'{"' + b"k" * 900_000 + b'":1}',
    "a list of everything": b'{"text":"x","title":["x"],"filters":{"source":[' + b'"x",' * 200_000 + b'"x"]}}',
    "many small lists": b'{"title":[' + b"[]," * 100_000 + b"[]]}",
    "many numbers": b'{"title":[' + b"1," * 150_000 + b"1]}",
}
OVER = {
    "ten megabytes of brackets": b"[" * 10_000_000,
    "ten megabytes of objects": b'{"a":' * 2_000_000,
    "ten megabytes of text": b'{"title":"' + b"x" * 10_000_000 + b'"}',
}
CODED = {
    b"gzip": gzip.compress(bytes(10_000_000)),
    b"deflate": zlib.compress(bytes(10_000_000)),
    b"br": b"\xcf\xff\xff\x7f\xf8\x27\x00\xe2\xb1\x40\x20\xf6\xff" * 10,
    b"zstd": zstandard.compress(bytes(10_000_000)),
    b"gzip, gzip": gzip.compress(gzip.compress(bytes(10_000_000))),
    b"identity, gzip": gzip.compress(b"{}"),
    b"x-gzip": gzip.compress(b"{}"),
    b"compress": b"{}",
    b"\xff": b"{}",
    b"gzip;q=0": b"{}",
}
STRANGE_TYPES = (
    b"", b"text/plain", b"application/xml", b"application/json; charset=utf-16",
    b"application/jsonx", b"application/json/x", b"text/json", b"multipart/form-data; boundary=x", b"*/*",
    b"application/x-www-form-urlencoded", b"application/octet-stream", b"application/msgpack",
)  # fmt: skip


class Operation(msgspec.Struct):
    """An operation that reads a body: where, and the kinds it reads."""

    method: bytes
    path: str
    kinds: list[str]
    key: bytes

    @property
    def name(self) -> str:
        """As in the document."""
        return f"{self.method.decode()} {self.path}"


@pytest.fixture(scope="module")
async def operations(target: Target) -> list[Operation]:
    """Every operation with a body, on a posting that is there."""
    job = (await create(target.api))["id"]
    key = (await create_key(target.api.parts.db, tenant="public", name="fuzz", scopes=SCOPES)).encode()
    found = [
        Operation(
            method.upper().encode(),
            re.sub(r"\{\w+\}", str(job), path),
            list(operation["requestBody"]["content"]),
            key,
        )
        for path, item in document(target.api.app)["paths"].items()
        for method, operation in item.items()
        if "requestBody" in operation
    ]
    assert {"POST /api/v1/jobs", "POST /api/v1/jobs/batch", "POST /api/v1/search", "POST /api/v1/match"} <= {
        one.name for one in found
    }
    return found


async def sent(target: Target, operation: Operation, body: bytes, *headers: bytes, kind: bytes = b"") -> list[Answer]:
    """Send a body to an operation, of the first kind that it reads."""
    content_type = b"Content-Type: " + (kind or operation.kinds[0].encode())
    length = b"Content-Length: %d" % len(body)
    head = request(operation.method, operation.path, b"X-API-Key: " + operation.key, content_type, length, *headers)
    return await target.wire.send(head + body)


def reads_json(operations: list[Operation]) -> list[Operation]:
    """Those that read JSON."""
    return [one for one in operations if one.kinds[0] == "application/json"]


@pytest.mark.parametrize("what", UNREADABLE)
async def test_what_is_no_json_cannot_be_read(target: Target, operations: list[Operation], what: str) -> None:
    """Every operation refuses it with 400, or names the place where it ends."""
    for operation in reads_json(operations):
        answers = await sent(target, operation, UNREADABLE[what])
        assert is_refused(answers, 400), (operation, answers)
        assert len(answers[0].body) < 2000


@pytest.mark.parametrize("what", INVALID)
async def test_what_nobody_means_is_invalid(target: Target, operations: list[Operation], what: str) -> None:
    """Every operation refuses it with 422 and names fields, fifty at most; other callers have their turn meanwhile."""
    for operation in reads_json(operations):
        async with Turns() as turns:
            answers = await sent(target, operation, INVALID[what])
        assert is_refused(answers, 413, 422), (operation, answers)
        assert answers[0].status == 413 or 0 < len(answers[0].json()["errors"]) <= 50
        assert len(answers[0].body) < 50_000
        assert turns.longest_s < MOST_HELD_S, operation


@pytest.mark.parametrize("what", OVER)
async def test_more_than_is_read_is_refused(target: Target, operations: list[Operation], what: str) -> None:
    """Ten megabytes are 413 where one is read, and 400 where sixteen are; with a length, without one, byte for byte."""
    for operation in reads_json(operations):
        batch = operation.path.endswith("/jobs/batch")
        expected = (400, 422) if batch else (413,)
        assert is_refused(await sent(target, operation, OVER[what]), *expected), operation
        kind = b"Content-Type: application/json"
        key = b"X-API-Key: " + operation.key
        head = request(operation.method, operation.path, key, kind, b"Transfer-Encoding: chunked")
        body = OVER[what]
        pieces = [
            b"%x\r\n%b\r\n" % (len(part), part) for part in (body[at : at + 2**20] for at in range(0, len(body), 2**20))
        ]
        assert is_refused(await target.wire.send(head, *pieces, b"0\r\n\r\n"), *expected), operation


@pytest.mark.parametrize("coding", CODED, ids=lambda coding: coding.decode("latin-1"))
async def test_compressed_bodies_are_not_unpacked(target: Target, operations: list[Operation], coding: bytes) -> None:
    """Whatever a few kilobytes would be unpacked to: 415."""
    for operation in operations:
        answers = await sent(target, operation, CODED[coding], b"Content-Encoding: " + coding)
        assert is_refused(answers, 415), (operation, answers)
    hidden = await sent(target, operations[0], b"{}", b"Content-Encoding: identity", b"Content-Encoding: " + coding)
    assert is_refused(hidden, 415), hidden


@pytest.mark.parametrize("kind", STRANGE_TYPES, ids=lambda kind: kind.decode("latin-1"))
async def test_other_kinds_of_bodies_are_refused(target: Target, operations: list[Operation], kind: bytes) -> None:
    """A body of a kind that the operation does not name is 415, whatever it holds."""
    for operation in operations:
        if kind.decode("latin-1").split(";")[0] not in operation.kinds or b"charset" in kind:
            answers = await sent(target, operation, b"{}", kind=kind or b" ")
            assert is_refused(answers, 415), (operation, answers)


async def test_two_kinds_at_once_are_one_of_them(target: Target) -> None:
    """With two Content-Type headers a body is read as one kind that the operation reads, or refused."""
    body = msgspec.json.encode(job_body())
    for kinds in ((b"application/json", b"text/plain"), (b"text/plain", b"application/json")):
        head = request(b"POST", JOBS, *(b"Content-Type: " + kind for kind in kinds), b"Content-Length: %d" % len(body))
        (answer,) = await target.wire.send(head + body)
        assert answer.status in {201, 409, 415}


TEXTS = {
    "right to left": "\u202eesrever\u202c",
    "isolates": "\u2066x\u2069",
    "zero width": "a\u200bb\u200dc\ufeffd",
    "marks": "e" + "\u0301" * 150,
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "private": "\ue000\U000f0000",
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 30,
    "controls": "\x01\x02\x1b[31m\x7f\x9b",
    "lines": "a\r\nb\u2028c\u2029d\x85e",
    "markup": "<script>alert(1)</script>&lt;b&gt;",
    "templates": "{{7*7}}${7*7}<%= 7*7 %>#{7*7}",
    "formulas": '=HYPERLINK("http://x")',
    "formats": "%s%n%x%d",
    "case": "\u0130I\u0131i \u1e9e\xdf\u017fs",
    "ligatures": "\ufb00\ufb01",
    "width": "\uff21\uff22\uff11",
    "decomposed": "\u1100\u1161\u11a8\uac01",
    "long words": "x" * 190,
}


@pytest.mark.parametrize("what", TEXTS)
async def test_strange_text_is_kept_as_it_is(target: Target, what: str) -> None:
    """Text that can be stored comes back character for character, is found by its filter, and is a harmless search."""
    text = TEXTS[what][:200]
    fields = {"title": f"T {text} T", "company": text, "location": text, "description": text, "external_id": text}
    made = await target.wire.post(JOBS, json.dumps(job_body(**fields)).encode())
    assert made[0].status == 201, made
    job = made[0].json()
    stripped = {name: value.strip() for name, value in fields.items()}
    assert {name: job[name] for name in fields} == stripped
    for filters in ({"company": [text]}, {"location": text}):
        body = msgspec.json.encode({"text": f"cook {text} T", "mode": "lexical", "filters": filters})
        (found,) = await target.wire.post(SEARCH, body)
        assert found.status == 200, found
        listed = await target.api.client.get(JOBS, params=filters)
        assert job["id"] in [item["id"] for item in listed.json()["items"]]


async def test_of_a_repeated_key_the_last_counts(target: Target) -> None:
    """As nearly every JSON reader has it, also where the keys are written differently."""
    body = b'{"title":"First","company":"X","source":"linkedin","\\u0074itle":"Last"}'
    (answer,) = await target.wire.post(JOBS, body)
    assert (answer.status, answer.json()["title"]) == (201, "Last")


HTML = {
    "open tags": "<a>" * 33_000,
    "open comments": "<!--" * 25_000,
    "nested": "<div><p>" * 12_000,
    "attributes": "<a " + "b=c " * 24_000 + ">",
    "entities": "&amp" * 25_000,
    "tables": "<table><tr><td>" * 6_000,
    "formatting": "<b><i>" * 16_000,
    "astral": "<b>" + "\U0001f600" * 90_000,
    "brackets": "<" * 100_000,
    "misnested": "<b><p></b></p>" * 7_000,
    "selects": "<select><option>" * 6_000,
    "marks": "<b>" + "e\u0301\u0316" * 30_000,
}


@pytest.mark.parametrize("what", HTML)
async def test_hostile_html_does_not_hold_the_loop(target: Target, what: str) -> None:
    """A description of 100,000 characters made to be hard to read keeps no other caller waiting."""
    body = msgspec.json.encode(job_body(description=HTML[what]))
    assert len(body) < MAX_BODY_BYTES
    async with Turns() as turns:
        (answer,) = await target.wire.post(JOBS, body)
    assert answer.status == 201, answer
    assert turns.longest_s < MOST_HELD_S


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service whose patience with slow bodies is short."""
    monkeypatch.setattr(service.http.admission, "READ_S", 0.2)


@pytest.mark.usefixtures("hurried")
async def test_slow_bodies_are_given_up(target: Target) -> None:
    """A hundred clients that dribble a body are refused in time, and hold no place: others are served meanwhile."""
    head = b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"
    slow = [asyncio.create_task(target.wire.send(request(b"POST", JOBS)[:-2] + head, *[b" "] * 20)) for _ in range(100)]
    (answer,) = await target.wire.get(f"{JOBS}?limit=1")
    assert answer.status == 200
    refused: list[Any] = await asyncio.gather(*slow)
    assert all(is_refused(answers, 400) for answers in refused)
