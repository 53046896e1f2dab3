"""The gate over many seconds of a clock of its own: which overloads end, and which do not."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random

from service.http.limit import Gate, Size


class Simulation:
    """A service of two cores behind a gate: requests that run side by side share them, each needs 10 ms of one."""

    SIZE = Size(start=8, least=3, most=16, line=64, patience_s=2.0)

    def __init__(self) -> None:
        self.gate = Gate(self.SIZE)
        self.now = 0.0
        self.answers: list[tuple[float, bool]] = []
        self._random = Random(1)  # noqa: S311 - no secret: the same run each time
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Do something at a time."""
        heappush(self._events, (when, next(self._numbers), what))

    def run(self, until_s: float) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] < until_s:
            self.now, _, what = heappop(self._events)
            what()

    def ask(self, again: Callable[[float], None] = lambda _: None) -> None:
        """One request; `again` is called with the seconds after which its caller may come back."""
        asked = self.now
        ticket = self.gate.enter(asked)

        def settled() -> None:
            self.answers.append((asked, ticket.state == "served"))
            if ticket.state == "turned_away":
                again(self._random.uniform(1.0, 1.05))  # what Retry-After says
            else:
                # For two seconds and a half nothing ends, as at a failover of the database.
                stalled_s = max(0.0, 12.5 - self.now) if self.now >= 10 else 0.0
                spent_s = 0.010 * max(1.0, self.gate.in_service / 2) * self._random.uniform(0.8, 1.2)
                self.at(self.now + stalled_s + spent_s, ended)

        def ended() -> None:
            self.gate.leave(ticket, self.now, "GET /")
            again(0.0005)

        if ticket.state == "waiting":
            ticket.settled = settled
            self.at(ticket.deadline, lambda: self.gate.expire(self.now))
        else:
            settled()

    def turned_away(self, since_s: float) -> int:
        """How many of those who came since a time were turned away."""
        return sum(not served for asked, served in self.answers if asked >= since_s)


def test_an_overload_without_a_cause_ends() -> None:
    """Fifty clients who come back when they are told to are all served again soon after a stall."""
    simulation = Simulation()

    def client() -> None:
        simulation.ask(lambda after_s: simulation.at(simulation.now + after_s, client))

    for number in range(50):
        simulation.at(number / 50, client)
    simulation.run(25.0)
    assert simulation.turned_away(10.0) > 0
    assert simulation.turned_away(16.0) == 0
    assert not simulation.gate.overloaded


def test_an_overload_with_a_cause_stays_one() -> None:
    """Four times as many as can be served, whether they are answered or not: only the short line is used."""
    simulation = Simulation()
    for number in range(800 * 8):
        simulation.at(number / 800, simulation.ask)
    simulation.run(2.0)
    for tenth in range(20, 80):
        simulation.run(tenth / 10)
        assert simulation.gate.overloaded
        assert simulation.gate.waiting <= 5
