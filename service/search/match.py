"""Holds a long text, such as a résumé, against the postings: piece by piece, and by how much of it each answers.

Late interaction (MaxSim, Khattab & Zaharia 2020, "ColBERT"), between pieces and passages instead of tokens: the score
of a posting is the mean over the pieces of the best similarity between the piece and one of its passages, weighted by
the length of the piece. What every résumé says counts for all postings alike, and so decides nothing.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from service.db import Database, half_vector
from service.embedder import Vector
from service.errors import EmbedderUnavailable
from service.jobs.domain import folded, now_utc
from service.jobs.pay import Conversions, no_conversions, pay_bands
from service.search import queries
from service.search.domain import PASSING, AbsentSince, GenerationLike, Waiting
from service.search.match_answer import Matched, Weighed, answer_of
from service.search.match_model import MatchAnswer, MatchRequest, MatchRow
from service.search.model import Degraded, Scan
from service.search.scan import ScanChooser, needs_job, wider
from service.search.similar import WAITING_WARNING
from service.telemetry.stages import annotate

MOST_PIECES = 16
"""Pieces of a text; each costs as much as a search. A longer text is cut into larger ones."""
BUDGET = 50
"""Passages looked at for each piece when the page asks for no more."""
MOST_BUDGET = 500
CANDIDATES = 1000
"""Postings that are scored at most."""
MOST_PAIRS = 200_000
"""Rows times pieces up to which an exact look takes less than a tenth of a second; past that the index has to do."""
RARE_WORDS = 100
"""Words of the text that are looked for while it cannot be embedded."""
WORD_BUDGET = 200
"""Postings that they may lead to."""


class PieceLike(Protocol):
    """A piece of a text: its place, and its vector unless the model refuses it."""

    @property
    def start(self) -> int:
        """The character with which it begins."""

    @property
    def end(self) -> int:
        """The character before which it ends."""

    @property
    def vector(self) -> Vector | None:
        """The vector."""


class EmbeddedTextLike(Protocol):
    """A text in pieces, and the generation that their vectors may be compared with."""

    @property
    def generation(self) -> GenerationLike:
        """The generation."""

    @property
    def pieces(self) -> Sequence[PieceLike]:
        """The pieces."""


EmbedText = Callable[[str, int], Awaitable[EmbeddedTextLike]]
"""A text in at most so many pieces; raises EmbedderUnavailable."""


class Matcher:
    """Matches long texts; wired to whatever cuts and embeds them."""

    def __init__(
        self,
        db: Database,
        embed_text: EmbedText,
        absent_since: AbsentSince,
        *,
        chooser: ScanChooser | None = None,
        waiting: Waiting = lambda: 0,
        conversions: Conversions = no_conversions,
    ) -> None:
        self._db = db
        self._embed_text = embed_text
        self._absent_since = absent_since
        self._chooser = chooser or ScanChooser()
        self._waiting = waiting
        self._conversions = conversions

    async def match(self, tenant_id: int, request: MatchRequest) -> MatchAnswer:
        """The postings that fit; raises EmbedderUnavailable only when the caller asked to fail rather than degrade."""
        start = time.perf_counter()
        degraded = None
        bands = await pay_bands(request.filters, self._conversions)
        passing = folded(request.filters) | bands.parameters()
        try:
            weighed = await self._weigh(request.text)
        except EmbedderUnavailable as error:
            if request.on_degraded == "fail":
                raise
            since = None if error.reason in PASSING else self._absent_since()
            degraded = Degraded(error.reason, since or datetime.now(UTC))
            matched = Matched(rows=await self._by_words(tenant_id, request, passing))
        else:
            matched = await self._by_meaning(tenant_id, request, weighed, passing)
        answer = answer_of(request, matched)
        answer.degraded = degraded
        answer.pay = bands.note
        if self._waiting() and degraded is None:
            answer.warnings.append(WAITING_WARNING)
        answer.took_ms = round((time.perf_counter() - start) * 1000, 3)
        annotate(
            jobsense_search_mode="match",
            jobsense_search_k=request.top_k,
            jobsense_search_results=len(answer.results),
            jobsense_search_degraded=degraded is not None,
            jobsense_search_degraded_reason=degraded.reason if degraded else None,
        )
        return answer

    async def _weigh(self, text: str) -> Weighed:
        """The pieces of a text with their vectors; one that the model refuses is left out, and named in a warning."""
        embedded = await self._embed_text(text, MOST_PIECES)
        weighed = Weighed(embedded.generation)
        for piece in embedded.pieces:
            if piece.vector is None:
                weighed.refused.append((piece.start, piece.end))
            else:
                weighed.places.append((piece.start, piece.end))
                weighed.vectors.append(half_vector(piece.vector))
        if not weighed.vectors:
            raise EmbedderUnavailable("the model takes no part of this text", reason="text_refused")
        return weighed

    async def _by_meaning(
        self, tenant_id: int, request: MatchRequest, weighed: Weighed, passing: dict[str, Any]
    ) -> Matched:
        """Look once; wider only where the page came back short although more may match."""
        floor = weighed.generation.similarity_floor if request.min_score is None else request.min_score
        scan: Scan | None = await self._scan(tenant_id, request, weighed, passing)
        now = now_utc()
        while scan is not None:
            rows = await self._rows(tenant_id, request, weighed, passing, scan=scan, floor=floor, now=now)
            whole = rows[0]
            reaches = whole.is_cut or (whole.edge is not None and whole.edge >= floor)
            matched = Matched(rows=rows, weighed=weighed, scan=scan, cut=reaches or scan.kind == "index")
            if (rows[-1].place or 0) >= request.top_k:
                break
            scan = wider(scan, is_cut=reaches, least_looked_at=whole.least_looked_at, most=MOST_BUDGET)
        if (used := matched.scan) is not None:
            annotate(
                jobsense_embedding_model=weighed.generation.model,
                jobsense_search_index=used.kind,
                jobsense_search_ef_search=used.ef if used.kind == "index" else None,
                jobsense_search_candidates=whole.looked_at,
                jobsense_search_filtered_out=used.left_out,
            )
        return matched

    async def _scan(self, tenant_id: int, request: MatchRequest, weighed: Weighed, passing: dict[str, Any]) -> Scan:
        scan = await self._chooser.choose(
            self._db,
            generation=weighed.generation.id,
            tenant_id=tenant_id,
            filters=request.filters,
            budget=max(BUDGET, 3 * request.top_k + 10),
            now=now_utc(),
            **passing,
        )
        return scan.by_index() if scan.estimate * len(weighed.vectors) > MOST_PAIRS else scan

    async def _rows(
        self,
        tenant_id: int,
        request: MatchRequest,
        weighed: Weighed,
        passing: dict[str, Any],
        *,
        scan: Scan,
        floor: float,
        now: datetime,
    ) -> list[MatchRow]:
        arguments: dict[str, Any] = {
            "vectors": weighed.vectors,
            "weights": weighed.weights(),
            "generation": weighed.generation.id,
            "tenant_id": tenant_id,
            "now": now,
            "joined": needs_job(request.filters),
            "exact": scan.kind == "exact",
            "ef": scan.ef,
            "budget": scan.budget,
            "candidates": CANDIDATES,
            "floor": floor,
            "count": request.top_k,
        }
        return await queries.match_passages(self._db, **arguments, **passing)

    async def _by_words(self, tenant_id: int, request: MatchRequest, passing: dict[str, Any]) -> list[MatchRow]:
        return await queries.match_words(
            self._db,
            text=request.text,
            tenant_id=tenant_id,
            now=now_utc(),
            words_most=RARE_WORDS,
            word_budget=WORD_BUDGET,
            count=request.top_k,
            **passing,
        )
