"""Cursors: what comes back, what is of another query, and what was never one."""

import math
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import cursor
from service.errors import Invalid, Stale

QUERY = ("tenant", 7, {"source": ["a"]})
POSITIONS: list[tuple[Any, Any]] = [
    (5, int),
    (-(2**63), int),
    (2**63 - 1, int),
    ((0.25, 7), tuple[float, int]),
    (("Zoë \U0001f600", None), tuple[str, str | None]),
    ({"score": 0.5}, dict[str, float]),
]


def packed(content: bytes) -> str:
    """Bytes as a caller would forge a cursor."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def forged(position: bytes) -> str:
    """A cursor with the right fingerprint and any position: the fingerprint is no secret."""
    honest = msgspec.msgpack.encode((cursor._fingerprint(QUERY), 0))
    return packed(honest[:-1] + position)


@pytest.mark.parametrize(("position", "kind"), POSITIONS)
def test_round_trip(position: Any, kind: Any) -> None:
    """A position comes back as it was, and the cursor needs no quoting in a URL."""
    text = cursor.encode(QUERY, position)
    assert cursor.decode(text, QUERY, kind) == position
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize(("position", "kind"), POSITIONS)
@pytest.mark.parametrize("other", [("tenant", 8, {"source": ["a"]}), (), None])
def test_another_query(position: Any, kind: Any, other: object) -> None:
    """A cursor of another query is stale, whatever its position looks like."""
    with pytest.raises(Stale):
        cursor.decode(cursor.encode(QUERY, position), other, kind)
    with pytest.raises(Stale):
        cursor.decode(cursor.encode(QUERY, position), other, bytes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "=",
        "abc",
        "not a cursor",
        "\u0663\u0663\u0663\u0663",
        "\ud800",
        "%00",
        "\0",
        cursor.encode(QUERY, 5) + "!",
        cursor.encode(QUERY, 5)[:-3],
        cursor.encode(QUERY, 5) + "AAAA",
        "+/+/",
        packed(b"\xc1"),
        packed(b"\x91" * 900),
        packed(msgspec.msgpack.encode(5)),
        packed(msgspec.msgpack.encode((b"short", 5))),
        packed(msgspec.msgpack.encode(("12345678", 5))),
        packed(msgspec.msgpack.encode((b"12345678", 5, 6))),
        "A" * 3_000_000,
    ],
)
def test_rubbish(text: str) -> None:
    """What was never a cursor is refused by the name of its parameter."""
    with pytest.raises(Invalid) as caught:
        cursor.decode(text, QUERY, int)
    assert [error.parameter for error in caught.value.errors] == ["cursor"]


@pytest.mark.parametrize(
    ("position", "kind"),
    [
        (msgspec.msgpack.encode(2**63), int),
        (msgspec.msgpack.encode(2**64 - 1), int),
        (msgspec.msgpack.encode(math.nan), float),
        (msgspec.msgpack.encode((-math.inf, 5)), tuple[float, int]),
        (msgspec.msgpack.encode({"score": math.inf}), dict[str, float]),
        (msgspec.msgpack.encode({"a\0": 1}), dict[str, int]),
        (msgspec.msgpack.encode(("a\0", 1)), tuple[str, int]),
        (msgspec.msgpack.encode("five"), int),
        (msgspec.msgpack.encode(True), int),
        (msgspec.msgpack.encode(None), int),
        (msgspec.msgpack.encode(1.5), int),
        (msgspec.msgpack.encode((1,)), tuple[int, int]),
        (b"\xa2\xff\xfe", str),
        (b"\x81\x80\x00", object),
        (b"\x91" * 1_200 + b"\x01", object),
        (b"\xdd\xff\xff\xff\xff", object),
        (b"", int),
    ],
)
def test_forged_positions(position: bytes, kind: Any) -> None:
    """A position that no page can end with is refused before it reaches the database."""
    with pytest.raises(Invalid):
        cursor.decode(forged(position), QUERY, kind)


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60).map(packed)))
def test_any_text(text: str) -> None:
    """Nothing but the three answers ever comes of a text."""
    with pytest.raises((Invalid, Stale)):
        cursor.decode(text, QUERY, int)


@given(st.binary(max_size=40))
def test_any_position(position: bytes) -> None:
    """Whatever follows the right fingerprint gives a storable number or is refused."""
    decode: Callable[[], int] = lambda: cursor.decode(forged(position), QUERY, int)  # noqa: E731 - called in two ways
    try:
        number = decode()
    except Invalid:
        return
    assert -(2**63) <= number < 2**63
