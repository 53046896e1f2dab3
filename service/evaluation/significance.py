"""Whether two ways of ranking differ by more than chance: a paired randomisation test over searches."""

from collections.abc import Mapping
from random import Random

from service.evaluation.model import Comparison

ROUNDS = 10_000
"""The smallest p that can come out is one over this."""


def compare(name: str, measure: str, a: Mapping[str, float], b: Mapping[str, float]) -> Comparison:
    """Compare the searches that both have.

    Under the hypothesis that A and B are alike, each difference is as likely with the other sign: p is the share of
    random sign changes whose mean is at least as far from zero (Smucker, Allan, Carterette 2007). Seeded, so that the
    same reports give the same p.
    """
    both = sorted(a.keys() & b.keys())
    differences = [b[query] - a[query] for query in both]
    return Comparison(
        set=name,
        measure=measure,
        a=_mean([a[query] for query in both]),
        b=_mean([b[query] for query in both]),
        better=sum(one > 0 for one in differences),
        worse=sum(one < 0 for one in differences),
        p=_p([one for one in differences if one]),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _p(differences: list[float]) -> float:
    seen = abs(sum(differences)) - 1e-12  # sums in another order differ in their last bits
    random = Random(0)  # noqa: S311 - chance for statistics, not for secrets
    total = sum(differences)
    extreme = 0
    for _ in range(ROUNDS):
        flipped = random.getrandbits(len(differences)) if differences else 0
        turned = sum(one for place, one in enumerate(differences) if flipped >> place & 1)
        extreme += abs(total - 2 * turned) >= seen
    return (extreme + 1) / (ROUNDS + 1)
