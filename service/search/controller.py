"""Search over HTTP."""

from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, RawBody

from service.access.controller import caller_of
from service.http.decoding import JSON, StrictRequest, takes
from service.http.problem import problems
from service.search.batch import BatchSearcher
from service.search.batch_model import SearchBatch, SearchBatchAnswer, SearchFailure
from service.search.domain import CONTINUED, Searcher
from service.search.match import Matcher
from service.search.match_model import MatchAnswer, MatchRequest
from service.search.model import SearchAnswer, SearchQuery, SearchRequest
from service.search.similar import Neighbours
from service.search.similar_model import SimilarAnswer, SimilarQuery
from service.telemetry.stages import annotate

JobId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="The posting's number.")]

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

    @post(
        "/batch",
        status_code=200,
        opt=takes(body={JSON: SearchBatch}) | {"scope": "search", "parts": (SearchAnswer, SearchFailure)},
    )
    async def search_batch(
        self, request: StrictRequest, body: RawBody, batches: NamedDependency[BatchSearcher]
    ) -> Response[SearchBatchAnswer]:
        """Answer up to 50 searches at once; one that fails does not sink the rest.

        Each result stands where its search stands: its answer, or its problem, whose pointers lead into that search.
        Their texts are embedded together, equal ones once. 200 whenever the batch itself could be read.
        """
        answer = await batches.search(caller_of(request).tenant_id, body, path=request.scope["path"])
        return Response(answer, headers=PRIVATE)


class NearbyController(Controller):
    """/api/v1/jobs/{id}/similar and /api/v1/match: postings for more than a question."""

    path = "/"
    tags = ("search",)

    @get(
        "/jobs/{job_id:int}/similar",
        opt=takes(query=SimilarQuery) | {"scope": "search"},
        responses=problems("job_not_found"),
    )
    async def list_similar_jobs(
        self, request: StrictRequest, job_id: JobId, neighbours: NamedDependency[Neighbours]
    ) -> Response[SimilarAnswer]:
        """Find the postings most like this one by meaning, the nearest first.

        Score is the similarity of the two passages that are nearest to one another, at or above the model's floor. The
        posting itself and its copies are left out, and of other copies the nearest stays: a copy has the same text, or
        the same title and company and nearly the same passage. While the posting is not embedded there are no results,
        and `warnings` say so; while a changed text waits, the neighbours are those of the text before.
        """
        annotate(jobsense_search_mode="similar")
        answer = await neighbours.search(caller_of(request).tenant_id, job_id, request.query(SimilarQuery))
        return Response(answer, headers=PRIVATE)

    @post("/match", status_code=200, opt={"scope": "search"}, responses=problems("embedder_unavailable"))
    async def match_jobs(
        self, request: StrictRequest, data: JSONBody[MatchRequest], matcher: NamedDependency[Matcher]
    ) -> Response[MatchAnswer]:
        """Find the postings that fit a profile or résumé.

        The text is cut into pieces, at most 16, and every piece is looked for. Score is the mean over the pieces, by
        their length, of the best similarity between the piece and a passage of the posting (MaxSim); a posting matches
        from min_score or the model's floor on. `matches` are the three pairs of piece and passage that fit best. While
        no vectors can be made, score is the share of the text's rarest words that the posting holds, and `degraded`
        says so. Nothing of the text is kept.
        """
        annotate(jobsense_search_mode="match")
        return Response(await matcher.match(caller_of(request).tenant_id, data), headers=PRIVATE)


async def _search(searcher: Searcher, request: StrictRequest, asked: SearchRequest) -> SearchAnswer:
    """Search, and leave in the record what its metrics need: the mode, also of a search that fails, and the reason."""
    annotate(jobsense_search_mode=asked.mode)
    found = await searcher.search(caller_of(request).tenant_id, asked)
    if found.degraded is not None:
        annotate(jobsense_search_degraded_reason=found.degraded.reason if asked.cursor is None else CONTINUED)
    return found
