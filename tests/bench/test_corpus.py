"""The corpus: the same for the same number, valid, and with vectors in which words count."""

import msgspec
import numpy as np

from service.jobs.model import JobInput
from tests.bench.corpus import DIMENSIONS, posting, search_text, vectors_of


def test_a_number_is_a_posting() -> None:
    """Always the same one, another for another number, and good for the API."""
    assert posting(7) == posting(7)
    assert posting(7)["description"] != posting(8)["description"]
    for number in range(50):
        msgspec.convert(posting(number), JobInput, strict=False)


def test_search_texts_differ() -> None:
    """Nearly all of many, so that none is answered from memory."""
    assert len({search_text(number) for number in range(5000)}) > 4990


def test_vectors_are_of_the_words() -> None:
    """Unit vectors that do not change; what shares words is near, templates mean nothing."""
    texts = ["night nurse kisumu", "search_document: night nurse kisumu", "nurse at night", "solar panels on roofs"]
    found = vectors_of(texts)
    assert found.shape == (4, DIMENSIONS)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert np.array_equal(found, vectors_of(texts))
    near = found @ found[0]
    assert near[1] > 0.999
    assert near[2] > near[3] + 0.2
