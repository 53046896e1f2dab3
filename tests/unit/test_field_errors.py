"""The list of failing fields: exact whatever the value, bounded in length, and never a fault of ours."""

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Invalid, UnreadableBody
from service.http.decoding import JSON, NDJSON, decode_json
from service.http.field_errors import MAX_ERRORS, all_errors
from service.http.parameters import decode_form, decode_query
from service.http.rows import decode_rows
from tests.toy_postings import ListQuery, Login, Pay, Posting


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
