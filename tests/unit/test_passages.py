"""Splitting postings into passages: every one fits and is led, nothing is left out, offsets are the body's."""

import gzip
import json
import os
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.embedding.model import PASSAGE_OVERLAP, Generation, Passage
from service.embedding.passages import LEAD_SHARE, Tokenizer, coverage, lead_of, split, split_text
from service.minilm.embedder import LocalEmbedder
from service.ollama.client import OllamaEmbedder
from service.plaintext import to_plain_text
from tests.fakes import WordEmbedder
from tests.growth import check_linear

DATA = os.environ.get("JOBSENSE_TEST_DATA")
BLOCKS = (
    "Plain words of a sentence. ",
    "unbreakable",
    "Heading\n\n",
    "\u12e8\u1225\u122b \u121b\u1235\u1273\u12c8\u1242\u12eb\u1362 ",
    "\U0001f469\u200d\U0001f4bb\U0001f680 ",
    "\ud55c\uad6d\uc5b4 \u4e2d\u6587\u3002",
    "e\u0301a\u0308 ",
    "550e8400-e29b-41d4-a716-446655440000 ",
    "\u200b\ufeff",
    "...!!!???",
    "   \t  ",
    "x1y2z3_" * 9,
)
bodies = st.lists(st.tuples(st.sampled_from(BLOCKS), st.integers(1, 60)), max_size=8).map(
    lambda parts: "".join(block * times for block, times in parts).strip()
)
titles = st.one_of(
    st.just("Nurse"), st.just("Officer " * 25), st.just("\u1290\u122d\u1235" * 66), st.text(min_size=2, max_size=200)
)


def generation(passage_tokens: int, overlap: int = PASSAGE_OVERLAP) -> Generation:
    """A generation with these passage rules."""
    return Generation(1, "local", "m", "d", 8, passage_tokens, "{text}", "{text}", passage_tokens, overlap, 0.3, 0.25)


@pytest.fixture(scope="module")
async def local() -> AsyncIterator[LocalEmbedder]:
    """The real model's tokenizer."""
    made = LocalEmbedder()
    await made.start()
    yield made
    await made.close()


@pytest.fixture(scope="module")
async def ollama() -> AsyncIterator[OllamaEmbedder]:
    """The counting rule for models whose tokenizer is out of reach, with a template."""
    made = OllamaEmbedder("http://127.0.0.1:9", "nomic-embed-text")
    yield made
    await made.close()


@pytest.fixture(params=["words", "local", "ollama"])
def tokenizer(request: pytest.FixtureRequest, local: LocalEmbedder, ollama: OllamaEmbedder) -> Tokenizer:
    """Every tokenizer in turn."""
    tokenizers: dict[str, Tokenizer] = {"words": WordEmbedder(), "local": local, "ollama": ollama}
    return tokenizers[request.param]


def check(passages: list[Passage], body: str, limit: int, tokenizer: Tokenizer) -> None:
    """What holds for the passages of any posting."""
    assert passages
    for passage in passages:
        assert tokenizer.count_tokens(passage.text) <= limit
        assert 0 <= passage.start <= passage.end <= len(body)
        assert passage.text.endswith(body[passage.start : passage.end])
    assert coverage(passages, body) == 1.0
    assert [passage.start for passage in passages] == sorted(passage.start for passage in passages)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=titles, location=st.sampled_from([None, "Nairobi", "Addis Ababa " * 16]), body=bodies)
@pytest.mark.parametrize("limit", [256, 64])
def test_any_posting(tokenizer: Tokenizer, limit: int, title: str, location: str | None, body: str) -> None:
    """Whatever the title, place and text: passages fit by its own count, cover all, and are the same again."""
    rules = generation(limit)
    made = [split(title, "Company", location, body, generation=rules, tokenizer=tokenizer) for _ in range(2)]
    check(made[0], body, limit, tokenizer)
    assert made[0] == made[1]
    lead = lead_of(title, "Company", location)
    if tokenizer.count_tokens(lead) <= limit * LEAD_SHARE:
        assert all(passage.text.startswith(lead) for passage in made[0])
    elif len(made[0]) > 1:
        assert all(passage.text[0] == lead[0] for passage in made[0])


@pytest.mark.parametrize(
    "body",
    [
        "x" * 100_000,
        "\u1230" * 100_000,
        "\U0001f600" * 100_000,
        "." * 100_000,
        "\u200b" * 100_000,
        ("word " * 20_000).strip(),
        "Short. " * 14_000 + "end",
        ("A sentence of some seven plain words. " * 2_600).strip(),
        "\n".join(["line"] * 20_000),
    ],
    ids=[
        "one word",
        "one Ethiopic word",
        "emoji",
        "dots",
        "invisible",
        "words",
        "short sentences",
        "sentences",
        "lines",
    ],
)
@pytest.mark.no_cover
def test_the_longest_texts(tokenizer: Tokenizer, body: str) -> None:
    """100,000 characters of any kind are split whole, and four times as many take about four times as long."""
    rules, passages = generation(256), list[Passage]()

    def run(size: int) -> None:
        text = body[:size].rstrip()
        passages[:] = split("Nurse", "Company", "Nairobi", text, generation=rules, tokenizer=tokenizer)

    check_linear(run, len(body))
    check(passages, body, 256, tokenizer)


