"""`jobsense search`: a table for people, JSON for programs, and the truth about a leg that is missing."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Call, Result
from tests.fakes import WordEmbedder

ROWS = [
    {"title": "[Remote] Night nurse", "company": "Afya", "source": "linkedin", "id": "1", "location": "Kisumu"},
    {"title": "Welder \x1b[31mred", "company": "Jua Kali", "source": "linkedin", "id": "2"},
]


@pytest.fixture
def stored(call: Call, tmp_path: Path) -> Call:
    """Two postings, embedded."""
    (tmp_path / "jobs.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in ROWS))
    assert call("ingest", "jobs.jsonl").code == 0
    return call


def test_piped_it_is_the_answer_of_the_api(stored: Call) -> None:
    """JSON with the fields of POST /search, and nothing else on standard output."""
    answer = stored("search", "night nurse", "--top-k", "1").json()
    assert [hit["job"]["title"] for hit in answer["results"]] == ["[Remote] Night nurse"]
    assert (answer["mode"], answer["degraded"]) == ({"asked": "hybrid", "served": "hybrid"}, None)


def test_a_terminal_sees_a_table(stored: Call, on_terminal: Callable[[Callable[[], Result]], str]) -> None:
    """A row a posting, brackets as they are, nothing that could command the terminal, and how it was found."""
    shown = on_terminal(lambda: stored("search", "welder nurse"))
    assert "[Remote] Night nurse" in shown
    assert "Kisumu" in shown
    assert "Welder [31mred" in shown
    assert "2 match; hybrid, " in shown
    assert "degraded" not in shown


def test_a_search_without_its_model_says_so(
    stored: Call, words: WordEmbedder, on_terminal: Callable[[Callable[[], Result]], str]
) -> None:
    """It answers by words, exits 0, and names the reason in the table and in the JSON."""
    words.down = "unreachable"
    result = stored("search", "nurse", log_level="error")
    assert (result.code, result.json()["mode"]["served"]) == (0, "lexical")
    assert result.json()["degraded"]["reason"] == "unreachable"
    shown = on_terminal(lambda: stored("search", "nurse", log_level="error"))
    assert "1 match; lexical" in shown
    assert "degraded: unreachable, since 20" in shown


def test_the_keys_are_a_table_too(call: Call, on_terminal: Callable[[Callable[[], Result]], str]) -> None:
    """Names stand in it as they were given."""
    call("keys", "create", "--name", "[bold]crawler")
    shown = on_terminal(lambda: call("keys", "list"))
    assert "[bold]crawler" in shown
    assert "jobs:read jobs:write search" in shown
