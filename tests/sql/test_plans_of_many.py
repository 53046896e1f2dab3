"""Plans of the statements that look from many vectors or for many words at once, and what they find."""

from collections.abc import Callable
from typing import Any

import pytest

from service.db import Connection, half_vector
from service.search.queries import match_passages, search_similar
from tests.sql.plans import MODES, Mode, explain
from tests.sql.samples import HALF, LARGE, NARROW, WIDE
from tests.sql.test_plans import DIMENSIONS, FILTERS, NOW, PAY, semantic


def likeness(generation: int = NARROW, **given: Any) -> dict[str, Any]:
    """A search for postings like one of that generation, which is not of the small tenant."""
    job_id = {NARROW: HALF - 1, WIDE: HALF + 1}[generation]
    return semantic(generation) | {"job_id": job_id, "own_most": 8, "copy_similarity": 0.95} | given


def pieces(generation: int = NARROW, **given: Any) -> dict[str, Any]:
    """A match of a text of three pieces."""
    rows = [[0.1 * ((place + piece) % 7 - 3) for place in range(DIMENSIONS[generation])] for piece in range(3)]
    vectors = [half_vector(row) for row in rows]
    return semantic(generation) | {"vectors": vectors, "weights": [0.5, 0.3, 0.2], "candidates": 1000} | given


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("generation", [NARROW, WIDE])
@pytest.mark.parametrize(("statement", "given"), [("search_similar", likeness), ("match_passages", pieces)])
async def test_looks_from_many_vectors_use_the_index(
    connection: Connection, statement: str, given: Callable[[int], dict[str, Any]], generation: int, mode: Mode
) -> None:
    """Neighbours of a stored posting and of each piece of a text are found by the index of the generation alone."""
    plan = await explain(connection, f"search.{statement}", mode, **given(generation))
    (scan, *others) = [node for node in plan.executed if node.get("Index Name", "").endswith("_embedding_idx")]
    assert not others
    assert scan["Index Name"] == f"passage_g{generation}_embedding_idx"
    assert scan["Actual Loops"] == {"search_similar": 1, "match_passages": 3}[statement]
    assert not any(name.startswith(f"passage_g{NARROW + WIDE - generation}") for name in plan.indexes())
    assert not {"passage_g1", "passage_g2", "job", "job_word"} & plan.scanned()


async def test_looks_from_many_vectors_are_planned_for_their_values(connection: Connection) -> None:
    """However often they ran on a connection, no plan for any values takes over: it could use no filter's index."""
    for _ in range(12):
        await search_similar(connection, **likeness())
        await match_passages(connection, **pieces())
    kept = await connection.fetch("select statement, generic_plans, custom_plans from pg_prepared_statements")
    ours = [row for row in kept if "job_passes" in row["statement"]]
    assert [(row["generic_plans"], row["custom_plans"]) for row in ours] == [(0, 12), (0, 12)]


@pytest.mark.parametrize("exact", [True, False])
async def test_neighbours_are_the_nearest_vectors(connection: Connection, exact: bool) -> None:
    """By every row, and by the index where it looks wide enough, the neighbours are those that a plain sort finds."""
    given = likeness(WIDE, exact=exact, ef=400)
    nearest = await connection.fetch(
        "select v.job_id from passage_g2 v join passage_g2 o on o.job_id = $1 where v.job_id <> $1 and v.tenant_id = 1"
        " order by (v.embedding <#> o.embedding) + 0, v.job_id limit 10",
        given["job_id"],
    )
    found = await search_similar(connection, **given)
    wanted = {job_id for (job_id,) in nearest}
    assert len(wanted & {row.id for row in found}) >= (10 if exact else 9)
    assert all(row.known and row.own_passages == 1 for row in found)


async def test_an_exact_match_scores_what_it_should(connection: Connection) -> None:
    """The scores of a match are the weighted means of the best similarities, worked out the plain way."""
    given = pieces(NARROW, exact=True, floor=0.0, budget=2000, candidates=2000)
    plain = await connection.fetch(
        "select v.job_id, sum(p.weight * greatest(-(v.embedding <#> p.vector), 0)) as score from passage_g1 v"
        " cross join unnest($1::halfvec[], $2::float8[]) p (vector, weight) where v.tenant_id = 1"
        " group by v.job_id order by score desc, v.job_id limit 10",
        given["vectors"],
        given["weights"],
    )
    found = await match_passages(connection, **given)
    assert [row.id for row in found] == [job_id for job_id, _ in plain]
    assert [row.score for row in found] == pytest.approx([score for _, score in plain])
    few = await match_passages(connection, **given | {"budget": 100, "exact": False, "ef": 200})
    assert len({row.id for row in few} & {row.id for row in found}) >= 8


@pytest.mark.parametrize("mode", MODES)
async def test_rare_words_of_a_text_use_the_index_of_words(connection: Connection, mode: Mode) -> None:
    """Without vectors the rarest words of a long text lead to their postings, and common ones are not looked up."""
    given = dict.fromkeys(FILTERS + PAY) | {"tenant_id": LARGE, "now": NOW, "count": 10, "word_budget": 200}
    await connection.execute("insert into term_stat select word, ndoc from ts_stat('select words from job_word')")
    try:
        plan = await explain(connection, "search.match_words", mode, text="w7 w8 common", words_most=2, **given)
    finally:
        await connection.execute("delete from term_stat")
    scan = plan.node(Index_Name="job_word_words_idx")
    assert scan["Actual Loops"] == 2
    assert not {"job", "job_word"} & plan.scanned()
