"""Turns the rows of a match into what callers get: hits with the pairs that fit best, explanations, total."""

import msgspec
from pgvector import HalfVector

from service.search.answer import named
from service.search.domain import GenerationLike
from service.search.match_model import (
    MatchAnswer,
    MatchExplain,
    MatchHit,
    MatchRequest,
    MatchRow,
    PieceExplain,
    PieceMatch,
    Quote,
    TextPlace,
)
from service.search.model import PassageHit, Scan, ScanExplain, Total

BY_MEANING = "sum over the pieces of weight x best similarity to a passage"
BY_WORDS = "share of the text's rarest words, by idf, that the posting holds"

Place = tuple[int, int]


class Weighed(msgspec.Struct):
    """The pieces of a text that have vectors, as places in it, and those that the model refused."""

    generation: GenerationLike
    places: list[Place] = []
    refused: list[Place] = []
    vectors: list[HalfVector] = []

    def weights(self) -> list[float]:
        """The share of each piece in the score: that of its length; all together 1."""
        whole = sum(end - start for start, end in self.places)
        return [(end - start) / whole for start, end in self.places]


class Matched(msgspec.Struct):
    """What a match found and how it was looked for; by words alone there is nothing but rows."""

    rows: list[MatchRow]
    weighed: Weighed | None = None
    scan: Scan | None = None
    cut: bool = False


def answer_of(request: MatchRequest, matched: Matched) -> MatchAnswer:
    """The answer, without what is only known outside: degraded, time, whether postings wait."""
    whole, weighed = matched.rows[0], matched.weighed
    hits = [row for row in matched.rows if row.place is not None]
    return MatchAnswer(
        results=[_hit(request, matched, rank, row) for rank, row in enumerate(hits, 1)],
        total=Total(whole.total, "at_least" if matched.cut or whole.is_cut else "exact"),
        degraded=None,
        warnings=[
            f"characters {start} to {end} of the text are refused by the model and count for nothing"
            for start, end in (weighed.refused if weighed else ())
        ],
        model=weighed.generation.model if weighed else None,
        generation=weighed.generation.id if weighed else None,
        took_ms=0.0,
    )


def _hit(request: MatchRequest, matched: Matched, rank: int, row: MatchRow) -> MatchHit:
    matches = []
    if row.quotes is not None and matched.weighed is not None:
        quotes = msgspec.json.decode(row.quotes, type=list[Quote])
        matches = [_match(quote, matched.weighed.places[quote.piece - 1]) for quote in quotes]
    hit = MatchHit(rank, row.score, row.job(), matches[0].passage if matches else None, matches)
    if request.explain:
        hit.explain = _explain(request, matched, row)
    return hit


def _match(quote: Quote, place: Place) -> PieceMatch:
    passage = PassageHit(quote.text, quote.start, quote.start + len(quote.text)) if quote.text else None
    return PieceMatch(TextPlace(*place), passage, quote.similarity)


def _explain(request: MatchRequest, matched: Matched, row: MatchRow) -> MatchExplain:
    weighed, scan = matched.weighed, matched.scan
    if weighed is None or scan is None:
        return MatchExplain(BY_WORDS, [], None)
    pieces = [
        PieceExplain(TextPlace(*place), weight, similarity)
        for place, weight, similarity in zip(weighed.places, weighed.weights(), row.similarities or (), strict=True)
    ]
    ef = scan.ef if scan.kind == "index" else None
    looked_at = matched.rows[0].looked_at
    return MatchExplain(
        BY_MEANING,
        pieces,
        ScanExplain(scan.kind, scan.estimate, ef, scan.budget, looked_at, named(request.filters)),
    )
