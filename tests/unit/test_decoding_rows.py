"""Bodies of many rows and bodies that are forms."""

from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import FieldError, Invalid, UnreadableBody
from service.http.decoding import FORM, JSON, NDJSON
from service.http.rows import decode_rows, take_apart
from tests.toy_postings import Posting, fields_of

ROWS: list[tuple[bytes, str]] = [
    (rb'{"title":"cook"}', ""),
    (rb'{"title":"co\ud83d\ude00ok"}', ""),
    (rb'{"title":"C:\\ud800"}', ""),
    (rb'{"title":"cook \uD800"}', "/title unstorable_text half"),
    (rb'{"title":"\udc00\ud800 cook"}', "/title unstorable_text half"),
    (rb'{"title":"\ud800\ud83d\ude00"}', "/title unstorable_text half"),
    (rb'{"title":"cook \u0000"}', "/title unstorable_text U+0000"),
    (rb'{"title":"cook","\udFFF":1}', "/? unstorable_text half"),
    (rb'"\ud800"', " unstorable_text half"),
    (rb'[["\ud800"]]', "/0/0 unstorable_text half"),
    (rb"7", " invalid "),
]
"""Rows of a batch, with the pointer, the code and a word of the first fault."""


async def test_rows_are_judged_one_by_one(postings: httpx.AsyncClient) -> None:
    """In a batch a bad row, even one that is no JSON, leaves the others alone; a bad array is refused whole."""
    rows = b'{"title":"cook"}\r\n\n{"title":1}\n{nope\n{"title":"\\u0000"}\n{"title":"\xff"}\n{"title":"baker"}'
    answer = await postings.post("/batch", content=rows, headers={"Content-Type": NDJSON})
    assert answer.json() == ["cook", "invalid", "unreadable_body", "unstorable_text", "unreadable_body", "baker"]
    array = await postings.post("/batch", content=b'[{"title":" cook "},{},3]', headers={"Content-Type": JSON})
    assert array.json() == ["cook", "missing", "invalid"]
    for body, status in ((b'{"title":"cook"}', 422), (b'[{"title":', 400), (b"", 400)):
        assert (await postings.post("/batch", content=body, headers={"Content-Type": JSON})).status_code == status


async def test_forms_are_read_strictly(postings: httpx.AsyncClient) -> None:
    """A form names its failing fields by pointer, and passes over fields it does not know."""
    headers = {"Content-Type": FORM}
    good = await postings.post("/token", content=b"username=amina&password=p%26w&grant_type=password", headers=headers)
    assert (good.status_code, good.text) == (201, "amina")
    bad = await postings.post("/token", content=b"username=a&username=b", headers=headers)
    assert sorted(fields_of(bad)) == ["/password missing", "/username repeated"]


def said(row: Posting | list[FieldError]) -> str:
    """What became of a row: nothing for a good one, else its first fault."""
    if isinstance(row, Posting):
        return ""
    half = next((word for word in ("half", "U+0000") if word in row[0].detail), "")
    return f"{row[0].pointer} {row[0].code} {half}"


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(chosen=st.lists(st.integers(0, len(ROWS) - 1), max_size=8), gap=st.sampled_from([b"", b" ", b"\r\n\t"]))
def test_half_a_character_is_the_fault_of_its_row_alone(chosen: list[int], gap: bytes) -> None:
    """However rows with half a surrogate pair stand among others, each has the result it has by itself, in place."""
    body = gap + b"[" + gap + (gap + b"," + gap).join(ROWS[place][0] for place in chosen) + gap + b"]"
    assert [said(row) for row in decode_rows(body, JSON, Posting)] == [ROWS[place][1] for place in chosen]
    lines = b"\n".join(ROWS[place][0] for place in chosen)
    assert [said(row) for row in decode_rows(lines, NDJSON, Posting)] == [ROWS[place][1] for place in chosen]


def test_parts_are_given_as_they_came() -> None:
    """A body is taken apart without a byte of any part changed, wherever in it the parts stand."""

    class Wrapped(msgspec.Struct, forbid_unknown_fields=True):
        parts: list[msgspec.Raw]

    def split(body: bytes) -> list[msgspec.Raw]:
        return msgspec.json.decode(body, type=Wrapped).parts

    parts = [rb'"\ud800"', rb'"\\\ud800\\"', b"1", rb'{"parts": ["\udfff"]}']
    for body in (b'{"parts": [%b]}', b'{"parts":[%b] , "parts" : [%b]}'):
        filled = body.replace(b"%b", b" , ".join(parts))
        assert take_apart(filled, split, dict[str, Any]) == parts


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (rb'["\ud800",', UnreadableBody),
        (rb'["\ud800" 1]', UnreadableBody),
        (rb'["\ud800\x"]', UnreadableBody),
        (b'["\xff"', UnreadableBody),
        (rb'"\ud800"', Invalid),
        (rb'{"a":"\ud800"}', Invalid),
        (b"[" * 100_000, UnreadableBody),
    ],
)
def test_what_is_no_array_is_refused_whole(body: bytes, error: type[Exception]) -> None:
    """With half a character in it or not: broken JSON cannot be read, and something else than an array is invalid."""
    with pytest.raises(error):
        decode_rows(body, JSON, Posting)
