"""What a relevance set is, and what an evaluation reports."""

import msgspec

from service.errors import JobSenseError, OperatorError

DEPTH = 10
"""How many results of a search count."""
MEASURES = ("ndcg", "recall", "mrr")
"""nDCG@10 with gain 2^grade - 1, recall@10, and the reciprocal rank of the first right answer among ten."""


class Document(msgspec.Struct, frozen=True):
    """One document of a set."""

    id: str
    title: str = ""
    text: str = ""


class RelevanceSet(msgspec.Struct, frozen=True):
    """Documents, searches by id, and for each search the grades (above 0) of the right documents."""

    name: str
    documents: list[Document]
    queries: dict[str, str]
    grades: dict[str, dict[str, int]]


class Measured(msgspec.Struct, frozen=True):
    """The measures of one search, or their means over several; each 0..1."""

    ndcg: float = msgspec.field(name="ndcg@10")
    recall: float = msgspec.field(name="recall@10")
    mrr: float = msgspec.field(name="mrr@10")


class Scores(msgspec.Struct, frozen=True):
    """The measures of one mode: their means, each search's own, and the median time of a search."""

    mean: Measured
    median_ms: float
    by_query: dict[str, Measured]


class SetReport(msgspec.Struct):
    """The scores of one set, by mode."""

    name: str
    documents: int
    queries: int
    model: str | None
    modes: dict[str, Scores]


class Report(msgspec.Struct):
    """The scores of all sets."""

    sets: list[SetReport]


class Comparison(msgspec.Struct, frozen=True):
    """One measure of B against A, search by search; `p` is two-sided."""

    set: str
    measure: str
    a: float
    b: float
    better: int
    worse: int
    p: float

    @property
    def difference(self) -> float:
        """How much B is above A."""
        return self.b - self.a


class UnreadableSet(OperatorError):
    """A folder is no relevance set; the message says which file and what is wrong."""


class NotEvaluable(JobSenseError):
    """The evaluation could not be carried through; the message says why."""
