"""Search texts on their way: equal ones are one, those that wait share a call, and everybody leaves when they like."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.embedder import Vector
from service.embedding.call_size import CALL_S, FIRST_TEXTS, MOST_SURPRISE, MOST_TEXTS, CallSize
from service.embedding.query_batch import CALLS_AT_ONCE, QueryBatches
from service.errors import EmbedderUnavailable, TextRefused
from tests.factories import generation_of
from tests.fakes import REFUSED, StuckEmbedder, WordEmbedder

LONG_S = 10.0
SHARE = 8
"""Texts that share a call here."""


class Fixed(CallSize):
    """The same whatever calls take."""

    @property
    def most(self) -> int:
        """Texts of a call."""
        return SHARE


@pytest.fixture
async def stuck() -> AsyncIterator[StuckEmbedder]:
    """An embedder whose queries hang when told to; let go at the end."""
    made = StuckEmbedder(max_tokens=8)
    yield made
    made.free.set()


@pytest.fixture
def batches() -> QueryBatches:
    """No text is under way."""
    return QueryBatches(Fixed())


class Asking:
    """Asks for the vectors of texts, each in a task of its own."""

    def __init__(self, batches: QueryBatches, embedder: WordEmbedder) -> None:
        self.batches = batches
        self.embedder = embedder

    def __call__(self, text: str, timeout_s: float = LONG_S) -> asyncio.Task[Vector]:
        """Ask for one."""
        return asyncio.create_task(self._ask(text, timeout_s))

    async def filled(self) -> list[asyncio.Task[Vector]]:
        """As many calls as may be under way, each with one text that hangs."""
        tasks = []
        for number in range(CALLS_AT_ONCE):
            tasks.append(self(f"first {number}"))
            await turns()
        assert len(self.embedder.query_calls) == CALLS_AT_ONCE
        return tasks

    async def _ask(self, text: str, timeout_s: float) -> Vector:
        return await self.batches.join(self.embedder, generation_of(self.embedder), text).vector(timeout_s)


@pytest.fixture
def ask(batches: QueryBatches, stuck: StuckEmbedder) -> Asking:
    """Asks the embedder that hangs."""
    return Asking(batches, stuck)


async def turns() -> None:
    """Let everybody else have a few turns of the event loop."""
    for _ in range(10):
        await asyncio.sleep(0)


async def failure(task: asyncio.Task[Vector]) -> str:
    """Why a query fails."""
    with pytest.raises(EmbedderUnavailable) as caught:
        await task
    return caught.value.reason


async def test_a_lone_text_has_a_call_of_its_own(ask: Asking, stuck: StuckEmbedder) -> None:
    """One after the other each is sent by itself."""
    assert await ask("nurse") == stuck.vector("nurse")
    assert await ask("cook") == stuck.vector("cook")
    assert stuck.query_calls == [["nurse"], ["cook"]]


async def test_equal_texts_are_embedded_once(ask: Asking, stuck: StuckEmbedder) -> None:
    """Whoever asks for a text that is under way, sent or not, gets the same vector; afterwards it is asked anew."""
    stuck.free.clear()
    first = ask("nurse")
    await turns()
    assert ask.batches.under_way(stuck, "nurse")
    others = [ask("nurse") for _ in range(5)]
    await turns()
    stuck.free.set()
    assert await asyncio.gather(first, *others) == [stuck.vector("nurse")] * 6
    assert stuck.query_calls == [["nurse"]]
    assert not ask.batches.under_way(stuck, "nurse")
    await ask("nurse")
    assert len(stuck.query_calls) == 2


async def test_whoever_leaves_takes_nobody_along(ask: Asking, stuck: StuckEmbedder) -> None:
    """The one who asked first is cancelled and the call goes on; when the last has left it is cancelled too."""
    stuck.free.clear()
    first, second = ask("nurse"), ask("nurse")
    await turns()
    first.cancel()
    await turns()
    assert (first.cancelled(), stuck.waiting) == (True, 1)
    second.cancel()
    await turns()
    assert (second.cancelled(), stuck.waiting) == (True, 0)
    stuck.free.set()
    assert await ask("nurse") == stuck.vector("nurse")


async def test_each_has_a_deadline_of_its_own(ask: Asking, stuck: StuckEmbedder) -> None:
    """One who has little time is told so in time; one who has more gets the vector of the same call."""
    stuck.free.clear()
    short, long = ask("nurse", 0.01), ask("nurse")
    assert await failure(short) == "timeout"
    assert not long.done()
    stuck.free.set()
    assert await long == stuck.vector("nurse")
    assert stuck.query_calls == [["nurse"]]


async def test_what_is_late_is_not_joined(ask: Asking, stuck: StuckEmbedder) -> None:
    """After one waited in vain an equal text is asked anew, or an answer that got lost would hold up all who come."""
    stuck.free.clear()
    short, long = ask("nurse", 0.01), ask("nurse")
    assert await failure(short) == "timeout"
    anew = ask("nurse")
    await turns()
    assert stuck.query_calls == [["nurse"], ["nurse"]]
    stuck.free.set()
    assert await long == await anew == stuck.vector("nurse")


async def test_texts_that_come_together_share_a_call(ask: Asking, stuck: StuckEmbedder) -> None:
    """Texts of the same moment go together, and each gets its own vector; a refused one is refused alone."""
    texts = ["nurse", f"a {REFUSED} one", "cook"]
    answers = await asyncio.gather(*map(ask, texts), return_exceptions=True)
    assert stuck.query_calls == [texts]
    assert isinstance(answers[1], TextRefused)
    assert [answers[0], answers[2]] == [stuck.vector("nurse"), stuck.vector("cook")]


async def test_what_waits_shares_the_next_call(ask: Asking, stuck: StuckEmbedder) -> None:
    """While calls are under way what comes waits, up to a number of texts a call; one that is left is not sent."""
    stuck.free.clear()
    first = await ask.filled()
    waiting = [ask(f"text {number}") for number in range(2 * SHARE)]
    await turns()
    assert len(stuck.query_calls) == CALLS_AT_ONCE
    waiting.pop(0).cancel()
    await turns()
    stuck.free.set()
    await asyncio.gather(*first, *waiting)
    sent = stuck.query_calls[CALLS_AT_ONCE:]
    assert [len(texts) for texts in sent] == [SHARE, SHARE - 1]
    assert [text for texts in sent for text in texts] == [f"text {number}" for number in range(1, 2 * SHARE)]


async def test_a_hanging_call_is_given_up(ask: Asking, stuck: StuckEmbedder) -> None:
    """A call that everybody has left gives its place to what waits, also where the embedder is deaf to it."""
    stuck.free.clear()
    stuck.deaf = True
    first = await ask.filled()
    next_one = ask("next")
    await turns()
    first[0].cancel()
    await turns()
    assert stuck.query_calls[-1] == ["next"]
    stuck.free.set()
    assert await next_one == stuck.vector("next")
    await first[1]


async def test_a_long_text_is_never_divided(ask: Asking, stuck: StuckEmbedder) -> None:
    """The pieces of a text go in one call; a text whose pieces have no room in it waits for the next."""
    long = " ".join(f"word{number}" for number in range(6 * SHARE))
    tasks = [ask("nurse"), ask(long), ask("cook")]
    whole = (await asyncio.gather(*tasks))[1]
    assert sum(value * value for value in whole) == pytest.approx(1)
    sizes = [len(texts) for texts in stuck.query_calls]
    assert sizes[0] == sizes[2] == 1
    assert sizes[1] > SHARE


async def test_two_embedders_share_nothing(batches: QueryBatches, stuck: StuckEmbedder) -> None:
    """Texts for an embedder that replaces another are equal to none of the other's, and in no call with them."""
    other = WordEmbedder(digest="words-2")
    stuck.free.clear()
    tasks = [Asking(batches, stuck)("nurse")]
    await turns()
    tasks += [Asking(batches, other)("nurse"), Asking(batches, other)("cook")]
    assert await tasks[1] == other.vector("nurse")
    stuck.free.set()
    await asyncio.gather(*tasks)
    assert (stuck.query_calls, other.query_calls) == ([["nurse"]], [["nurse", "cook"]])


