"""The guard of instructions: what is dearer fails, and says where."""

from tests.bench.guarding import accepted_counts, judged

ACCEPTED = {"get": {"service": 4000, "litestar": 6000}}


def test_what_is_dearer_fails_and_names_the_package() -> None:
    """Past the tolerance, with the growth of the package that grew."""
    lines, fine = judged({"get": {"service": 4700, "litestar": 6000}}, ACCEPTED)
    assert not fine
    assert "DEARER: service +700" in lines[0]


def test_a_little_more_is_noise() -> None:
    """Within the tolerance nothing is said."""
    lines, fine = judged({"get": {"service": 4100, "litestar": 6010}}, ACCEPTED)
    assert fine
    assert "DEARER" not in lines[0]


def test_what_is_cheaper_should_be_kept() -> None:
    """Else the next change could take it all back unseen."""
    lines, fine = judged({"get": {"service": 2000, "litestar": 6000}}, ACCEPTED)
    assert fine
    assert "accept it" in lines[0]


def test_a_request_that_was_never_accepted_fails() -> None:
    """A new request is accepted on purpose."""
    assert not judged({"put": {"service": 1}}, ACCEPTED)[1]


def test_another_python_is_told_and_not_judged() -> None:
    """Its instructions are others."""
    lines, fine = judged({"get": {"service": 9}}, None)
    assert fine
    assert "nothing was compared" in lines[0]


def test_counts_are_accepted_for_the_oldest_python() -> None:
    """The version that the checks run on."""
    assert set(accepted_counts()["3.11"]) == {"get", "list", "semantic", "known", "hybrid", "create", "batch"}
