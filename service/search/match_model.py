"""What callers ask of and get from a match of a long text against the postings, and the rows behind."""

from typing import Annotated

import msgspec
from msgspec import Meta

from service.jobs.model import Filters, Job, JobRow
from service.jobs.pay import PayNote
from service.search.model import DEFAULT_TOP_K, Degraded, Explained, OnDegraded, PassageHit, ScanExplain, TopK, Total

MAX_MATCH_TEXT = 50_000

LeastScore = Annotated[float, Meta(ge=0, le=1, description="Score from which a posting matches; unset: the model's.")]


class MatchRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A profile or résumé, and which postings it is held against."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_MATCH_TEXT, description="A profile or résumé, as text.")]
    top_k: TopK = DEFAULT_TOP_K
    filters: Filters = Filters()
    min_score: LeastScore | None = None
    explain: Explained = False
    on_degraded: OnDegraded = "allow"


class TextPlace(msgspec.Struct):
    """Characters `start` to `end` of the text that was sent, its outer white space trimmed."""

    start: int
    end: int


class PieceMatch(msgspec.Struct):
    """A piece of the text and the passage of the posting that is nearest to it, null while the text changes."""

    text: TextPlace
    passage: PassageHit | None
    similarity: float


class PieceExplain(msgspec.Struct):
    """A piece of the text, its share in the score, and its similarity to the passage that is nearest to it."""

    text: TextPlace
    weight: float
    similarity: float


class MatchExplain(msgspec.Struct):
    """How a posting came to its score; by words alone there are neither pieces nor a scan."""

    formula: str
    pieces: list[PieceExplain]
    scan: ScanExplain | None


class MatchHit(msgspec.Struct, omit_defaults=True):
    """One posting found; `score` is 0..1, `passage` that of the first of its `matches`, the three best pairs."""

    rank: int
    score: float
    job: Job
    passage: PassageHit | None
    matches: list[PieceMatch]
    explain: MatchExplain | None = None


class MatchAnswer(msgspec.Struct):
    """The postings that answer most of the text, the best first."""

    results: list[MatchHit]
    total: Total
    degraded: Degraded | None
    warnings: list[str]
    model: str | None
    generation: int | None
    took_ms: float
    pay: PayNote | None = None


class Quote(msgspec.Struct):
    """A piece by its number, from 1, and the passage that is nearest to it, as the statement gives them."""

    piece: int
    similarity: float
    start: int
    text: str | None


class MatchRow(JobRow):
    """A posting found, as the statements give it; the columns from `total` on are of the whole search.

    There is always a first row: without a `place` it stands for no posting.
    """

    place: int | None
    score: float
    similarities: list[float] | None
    quotes: str | None
    total: int
    looked_at: int
    least_looked_at: int
    edge: float | None
    is_cut: bool