async def test_an_embedder_that_gathers_gets_all_at_once(
    ask: Asking, stuck: StuckEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where texts are put together further down, each is sent as it comes, however many are under way."""
    monkeypatch.setattr(stuck, "gathers_queries", True)
    stuck.free.clear()
    tasks = [ask(f"text {number}") for number in (*range(3 * CALLS_AT_ONCE), 0)]
    await turns()
    assert stuck.query_calls == [[f"text {number}"] for number in range(3 * CALLS_AT_ONCE)]
    stuck.free.set()
    await asyncio.gather(*tasks)


async def test_a_failure_counts_once_for_a_call(batches: QueryBatches, stuck: StuckEmbedder) -> None:
    """Of all texts that failed together one counts the failure."""
    stuck.down = "refused"
    made = [batches.join(stuck, generation_of(stuck), text) for text in ("nurse", "cook", "clerk")]
    reasons = await asyncio.gather(*(one.vector(LONG_S) for one in made), return_exceptions=True)
    assert {type(one) for one in reasons} == {EmbedderUnavailable}
    assert [one.count_failure() for one in made] == [True, False, False]


async def test_what_was_never_sent_failed_by_itself(batches: QueryBatches, stuck: StuckEmbedder) -> None:
    """Texts that waited for a call in vain shared none, and each counts its own failure."""
    stuck.free.clear()
    ask = Asking(batches, stuck)
    first = await ask.filled()
    unsent = [batches.join(stuck, generation_of(stuck), text) for text in ("late", "later")]
    await asyncio.gather(*(one.vector(0.01) for one in unsent), return_exceptions=True)
    assert [one.count_failure() for one in unsent] == [True, True]
    stuck.free.set()
    await asyncio.gather(*first)


async def test_a_fault_of_ours_reaches_who_waits(
    ask: Asking, stuck: StuckEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever an embedder raises, nobody waits in vain, and the next text is served."""

    async def fail(_texts: object) -> list[Vector]:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(stuck, "embed_queries", fail)
        with pytest.raises(ZeroDivisionError):
            await ask("nurse")
    assert await ask("nurse") == stuck.vector("nurse")


def test_calls_are_as_large_as_time_allows() -> None:
    """The slower a text, the fewer share a call, one at least; and the other way round, up to a bound."""
    size = CallSize()
    assert size.most == FIRST_TEXTS
    sizes = []
    for text_s in (CALL_S / 5, 2 * CALL_S, CALL_S / 1000):
        for _ in range(30):
            size.learn(size.most, size.most * text_s, answered=True)
        sizes.append(size.most)
    assert sizes == [5, 1, MOST_TEXTS]


def test_calls_grow_where_texts_cost_little_beside_them() -> None:
    """When a call takes as long for many texts as for one, a few calls are enough to find out."""
    size = CallSize()
    size.learn(1, CALL_S / 2, answered=True)
    assert size.most == 2
    for _ in range(10):
        size.learn(size.most, CALL_S / 2, answered=True)
    assert size.most > FIRST_TEXTS


def test_what_was_given_up_makes_calls_smaller_only() -> None:
    """A call that everybody left says how long it took at least; and one that stalled says little."""
    size = CallSize()
    size.learn(1, 60.0, answered=False)
    assert size.most == FIRST_TEXTS
    size.learn(1, CALL_S / 10, answered=True)
    size.learn(1, CALL_S / 1000, answered=False)
    assert size.most == 10
    size.learn(1, 60.0, answered=False)
    assert 10 / MOST_SURPRISE <= size.most < 10
