"""Finds the postings most like a stored one, from the vectors that it has, which never leave the database."""

import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from service.db import Database
from service.errors import NotFound
from service.jobs.domain import folded, now_utc
from service.jobs.pay import Conversions, no_conversions, pay_bands
from service.search import queries
from service.search.domain import BUDGET, GenerationLike, Waiting
from service.search.model import Scan
from service.search.paging import MOST_BUDGET
from service.search.scan import ScanChooser, needs_job, wider
from service.search.similar_model import SimilarAnswer, SimilarQuery, SimilarRow
from service.telemetry.stages import annotate

OWN_PASSAGES = 8
"""Passages of a posting that neighbours are looked for from; a look for each costs as much as a search."""
COPY_SIMILARITY = 0.95
"""From which passages of two postings with one title and company are the same text sent again."""
NO_GENERATION = 0
"""A number that no generation has: nothing is found."""

NOT_YET = "the posting is not embedded yet: nothing can be said to be near it"
NEVER = "the posting could not be embedded: nothing can be said to be near it"
OLD = "the changed text of the posting is not embedded yet: these are neighbours of its text before"
WAITING_WARNING = "some postings are not embedded yet and cannot be found by meaning"

LiveGeneration = Callable[[], Awaitable[GenerationLike | None]]


class Neighbours:
    """Finds similar postings; wired to whatever knows the live generation."""

    def __init__(
        self,
        db: Database,
        live_generation: LiveGeneration,
        *,
        chooser: ScanChooser | None = None,
        waiting: Waiting = lambda: 0,
        conversions: Conversions = no_conversions,
    ) -> None:
        self._db = db
        self._live_generation = live_generation
        self._chooser = chooser or ScanChooser()
        self._waiting = waiting
        self._conversions = conversions

    async def search(self, tenant_id: int, job_id: int, query: SimilarQuery) -> SimilarAnswer:
        """The neighbours of a posting within the filters; raises NotFound when this tenant has no such posting."""
        start = time.perf_counter()
        generation = await self._live_generation()
        bands = await pay_bands(query, self._conversions)
        rows = await self._look(tenant_id, job_id, query, generation, folded(query) | bands.parameters())
        if not rows[0].known:
            raise NotFound(f"There is no posting {job_id}", code="job_not_found")
        hits = [row for row in rows if row.place is not None]
        annotate(jobsense_search_k=query.top_k, jobsense_search_results=len(hits))
        return SimilarAnswer(
            results=[row.hit(rank) for rank, row in enumerate(hits, 1)],
            warnings=self._warnings(rows[0]),
            model=None if generation is None else generation.model,
            generation=None if generation is None else generation.id,
            took_ms=round((time.perf_counter() - start) * 1000, 3),
            pay=bands.note,
        )

    async def _look(
        self,
        tenant_id: int,
        job_id: int,
        query: SimilarQuery,
        generation: GenerationLike | None,
        passing: dict[str, Any],
    ) -> list[SimilarRow]:
        """Look wider until the page is full or everything near enough has been seen."""
        now = now_utc()
        floor = 0.0 if generation is None else generation.similarity_floor
        scan: Scan | None = await self._scan(tenant_id, query, generation, now, passing)
        rows: list[SimilarRow] = []
        while scan is not None:
            rows = await queries.search_similar(
                self._db,
                job_id=job_id,
                generation=NO_GENERATION if generation is None else generation.id,
                tenant_id=tenant_id,
                now=now,
                joined=needs_job(query),
                exact=scan.kind == "exact",
                ef=scan.ef,
                budget=scan.budget,
                floor=floor,
                count=query.top_k,
                own_most=OWN_PASSAGES,
                copy_similarity=COPY_SIMILARITY,
                **passing,
            )
            annotate(
                jobsense_embedding_model=None if generation is None else generation.model,
                jobsense_search_index=scan.kind,
                jobsense_search_ef_search=scan.ef if scan.kind == "index" else None,
                jobsense_search_filtered_out=scan.left_out,
            )
            if not rows[0].own_passages or (rows[-1].place or 0) >= query.top_k:
                break
            reaches = rows[0].edge is not None and rows[0].edge >= floor
            scan = wider(scan, is_cut=reaches, least_looked_at=rows[0].least_looked_at, most=MOST_BUDGET)
        return rows

    async def _scan(
        self,
        tenant_id: int,
        query: SimilarQuery,
        generation: GenerationLike | None,
        now: datetime,
        passing: dict[str, Any],
    ) -> Scan:
        budget = max(BUDGET, 3 * query.top_k + 10)
        if generation is None:
            return Scan("exact", 0, budget, budget)
        return await self._chooser.choose(
            self._db,
            generation=generation.id,
            tenant_id=tenant_id,
            filters=query.bare(),
            budget=budget,
            now=now,
            **passing,
        )

    def _warnings(self, whole: SimilarRow) -> list[str]:
        warnings = []
        if not whole.own_passages:
            warnings.append(NEVER if whole.own_task == "failed" else NOT_YET)
        elif whole.own_task is not None:
            warnings.append(OLD)
        if self._waiting():
            warnings.append(WAITING_WARNING)
        return warnings
