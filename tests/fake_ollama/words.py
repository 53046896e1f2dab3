"""Deterministic embeddings and token counts of the fake: texts that share words are near."""

import hashlib
import math
import re
from functools import lru_cache

_TOKEN = re.compile(r"\w+|[^\w\s]")
_PLACES = 8
_PREFIX_WORDS = frozenset({"search_query", "search_document"})
SPECIAL_TOKENS = 2


def tokens_of(text: str) -> list[str]:
    """Split `text` into words and punctuation marks: the fake's tokens, without the two special ones."""
    return _TOKEN.findall(text)


def embed(text: str, dimensions: int) -> list[float]:
    """Return the unit vector of `text` by feature hashing: a word adds a sign at eight places that its hash names.

    Prefix words of the nomic templates carry no meaning, so that a query and a document of the same words are near.
    """
    vector = [0.0] * dimensions
    words = [word.lower() for word in tokens_of(text) if word[0].isalnum()]
    for word in words:
        if word not in _PREFIX_WORDS:
            for place, sign in _features(word, dimensions):
                vector[place] += sign
    norm = math.hypot(*vector)
    if norm == 0:
        vector[0] = norm = 1.0
    return [round(value / norm, 9) for value in vector]


@lru_cache(maxsize=20_000)
def _features(word: str, dimensions: int) -> tuple[tuple[int, float], ...]:
    digest = hashlib.blake2b(word.encode(), digest_size=4 * _PLACES, person=b"fake-ollama").digest()
    numbers = [int.from_bytes(digest[at : at + 4], "big") for at in range(0, len(digest), 4)]
    return tuple((number // 2 % dimensions, 1.0 if number % 2 else -1.0) for number in numbers)
