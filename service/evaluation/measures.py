"""Measures of one ranking against the grades of the right documents: nDCG, recall, reciprocal rank; pure."""

from collections.abc import Iterable, Mapping, Sequence
from math import log2

import msgspec

from service.evaluation.model import DEPTH, Measured


def measure(ranking: Sequence[str], grades: Mapping[str, int]) -> Measured:
    """All measures of one search."""
    return Measured(
        round(ndcg(ranking, grades), 6), round(recall(ranking, grades), 6), round(reciprocal_rank(ranking, grades), 6)
    )


def mean_of(measured: Iterable[Measured]) -> Measured:
    """The means over searches."""
    columns = list(zip(*(msgspec.structs.astuple(one) for one in measured), strict=True))
    return Measured(*(round(sum(column) / len(column), 6) for column in columns))


def ndcg(ranking: Sequence[str], grades: Mapping[str, int]) -> float:
    """Normalised discounted cumulative gain of the first ten, gain 2^grade - 1 (Burges et al. 2005); 0..1."""
    best = _dcg(sorted(grades.values(), reverse=True)[:DEPTH])
    return _dcg([grades.get(found, 0) for found in ranking[:DEPTH]]) / best if best else 0.0


def recall(ranking: Sequence[str], grades: Mapping[str, int]) -> float:
    """Share of the right documents among the first ten; 0..1."""
    return len(set(ranking[:DEPTH]) & set(grades)) / len(grades) if grades else 0.0


def reciprocal_rank(ranking: Sequence[str], grades: Mapping[str, int]) -> float:
    """One over the rank of the first right document among the first ten, 0 without one."""
    return next((1 / rank for rank, found in enumerate(ranking[:DEPTH], 1) if found in grades), 0.0)


def _dcg(grades: Sequence[int]) -> float:
    return float(sum((2**grade - 1) / log2(rank + 1) for rank, grade in enumerate(grades, 1)))
