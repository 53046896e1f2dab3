"""Parameters of the query string, path and headers: read strictly, and every wrong one is named."""

import httpx
import msgspec
import pytest

from service.http.decoding import FORM, JSON
from service.http.parameters import decode_query
from tests.toy_postings import GOOD, Pay, assert_problem, fields_of

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
async def test_each_query_has_its_answer(
    postings: httpx.AsyncClient, query: str, status: int, fields: list[str]
) -> None:
    """A query string is read strictly, and every wrong, unknown and repeated parameter is named."""
    answer = await postings.get(f"/postings?{query}")
    assert_problem(answer, status, "invalid" if status == 422 else "")
    assert sorted(fields_of(answer) if status == 422 else []) == sorted(fields)


async def test_query_values_have_their_types(postings: httpx.AsyncClient) -> None:
    """What a handler gets are numbers, truth values, times and lists, not text."""
    answer = await postings.get(
        "/postings?limit=5&tag=ab&tag=cd&score=0.5&remote=false&after=2026-01-01T00:00:00+03:00"
    )
    assert answer.json() == {
        "limit": 5, "tag": ["ab", "cd"], "level": None, "score": 0.5, "remote": False,
        "after": "2026-01-01T00:00:00+03:00", "keyword": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "fields"),
    [("", ["q missing"]), ("q=a&low=5&high=1", ["high invalid"]), ("low=x", ["q missing", "low invalid"])],
)
async def test_required_parameters_and_rules(postings: httpx.AsyncClient, query: str, fields: list[str]) -> None:
    """A missing parameter is named, and a rule over several names the one it is about."""
    answer = await postings.get(f"/search?{query}")
    assert_problem(answer, 422, "invalid")
    assert sorted(fields_of(answer)) == sorted(fields)


async def test_errors_of_body_query_and_header_come_together(postings: httpx.AsyncClient) -> None:
    """One answer names what is wrong in the body, the query string and a header."""
    headers = {"Content-Type": JSON, "Idempotency-Key": "longer"}
    answer = await postings.post("/keyed?x=1", content=b'{"size":-1}', headers=headers)
    assert_problem(answer, 422, "invalid")
    expected = ["/size invalid", "/title missing", "Idempotency-Key invalid", "x unknown"]
    assert sorted(fields_of(answer)) == sorted(expected)
    good_body = await postings.post("/keyed?x=1", content=GOOD, headers=headers)
    assert sorted(fields_of(good_body)) == ["Idempotency-Key invalid", "x unknown"]


async def test_a_route_without_parameters_takes_none(postings: httpx.AsyncClient) -> None:
    """A parameter is refused even where the body and everything else is good."""
    answer = await postings.post("/free?debug=1", content=b"{}", headers={"Content-Type": JSON})
    assert_problem(answer, 422, "invalid")
    assert fields_of(answer) == ["debug unknown"]
    assert (await postings.post("/token?a=1", content=b"", headers={"Content-Type": FORM})).status_code == 422


@pytest.mark.parametrize("posting_id", ["+7", "007", "7_0", "7.0", "x", "%D9%A7", "9" * 5000])
async def test_an_id_has_one_spelling(postings: httpx.AsyncClient, posting_id: str) -> None:
    """Other spellings of a number in the path lead nowhere."""
    answer = await postings.patch(f"/postings/{posting_id}", content=b"{}", headers={"Content-Type": JSON})
    assert_problem(answer, 404, "not_found")


def test_a_parameter_is_one_value_deep() -> None:
    """A Struct that no query string can express is refused when it is first used, not half read."""

    class Deep(msgspec.Struct):
        pay: Pay | None = None

    with pytest.raises(TypeError, match="pay"):
        decode_query(b"", Deep)
