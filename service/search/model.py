"""What callers ask of a search and get from it, and the rows behind."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from service.jobs.model import Filters, Job, JobRow
from service.jobs.pay import PayNote

Mode = Literal["hybrid", "semantic", "lexical"]
ScanKind = Literal["index", "exact"]

MAX_TEXT = 2000
DEFAULT_TOP_K = 10


class SearchRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A search by meaning, by words, or by both."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT, description="What is looked for, in any words.")]
    top_k: Annotated[int, Meta(ge=1, le=100, description="Postings wanted.")] = DEFAULT_TOP_K
    mode: Mode = "hybrid"
    filters: Filters = Filters()
    min_score: (
        Annotated[
            float, Meta(ge=0, le=1, description="Similarity from which a posting matches; unset: the model's floor.")
        ]
        | None
    ) = None
    on_degraded: Annotated[
        Literal["allow", "fail"],
        Meta(description="Whether words alone will do while no vectors can be made, or 503 is wanted."),
    ] = "allow"


class SearchQuery(Filters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search as the parameters of a URL."""

    q: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT, description="What is looked for, in any words.")]
    top_k: Annotated[int, Meta(ge=1, le=100, description="Postings wanted.")] = DEFAULT_TOP_K
    mode: Mode = "hybrid"
    min_score: Annotated[float, Meta(ge=0, le=1, description="Similarity from which a posting matches.")] | None = None
    on_degraded: Literal["allow", "fail"] = "allow"

    def as_request(self) -> SearchRequest:
        """The same as the body of POST /search."""
        return SearchRequest(
            text=self.q,
            top_k=self.top_k,
            mode=self.mode,
            filters=self.bare(),
            min_score=self.min_score,
            on_degraded=self.on_degraded,
        )


class PassageHit(msgspec.Struct):
    """The passage that matched best: characters `start` to `end` of the description as text."""

    text: str
    start: int
    end: int


class Hit(msgspec.Struct):
    """One posting found. `score` is 0..1 and comparable within one answer."""

    rank: int
    score: float
    job: Job
    passage: PassageHit | None


class Total(msgspec.Struct):
    """How many postings match: exactly, or at least so many within the search's budget."""

    value: int
    relation: Literal["exact", "at_least"]


class Modes(msgspec.Struct):
    """The mode asked for, and the one that was served."""

    asked: Mode
    served: Mode


class Degraded(msgspec.Struct):
    """Why less was served than asked, and since when."""

    reason: str
    since: datetime


class SearchAnswer(msgspec.Struct):
    """The postings found, the best first; `pay` tells how a filter on pay compared."""

    results: list[Hit]
    total: Total
    mode: Modes
    degraded: Degraded | None
    warnings: list[str]
    model: str | None
    generation: int | None
    took_ms: float
    pay: PayNote | None = None


class HitRow(JobRow):
    """A posting found, as the statements give it; the last four columns are of the whole search."""

    score: float
    similarity: float | None
    coverage: float | None
    passage_no: int | None
    body_start: int | None
    body_end: int | None
    passage: str | None
    total: int
    looked_at: int
    last_similarity: float
    words_cut: bool

    def hit(self, rank: int) -> Hit:
        """The same as callers get it."""
        quoted = None
        if self.passage and self.body_start is not None and self.body_end is not None:
            # A text that was shortened since may end before its old passage does.
            quoted = PassageHit(self.passage, self.body_start, self.body_start + len(self.passage))
        return Hit(rank, self.score, self.job(), quoted)


class Scan(msgspec.Struct, frozen=True):
    """How the vectors are looked through: all behind the filters, or by the index with this `ef_search`."""

    kind: ScanKind
    estimate: int
    ef: int
    budget: int
