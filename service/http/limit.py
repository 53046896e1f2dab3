"""How many requests are served at once, who waits in line, and who is turned away: pure arithmetic, time passed in.

A gate has `limit` places. The limit follows the time that requests spend in service, compared with that of requests of
the same kind which had the process to themselves: past `_SLOW` times as long it shrinks in proportion, below `_FAST`
times it grows if all places were taken. This is what the gradient algorithms of Netflix's concurrency-limits do.

In front of the places is a line, first come first served. A line that runs full, or that grows again and again while
far more come than are served, tells an overload from a burst: from then on only a short line is used, so that whoever
is accepted is served soon. That ends as soon as fewer were turned away within a second than the long line holds, since
those could have waited: else a few dozen clients who come back when they are told to would keep up for ever an
overload that no longer has any other cause.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

Reason: TypeAlias = Literal["line_full", "waited_too_long", "overloaded"]
State: TypeAlias = Literal["waiting", "served", "turned_away", "gone"]

RECOVERY_S = 1.0
"""An overload has ended when so few were turned away in this time that the long line had held them."""
_WINDOW_S = 0.25
_WINDOW_REQUESTS = 20
_SLOW = 2.0
_FAST = 1.7
_SHRINK = 0.5  # of the limit, the least that one window leaves
_FIRST = 10
_WEIGHT = 0.05
_DRIFT = 0.01
_KINDS = 256
_LOOK_S = 0.03
_LOOKS = 5
_GROWN_TO = 16
_CROWD = 1.5
"""A line of `_GROWN_TO` or more, longer at each of `_LOOKS` looks, while `_CROWD` times as many came as were served."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a gate: places at the start, fewest and most; how many wait in line (one or more), and how long."""

    start: int
    least: int
    most: int
    line: int
    patience_s: float


