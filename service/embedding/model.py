"""What embedding works with: generations, claimed tasks, passages, and what a step came to."""

from datetime import datetime

import msgspec
from pgvector import HalfVector

from service.embedder import Identity

SIMILARITY_FLOORS = {"all-MiniLM-L6-v2": 0.25, "all-minilm": 0.25}
"""Similarity from which a posting counts as a match, by model. At 0.30 three of the twelve sample searches, short
questions against long texts, lost every right answer (similarities of 0.27 to 0.29); at 0.25 none does."""
FLOOR_OF_OTHERS = 0.25
COVERAGE_WEIGHT = 0.15
"""Weight of the coverage of one rare word beside similarity; of more words by the root of their number (sql/README.md,
decision 12). From 0.10 to 0.22 mean nDCG@10 on three judged sets is level (0.534 to 0.537, 0.518 without words)."""
PASSAGE_TOKENS = 384
"""Most tokens of a passage, for models that take more: shorter passages say one thing each."""
PASSAGE_OVERLAP = 24
"""Tokens that a passage repeats of the one before, so that a sentence on the seam is whole in one of them."""


class Generation(msgspec.Struct, frozen=True):
    """Everything that decides a vector, and the constants of the model's scale."""

    id: int
    provider: str
    model: str
    digest: str
    dimensions: int
    max_tokens: int
    query_template: str
    document_template: str
    passage_tokens: int
    passage_overlap: int
    similarity_floor: float
    coverage_weight: float

    def fits(self, identity: Identity) -> bool:
        """Whether vectors of this embedder belong into this generation."""
        return (
            (self.provider, self.model, self.digest) == (identity.provider, identity.model, identity.digest)
            and self.dimensions == identity.dimensions
            and (self.query_template, self.document_template) == (identity.query_template, identity.document_template)
        )


class QueryVector(msgspec.Struct, frozen=True):
    """An embedded query as statements take it, bound to the generation whose vectors it may be compared with."""

    generation: Generation
    vector: HalfVector


class ClaimedTask(msgspec.Struct):
    """A task under lease with its text; `settled`: that is embedded already, `twin`: it is for that other posting."""

    job_id: int
    text_hash: bytes
    title: str
    company: str
    location: str | None
    body: str | None
    attempts: int
    strikes: int
    traceparent: str | None
    created_at: datetime
    settled: bool
    twin: int | None
    twin_coverage: float | None


class FailedTask(msgspec.Struct):
    """A task that was set aside, and the posting that it is for; `attempts` counts claims, `strikes` its own faults."""

    job_id: int
    tenant: str
    source: str
    external_id: str | None
    title: str
    reason: str | None
    strikes: int
    attempts: int
    failed_at: datetime


class RetriedTask(msgspec.Struct):
    """A task that was put back, and when it had been set aside: where the next batch goes on."""

    job_id: int
    failed_at: datetime


class Absence(msgspec.Struct, frozen=True):
    """Why no query can be embedded now, and since when."""

    reason: str
    since: datetime
    detail: str


class Passage(msgspec.Struct, frozen=True):
    """A piece of a posting as it is embedded; `start` and `end` are its place in the body, in characters."""

    text: str
    start: int
    end: int


class Backlog(msgspec.Struct):
    """How far the embedding is behind."""

    waiting: int
    failed: int
    oldest_age_s: float


class TermStatAge(msgspec.Struct):
    """How far the word statistics are behind."""

    version: int
    jobs: int
    refreshed_at: datetime
    jobs_now: int


class Outcome(msgspec.Struct, kw_only=True):
    """What one step of the worker came to, in postings; `texts` went to the model.

    `struck`: given back because their own text is likely at fault; `retried`: for any other reason.
    """

    claimed: int = 0
    stored: int = 0
    settled: int = 0
    copied: int = 0
    texts: int = 0
    superseded: int = 0
    retried: int = 0
    struck: int = 0
    discarded: int = 0


class TraceOfJob(msgspec.Struct, frozen=True):
    """Trace ids of a posting: of the step that embedded it, and of the request that wrote it while it still waits."""

    job_id: int
    embedded_by: str | None
    embedded_at: datetime | None
    written_by: str | None
