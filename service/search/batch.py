"""Answers many searches at once: each read, answered or refused by itself, and their texts embedded together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from service.errors import DatabaseUnavailable, EmbedderUnavailable, FieldError, Invalid, TextRefused
from service.http.problem import problem_of
from service.http.rows import decode_row, take_apart
from service.search.batch_model import MOST_SEARCHES, SearchBatchAnswer, SearchFailure
from service.search.domain import EmbedQuery, QueryVectorLike, Searcher
from service.search.model import SearchAnswer, SearchRequest
from service.telemetry.stages import annotate, current_record, current_trace_id, note_exception

AT_ONCE = 4
"""Searches of all batches of this process that run at once, each on one connection: the pool keeps some for others."""

Outcome = QueryVectorLike | EmbedderUnavailable | DatabaseUnavailable | TextRefused
EmbedQueries = Callable[[Sequence[str]], Awaitable[Sequence[Outcome]]]
"""Vectors of search texts in their order, or why there is none."""
Row = SearchRequest | list[FieldError]

_Bounds = Meta(min_length=1, max_length=MOST_SEARCHES)


class _Unread(msgspec.Struct, forbid_unknown_fields=True):
    """A batch whose searches are left as they came, so that one that is wrong is no fault of the others."""

    searches: Annotated[list[msgspec.Raw], _Bounds]


class _Shape(msgspec.Struct, forbid_unknown_fields=True):
    """The same for finding out what is wrong with a batch itself."""

    searches: Annotated[list[Any], _Bounds]


_DECODER = msgspec.json.Decoder(_Unread)


def read_searches(body: bytes) -> list[Row]:
    """The searches of a batch, each a request or the list of its errors; raises UnreadableBody or Invalid."""
    parts = take_apart(body, lambda readable: _DECODER.decode(readable).searches, _Shape)
    return [decode_row(part, SearchRequest) for part in parts]


class BatchSearcher:
    """Answers batches of searches; wired to whatever embeds many texts."""

    def __init__(self, searcher: Searcher, embed_queries: EmbedQueries) -> None:
        self._searcher = searcher
        self._embed_queries = embed_queries
        self._places = asyncio.Semaphore(AT_ONCE)

    async def search(
        self, tenant_id: int, body: bytes, *, path: str, spend: Callable[[int], Awaitable[None]] | None = None
    ) -> SearchBatchAnswer:
        """Answer the searches in `body`; raises UnreadableBody or Invalid where it is no batch at all.

        The problem of a search names its place under `path`, the one asked for. `spend` is told before anything is
        done how many searches there are beyond one, and may refuse them.
        """
        rows = await asyncio.to_thread(read_searches, body)
        if spend is not None:
            await spend(len(rows) - 1)
        embed_query = await self._embedded([row for row in rows if isinstance(row, SearchRequest)])
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._answer(tenant_id, row, embed_query, f"{path}#/searches/{place}"))
                for place, row in enumerate(rows)
            ]
        answer = SearchBatchAnswer([task.result() for task in tasks])
        _note(answer)
        return answer

    async def _embedded(self, requests: Sequence[SearchRequest]) -> EmbedQuery:
        """Embed every text that needs it, once; what gives each search its own vector, or its own failure."""
        texts = list(dict.fromkeys(request.text for request in requests if request.mode != "lexical"))
        known = dict(zip(texts, await self._embed_queries(texts) if texts else [], strict=True))

        async def recall(text: str) -> QueryVectorLike:
            outcome = known[text]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return recall

    async def _answer(
        self, tenant_id: int, row: Row, embed_query: EmbedQuery, instance: str
    ) -> SearchAnswer | SearchFailure:
        if not isinstance(row, SearchRequest):
            return _failure(Invalid(row), instance)
        async with self._places:
            try:
                return await self._searcher.search(tenant_id, row, embed_query)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one search, the others have their answers
                return _failure(error, instance)


def _failure(error: Exception, instance: str) -> SearchFailure:
    if isinstance(error, Invalid):  # what a search calls a parameter, such as its cursor, is a field of it here
        error = Invalid([_pointing(one) for one in error.errors])
    record = current_record()
    problem = problem_of(
        error,
        instance=instance,
        request_id=record.request_id if record else None,
        trace_id=current_trace_id() or None,
    )
    if problem.code == "internal_error":
        note_exception(error)
    return SearchFailure(problem)


def _pointing(error: FieldError) -> FieldError:
    return error if error.parameter is None else FieldError(error.code, error.detail, f"/{error.parameter}")


def _note(answer: SearchBatchAnswer) -> None:
    """Say in the record what the batch was, over what its searches said of themselves."""
    answers = [one for one in answer.results if isinstance(one, SearchAnswer)]
    degraded = [one.degraded for one in answers if one.degraded is not None]
    annotate(
        jobsense_search_mode="batch",
        jobsense_search_results=sum(len(one.results) for one in answers),
        jobsense_search_degraded=bool(degraded),
        jobsense_search_degraded_reason=degraded[0].reason if degraded else None,
    )
