"""What callers ask of a search and get from it, and the rows behind."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from service.jobs.fields import At
from service.jobs.model import Filters, Job, JobRow
from service.jobs.pay import PayNote

Mode = Annotated[Literal["hybrid", "semantic", "lexical"], Meta(title="SearchMode")]
ScanKind = Annotated[Literal["index", "exact"], Meta(title="ScanKind")]
FacetName = Annotated[Literal["source", "company", "location", "employment_type", "currency"], Meta(title="FacetName")]

MAX_TEXT = 2000
DEFAULT_TOP_K = 10

TopK = Annotated[int, Meta(ge=1, le=100, description="Postings wanted.")]
MinScore = Annotated[
    float, Meta(ge=0, le=1, description="Similarity from which a posting matches; unset: the model's floor.")
]
OnDegraded = Annotated[
    Literal["allow", "fail"],
    Meta(
        title="OnDegraded",
        description="Whether words alone will do while no vectors can be made, or 503 is wanted.",
    ),
]
FacetNames = Annotated[
    tuple[FacetName, ...],
    Meta(max_length=5, description="Fields whose commonest values among all matches are counted, 50 at most each."),
]
HalfLife = Annotated[
    float,
    Meta(
        ge=0.01,
        le=36_500,
        description="Days in which a score halves: by age since posted_at, else since the posting came in.",
    ),
]
Explained = Annotated[bool, Meta(description="Say of each hit how it came to its rank.")]
Highlighted = Annotated[bool, Meta(description="Quote title and passage as HTML, the query's words in <mark>.")]
CursorText = Annotated[
    str, Meta(max_length=4000, description="`next_cursor` of the page before, with the same search.")
]


class SearchRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A search by meaning, by words, or by both."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT, description="What is looked for, in any words.")]
    top_k: TopK = DEFAULT_TOP_K
    mode: Mode = "hybrid"
    filters: Filters = Filters()
    facets: FacetNames = ()
    min_score: MinScore | None = None
    recency_half_life_days: HalfLife | None = None
    explain: Explained = False
    highlight: Highlighted = False
    cursor: CursorText | None = None
    on_degraded: OnDegraded = "allow"


class SearchQuery(Filters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search as the parameters of a URL."""

    q: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT, description="What is looked for, in any words.")]
    top_k: TopK = DEFAULT_TOP_K
    mode: Mode = "hybrid"
    facets: FacetNames = ()
    min_score: MinScore | None = None
    recency_half_life_days: HalfLife | None = None
    explain: Explained = False
    highlight: Highlighted = False
    cursor: CursorText | None = None
    on_degraded: OnDegraded = "allow"

    def as_request(self) -> SearchRequest:
        """The same as the body of POST /search."""
        same = {
            name: getattr(self, name) for name in SearchRequest.__struct_fields__ if name not in {"text", "filters"}
        }
        return SearchRequest(text=self.q, filters=self.bare(), **same)


class PassageHit(msgspec.Struct):
    """The passage that matched best: characters `start` to `end` of the description as text."""

    text: str
    start: int
    end: int


class Highlight(msgspec.Struct):
    """HTML of a hit, safe to show: everything of the posting is escaped, words of the query are in `<mark>`."""

    title: str
    passage: str | None


class SemanticExplain(msgspec.Struct):
    """What the meaning gave: the place among all matches by similarity, 1 the nearest."""

    rank: int
    similarity: float


class LexicalExplain(msgspec.Struct):
    """What the words gave. Score: hybrid, the share of the query's words by idf; lexical, their idf-weighted rank."""

    rank: int
    score: float


class ScanExplain(msgspec.Struct):
    """How the vectors were looked through: kind, rows expected behind the filters, and rows looked at."""

    kind: ScanKind
    estimate: int
    ef_search: int | None
    budget: int
    rows_looked_at: int
    filters: list[str]


class Explain(msgspec.Struct):
    """How a hit came to its score: each leg, and `formula`, which made `fused` of them; no scan by words alone."""

    semantic: SemanticExplain | None
    lexical: LexicalExplain | None
    fused: float
    formula: str
    scan: ScanExplain | None


class Hit(msgspec.Struct, omit_defaults=True):
    """One posting found. `score` is 0..1 and comparable within one answer."""

    rank: int
    score: float
    job: Job
    passage: PassageHit | None
    highlight: Highlight | None = None
    explain: Explain | None = None


class Total(msgspec.Struct):
    """How many postings match: exactly, or at least so many within the search's budget."""

    value: int
    relation: Annotated[Literal["exact", "at_least"], Meta(title="TotalRelation")]


class Modes(msgspec.Struct):
    """The mode asked for, and the one that was served."""

    asked: Mode
    served: Mode


class Degraded(msgspec.Struct):
    """Why less was served than asked, and since when."""

    reason: str
    since: At


class FacetCount(msgspec.Struct):
    """A value and how many of the matches have it; of spellings that are compared alike, one stands for all."""

    value: str
    count: int


Facets = dict[FacetName, list[FacetCount]]


class SearchAnswer(msgspec.Struct):
    """The postings found, the best first. Hits, total and facets are of the same matches; `pay`: how pay compared."""

    results: list[Hit]
    total: Total
    facets: Facets
    mode: Modes
    degraded: Degraded | None
    warnings: list[str]
    model: str | None
    generation: int | None
    next_cursor: str | None
    took_ms: float
    pay: PayNote | None = None


class HitRow(JobRow):
    """A posting found, as the statements give it; the columns from `total` on are of the whole search.

    There is always a first row: without a `place` it stands for no posting.
    """

    place: int | None
    score: float
    factor: float
    similarity: float | None
    coverage: float | None
    semantic_rank: int | None
    lexical_rank: int | None
    passage_no: int | None
    body_start: int | None
    body_end: int | None
    passage: str | None
    total: int
    looked_at: int
    last_similarity: float
    words_cut: bool
    weight: float
    facets: str | None
    ndocs: list[int] | None
    jobs: int | None

    def quoted(self) -> PassageHit | None:
        """The passage that matched, if there is one."""
        if self.passage and self.body_start is not None and self.body_end is not None:
            # A text that was shortened since may end before its old passage does.
            return PassageHit(self.passage, self.body_start, self.body_start + len(self.passage))
        return None


class MarkedRow(msgspec.Struct):
    """Title and quoted text of a posting with signs around the words of a query."""

    job_id: int
    title: str
    passage: str | None


class Scan(msgspec.Struct, frozen=True):
    """How the vectors are looked through: all behind the filters, or by the index with this `ef_search`."""

    kind: ScanKind
    estimate: int
    ef: int
    budget: int
    left_out: int = 0
    """Passages that the filters refuse, as the planner estimates."""

    def by_index(self) -> "Scan":
        """The same by the index."""
        return msgspec.structs.replace(self, kind="index")
