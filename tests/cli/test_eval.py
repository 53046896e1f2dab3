"""`jobsense eval`: figures of a set through the real path, nothing left behind, and comparisons."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.cli.conftest import Call
from tests.fakes import WordEmbedder

TITLES = ["Beekeeper", "Welder", "Night nurse", "Tax accountant"]
TENANTS = "select count(*) from tenant where name like 'eval-%'"


@pytest.fixture
def relevance(tmp_path: Path) -> Path:
    """Four documents; a search for each by its own words, and one that only a wrong document answers."""
    folder = tmp_path / "toy"
    folder.mkdir()
    documents = [{"id": f"d{at}", "title": title, "text": f"{title} wanted"} for at, title in enumerate(TITLES)]
    (folder / "docs.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in documents))
    (folder / "queries.tsv").write_text(
        "".join(f"q{at}\t{title}\n" for at, title in enumerate(TITLES)) + "q9\twelder\n"
    )
    (folder / "qrels.tsv").write_text("".join(f"q{at}\td{at}\t1\n" for at in range(len(TITLES))) + "q9\td0\t1\n")
    return folder


def value(dsn: str, query: str) -> Any:
    """One value of the database."""

    async def ask() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_a_set_is_measured_and_nothing_is_left(call: Call, relevance: Path, dsn: str) -> None:
    """Each mode has its means and each search its own figures; tenant, postings and vectors are gone afterwards."""
    result = call("eval", str(relevance))
    assert result.code == 0, result.err
    (one,) = result.json()["sets"]
    assert (one["name"], one["documents"], one["queries"], one["model"]) == ("toy", 4, 5, "words")
    assert set(one["modes"]) == {"hybrid", "semantic", "lexical"}
    for scores in one["modes"].values():
        assert [scores["by_query"][f"q{at}"]["ndcg@10"] for at in range(4)] == [1.0] * 4
        assert scores["by_query"]["q9"]["mrr@10"] < 1
        assert 0.8 <= scores["mean"]["mrr@10"] < 1
    for table in ("job", "passage", "embedding_task", "embedded"):
        assert value(dsn, f"select count(*) from {table}") == 0, table  # noqa: S608 - names of this test
    assert value(dsn, TENANTS) == 0


def test_what_a_killed_evaluation_left_is_removed_a_day_later(call: Call, relevance: Path, dsn: str) -> None:
    """An old scratch tenant goes with its postings; one of another evaluation that runs now stays."""

    async def leave() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            "insert into tenant (name) values ('eval-1700000000-abc123'), ('eval-99999999999-abc123'), ('evaluators')"
        )
        await connection.close()

    asyncio.run(leave())
    assert call("eval", str(relevance), "--mode", "lexical").code == 0
    assert value(dsn, TENANTS) == 1
    assert value(dsn, "select count(*) from tenant where name = 'evaluators'") == 1


def test_modes_are_compared(call: Call, relevance: Path) -> None:
    """`--compare A B` on a folder runs the two modes alone and tests B against A search by search."""
    found = call("eval", str(relevance), "--compare", "lexical", "semantic").json()
    assert [(one["set"], one["measure"]) for one in found] == [("toy", "ndcg"), ("toy", "recall"), ("toy", "mrr")]
    assert all(0 < one["p"] <= 1 for one in found)


def test_saved_reports_are_compared(call: Call, relevance: Path, tmp_path: Path) -> None:
    """Without a folder A and B are reports; the same report differs from itself by nothing."""
    saved = tmp_path / "report.json"
    saved.write_text(call("eval", str(relevance), "--mode", "semantic").out)
    found = call("eval", "--compare", str(saved), str(saved)).json()
    assert {(one["set"], one["p"], one["better"]) for one in found} == {("toy semantic", 1.0, 0)}


def test_without_an_embedder_nothing_is_evaluated(call: Call, relevance: Path, words: WordEmbedder, dsn: str) -> None:
    """Degraded figures would be figures of something else: exit code 1, the reason, and nothing left behind."""
    words.down = "refused"
    result = call("eval", str(relevance))
    assert (result.code, result.out) == (1, "")
    assert "without an embedder" in result.err
    assert value(dsn, TENANTS) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give a FOLDER"),
        (("toy", "--compare", "a.json", "b.json"), "these are modes"),
        (("nowhere",), "does not exist"),
    ],
)
def test_wrong_use_is_told(call: Call, relevance: Path, arguments: tuple[str, ...], told: str) -> None:
    """Exit code 2 and what to do."""
    assert relevance.name == "toy"
    result = call("eval", *arguments)
    assert result.code == 2
    assert told in result.err


def test_a_folder_that_is_no_set_is_told(call: Call, tmp_path: Path) -> None:
    """Exit code 1 with the files that a set has."""
    (tmp_path / "empty").mkdir()
    result = call("eval", "empty")
    assert result.code == 1
    assert "qrels.tsv" in result.err