class WorkClass(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that share one gate: its size, the longest body read before a place is taken, and what all may hold.

    What is held are bodies that come in pieces, until their requests are served.
    """

    size: Size
    max_body_bytes: int
    max_held_bytes: int


class Ticket:
    """One request at a gate; `settled` is called when it is served or turned away after it has waited."""

    __slots__ = ("arrived", "deadline", "number", "reason", "settled", "started", "state", "was_first")

    def __init__(self, now: float, patience_s: float) -> None:
        self.arrived = now
        self.deadline = now + patience_s
        self.started = now
        self.number = 0
        self.was_first = False
        self.state: State = "waiting"
        self.reason: Reason = "overloaded"
        self.settled: Callable[[], None] | None = None

    def settle(self, state: State) -> None:
        """Say what became of the request; for the gate."""
        self.state = state
        if self.settled is not None:
            self.settled()


class Gate:
    """One class of work; times are seconds of one monotonic clock."""

    def __init__(self, size: Size) -> None:
        self.limit = size.start
        self.in_service = 0
        self.overloaded = False
        self._size = size
        self._line: deque[Ticket] = deque()
        self._pace = _Pace()
        self._growth = _Growth()
        self._served = 0
        self._turned_away = 0
        self._turned_away_at = self._counted_from = 0.0

    @property
    def waiting(self) -> int:
        """How many wait in line."""
        return len(self._line)

    @property
    def room(self) -> int:
        """How many may wait in line: few during an overload."""
        return min(self._size.line, max(2, self.limit // 3)) if self.overloaded else self._size.line

    def turns_away(self, now: float) -> bool:
        """Whether a request that came now would be turned away."""
        self.expire(now)
        return self.in_service >= self.limit and self.overloaded and len(self._line) >= self.room

    def enter(self, now: float) -> Ticket:
        """Ask for a place; the ticket says whether the request is served, waits or is turned away."""
        self.expire(now)
        ticket = Ticket(now, self._size.patience_s)
        if self.in_service < self.limit:  # and then nobody waits
            self._serve(ticket, now)
            return ticket
        self._pace.used_up = True
        if self.overloaded and len(self._line) >= self.room:
            self._turn_away(ticket, "overloaded", now)
            return ticket
        if not self.overloaded and (
            len(self._line) >= self.room or self._growth.seen(now, len(self._line), self._served)
        ):
            # The oldest have waited in vain longest, and the newest can still be served in good time.
            self._begin_overload(now)
            while len(self._line) >= self.room:
                self._turn_away(self._line.popleft(), "line_full", now)
        self._line.append(ticket)
        return ticket

    def leave(self, ticket: Ticket, now: float, kind: str | None = None) -> None:
        """Give back the place, or leave the line; safe to repeat. Only requests of a `kind` teach the gate its pace."""
        if ticket.state == "waiting":
            self._line.remove(ticket)
        elif ticket.state == "served":
            self.in_service -= 1
            if kind is not None:
                # Nobody was there when it began, and nobody has begun since.
                alone = ticket.was_first and ticket.number == self._served
                self._pace.take(kind, now - ticket.started, alone=alone)
                self._adapt(now)
        ticket.state = "gone"
        self.expire(now)
        while self._line and self.in_service < self.limit:
            self._serve(self._line.popleft(), now)

    def expire(self, now: float) -> None:
        """Turn away those who have waited too long, and end an overload that has passed."""
        while self._line and self._line[0].deadline <= now:
            self._begin_overload(now)
            self._turn_away(self._line.popleft(), "waited_too_long", now)
        if self.overloaded and now - self._turned_away_at >= RECOVERY_S:
            self.overloaded = False
        elif self.overloaded and now - self._counted_from >= RECOVERY_S:
            self.overloaded = self._turned_away >= self._size.line
            self._count_from(now)

    def _begin_overload(self, now: float) -> None:
        if not self.overloaded:
            self.overloaded = True
            self._count_from(now)

    def _count_from(self, now: float) -> None:
        self._counted_from = now
        self._turned_away = 0

    def _serve(self, ticket: Ticket, now: float) -> None:
        self.in_service += 1
        self._served += 1
        ticket.number = self._served
        ticket.was_first = self.in_service == 1
        ticket.started = now
        ticket.settle("served")

    def _turn_away(self, ticket: Ticket, reason: Reason, now: float) -> None:
        self._turned_away += 1
        self._turned_away_at = now
        ticket.reason = reason
        ticket.settle("turned_away")

    def _adapt(self, now: float) -> None:
        ratio = self._pace.ratio(now)
        if ratio is None:
            return
        if ratio < 1 or (ratio >= _FAST and self.limit == self._size.least):
            # Nobody is faster than alone, and fewer than the fewest cannot be to blame: the world has changed. Where
            # requests never come alone, nothing else would tell.
            self._pace.drift(up=ratio >= 1)
        if ratio > _SLOW:
            # Where all places are taken the time in service is in proportion to their number.
            self.limit = max(self._size.least, min(self.limit - 1, int(self.limit * max(_SHRINK, _SLOW / ratio))))
        elif ratio < _FAST and self._pace.used_up:
            self.limit = min(self._size.most, self.limit + 1)
        self._pace.begin(now)


class _Growth:
    """Whether the line grows because more come than can be served; a burst makes it jump once, and then it shrinks."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int, int]] = deque(maxlen=_LOOKS)

    def seen(self, now: float, waiting: int, served: int) -> bool:
        """Take a look, at most once in `_LOOK_S`; `served` counts all who were ever served."""
        looks = self._looks
        if looks and (now - looks[-1][0] < _LOOK_S):
            return False
        if looks and waiting <= looks[-1][1]:
            looks.clear()
        looks.append((now, waiting, served))
        left = served - looks[0][2]
        came = left + waiting - looks[0][1]
        return len(looks) == _LOOKS and waiting >= _GROWN_TO and came > _CROWD * left


class _Pace:
    """How much longer requests take than alone, over a window of time."""

    def __init__(self) -> None:
        self._alone: dict[str, float] = {}
        self._seen: dict[str, int] = {}
        self.begin(0.0)

    def begin(self, now: float) -> None:
        """Begin a window."""
        self._began = now
        self._count = 0
        self._spent = self._expected = 0.0
        self._kinds: set[str] = set()
        self.used_up = False

    def take(self, kind: str, seconds: float, *, alone: bool) -> None:
        """Take the time in service of one request."""
        if alone:
            self._learn(kind, seconds)
        if self._seen.get(kind, 0) >= _FIRST:
            self._count += 1
            self._spent += seconds
            self._expected += self._alone[kind]
            self._kinds.add(kind)

    def ratio(self, now: float) -> float | None:
        """The time spent over that expected, once the window has enough of both time and requests."""
        if self._count < _WINDOW_REQUESTS or now - self._began < _WINDOW_S:
            return None
        return self._spent / max(self._expected, 1e-9)

    def drift(self, *, up: bool) -> None:
        """Take what the kinds of this window need alone for a little more, or less."""
        for kind in self._kinds:
            self._alone[kind] *= 1 + _DRIFT if up else 1 - _DRIFT

    def _learn(self, kind: str, seconds: float) -> None:
        seen = self._seen.get(kind, 0)
        if seen == 0 and len(self._seen) >= _KINDS:
            return
        self._seen[kind] = seen + 1
        usual = self._alone.get(kind, seconds)
        # The first ones pay for cold caches, so that the shortest of them says most.
        self._alone[kind] = min(usual, seconds) if seen < _FIRST else usual + _WEIGHT * (seconds - usual)
