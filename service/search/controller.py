"""Search over HTTP."""

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from service.access.controller import caller_of
from service.http.decoding import StrictRequest, takes
from service.http.problem import problems
from service.search.domain import Searcher
from service.search.model import SearchAnswer, SearchQuery, SearchRequest
from service.telemetry.stages import annotate

PRIVATE = {"Cache-Control": "private, no-cache"}


class SearchController(Controller):
    """/api/v1/search."""

    path = "/search"
    tags = ("search",)

    @post(status_code=200, opt={"scope": "search"}, responses=problems("embedder_unavailable", "cursor_stale"))
    async def search_jobs(
        self, request: StrictRequest, data: JSONBody[SearchRequest], searcher: NamedDependency[Searcher]
    ) -> Response[SearchAnswer]:
        """Find postings by meaning, by words, or by both.

        Semantic: similarity at or above min_score or the model's floor; score is the similarity. Lexical: a word of
        the text occurs; score is the idf-weighted rank of its words. Hybrid: either, of the words the rarest; score is
        similarity and the share of the text's words that the posting holds, weighted. Scores are 0..1 and comparable in
        one answer. Hits, total and facets are of the same matches; the total is at_least where the search's budget
        ended the look. next_cursor goes on as of the first page, for an hour, without repeats.
        While no vectors can be made it answers by words and says so in mode and degraded.
        """
        return Response(await _search(searcher, request, data), headers=PRIVATE)

    @get(
        opt=takes(query=SearchQuery) | {"scope": "search"},
        responses=problems("embedder_unavailable", "cursor_stale"),
    )
    async def search_jobs_by_url(
        self, request: StrictRequest, searcher: NamedDependency[Searcher]
    ) -> Response[SearchAnswer]:
        """Find postings, asked in a URL."""
        return Response(await _search(searcher, request, request.query(SearchQuery).as_request()), headers=PRIVATE)


async def _search(searcher: Searcher, request: StrictRequest, asked: SearchRequest) -> SearchAnswer:
    """Search, and leave in the record what its metrics need: the mode, also of a search that fails, and the reason."""
    annotate(jobsense_search_mode=asked.mode)
    found = await searcher.search(caller_of(request).tenant_id, asked)
    annotate(jobsense_search_degraded_reason=found.degraded.reason if found.degraded else None)
    return found
