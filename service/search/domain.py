"""How a search is answered: embed, choose the scan, search, and say truthfully what was served."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from service.db import Database, half_vector
from service.embedder import Vector
from service.errors import EmbedderUnavailable, TextRefused
from service.jobs.domain import folded, now_utc
from service.jobs.pay import Conversions, no_conversions, pay_bands
from service.search import queries
from service.search.model import (
    Degraded,
    HitRow,
    Mode,
    Modes,
    Scan,
    SearchAnswer,
    SearchRequest,
    Total,
)
from service.search.scan import ScanChooser, needs_job
from service.telemetry.stages import annotate

WAITING_WARNING = "some postings are not embedded yet: they are found by their words only"
BUDGET = 100
"""Passages, and postings by words, that a search looks at when the page asks for no more."""
MOST_BUDGET = 4000
PASSING = frozenset({"overloaded", "text_refused"})
"""Reasons of this search alone, which say nothing of the embedder."""
NO_FLOOR = -1.0
"""The least similarity there is."""


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
        """Weight of the words beside the meaning."""


class QueryVectorLike(Protocol):
    """An embedded query with the generation it may be compared with."""

    @property
    def generation(self) -> GenerationLike:
        """The generation."""

    @property
    def vector(self) -> Vector:
        """The vector."""


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

    async def search(self, tenant_id: int, request: SearchRequest) -> SearchAnswer:
        """Answer a search; raises EmbedderUnavailable only when the caller asked to fail rather than degrade."""
        start = time.perf_counter()
        embedded, degraded = await self._embed(request)
        bands = await pay_bands(request.filters, self._conversions)
        passing = folded(request.filters) | bands.parameters()
        if embedded is None:
            answer = await self._by_words(tenant_id, request, passing)
        else:
            answer = await self._by_meaning(tenant_id, request, embedded, passing)
        answer.degraded = degraded
        answer.pay = bands.note
        if self._waiting() and request.mode != "lexical":
            answer.warnings.append(WAITING_WARNING)
        answer.took_ms = round((time.perf_counter() - start) * 1000, 3)
        annotate(
            jobsense_search_mode=answer.mode.served,
            jobsense_search_k=request.top_k,
            jobsense_search_results=len(answer.results),
            jobsense_search_degraded=degraded is not None,
        )
        return answer

    async def _embed(self, request: SearchRequest) -> tuple[QueryVectorLike | None, Degraded | None]:
        if request.mode == "lexical":
            return None, None
        try:
            return await self._embed_query(request.text), None
        except TextRefused as error:
            reason, refused = "text_refused", EmbedderUnavailable(error.detail, reason="text_refused")
        except EmbedderUnavailable as error:
            reason, refused = error.reason, error
        if request.on_degraded == "fail":
            raise refused
        since = None if reason in PASSING else self._absent_since()
        return None, Degraded(reason, since or datetime.now(UTC))

    async def _by_meaning(
        self, tenant_id: int, request: SearchRequest, embedded: QueryVectorLike, passing: dict[str, Any]
    ) -> SearchAnswer:
        """Widen the look until the page is full or everything near enough has been seen."""
        floor = embedded.generation.similarity_floor if request.min_score is None else request.min_score
        budget = max(BUDGET, 3 * request.top_k + 10)
        scan = await self._scan(tenant_id, request, embedded.generation, budget, passing)
        rows = await self._rows(tenant_id, request, embedded, passing, scan, floor)
        seen = rows
        while len(rows) < request.top_k:
            if not rows and scan.kind == "index":
                # A look that found nothing near enough says nothing of itself; the same without a floor does.
                seen = await self._rows(tenant_id, request, embedded, passing, scan, NO_FLOOR)
            if (wider := _wider(seen, scan, floor)) is None:
                break
            scan = wider
            seen = rows = await self._rows(tenant_id, request, embedded, passing, scan, floor)
        annotate(jobsense_search_index=scan.kind, jobsense_search_ef_search=scan.ef)
        cut = _cut(seen, scan, floor) or _gave_up(seen, scan)
        return _answer(
            request, rows, "hybrid" if request.mode == "hybrid" else "semantic", cut=cut, generation=embedded.generation
        )

    async def _scan(
        self, tenant_id: int, request: SearchRequest, generation: GenerationLike, budget: int, passing: dict[str, Any]
    ) -> Scan:
        return await self._chooser.choose(
            self._db,
            generation=generation.id,
            tenant_id=tenant_id,
            filters=request.filters,
            budget=budget,
            now=now_utc(),
            **passing,
        )

    async def _rows(
        self,
        tenant_id: int,
        request: SearchRequest,
        embedded: QueryVectorLike,
        passing: dict[str, Any],
        scan: Scan,
        floor: float,
    ) -> list[HitRow]:
        arguments: dict[str, Any] = {
            "vector": half_vector(embedded.vector),
            "generation": embedded.generation.id,
            "tenant_id": tenant_id,
            "joined": needs_job(request.filters),
            "exact": scan.kind == "exact",
            "ef": scan.ef,
            "budget": scan.budget,
            "floor": floor,
            "count": request.top_k,
            "now": now_utc(),
        } | passing
        if request.mode == "semantic":
            return await queries.search_semantic(self._db, **arguments)
        return await queries.search_hybrid(
            self._db,
            text=request.text,
            weight=embedded.generation.coverage_weight,
            word_budget=max(BUDGET, request.top_k),
            unembedded=embedded.generation.similarity_floor,
            **arguments,
        )

    async def _by_words(self, tenant_id: int, request: SearchRequest, passing: dict[str, Any]) -> SearchAnswer:
        rows = await queries.search_lexical(
            self._db,
            text=request.text,
            tenant_id=tenant_id,
            word_budget=2 * max(BUDGET, request.top_k),
            count=request.top_k,
            now=now_utc(),
            **passing,
        )
        return _answer(request, rows, "lexical", cut=bool(rows) and rows[0].words_cut, generation=None)


def _wider(rows: list[HitRow], scan: Scan, floor: float) -> Scan | None:
    """The next look when a page came back short; None when nothing more can match.

    A look that its budget cut goes on with four times the budget. An index scan that ended before its budget did gave
    up among rows that the filters refused, so the filters' own rows are all looked at.
    """
    if _cut(rows, scan, floor):
        return msgspec.structs.replace(scan, budget=scan.budget * 4) if scan.budget < MOST_BUDGET else None
    if _gave_up(rows, scan):
        return msgspec.structs.replace(scan, kind="exact")
    return None


def _gave_up(rows: list[HitRow], scan: Scan) -> bool:
    """Whether the index ended its scan before the budget did: among rows of other tenants, or that filters refuse."""
    return scan.kind == "index" and (not rows or rows[0].looked_at < scan.budget)


def _cut(rows: list[HitRow], scan: Scan, floor: float) -> bool:
    """Whether the budget ended the look while passages were still near enough to match."""
    return bool(rows) and rows[0].looked_at >= scan.budget and rows[0].last_similarity >= floor


def _answer(
    request: SearchRequest, rows: list[HitRow], served: Mode, *, cut: bool, generation: GenerationLike | None
) -> SearchAnswer:
    words_cut = bool(rows) and rows[0].words_cut
    return SearchAnswer(
        results=[row.hit(rank) for rank, row in enumerate(rows, 1)],
        total=Total(rows[0].total if rows else 0, "at_least" if cut or words_cut else "exact"),
        mode=Modes(request.mode, served),
        degraded=None,
        warnings=[],
        model=generation.model if generation else None,
        generation=generation.id if generation else None,
        took_ms=0.0,
    )
