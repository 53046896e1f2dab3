"""What callers ask of and get from a search for postings like a stored one, and the rows behind."""

import msgspec

from service.jobs.model import Filters, JobRow, State
from service.jobs.pay import PayNote
from service.search.model import DEFAULT_TOP_K, Hit, PassageHit, TopK


class SimilarQuery(Filters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a search for similar postings."""

    top_k: TopK = DEFAULT_TOP_K


class SimilarAnswer(msgspec.Struct):
    """The neighbours of a posting, the nearest first; `warnings` say when its vectors are old or missing."""

    results: list[Hit]
    warnings: list[str]
    model: str | None
    generation: int | None
    took_ms: float
    pay: PayNote | None = None


class SimilarRow(JobRow):
    """A neighbour, as the statement gives it; the columns from `known` on are of the whole search.

    There is always a first row: without a `place` it stands for no posting.
    """

    place: int | None
    similarity: float | None
    body_start: int | None
    body_end: int | None
    passage: str | None
    known: bool
    own_passages: int
    own_task: State | None
    least_looked_at: int
    edge: float | None

    def hit(self, rank: int) -> Hit:
        """The same as callers get it."""
        quoted = None
        if self.passage and self.body_start is not None:
            quoted = PassageHit(self.passage, self.body_start, self.body_start + len(self.passage))
        return Hit(rank, min(1.0, max(0.0, self.similarity or 0.0)), self.job(), quoted)
