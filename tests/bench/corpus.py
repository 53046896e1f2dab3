"""Postings, search texts and the vectors of both: as many as wanted, the same for the same number, on any machine.

A posting has every field, words of the sample postings, and few large and many small companies and places, as boards
have. The vectors stand for a model: a text is the sum of the directions of its words, those of titles above all, in a
space of fewer dimensions than vectors have, and a little of its own. So texts that share words are near, postings lie
in families around their titles, and HNSW finds them about as well as those of a real model.
"""

import random
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tests.load.material import WORDS_OF_A_POSTING, material

DIMENSIONS = 768
NEWEST = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAYS = 120
SOURCES = ("brightermonday", "linkedin", "jobwebkenya")
PLACES = (
    *("Nairobi", "Mombasa", "Kisumu", "Nakuru", "Eldoret", "Thika", "Nyeri", "Machakos", "Kericho", "Kakamega"),
    *("Naivasha", "Meru", "Kitale", "Malindi", "Garissa", "Embu", "Voi", "Isiolo", "Lodwar", "Lamu"),
)
KINDS = ("full_time", "part_time", "contract", "internship", "temporary")
_SIZES = {"places": len(PLACES), "kinds": len(KINDS)}

MEANINGS = 64
"""Dimensions in which words differ. More make the neighbours of a text harder to find, for HNSW as for people."""
OF_TITLE, OF_TEXT = 1.0, 0.22
"""Weight of a word that titles have, and of any other word of the sample."""
OWN = 0.35
"""Length of what a text has of its own, beside the 1 of its words."""
_OWN_ROWS = 4096
_WORD = re.compile(r"[a-z]{3,}")

Matrix = NDArray[np.float32]


def _zipf(count: int) -> list[float]:
    """Cumulative weights 1, 1/2, 1/3, ..."""
    return list(np.cumsum(1 / np.arange(1, count + 1)))


@lru_cache(maxsize=1)
def _weights() -> dict[str, list[float]]:
    return {"companies": _zipf(len(material().companies)), **{name: _zipf(size) for name, size in _SIZES.items()}}


def posting(number: int, *, source: str | None = None) -> dict[str, Any]:
    """A posting as a JSON body, with every field that it can have; one in three has no pay, one in ten no end."""
    dice = random.Random(number)  # noqa: S311 - words of a posting, no secrets
    found, weights = material(), _weights()
    (company,) = dice.choices(found.companies, cum_weights=weights["companies"])
    (place,) = dice.choices(PLACES, cum_weights=weights["places"])
    (kind,) = dice.choices(KINDS, cum_weights=weights["kinds"])
    posted = NEWEST - timedelta(seconds=int(dice.random() ** 2 * DAYS * 86400))
    least = dice.randrange(15, 200) * 1000
    priced = dice.random() < 2 / 3
    ends = posted + timedelta(days=dice.randrange(14, 60)) if dice.random() < 0.9 else None
    return {
        "title": dice.choice(found.titles),
        "company": company,
        "source": source or dice.choice(SOURCES),
        "external_id": f"bench-{number}",
        "description": " ".join(dice.choices(found.words, k=WORDS_OF_A_POSTING)),
        "location": place,
        "remote": dice.random() < 0.1,
        "employment_type": kind,
        "salary_min": least if priced else None,
        "salary_max": round(least * dice.uniform(1.0, 1.6)) if priced else None,
        "currency": "KES" if priced else None,
        "salary_period": "month" if priced else None,
        "url": f"https://jobs.example/{number}",
        "posted_at": posted.isoformat(),
        "expires_at": ends.isoformat() if ends else None,
    }


def search_text(number: int) -> str:
    """A search text: the words of a title and two or three of a posting's. Hardly ever the same for two numbers."""
    dice = random.Random(f"search {number}")  # noqa: S311 - words of a search, no secrets
    found = material()
    return f"{dice.choice(found.titles).lower()} {' '.join(dice.choices(found.words, k=dice.randint(2, 3)))}"


def zipf_numbers(*, distinct: int, exponent: float, seed: int) -> Iterator[int]:
    """Numbers below `distinct` without end, the n-th most frequent with a share of 1 / n ** exponent."""
    dice = random.Random(seed)  # noqa: S311 - arrivals of searches, no secrets
    cumulated = np.cumsum(1 / np.arange(1, distinct + 1) ** exponent).tolist()
    while True:
        yield from dice.choices(range(distinct), cum_weights=cumulated, k=1000)


@lru_cache(maxsize=1)
def _model() -> tuple[dict[str, int], Matrix, Matrix]:
    """The row of each word; what each word adds to a text, as a vector; and what texts have of their own."""
    dice = np.random.default_rng(768)
    found = material()
    of_title = {word for title in found.titles for word in _WORD.findall(title.lower())}
    known = sorted(of_title.union(found.words))
    # Nearly orthogonal columns of length 1 keep lengths; later meanings count for less, as in the vectors of a model.
    base = dice.normal(0, DIMENSIONS**-0.5, (MEANINGS, DIMENSIONS))
    spread = 1 / np.sqrt(1 + np.arange(MEANINGS))
    means = dice.normal(0, 1, (len(known), MEANINGS)) * (spread / np.linalg.norm(spread))
    means *= np.array([OF_TITLE if word in of_title else OF_TEXT for word in known])[:, None]
    own = dice.normal(0, OWN * (2 * DIMENSIONS) ** -0.5, (_OWN_ROWS, DIMENSIONS))
    rows = {word: number for number, word in enumerate(known)}
    return rows, (means @ base).astype(np.float32), own.astype(np.float32)


def vectors_of(texts: Sequence[str]) -> Matrix:
    """The unit vector of each text; templates of queries and documents say nothing and change nothing."""
    rows, added, own = _model()
    made = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
    for number, text in enumerate(texts):
        bare = text.removeprefix("search_query: ").removeprefix("search_document: ").lower()
        found = [row for word in _WORD.findall(bare) if (row := rows.get(word)) is not None]
        mark = crc32(bare.encode())
        of_words = added[found].sum(axis=0) if found else own[mark % _OWN_ROWS]
        made[number] = of_words / np.linalg.norm(of_words)
        made[number] += own[mark % _OWN_ROWS] + own[mark // _OWN_ROWS % _OWN_ROWS]
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made
