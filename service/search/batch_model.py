"""What callers ask of and get from many searches at once."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from service.http.problem import Problem
from service.search.model import SearchRequest

MOST_SEARCHES = 50


class SearchBatch(msgspec.Struct, forbid_unknown_fields=True):
    """Searches to be answered together."""

    searches: Annotated[
        list[SearchRequest], Meta(min_length=1, max_length=MOST_SEARCHES, description="Each as in POST /search.")
    ]


class SearchFailure(msgspec.Struct):
    """Why one search of a batch has no answer; the pointers of its errors lead into that search."""

    problem: Problem


SearchResult = Annotated[
    Any,
    Meta(
        extra_json_schema={
            "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("SearchAnswer", "SearchFailure")]
        }
    ),
]
"""A SearchAnswer or a SearchFailure, told apart by `problem`: msgspec knows unions of tagged Structs only."""


class SearchBatchAnswer(msgspec.Struct):
    """What became of each search, in their order: its answer, or its problem."""

    results: list[SearchResult]
