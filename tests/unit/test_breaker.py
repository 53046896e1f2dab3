"""The breaker before the embedder, and the line of queries: counted by hand, on a clock that the test moves."""

import pytest

from service.embedding.breaker import MOST_PAUSE_S, PAUSE_S, SLOW_S, STATES, THRESHOLD, Breaker
from service.embedding.query_line import QueryLine
from service.errors import DatabaseUnavailable, EmbedderUnavailable, TryLater


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time of a test."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """A breaker whose pauses are the shortest."""
    return Breaker(clock=clock, draw=lambda low, _high: low)


def state(breaker: Breaker) -> str:
    """Its state, as a type checker cannot foresee it."""
    return breaker.state


def opened(breaker: Breaker) -> Breaker:
    """The same, after failures enough."""
    assert [breaker.fail() for _ in range(THRESHOLD)] == [False] * (THRESHOLD - 1) + [True]
    return breaker


def probe(breaker: Breaker, clock: Clock, *, seconds: float, error: type[TryLater] = EmbedderUnavailable) -> None:
    """A probe that fails after so long."""

    def fail() -> None:
        with breaker.probing():
            clock.now += seconds
            raise error("away", reason="refused")

    with pytest.raises(error):
        fail()


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    """The third failure in a row opens it, and says so once; a success in between begins the count anew."""
    assert (breaker.fail(), breaker.fail(), breaker.succeed()) == (False, False, False)
    assert state(breaker) == "closed"
    opened(breaker)
    assert state(breaker) == "open"
    assert not breaker.fail(), "it is open already"


def test_only_a_success_closes_it(breaker: Breaker, clock: Clock) -> None:
    """It is half open while a probe is out; a probe that fails leaves it open, one that succeeds closes it."""
    opened(breaker)
    probe(breaker, clock, seconds=0)
    assert state(breaker) == "open"
    with breaker.probing():
        assert state(breaker) == "half_open"
        assert not breaker.fail(), "a query that was on its way"
        assert state(breaker) == "half_open"
        assert breaker.succeed()
    assert state(breaker) == "closed"
    opened(breaker)


def test_a_probe_without_an_answer_leaves_it_open(breaker: Breaker) -> None:
    """A probe that ends without having asked, or is cancelled, closes nothing."""
    opened(breaker)
    with breaker.probing():
        pass
    assert state(breaker) == "open"
    with pytest.raises(KeyboardInterrupt), breaker.probing():
        raise KeyboardInterrupt
    assert state(breaker) == "open"


def test_a_look_at_a_healthy_embedder_changes_nothing(breaker: Breaker, clock: Clock) -> None:
    """Whoever looks while it is closed neither opens nor half opens it, even when the look fails."""
    with breaker.probing():
        assert state(breaker) == "closed"
    probe(breaker, clock, seconds=0)
    assert state(breaker) == "closed"


def test_pauses_grow_with_slow_probes_only(breaker: Breaker, clock: Clock) -> None:
    """Probes that are refused at once go on every second or two; slow ones become rarer, to a bound."""
    opened(breaker)
    for _ in range(20):
        probe(breaker, clock, seconds=0.01)
        assert breaker.pause_s() == PAUSE_S[0]
    pauses = []
    for _ in range(20):
        probe(breaker, clock, seconds=SLOW_S)
        pauses.append(breaker.pause_s())
    assert pauses[:4] == [2.0, 4.0, 8.0, MOST_PAUSE_S]
    assert pauses[-1] == MOST_PAUSE_S
    probe(breaker, clock, seconds=0.01)
    assert breaker.pause_s() == PAUSE_S[0]


def test_a_slow_database_makes_no_slow_probe(breaker: Breaker, clock: Clock) -> None:
    """A probe that did not reach the embedder, for the database was away, does not make the next ones rarer."""
    opened(breaker)
    for _ in range(5):
        probe(breaker, clock, seconds=SLOW_S, error=DatabaseUnavailable)
    assert (state(breaker), breaker.pause_s()) == ("open", PAUSE_S[0])


def test_pauses_are_spread() -> None:
    """Pauses are drawn, so that processes that lost one server do not come back to it in step."""
    pauses = {Breaker().pause_s() for _ in range(50)}
    assert len(pauses) > 40
    assert PAUSE_S[0] <= min(pauses) < max(pauses) <= PAUSE_S[1]


def test_states_have_numbers(breaker: Breaker) -> None:
    """The metric gives 0 closed, 1 half open, 2 open."""
    assert breaker.number == 0
    opened(breaker)
    assert breaker.number == 2
    with breaker.probing():
        assert breaker.number == 1
    assert STATES == ("closed", "half_open", "open")


def test_a_line_that_is_too_long_refuses(clock: Clock) -> None:
    """When it and those before it would take longer than a query may, it is refused at once; later ones are served."""
    line = QueryLine(clock=clock)
    for _ in range(30):
        with line.join(0.8):
            clock.now += 0.3
    with line.join(0.8):
        assert line.wait_s == pytest.approx(0.6, rel=0.01)
        with line.join(0.8), pytest.raises(EmbedderUnavailable) as caught, line.join(0.8):
            pytest.fail("it was let in")
    assert (caught.value.reason, caught.value.retry_after_s) == ("overloaded", 1)
    assert "2 queries" in caught.value.detail
    assert line.length == 0
    with line.join(0.8):
        pass


def test_the_only_query_is_never_refused(clock: Clock) -> None:
    """However slow the embedder was, a query that has nobody before it is let in, so that the mean can fall again."""
    line = QueryLine(clock=clock)
    for _ in range(30):
        with line.join(0.8):
            clock.now += 60
    with line.join(0.8):
        assert line.length == 1


def test_those_that_came_together_share_the_time(clock: Clock) -> None:
    """A query that waited behind others took their time too: only its share is learnt."""
    line = QueryLine(clock=clock)
    with line.join(0.8), line.join(0.8), line.join(0.8):
        clock.now += 0.3
    with line.join(0.8):
        assert line.wait_s < 0.2


def test_its_own_turn_is_part_of_the_wait(clock: Clock) -> None:
    """A query that would be begun in time, but not be done, is refused rather than sent in vain."""
    line = QueryLine(clock=clock)
    for _ in range(30):
        with line.join(0.8):
            clock.now += 0.5
    with line.join(0.8), pytest.raises(EmbedderUnavailable), line.join(0.8):
        pytest.fail("it was let in")


def test_failures_teach_no_haste(clock: Clock) -> None:
    """A query that failed quickly does not make the mean smaller, one that failed late makes it larger."""
    line = QueryLine(clock=clock)

    def fail(seconds: float) -> None:
        with line.join(0.8):
            clock.now += seconds
            raise EmbedderUnavailable("late", reason="timeout")

    def wait_after(seconds: float) -> float:
        with pytest.raises(EmbedderUnavailable):
            fail(seconds)
        with line.join(0.8):
            clock.now += line.wait_s / 2
            return line.wait_s

    late = wait_after(0.8)
    assert late > 0
    assert wait_after(0.0) == pytest.approx(late)
    assert wait_after(0.8) > late
    line.forget()
    with line.join(0.8):
        assert line.wait_s == 0
