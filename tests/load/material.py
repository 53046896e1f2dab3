"""Postings and search texts for load tests: many, each different, from the words of the sample postings."""

import random
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from service.sample.generate import POSTINGS
from tests.load.generator import post

WORDS_OF_A_POSTING = 60
"""Words of a description: the posting is one passage, so that one posting is one text for the model."""


class Material(NamedTuple):
    """What postings and search texts are made of."""

    titles: list[str]
    companies: list[str]
    words: list[str]
    """The words of descriptions."""


@lru_cache(maxsize=1)
def material() -> Material:
    """All of it, out of the sample postings."""
    rows = [msgspec.json.decode(line) for line in POSTINGS.read_bytes().splitlines()]
    words = {word for row in rows for word in re.findall(r"[a-z]{4,}", row["description"])}
    return Material([row["title"] for row in rows], sorted({row["company"] for row in rows}), sorted(words))


def posting(number: int) -> dict[str, Any]:
    """A posting as a JSON body, the same for the same number."""
    dice = random.Random(number)  # noqa: S311 - words of a posting, no secrets
    titles, companies, words = material()
    return {
        "title": f"{dice.choice(titles)} {number}",
        "company": dice.choice(companies),
        "source": "linkedin",
        "external_id": f"load-{number}",
        "description": " ".join(dice.choices(words, k=WORDS_OF_A_POSTING)),
        "location": dice.choice(("Nairobi", "Kisumu", "Mombasa", "Nakuru", "Lodwar")),
    }


def searches(address: str, *, seed: int = 1, **fields: object) -> Iterator[bytes]:
    """Search requests without end, each of two to five words of another choice, and none from memory."""
    dice = random.Random(seed)  # noqa: S311 - words of a search, no secrets
    titles, _, words = material()
    asked = set[str]()
    while True:
        text = " ".join([*dice.choices(words, k=dice.randint(1, 3)), *dice.choice(titles).lower().split()[:2]])
        if text in asked:
            continue
        asked.add(text)
        yield post(address, "/api/v1/search", {"text": text, **fields})
