"""How large a bulk request gets, given what the server has shown so far."""

from itertools import pairwise

import pytest

from service.ollama.pacing import (
    BUSY_REQUEST_S,
    FIRST_CHARACTERS,
    FIRST_ITEMS,
    MOST_CHARACTERS,
    MOST_ITEMS,
    QUIET_REQUEST_S,
    Pace,
)


def serve(pace: Pace, lengths: list[int], target_s: float, *, item_s: float = 0.0, character_s: float = 0.0) -> float:
    """Send one request to a server of these costs; returns the seconds that it took."""
    items = pace.fit(lengths, target_s)
    elapsed_s = item_s * items + character_s * sum(lengths[:items])
    pace.learn(items, sum(lengths[:items]), elapsed_s)
    return elapsed_s


def test_the_first_request_is_small() -> None:
    """Nothing is known of the server yet, which may take seconds for a text; one text goes where a query may come."""
    assert Pace().fit([10] * 99, QUIET_REQUEST_S) == FIRST_ITEMS
    assert Pace().fit([10] * 99, BUSY_REQUEST_S) == 1
    assert Pace().fit([FIRST_CHARACTERS // 2 + 1] * 99, QUIET_REQUEST_S) == 1


def test_requests_grow_to_the_time_and_at_most_double() -> None:
    """From request to request the time at most doubles, until it is the one that is aimed at."""
    pace = Pace(most_items=1000)
    times = [serve(pace, [100] * 1000, QUIET_REQUEST_S, item_s=0.002) for _ in range(12)]
    assert all(after <= 2.01 * before for before, after in pairwise(times))
    assert times[-1] == pytest.approx(QUIET_REQUEST_S, rel=0.02)


def test_both_limits_hold() -> None:
    """However fast the server, a request has its most texts and characters."""
    pace = Pace()
    for _ in range(20):
        serve(pace, [10] * 999, QUIET_REQUEST_S, item_s=1e-6)
    assert pace.fit([10] * 999, QUIET_REQUEST_S) == MOST_ITEMS
    assert pace.fit([MOST_CHARACTERS // 4] * 999, QUIET_REQUEST_S) == 4


def test_one_text_always_goes() -> None:
    """A text that is longer than every limit, or slower than the time, goes alone."""
    pace = Pace()
    assert serve(pace, [9 * MOST_CHARACTERS] * 2, BUSY_REQUEST_S, item_s=30.0) == 30.0
    assert pace.fit([9 * MOST_CHARACTERS] * 2, BUSY_REQUEST_S) == 1


def test_requests_are_short_at_once_when_queries_come() -> None:
    """The first request after a query is short already, and grows again step by step."""
    pace = Pace()
    for _ in range(12):
        serve(pace, [100] * 99, QUIET_REQUEST_S, item_s=0.004)
    assert serve(pace, [100] * 99, BUSY_REQUEST_S, item_s=0.004) <= 1.01 * BUSY_REQUEST_S
    assert serve(pace, [100] * 99, QUIET_REQUEST_S, item_s=0.004) <= 2.02 * BUSY_REQUEST_S


@pytest.mark.parametrize(("item_s", "character_s"), [(0.004, 0.0), (0.0, 4e-6), (0.002, 2e-6)])
def test_cost_of_texts_and_characters_is_told_apart(item_s: float, character_s: float) -> None:
    """After some requests of mixed lengths, long and short texts are foreseen alike."""
    pace = Pace()
    for n in range(60):
        length = 50 + n * 733 % 1950
        serve(pace, [length] * 99, 0.1, item_s=item_s, character_s=character_s)
    for length in (100, 1000, 2000):
        expected_s = 20 * (item_s + character_s * length)
        assert pace.expect(20, 20 * length) == pytest.approx(expected_s, rel=0.5)


def test_one_stalled_request_does_not_spoil_the_pace() -> None:
    """A request that met a pause of the server counts as a few times slower, not as a thousand times."""
    pace = Pace()
    for _ in range(12):
        serve(pace, [100] * 99, QUIET_REQUEST_S, item_s=0.01)
    pace.learn(50, 5000, 100.0)
    assert pace.fit([100] * 99, QUIET_REQUEST_S) >= 20


def test_a_slower_server_gets_smaller_requests_soon() -> None:
    """When each text takes ten times as long, a few requests later the aim is kept again."""
    pace = Pace()
    for _ in range(12):
        serve(pace, [100] * 99, QUIET_REQUEST_S, item_s=0.01)
    times = [serve(pace, [100] * 99, QUIET_REQUEST_S, item_s=0.1) for _ in range(6)]
    assert times[-1] <= 1.5 * QUIET_REQUEST_S


def test_time_outs_halve_and_successes_add_one() -> None:
    """Half of what timed out is the most from then on, and one more with every success."""
    pace = Pace()
    for _ in range(12):
        serve(pace, [10] * 99, QUIET_REQUEST_S, item_s=1e-6)
    pace.halve(12)
    assert pace.fit([10] * 99, QUIET_REQUEST_S) == 6
    serve(pace, [10] * 99, QUIET_REQUEST_S, item_s=1e-6)
    assert pace.fit([10] * 99, QUIET_REQUEST_S) == 7
    pace.halve(1)
    assert pace.fit([10] * 99, QUIET_REQUEST_S) == 1


def test_empty_texts_have_a_cost_too() -> None:
    """Texts without characters divide nothing by zero."""
    pace = Pace()
    for _ in range(3):
        serve(pace, [0] * 99, BUSY_REQUEST_S, item_s=BUSY_REQUEST_S / 2)
    assert pace.fit([0] * 99, BUSY_REQUEST_S) == 2
