"""How much text a claim may hold."""

from service.embedding.pace import FIRST_BYTES, LEAST_BYTES, MOST_BYTES, STEP_S, Pace


def settled(bytes_a_second: float) -> int:
    """Where the pace comes to rest on a machine of this speed."""
    pace = Pace()
    for _ in range(40):
        pace.learn(pace.claim_bytes, pace.claim_bytes / bytes_a_second)
    return pace.claim_bytes


def test_it_finds_the_speed() -> None:
    """Claims come to take the time that a step should, within the bounds."""
    assert abs(settled(20_000) - 20_000 * STEP_S) <= 2
    assert (settled(10), settled(1e12)) == (LEAST_BYTES, MOST_BYTES)


def test_one_step_changes_it_by_half_or_double_at_most() -> None:
    """An outlier, such as a step during a pause of the machine, spoils little."""
    for seconds, expected in ((1e9, FIRST_BYTES // 2), (1e-9, FIRST_BYTES * 2)):
        pace = Pace()
        pace.learn(FIRST_BYTES, seconds)
        assert pace.claim_bytes == expected


def test_little_text_says_nothing() -> None:
    """A step whose claim was ended by the number of tasks, or that embedded nothing, changes nothing."""
    pace = Pace()
    for embedded, seconds in ((0, 5.0), (FIRST_BYTES // 2 - 1, 60.0), (FIRST_BYTES, 0.0)):
        pace.learn(embedded, seconds)
    assert pace.claim_bytes == FIRST_BYTES
