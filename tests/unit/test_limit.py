"""The gate: who is served, who waits, who is turned away, and how the limit follows the pace."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http.limit import Gate, Reason, Size, Ticket

SIZE = Size(start=4, least=3, most=6, line=8, patience_s=1.0)
SHORT = 2
"""The line during an overload, for SIZE."""

Step = tuple[Literal["come", "end", "go", "wait"], int]
steps = st.lists(
    st.tuples(st.sampled_from(["come", "come", "come", "end", "go", "wait"]), st.integers(0, 400)), max_size=80
)


class History:
    """A gate, everyone who ever came to it, and the clock."""

    def __init__(self, size: Size = SIZE) -> None:
        self.gate = Gate(size)
        self.now = 100.0
        self.tickets: list[Ticket] = []
        self.settled: list[Ticket] = []

    def come(self) -> Ticket:
        """One more request."""
        ticket = self.gate.enter(self.now)
        ticket.settled = lambda: self._settle(ticket)
        self.tickets.append(ticket)
        return ticket

    def _settle(self, ticket: Ticket) -> None:
        self.settled.append(ticket)
        if ticket.state == "served":
            assert self.gate.in_service <= self.gate.limit
            earlier = self.tickets[: self.tickets.index(ticket)]
            assert all(other.state != "waiting" for other in earlier)

    def those(self, state: str) -> list[Ticket]:
        """Everyone in a state, in the order of coming."""
        return [ticket for ticket in self.tickets if ticket.state == state]

    def reasons(self) -> list[Reason]:
        """Why requests were turned away, in the order of coming."""
        return [ticket.reason for ticket in self.those("turned_away")]

    def serve(self, seconds: float, *, at_once: int, times: int) -> None:
        """Serve so many requests side by side, again and again, each for so long."""
        for _ in range(times):
            for _ in range(at_once):
                self.come()
            while served := self.those("served"):
                self.now += seconds
                for ticket in served:
                    self.gate.leave(ticket, self.now, "GET /")
            self.tickets.clear()


@given(steps)
def test_no_place_is_lost_and_nobody_overtakes(taken: list[Step]) -> None:
    """Whatever comes, ends, is cancelled or runs out of time: places add up, first come is first served."""
    history = History()
    gate = history.gate
    for what, number in taken:
        before = gate.in_service
        if what == "come":
            history.come()
        elif what == "wait":
            history.now += number / 100
            gate.expire(history.now)
        elif (choice := history.those("served" if what == "end" else "waiting")) != []:
            gate.leave(choice[number % len(choice)], history.now, "GET /" if number % 2 else None)
        assert gate.in_service == len(history.those("served"))
        assert gate.in_service <= max(gate.limit, before)
        assert gate.waiting == len(history.those("waiting")) <= SIZE.line
        assert gate.waiting == 0 or gate.in_service >= gate.limit
        assert SIZE.least <= gate.limit <= SIZE.most
    assert len({id(ticket) for ticket in history.settled}) == len(history.settled)
    for ticket in history.tickets:
        gate.leave(ticket, history.now)
    assert (gate.in_service, gate.waiting) == (0, 0)


def test_a_burst_waits_and_is_served() -> None:
    """As many as fit in the places and the line are all served in the end."""
    history = History()
    for _ in range(SIZE.start + SIZE.line):
        history.come()
    assert (len(history.those("served")), len(history.those("waiting"))) == (SIZE.start, SIZE.line)
    while served := history.those("served"):
        history.gate.leave(served[0], history.now)
    assert len(history.settled) == SIZE.line
    assert not history.gate.overloaded


def test_a_line_that_runs_full_is_an_overload() -> None:
    """The oldest in line are turned away at once, the newest stay, and from then on only a short line is used."""
    history = History()
    for _ in range(SIZE.start + SIZE.line + 1):
        history.come()
    assert history.gate.overloaded
    assert history.those("waiting") == history.tickets[-SHORT:]
    assert history.reasons() == ["line_full"] * (SIZE.line + 1 - SHORT)
    assert history.gate.turns_away(history.now)
    assert history.come().state == "turned_away"
    assert history.reasons()[-1] == "overloaded"


def come_and_serve(history: History, *, per_place: int, seconds: float) -> None:
    """Requests come every ten milliseconds, `per_place` for each that is served."""
    for _ in range(round(seconds / 0.01)):
        history.now += 0.01
        for _ in range(per_place):
            history.come()
        history.gate.leave(history.those("served")[0], history.now)


LONG_LINE = Size(start=4, least=3, most=6, line=64, patience_s=5.0)


def test_a_line_that_keeps_growing_is_an_overload_before_it_is_full() -> None:
    """Three times as many as are served: after an eighth of a second the oldest in line are turned away."""
    history = History(LONG_LINE)
    come_and_serve(history, per_place=3, seconds=0.1)
    assert history.reasons() == []
    come_and_serve(history, per_place=3, seconds=0.06)
    assert history.gate.overloaded
    assert history.reasons().count("line_full") < LONG_LINE.line / 2
    assert history.gate.waiting <= history.gate.room == SHORT


def test_a_burst_that_does_not_go_on_is_no_overload() -> None:
    """Fifty clients who come at once and then wait for their answers stay in line, however long it takes."""
    history = History(LONG_LINE)
    for _ in range(50):
        history.come()
    come_and_serve(history, per_place=1, seconds=1.0)
    assert not history.gate.overloaded
    assert history.reasons() == []


def test_an_overload_ends_after_a_second_without_anyone_turned_away() -> None:
    """While some are turned away the line stays short; a second after the last the whole line is used again."""
    history = History()
    for _ in range(SIZE.start + SIZE.line + 1):
        history.come()
    history.now += 0.9
    assert history.come().state == "turned_away"
    for ticket in history.those("served") + history.those("waiting"):
        history.gate.leave(ticket, history.now)
    history.now += 0.9
    for _ in range(SIZE.start):
        assert history.come().state == "served"
    assert history.gate.overloaded
    history.now += 0.2
    for _ in range(SIZE.line):
        assert history.come().state == "waiting"
    assert not history.gate.overloaded


def test_nobody_waits_longer_than_its_patience() -> None:
    """Who has waited too long is turned away, which is an overload too."""
    history = History()
    for _ in range(SIZE.start + 1):
        history.come()
    history.now += 0.5
    later = history.come()
    history.now += 0.5
    history.gate.expire(history.now)
    assert history.reasons() == ["waited_too_long"]
    assert (later.state, history.gate.overloaded) == ("waiting", True)


def test_there_is_room_while_a_place_is_free() -> None:
    """During an overload nobody is turned away while there is a place or room in the short line."""
    history = History()
    for _ in range(SIZE.start + SIZE.line + 1):
        history.come()
    history.gate.leave(history.those("waiting")[0], history.now)
    assert not history.gate.turns_away(history.now)
    for ticket in history.those("served") + history.those("waiting"):
        history.gate.leave(ticket, history.now)
    assert history.gate.overloaded
    assert not history.gate.turns_away(history.now)


@pytest.mark.parametrize(
    ("seconds", "at_once", "limit"),
    [(0.100, 4, SIZE.least), (0.011, 7, SIZE.most), (0.011, 3, SIZE.start), (0.020, 7, SIZE.start)],
    ids=["slow", "fast", "places to spare", "in between"],
)
def test_the_limit_follows_the_pace(seconds: float, at_once: int, limit: int) -> None:
    """Requests that take much longer than alone lower the limit; fast ones raise it, if all places are taken."""
    history = History()
    history.serve(0.010, at_once=1, times=30)
    history.serve(seconds, at_once=at_once, times=200)
    assert history.gate.limit == limit


def test_a_pace_never_seen_alone_changes_nothing() -> None:
    """From the first moment under load: the limit stays where it began."""
    history = History()
    history.serve(5.0, at_once=4, times=100)
    assert history.gate.limit == SIZE.start


def test_a_slower_world_becomes_the_usual() -> None:
    """When requests alone take longer than they used to, that is no sign of load for long."""
    history = History()
    history.serve(0.010, at_once=1, times=20)
    history.serve(0.100, at_once=1, times=200)
    history.serve(0.150, at_once=7, times=100)
    assert history.gate.limit == SIZE.most


def test_the_first_requests_do_not_make_the_usual() -> None:
    """Cold caches make the first request slow, which must not hide load."""
    history = History()
    history.serve(3.0, at_once=1, times=1)
    history.serve(0.010, at_once=1, times=20)
    history.serve(0.100, at_once=4, times=200)
    assert history.gate.limit == SIZE.least


def test_kinds_are_bounded() -> None:
    """However many kinds of request there are, the gate remembers few hundred."""
    history = History()
    for number in range(1000):
        history.gate.leave(history.come(), history.now, f"GET /{number}")
    assert len(history.gate._pace._alone) == len(history.gate._pace._seen) < 300


@pytest.mark.parametrize(("came", "overloaded"), [(SIZE.line, True), (SIZE.line - 1, False)])
def test_an_overload_ends_when_the_line_would_hold_who_is_turned_away(came: int, overloaded: bool) -> None:
    """Counted second by second: as many as the long line holds are an overload still, fewer could have waited."""
    history = History(Size(start=4, least=3, most=6, line=8, patience_s=60.0))
    for _ in range(SIZE.start + SIZE.line + 1):
        history.come()
    history.now = 100.9
    assert history.come().state == "turned_away"
    history.gate.expire(101.0)
    history.now = 101.5
    for _ in range(came):
        assert history.come().state == "turned_away"
    history.now = 101.9
    assert history.gate.turns_away(history.now)
    history.gate.expire(102.0)
    assert history.gate.overloaded is overloaded


def test_a_world_that_became_slower_is_learnt_without_anyone_alone() -> None:
    """Under traffic that never ends, the limit leaves its least again once that is the new pace."""
    history = History()
    history.serve(0.010, at_once=1, times=20)
    history.serve(0.100, at_once=SIZE.start + 1, times=50)
    assert history.gate.limit == SIZE.least
    history.serve(0.100, at_once=SIZE.least + 1, times=1000)
    assert history.gate.limit > SIZE.least


def test_a_usual_that_is_too_slow_is_forgotten() -> None:
    """Requests side by side that are faster than alone show that the usual is out of date: what comes next is slow."""
    history = History()
    history.serve(0.100, at_once=1, times=20)
    history.serve(0.010, at_once=4, times=3000)
    assert history.gate.limit == SIZE.start
    history.serve(0.100, at_once=4, times=10)
    assert history.gate.limit == SIZE.least
