"""Measures against figures worked out by hand, the paired test, and relevance sets as people write them."""

import gzip
import math
from pathlib import Path

import pytest

from service.evaluation.domain import compare_modes, compare_reports, evaluate
from service.evaluation.measures import mean_of, measure, ndcg, recall, reciprocal_rank
from service.evaluation.model import Measured, RelevanceSet, Report, Scores, SetReport, UnreadableSet
from service.evaluation.reading import read_report, read_sets
from service.evaluation.significance import compare

DOCUMENT = b'{"id": "d%d", "title": "T%d", "text": "x"}\n'


def write_set(folder: Path, *, packed: bool = False) -> Path:
    """Three documents, two judged searches and one without a judgement."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = b"".join(DOCUMENT % (number, number) for number in range(3))
    if packed:
        (folder / "docs.jsonl.gz").write_bytes(gzip.compress(lines))
    else:
        (folder / "docs.jsonl").write_bytes(lines)
    (folder / "queries.tsv").write_text("q1\tfirst\nq2\tsecond\nq3\tnobody judged\n")
    (folder / "qrels.tsv").write_text("q1\td0\t2\nq1\td1\t1\nq2\td2\t1\nq2\td0\t0\n")
    return folder


def test_ndcg_is_the_discounted_gain_over_the_best_possible() -> None:
    """Gain is 2^grade - 1, the discount log2(rank + 1), and the ideal order has 1."""
    grades = {"a": 2, "b": 1}
    assert ndcg(["a", "b"], grades) == 1.0
    swapped = (1 / math.log2(2) + 3 / math.log2(3)) / (3 / math.log2(2) + 1 / math.log2(3))
    assert ndcg(["b", "a"], grades) == pytest.approx(swapped)
    assert ndcg(["x", "a"], {"a": 1}) == pytest.approx(1 / math.log2(3))
    assert ndcg([], grades) == 0.0


def test_only_the_first_ten_count() -> None:
    """A right answer at rank eleven is none, for every measure; with twelve right ones ten are the best possible."""
    late = [f"x{place}" for place in range(10)] + ["a"]
    assert (ndcg(late, {"a": 1}), recall(late, {"a": 1}), reciprocal_rank(late, {"a": 1})) == (0, 0, 0)
    many = {f"x{place}": 1 for place in range(12)}
    assert ndcg(late, many) == pytest.approx(1.0)
    assert recall(late, many) == pytest.approx(10 / 12)


def test_recall_and_reciprocal_rank() -> None:
    """Recall is the share found, reciprocal rank that of the first right one; a double answer counts once."""
    assert recall(["a", "a", "x"], {"a": 1, "b": 1}) == 0.5
    assert reciprocal_rank(["x", "y", "b", "a"], {"a": 1, "b": 1}) == pytest.approx(1 / 3)
    assert measure(["a"], {"a": 3}) == Measured(1.0, 1.0, 1.0)
    assert mean_of([Measured(1.0, 0.5, 0.0), Measured(0.0, 0.5, 0.5)]) == Measured(0.5, 0.5, 0.25)


def test_a_clear_difference_is_no_chance_and_none_is() -> None:
    """Twenty searches that all gain are significant; as many gains as losses are not; no difference has p = 1."""
    a = {f"q{number}": 0.1 for number in range(20)}
    clear = compare("set", "ndcg", a, dict.fromkeys(a, 0.2))
    assert (clear.better, clear.worse) == (20, 0)
    assert clear.difference == pytest.approx(0.1)
    assert clear.p < 0.001
    mixed = {query: 0.2 if int(query[1:]) % 2 else 0.0 for query in a}
    assert compare("set", "ndcg", a, mixed).p > 0.5
    assert compare("set", "ndcg", a, a).p == 1.0
    assert compare("set", "ndcg", a, mixed) == compare("set", "ndcg", a, mixed)


def test_p_is_that_of_all_sign_changes() -> None:
    """With three searches that gain alike, 2 of the 8 sign changes are as extreme: p is near one quarter."""
    a = {"q1": 0.0, "q2": 0.0, "q3": 0.0}
    assert compare("set", "mrr", a, dict.fromkeys(a, 0.5)).p == pytest.approx(0.25, abs=0.02)


def test_only_searches_that_both_have_are_compared() -> None:
    """A search that one report lacks plays no part."""
    found = compare("set", "mrr", {"q1": 0.0, "gone": 1.0}, {"q1": 1.0, "new": 0.0})
    assert (found.a, found.b, found.better, found.worse) == (0.0, 1.0, 1, 0)


@pytest.mark.parametrize("packed", [False, True])
def test_a_set_is_read(tmp_path: Path, packed: bool) -> None:
    """Documents plain or gzipped; searches without a judgement, and grades of 0, are left out."""
    (one,) = read_sets(write_set(tmp_path / "mine", packed=packed))
    assert one.name == "mine"
    assert [document.id for document in one.documents] == ["d0", "d1", "d2"]
    assert one.queries == {"q1": "first", "q2": "second"}
    assert one.grades == {"q1": {"d0": 2, "d1": 1}, "q2": {"d2": 1}}


def test_a_folder_of_sets_gives_all_by_name(tmp_path: Path) -> None:
    """What is no set beside them is passed over."""
    for name in ("b", "a"):
        write_set(tmp_path / name)
    (tmp_path / "notes").mkdir()
    assert [one.name for one in read_sets(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("qrels.tsv", "q1\td0\n", r"qrels.tsv, line 1: 2 columns, 3"),
        ("qrels.tsv", "q1\td0\thigh\n", r"line 1: the grade 'high'"),
        ("qrels.tsv", "other\td0\t1\n", r"no search of queries.tsv has a judgement"),
        ("queries.tsv", "q1 first\n", r"queries.tsv, line 1: 1 columns, 2"),
        ("queries.tsv", "\udcff", r"queries.tsv cannot be read"),
        ("docs.jsonl", '{"id": "d0"}\n{"title": "no id"}\n', r"docs.jsonl, line 2"),
        ("docs.jsonl", '{"id": "d0"}\n\n{"id": "d0"}\n', r"the same id"),
    ],
)
def test_what_is_wrong_with_a_set_is_told(tmp_path: Path, name: str, content: str, told: str) -> None:
    """The message names the file, and the line where there is one."""
    (write_set(tmp_path) / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UnreadableSet, match=told):
        read_sets(tmp_path)


def test_a_folder_without_a_set_says_what_a_set_is(tmp_path: Path) -> None:
    """The message tells the three files; a missing one of them is named."""
    with pytest.raises(UnreadableSet, match=r"queries\.tsv .* qrels\.tsv"):
        read_sets(tmp_path)
    (write_set(tmp_path) / "queries.tsv").unlink()
    with pytest.raises(UnreadableSet, match=r"queries\.tsv cannot be read"):
        read_sets(tmp_path)
    with pytest.raises(UnreadableSet, match="no report"):
        read_report(tmp_path / "qrels.tsv")


async def test_every_search_is_asked_in_every_mode(tmp_path: Path) -> None:
    """The scores are those of the rankings, and the steps count all searches."""
    (one,) = read_sets(write_set(tmp_path))
    steps: list[int] = []

    async def rank(text: str, mode: str) -> list[str]:
        return ["d0", "d1"] if (text, mode) == ("first", "semantic") else []

    scores = await evaluate(one, ["semantic", "lexical"], rank, step=steps.append)
    assert steps == [1, 2, 3, 4]
    assert scores["semantic"].by_query == {"q1": Measured(1.0, 1.0, 1.0), "q2": Measured(0.0, 0.0, 0.0)}
    assert scores["semantic"].mean == Measured(0.5, 0.5, 0.5)
    assert scores["lexical"].mean == Measured(0.0, 0.0, 0.0)


def test_modes_and_reports_are_compared_where_both_have_them() -> None:
    """Modes within a report, and the same mode of the same set in two reports; nothing else."""
    low, high = (Scores(Measured(x, x, x), 1.0, {"q1": Measured(x, x, x)}) for x in (0.1, 0.9))
    before = Report([SetReport("s", 1, 1, "m", {"semantic": low, "hybrid": high}), SetReport("gone", 1, 1, "m", {})])
    after = Report([SetReport("s", 1, 1, "m", {"semantic": high})])
    within = compare_modes(before, "semantic", "hybrid")
    assert [(one.set, one.measure, one.a, one.b) for one in within] == [
        ("s", "ndcg", 0.1, 0.9),
        ("s", "recall", 0.1, 0.9),
        ("s", "mrr", 0.1, 0.9),
    ]
    assert {one.set for one in compare_reports(before, after)} == {"s semantic"}
    assert compare_modes(after, "semantic", "lexical") == []


def test_a_set_keeps_its_shape() -> None:
    """A set can be made in code, as tests and notebooks do."""
    assert RelevanceSet("s", [], {}, {}).name == "s"
