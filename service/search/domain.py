"""How a search is answered: embed, choose the scan, look, and say truthfully what was served."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from pgvector import HalfVector

from service.db import Database
from service.errors import EmbedderUnavailable, Stale, TextRefused
from service.jobs.pay import Conversions, no_conversions
from service.search import queries
from service.search.answer import Found, answer_of
from service.search.asked import Asked
from service.search.highlight import highlight
from service.search.model import Degraded, HitRow, SearchAnswer, SearchRequest
from service.search.paging import Look, microseconds
from service.search.scan import ScanChooser, needs_job, plans_for
from service.telemetry.stages import annotate

WAITING_WARNING = "some postings are not embedded yet: they are found by their words only"
BUDGET = 100
"""Passages, and postings by words, that a search looks at when the page asks for no more."""
PASSING = frozenset({"overloaded", "text_refused"})
"""Reasons of this search alone, which say nothing of the embedder."""
CONTINUED = "continued"
"""The reason, for logs and metrics, of later pages; the one that callers are told comes from the cursor."""


class GenerationLike(Protocol):
    """What a search needs to know of a generation."""

    @property
    def id(self) -> int:
        """Its number."""

    @property
    def model(self) -> str:
        """Its model."""

    @property
    def similarity_floor(self) -> float:
        """Similarity from which a posting matches."""

    @property
    def coverage_weight(self) -> float:
        """Weight of one rare word beside the meaning."""


class QueryVectorLike(Protocol):
    """An embedded query with the generation it may be compared with."""

    @property
    def generation(self) -> GenerationLike:
        """The generation."""

    @property
    def vector(self) -> HalfVector:
        """The vector, as statements take it."""


EmbedQuery = Callable[[str], Awaitable[QueryVectorLike]]
AbsentSince = Callable[[], datetime | None]
Waiting = Callable[[], int]
"""How many postings wait to be embedded, as last counted."""


class Searcher:
    """Answers searches; wired to whatever embeds queries."""

    def __init__(
        self,
        db: Database,
        embed_query: EmbedQuery,
        absent_since: AbsentSince,
        *,
        chooser: ScanChooser | None = None,
        waiting: Waiting = lambda: 0,
        conversions: Conversions = no_conversions,
    ) -> None:
        self._db = db
        self._embed_query = embed_query
        self._absent_since = absent_since
        self._waiting = waiting
        self._conversions = conversions
        self._chooser = chooser or ScanChooser()

    async def search(
        self, tenant_id: int, request: SearchRequest, embed_query: EmbedQuery | None = None
    ) -> SearchAnswer:
        """Answer a search; raises EmbedderUnavailable only when the caller asked to fail rather than degrade.

        Raises Invalid or Stale for a cursor that is none, or that no longer fits. `embed_query` has vectors ready.
        """
        start = time.perf_counter()
        asked = await Asked.now(tenant_id, request, self._conversions)
        embedded, degraded = await self._embed(asked, embed_query or self._embed_query)
        if embedded is None:
            found = await self._by_words(asked, degraded)
        else:
            found = await self._by_meaning(asked, embedded)
        answer = answer_of(request, found)
        answer.degraded = degraded
        answer.pay = asked.bands.note
        if self._waiting() and request.mode != "lexical":
            answer.warnings.append(WAITING_WARNING)
        if request.highlight:
            await highlight(self._db, tenant_id, request.text, answer.results)
        answer.took_ms = round((time.perf_counter() - start) * 1000, 3)
        annotate(
            jobsense_search_mode=answer.mode.served,
            jobsense_search_k=request.top_k,
            jobsense_search_results=len(answer.results),
            jobsense_search_degraded=degraded is not None,
        )
        return answer

    async def _embed(self, asked: Asked, embed_query: EmbedQuery) -> tuple[QueryVectorLike | None, Degraded | None]:
        """The vector, or why there is none. A later page is served as the first was."""
        request, position = asked.request, asked.position
        if request.mode == "lexical":
            return None, None
        if position is not None and position.served == "lexical" and (before := position.degraded) is not None:
            if request.on_degraded == "fail":
                raise EmbedderUnavailable("the pages before were found by words alone", reason=CONTINUED)
            return None, before
        try:
            embedded = await embed_query(request.text)
        except TextRefused as error:
            reason, refused = "text_refused", EmbedderUnavailable(error.detail, reason="text_refused")
        except EmbedderUnavailable as error:
            reason, refused = error.reason, error
        else:
            if position is not None and position.generation != embedded.generation.id:
                raise Stale("the cursor is of another generation of vectors; start again without it")
            return embedded, None
        # A moment after an overload the cursor is as good as ever.
        if request.on_degraded == "fail" or (position is not None and reason == "overloaded"):
            raise refused
        if position is not None:
            raise Stale("the search cannot go on by meaning now; start again without the cursor to search by words")
        since = None if reason in PASSING else self._absent_since()
        return None, Degraded(reason, since or datetime.now(UTC))

    async def _by_meaning(self, asked: Asked, embedded: QueryVectorLike) -> Found:
        """Look ring by ring until the page is full or everything near enough has been seen."""
        request, generation = asked.request, embedded.generation
        floor = generation.similarity_floor if request.min_score is None else request.min_score
        look = await self._first_look(asked, generation, floor)
        rows: list[HitRow] = []
        while True:
            wanted = request.top_k - len(rows)
            ring, look = await self._settled(asked, embedded, look, wanted)
            whole = ring[0]
            ring = [row for row in ring if row.place is not None]
            rows += ring[:wanted]
            outside = look.next_ring(whole, floor)
            if len(ring) >= wanted or outside is None:
                break
            look = outside
        annotate(
            jobsense_embedding_model=generation.model,
            jobsense_search_index=look.scan.kind,
            jobsense_search_ef_search=look.scan.ef if look.scan.kind == "index" else None,
            jobsense_search_candidates=whole.looked_at,
            jobsense_search_filtered_out=look.scan.left_out,
        )
        # What an index finds is nearly all that there is, and nearly is not exact.
        cut = look.edge(whole) > floor or look.scan.kind == "index"
        found = Found(
            served="hybrid" if request.mode == "hybrid" else "semantic",
            rows=rows,
            whole=whole,
            cut=cut,
            scan=look.scan,
            model=generation.model,
            generation=generation.id,
            shown=asked.shown,
        )
        if len(ring) > wanted:
            where = {"inner": look.inner, "outer": look.edge(whole), "score": rows[-1].score, "id": rows[-1].id}
            found.next_cursor = asked.cursor_at(
                found.served, generation.id, whole, shown=len(rows), budget=look.scan.budget, **where
            )
        elif outside is not None:
            found.next_cursor = asked.cursor_at(
                found.served, generation.id, whole, shown=len(rows), budget=outside.scan.budget, inner=outside.inner
            )
        return found

    async def _first_look(self, asked: Asked, generation: GenerationLike, floor: float) -> Look:
        position, filters = asked.position, asked.request.filters
        budget = max(BUDGET, 3 * asked.request.top_k + 10) if position is None else position.budget
        scan = await self._chooser.choose(
            self._db,
            generation=generation.id,
            tenant_id=asked.tenant_id,
            filters=filters,
            budget=budget,
            now=asked.since,
            **asked.filters,
        )
        if position is None:
            return Look(scan, floor)
        after = None if position.score is None or position.id is None else (position.score, position.id)
        outer = floor if position.outer is None else max(floor, position.outer)
        return Look(scan, outer, position.inner, after, fixed=position.outer is not None)

    async def _settled(
        self, asked: Asked, embedded: QueryVectorLike, look: Look, wanted: int
    ) -> tuple[list[HitRow], Look]:
        """Look wider until there are as many rows as wanted and one more, or the ring has been seen whole."""
        while True:
            rows = await self._rows(asked, embedded, look, wanted + 1)
            cut = look.is_cut(rows[0])
            # A page that ends where a cut look ends would lose the others that are exactly as near.
            enough = rows[-1].place is not None and len(rows) >= wanted + cut
            must_go_on = look.fixed and cut
            wider = None if enough and not must_go_on else look.wider(rows[0])
            if wider is None:
                return rows, look
            look = wider

    async def _rows(self, asked: Asked, embedded: QueryVectorLike, look: Look, count: int) -> list[HitRow]:
        after_score, after_id = look.after or (None, None)
        arguments = asked.parameters() | {
            "vector": embedded.vector,
            "generation": embedded.generation.id,
            "joined": needs_job(asked.request.filters),
            "exact": look.scan.kind == "exact",
            "ef": look.scan.ef,
            "budget": look.scan.budget,
            "floor": look.floor,
            "count": count,
            "inner": look.inner,
            "after_score": after_score,
            "after_id": after_id,
        }
        async with self._db.connection(plans_for(asked.request.filters)) as connection:
            if asked.request.mode == "semantic":
                return await queries.search_semantic(connection, **arguments)
            return await queries.search_hybrid(
                connection,
                weight=embedded.generation.coverage_weight,
                word_budget=BUDGET,
                unembedded=embedded.generation.similarity_floor,
                **asked.terms(),
                **arguments,
            )

    async def _by_words(self, asked: Asked, degraded: Degraded | None) -> Found:
        request, position = asked.request, asked.position
        rows = await queries.search_lexical(
            self._db,
            word_budget=BUDGET,
            count=request.top_k + 1,
            after_score=None if position is None else position.score,
            after_id=None if position is None else position.id,
            **asked.terms(),
            **asked.parameters(),
        )
        hits = [row for row in rows if row.place is not None]
        found = Found(served="lexical", rows=hits[: request.top_k], whole=rows[0], cut=False, shown=asked.shown)
        if len(hits) > request.top_k:
            where: dict[str, Any] = {"score": found.rows[-1].score, "id": found.rows[-1].id}
            if degraded is not None:
                where |= {"reason": degraded.reason, "degraded_since": microseconds(degraded.since)}
            found.next_cursor = asked.cursor_at("lexical", None, rows[0], shown=len(found.rows), **where)
        return found
