"""Turns the rows of a search into what callers get: hits with their explanations, facets, total."""

import msgspec

from service.jobs.model import Filters
from service.search.model import (
    Explain,
    Facets,
    Hit,
    HitRow,
    LexicalExplain,
    Mode,
    Modes,
    Scan,
    ScanExplain,
    SearchAnswer,
    SearchRequest,
    SemanticExplain,
    Total,
)

NO_FILTERS = Filters()


class Found(msgspec.Struct):
    """What a page of a search found: its rows, what was said of the whole, and how it was looked for."""

    served: Mode
    rows: list[HitRow]
    whole: HitRow
    cut: bool
    scan: Scan | None = None
    model: str | None = None
    generation: int | None = None
    next_cursor: str | None = None
    shown: int = 0


def answer_of(request: SearchRequest, found: Found) -> SearchAnswer:
    """The answer, without what is only known outside: degraded, warnings, time."""
    facets: Facets = {name: [] for name in request.facets}
    if found.whole.facets is not None:
        facets |= msgspec.json.decode(found.whole.facets, type=Facets)
    return SearchAnswer(
        results=[_hit(request, found, rank, row) for rank, row in enumerate(found.rows, found.shown + 1)],
        total=Total(found.whole.total, "at_least" if found.cut or found.whole.words_cut else "exact"),
        facets=facets,
        mode=Modes(request.mode, found.served),
        degraded=None,
        warnings=[],
        model=found.model,
        generation=found.generation,
        next_cursor=found.next_cursor,
        took_ms=0.0,
    )


def _hit(request: SearchRequest, found: Found, rank: int, row: HitRow) -> Hit:
    hit = Hit(rank, row.score, row.job(), row.quoted())
    if request.explain:
        hit.explain = _explain(request, found, row)
    return hit


def _explain(request: SearchRequest, found: Found, row: HitRow) -> Explain:
    semantic = lexical = scan = None
    if row.semantic_rank is not None and row.similarity is not None:
        semantic = SemanticExplain(row.semantic_rank, row.similarity)
    if row.lexical_rank is not None and row.coverage is not None:
        lexical = LexicalExplain(
            row.lexical_rank, row.score / row.factor if found.served == "lexical" else row.coverage
        )
    if found.scan is not None:
        scan = ScanExplain(
            found.scan.kind,
            found.scan.estimate,
            found.scan.ef if found.scan.kind == "index" else None,
            found.scan.budget,
            found.whole.looked_at,
            named(request.filters),
        )
    return Explain(semantic, lexical, row.score, formula(found, row, request.recency_half_life_days), scan)


def formula(found: Found, row: HitRow, half_life_days: float | None) -> str:
    """How a score is made, with the constants of this search; a posting without vectors has a stand-in similarity."""
    weight = found.whole.weight
    stands_in = row.passage_no is None and row.similarity is not None
    similarity = f"{row.similarity:.4f}" if stands_in else "similarity"
    made = {
        "semantic": "similarity",
        "lexical": "sum(idf x ts_rank(word)) / sum(idf)",
        "hybrid": f"({similarity} + {weight:.4f} x coverage) / {1 + weight:.4f}",
    }[found.served]
    return made if half_life_days is None else f"{made} x 0.5 ^ (age in days / {half_life_days:g})"


def named(filters: Filters) -> list[str]:
    """The names of the filters that are given."""
    return [name for name in Filters.__struct_fields__ if getattr(filters, name) != getattr(NO_FILTERS, name)]
