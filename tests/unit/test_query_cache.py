"""Vectors that are remembered: bounded, of the live generation alone, and of no model that is in doubt."""

import msgspec
import pytest

from service.db import half_vector
from service.embedding.model import Generation, QueryVector
from service.embedding.query_cache import QueryCache
from tests.factories import generation_of
from tests.fakes import WordEmbedder

EMBEDDER = WordEmbedder()


@pytest.fixture
def cache() -> QueryCache:
    """Room for three, for generation 1."""
    made = QueryCache(most=3)
    assert made.find(generation(1), "nothing") is None
    return made


def generation(number: int) -> Generation:
    """A generation."""
    return msgspec.structs.replace(generation_of(EMBEDDER), id=number)


def vector(text: str, number: int = 1) -> QueryVector:
    """The vector of a text in a generation."""
    return QueryVector(generation(number), half_vector(EMBEDDER.vector(text)))


def known(cache: QueryCache, *texts: str) -> list[str]:
    """Those of the texts that are remembered."""
    return [text for text in texts if cache.find(generation(1), text) is not None]


def test_the_least_recently_used_goes_first(cache: QueryCache) -> None:
    """There are never more entries than there is room for; what was found or kept again stays longer."""
    for text in "abc":
        cache.keep(text, vector(text), asked_at=0, now=0)
    assert cache.find(generation(1), "a") == vector("a")
    cache.keep("b", vector("b"), asked_at=0, now=0)
    cache.keep("d", vector("d"), asked_at=0, now=0)
    assert len(cache) == 3
    assert known(cache, *"abcd") == ["a", "b", "d"]


def test_a_generation_has_its_own(cache: QueryCache) -> None:
    """With another generation everything is forgotten, and an answer that comes late for the old one is not kept."""
    cache.keep("a", vector("a"), asked_at=0, now=0)
    assert cache.find(generation(2), "a") is None
    assert len(cache) == 0
    cache.keep("a", vector("a"), asked_at=0, now=0)
    assert cache.find(generation(2), "a") is None
    cache.keep("a", vector("a", number=2), asked_at=0, now=0)
    assert cache.find(generation(2), "a") == vector("a", number=2)
    assert cache.find(generation(1), "a") is None


def test_what_is_in_doubt_is_forgotten(cache: QueryCache) -> None:
    """Vectors from before the model was last known to be the same stay; later ones, and those under way, do not."""
    cache.keep("before", vector("before"), asked_at=8, now=9)
    cache.keep("after", vector("after"), asked_at=9, now=11)
    cache.doubt(10, now=20)
    cache.keep("under way", vector("under way"), asked_at=19, now=21)
    cache.keep("anew", vector("anew"), asked_at=22, now=23)
    assert known(cache, "before", "after", "under way", "anew") == ["before", "anew"]


def test_the_constants_are_those_of_now(cache: QueryCache) -> None:
    """A vector comes with the generation as it was last read, whose floor an operator may have changed."""
    cache.keep("a", vector("a"), asked_at=0, now=0)
    changed = msgspec.structs.replace(generation(1), similarity_floor=0.5)
    assert cache.find(changed, "a") == QueryVector(changed, vector("a").vector)
    cache.clear()
    assert known(cache, "a") == []


def test_any_text_has_a_place(cache: QueryCache) -> None:
    """Half of a surrogate pair, which a model may refuse, breaks nothing; texts that differ anywhere are different."""
    assert cache.find(generation(1), "\ud800") is None
    cache.keep("nurse", vector("nurse"), asked_at=0, now=0)
    assert known(cache, "nurse", "Nurse", "nurse ", "nurs\u00e9") == ["nurse"]
