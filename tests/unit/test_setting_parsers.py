"""Parsers of single settings, as callers of the settings see them."""

import pytest

from service.config import read, shown
from service.errors import SettingError


@pytest.mark.parametrize(
    ("text", "shown_as", "seconds"), [("50ms", "50ms", 0.05), ("1500ms", "1500ms", 1.5), ("60s", "60s", 60)]
)
def test_a_short_time_has_a_unit_and_bounds(text: str, shown_as: str, seconds: float) -> None:
    """The deadline of a search is read in seconds or milliseconds, and shown as it would be set."""
    settings = read({"JOBSENSE_SEARCH_DEADLINE": text})
    assert (settings.search_deadline, shown(settings)["search_deadline"]) == (seconds, shown_as)


@pytest.mark.parametrize("text", ["1", "49ms", "61s", "1m", "0s", "-1s", "1.5s"])
def test_a_time_outside_the_bounds_is_refused_by_name(text: str) -> None:
    """A deadline that no search could keep, or nobody waits for, is refused with what is allowed."""
    with pytest.raises(SettingError, match=r"JOBSENSE_SEARCH_DEADLINE.*50ms to 60s"):
        read({"JOBSENSE_SEARCH_DEADLINE": text})
