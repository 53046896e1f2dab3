"""What is killed when: drawn from a seed, dealt like cards so that a short run has every kind of end too."""

import random
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

LONGEST_WAIT_S = 1.2
AT_ONCE_SHARE = 0.3
"""How often the next strikes while the last has not recovered, or the process is still starting."""
LONG_HOLD_S = 34.0
"""Longer than a lease: what the stopped process had claimed is done by another before it goes on."""
LONG_RUN = 100
EARLY_SHARE = 0.8
"""In a short run most ends that may leave a lease behind come first: the last lease has to lapse before it is over."""

DECK: Mapping[str, int] = MappingProxyType(
    {
        "service.kill": 3,
        "service.term": 1,
        "service.hold": 1,
        "worker-1.kill": 2,
        "worker-1.term": 1,
        "worker-2.kill": 1,
        "worker-2.hold": 1,
        "ingest.kill": 2,
        "ingest.term": 1,
        "postgres.kill": 2,
        "postgres.kill_one": 1,
        "postgres.hold_one": 1,
        "ollama.kill": 2,
        "ollama.hold": 1,
    }
)
"""Twenty ends, and how often each is among them."""
SHORT_RUN = len(DECK)
"""A run in which each of them comes once."""


class Step(msgspec.Struct, frozen=True):
    """After `wait_s`: what is done to whom; `for_s`: how long it stays away; `when_up`: not before it works."""

    wait_s: float
    what: str
    for_s: float
    when_up: bool


def draw(seed: str, kills: int) -> list[Step]:
    """The schedule of a seed: the same always."""
    rng = random.Random(f"{seed} schedule")  # noqa: S311 - an experiment that can be repeated
    deck: list[str] = []
    steps: list[Step] = []
    while len(steps) < kills:
        if not deck:
            deck = [name for name, times in DECK.items() for _ in range(times if kills > SHORT_RUN else 1)]
            rng.shuffle(deck)
            if kills <= SHORT_RUN:
                deck.sort(key=lambda name: name.startswith(("worker", "postgres")) and rng.random() < EARLY_SHARE)
        what = deck.pop()
        for_s = rng.uniform(0.2, 2.5)
        if what == "worker-2.hold" and kills >= LONG_RUN and rng.random() < 0.2:
            for_s = LONG_HOLD_S
        steps.append(Step(rng.uniform(0.1, LONGEST_WAIT_S), what, for_s, rng.random() > AT_ONCE_SHARE))
    return steps
