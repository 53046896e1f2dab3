"""How storing is cut into portions that give way to searches."""

from collections.abc import Sequence

import pytest

from service.embedding.portions import MOST_REST_S, PORTION, RESTS, Portions


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The rests that were taken; none takes any time."""
    taken: list[float] = []

    async def rest(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr("service.embedding.portions.asyncio.sleep", rest)
    return taken


def clock(monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    """Let every look at the clock be so much later than the one before."""
    looks = iter(range(1_000))
    monkeypatch.setattr("service.embedding.portions.time.perf_counter", lambda: next(looks) * step_s)


async def cut(made: Portions, items: Sequence[int]) -> list[Sequence[int]]:
    """The portions of these items."""
    return [portion async for portion in made.of(items)]


async def test_without_searches_all_is_one_portion(rests: list[float]) -> None:
    """Nothing is cut, nobody rests; nothing of nothing."""
    made = Portions(lambda: False)
    assert await cut(made, range(9)) == [range(9)]
    assert await cut(made, []) == []
    assert (rests, made.rested_s) == ([], 0.0)


async def test_beside_searches_a_rest_follows_each_portion(rests: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A few at a time, in order, and a rest after each in proportion to what it took."""
    clock(monkeypatch, 0.25)
    made = Portions(lambda: True)
    cuts = await cut(made, range(2 * PORTION + 1))
    assert [len(portion) for portion in cuts] == [PORTION] * 2 + [1]
    assert [item for portion in cuts for item in portion] == list(range(2 * PORTION + 1))
    assert rests == [0.25 * RESTS] * 3
    assert made.rested_s == sum(rests)


async def test_a_rest_is_bounded(rests: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that takes long is not waited for as long again."""
    clock(monkeypatch, 30.0)
    await cut(Portions(lambda: True), range(1))
    assert rests == [MOST_REST_S]


async def test_searches_that_end_let_the_rest_go_at_once(rests: list[float]) -> None:
    """Whether queries are about is asked before every portion and every rest."""
    answers = iter([True, False, False, False])
    made = Portions(lambda: next(answers))
    assert [len(portion) for portion in await cut(made, range(10))] == [PORTION, 10 - PORTION]
    assert rests == []
