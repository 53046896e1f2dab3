"""The README's table of limits: every number in it is that of the code, and every limit of the code is in it."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

import pytest
from msgspec import Meta
from msgspec import inspect as types

from service import app, serve
from service.access.domain import KEPT_S
from service.config import Settings
from service.db import LOCK_TIMEOUT_S, POOL_TIMEOUT_S
from service.http.admission import READ_S
from service.http.classes import admission
from service.http.compression import FROM_BYTES
from service.http.cors import MAX_AGE_S as PREFLIGHT_S
from service.http.decoding import MAX_BATCH_BYTES, MAX_BODY_BYTES
from service.http.field_errors import MAX_ERRORS
from service.http.limit import WorkClass
from service.jobs import fields
from service.jobs.batch import MAX_ROWS
from service.jobs.filter_fields import SomeCompanies, SomeEmploymentTypes, SomeSources
from service.jobs.model import JobInput, ListQuery
from service.jobs.stats import MAX_AGE_S as STATS_S
from service.quota.memory import MOST_CALLERS
from service.quota.store import TIMEOUT_S
from service.search.batch_model import MOST_SEARCHES
from service.search.match_model import MAX_MATCH_TEXT, MatchRequest
from service.search.model import MAX_TEXT, SearchRequest, TopK
from service.search.paging import CURSOR_MAX_AGE
from service.telemetry.http import _SANE_ID
from tests.docs.test_readme import _rows


def bound(annotation: Any, name: str) -> Any:
    """What the Meta of an annotation says, also of a field that may be left out."""
    if get_origin(annotation) is Annotated:
        return next(getattr(one, name) for one in get_args(annotation)[1:] if isinstance(one, Meta))
    return next(bound(arm, name) for arm in get_args(annotation) if get_origin(arm) is Annotated)


def classes() -> Mapping[str, WorkClass]:
    """The classes of admission, with the settings' own number of places."""

    async def nothing(*_: Any) -> None:
        """Serve nothing."""

    made = admission(nothing, Settings().max_concurrent_requests)
    return {name: door.work for name, door in made._doors.items()}


def characters() -> dict[str, int]:
    """How long texts may be."""
    return {
        "title": bound(fields.Title, "max_length"),
        "company": bound(fields.Company, "max_length"),
        "external_id": bound(fields.ExternalId, "max_length"),
        "description": bound(fields.Description, "max_length"),
        "location": bound(fields.Location, "max_length"),
        "url": bound(fields.Url, "max_length"),
        "source": 64,
        "text of a search": MAX_TEXT,
        "text of a match": MAX_MATCH_TEXT,
        "`X-Request-ID`": 128,
    }


def seconds() -> dict[str, float]:
    """How long things may take."""
    light, heavy = classes()["light"].size, classes()["heavy"].size
    return {
        "time for a body to come in": READ_S,
        "age of a search cursor": CURSOR_MAX_AGE.total_seconds(),
        "time in line": light.patience_s,
        "their time in line": heavy.patience_s,
        "wait for a database connection": POOL_TIMEOUT_S,
        "wait for a lock of the database": LOCK_TIMEOUT_S,
        "a statement": app.STATEMENT_TIMEOUT_S,
        "wait for the shared store": TIMEOUT_S,
        "new requests after SIGTERM, where readiness is watched": serve.LINGER_S,
        "running requests after SIGTERM": serve.DRAIN_S,
        "an idle connection": serve.KEEP_ALIVE_S,
        "a good key is believed": KEPT_S,
        "`/api/v1/stats` is kept": STATS_S,
        "a preflight is kept by browsers": PREFLIGHT_S,
    }


def limits() -> dict[str, str]:
    """The limits by what they hold for, as the table writes them."""
    light, heavy = classes()["light"].size, classes()["heavy"].size
    counts = {
        "postings in a batch": MAX_ROWS,
        "searches in a batch": MOST_SEARCHES,
        "postings in a page or a search": bound(TopK, "le"),
        "values of a filter that is a list": bound(SomeSources, "max_length"),
        "errors named in one answer": MAX_ERRORS,
        "batches and matches served at once": heavy.most,
        "requests waiting in line": light.line,
        "batches and matches waiting in line": heavy.line,
        "callers counted in a process": MOST_CALLERS,
    }
    sizes = {
        "body of one posting or search": MAX_BODY_BYTES,
        "body of a batch of postings": MAX_BATCH_BYTES,
        "answers compressed from": FROM_BYTES,
    }
    return (
        {name: f"{value:,} characters" for name, value in characters().items()}
        | {name: f"{value:,}" for name, value in counts.items()}
        | {name: f"{value:,g} s" if value < 1000 else f"{value:,.0f} s" for name, value in seconds().items()}
        | {name: f"{value:,} bytes" for name, value in sizes.items()}
    )


SETTINGS = {
    "searches: a key, a person, else an address": "rate_limit_search",
    "writes, likewise": "rate_limit_write",
    "reads, likewise": "rate_limit_read",
    "bad credentials and log-ins of an address": "rate_limit_auth",
    "requests served at once by a process": "max_concurrent_requests",
    "a search": "search_deadline",
}
"""Limits that a setting gives; its name stands for the number."""


def test_limits_are_those_of_the_code() -> None:
    """Each row is a number of the code or a setting, and each number that is known here has a row."""
    listed = {row[0]: row[1] for row in _rows("Limits")}
    expected = limits() | {what: f"`{name.upper()}`" for what, name in SETTINGS.items()}
    assert listed == expected | {"body that is compressed": "none"}
    assert all(hasattr(Settings(), name) for name in SETTINGS.values())


def test_limits_that_stand_twice_agree() -> None:
    """One row holds for several places of the code."""
    assert bound(TopK, "le") == bound(ListQuery.__annotations__["limit"], "le")
    assert {bound(one, "max_length") for one in (SomeSources, SomeCompanies, SomeEmploymentTypes)} == {50}
    assert _SANE_ID.fullmatch("x" * 128)
    assert not _SANE_ID.fullmatch("x" * 129)


@pytest.mark.parametrize("model", [JobInput, SearchRequest, MatchRequest])
def test_every_text_of_a_request_has_a_bound(model: type) -> None:
    """No field takes a text or a list without an end, so that the size of the body is not all that holds."""

    def unbounded(tp: types.Type) -> bool:
        if isinstance(tp, types.UnionType):
            return any(unbounded(arm) for arm in tp.types)
        if isinstance(tp, types.StrType):
            return tp.max_length is None and tp.pattern is None
        if isinstance(tp, types.ListType | types.VarTupleType):
            return tp.max_length is None
        return False

    described = types.type_info(model)
    assert isinstance(described, types.StructType)
    assert [field.name for field in described.fields if unbounded(field.type)] == []