def test_long_everything(tokenizer: Tokenizer) -> None:
    """A lead that would fill the passages is shortened on each, and its own text is in the passages too."""
    title, company, location = "Chief " * 33, "Company " * 25, "Somewhere " * 20
    passages = split(title, company, location, "The text. " * 200, generation=generation(64), tokenizer=tokenizer)
    check(passages, "The text. " * 200, 64, tokenizer)
    assert all(passage.text.startswith("Chief") for passage in passages)
    assert "Somewhere" in "".join(passage.text for passage in passages)


def test_a_short_posting_is_one_passage() -> None:
    """What fits stays whole: lead, line break, text."""
    short = split("Nurse", "Clinic", "Kisumu", "Care.", generation=generation(64), tokenizer=WordEmbedder())
    assert short == [Passage("Nurse\nClinic, Kisumu\nCare.", 0, 5)]
    bare = split("Nurse", "Clinic", None, None, generation=generation(64), tokenizer=WordEmbedder())
    assert bare == [Passage("Nurse\nClinic", 0, 0)]


def test_windows_end_with_sentences() -> None:
    """Where a sentence ends near the limit a passage ends with it, and the next begins with the next sentence."""
    body = " ".join(f"Sentence {number} has seven words in it." for number in range(60))
    passages = split("Nurse", "Clinic", None, body, generation=generation(64), tokenizer=WordEmbedder())
    assert len(passages) > 5
    for passage in passages:
        quoted = body[passage.start : passage.end]
        assert quoted.startswith("Sentence")
        assert quoted.endswith("it.")


def test_windows_without_sentences_overlap() -> None:
    """Where no sentence ends near the limit passages share some words, and begin and end between words."""
    body = " ".join(f"w{number}" for number in range(400))
    passages = split("Nurse", "Clinic", None, body, generation=generation(64, overlap=8), tokenizer=WordEmbedder())
    for before, after in pairwise(passages):
        assert len(body[after.start : before.end].split()) == 8
    assert {word for passage in passages for word in body[passage.start : passage.end].split()} == set(body.split())


@pytest.mark.parametrize("end", [".", "!", "?", "\u1362", "\n"])
def test_ends_of_sentences(end: str) -> None:
    """Latin and Ethiopic full stops, question and exclamation marks and line breaks end a sentence."""
    body = f"{'word ' * 45}last{end} {'more ' * 60}".strip()
    first = split("Nurse", "Clinic", None, body, generation=generation(64), tokenizer=WordEmbedder())[0]
    assert body[: first.end] == f"{'word ' * 45}last{end}".rstrip()


@settings(max_examples=60, deadline=None)
@given(body=bodies.filter(bool), most=st.integers(1, 16))
def test_a_long_text_is_whole_in_few_pieces(body: str, most: int) -> None:
    """Any text makes at most as many pieces as wanted, in order, that are its own and hold all of it."""
    pieces = split_text(body, most, generation=generation(64), tokenizer=WordEmbedder())
    assert 1 <= len(pieces) <= most
    assert all(piece.text == body[piece.start : piece.end] for piece in pieces)
    assert all(first.start < second.start for first, second in pairwise(pieces))
    assert coverage(pieces, body) == 1.0


def test_coverage_tells_what_is_missing() -> None:
    """The share counts visible characters, gaps before, between and after passages included."""
    body = "aa bb cc dd"
    assert coverage([Passage("", 0, 11)], body) == 1.0
    assert coverage([Passage("", 0, 2), Passage("", 6, 8)], body) == 0.5
    assert coverage([Passage("", 3, 11)], body) == 0.75
    assert coverage([], body) == 0.0
    assert [coverage([], nothing) for nothing in (None, "", " \n")] == [1.0, 1.0, 1.0]


def real_bodies() -> Iterator[tuple[str, str, str | None, str]]:
    """The postings with a description of the test data."""
    with gzip.open(Path(DATA or "") / "postings.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("description"):
                body = to_plain_text(row["description"])
                yield row.get("title") or "-", row.get("company") or "-", row.get("location"), body


@pytest.mark.skipif(DATA is None, reason="JOBSENSE_TEST_DATA is not set")
@pytest.mark.no_cover
def test_real_postings(local: LocalEmbedder) -> None:
    """Every twentieth real description is split whole."""
    for number, (title, company, location, body) in enumerate(real_bodies()):
        if number % 20 == 0:
            made = split(title, company, location, body, generation=generation(256), tokenizer=local)
            check(made, body, 256, local)
