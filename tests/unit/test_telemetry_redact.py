"""Secrets are hidden wherever they stand in the fields of a log line, and nothing else is."""

from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.telemetry.redact import HIDDEN, hide_in_fields, hide_queries, is_secret_name

CANARY = "S3cr.t-value"
URL = f"postgresql://jobs:{CANARY}@db/x"


@pytest.mark.parametrize(
    "value",
    [
        {"password": CANARY},
        {"headers": {"X-API-Key": CANARY, "Authorization": f"Bearer {CANARY}"}},
        {"calls": [{"url": URL}, {"token": [CANARY]}]},
        {"args": (f"token={CANARY}", frozenset({f"Basic {CANARY}"}))},
        {"url": URL.encode()},
        {"url": f"valkey://me:a/{CANARY}/b@store:6379/0 is away"},
        {"error": ValueError(f"cannot reach {URL}")},
        {"nested": [[{"deeper": {"client.secret": {"id": 1, "value": CANARY}}}]]},
        {"api_key": 5, "text": f"api_key: {CANARY}"},
    ],
)
def test_secrets_are_hidden_at_any_depth(value: dict[str, Any]) -> None:
    """Mappings, sequences, bytes and objects are looked through, by the name of a field and by its look."""
    shown = repr(hide_in_fields({"event": "x", "fields": value}))
    assert CANARY not in shown
    assert HIDDEN in shown


def test_what_the_caller_holds_is_not_changed() -> None:
    """Nested values are hidden in a copy: the headers that are logged are still the ones that are sent."""
    headers = {"authorization": f"Bearer {CANARY}"}
    line = hide_in_fields({"headers": headers, "all": [headers]})
    assert line == {"headers": {"authorization": HIDDEN}, "all": [{"authorization": HIDDEN}]}
    assert headers == {"authorization": f"Bearer {CANARY}"}


def test_what_is_no_secret_stays_as_it_is() -> None:
    """Numbers keep their types, counts of tokens are shown, other objects become their text."""
    line = {"gen_ai.usage.input_tokens": 5, "share": 0.5, "ok": True, "none": None, "list": [1, "a b", None]}
    assert hide_in_fields(dict(line)) == line
    assert hide_in_fields({"path": PurePosixPath("/a b"), "by": {1: "one"}}) == {"path": "/a b", "by": {"1": "one"}}


@pytest.mark.parametrize("name", ["token", "access_token", "X-API-Key", "db.password", "Set-Cookie", "apikey"])
def test_names_of_secrets(name: str) -> None:
    """A name is that of a secret by its last word, however it is spelled."""
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["tokens", "token_count", "keyword", "secretary", "cookies", "passwords_changed"])
def test_names_of_other_things(name: str) -> None:
    """A job title or a number of tokens is not hidden."""
    assert not is_secret_name(name)


LEAVES = st.none() | st.integers() | st.text(max_size=8) | st.binary(max_size=8)
TRAPS = st.sampled_from([{"x-api-key": CANARY}, f"token={CANARY}", URL, f"Bearer {CANARY}", {"cookie": [CANARY]}])
VALUES = st.recursive(
    LEAVES | TRAPS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=3))
def test_no_shape_lets_a_secret_through(fields: dict[str, Any]) -> None:
    """However mappings and lists are put into one another, fields keep their names and show no secret."""
    names = set(fields)
    hidden = hide_in_fields(fields)
    assert set(hidden) == names
    assert CANARY not in repr(hidden)


def test_queries_of_addresses_are_hidden() -> None:
    """A library's line about a call keeps the address, and loses what may be a key under any name."""
    line = f'HTTP Request: GET https://rates.example/latest?key={CANARY}&x=1 "HTTP/1.1 200 OK"'
    assert hide_queries(line) == f'HTTP Request: GET https://rates.example/latest?{HIDDEN} "HTTP/1.1 200 OK"'
    assert hide_queries("what? nothing") == "what? nothing"
