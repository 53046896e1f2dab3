"""Dates as boards write them are read where their meaning is certain, and only there."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.ingest.dates import DateContext, read_moment
from service.ingest.model import UnreadableError

TODAY = date(2025, 11, 20)
POSTED = DateContext("posted", TODAY)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("27th June 2025", (2025, 6, 27)),
        ("1st of Sept. 2025", (2025, 9, 1)),
        ("2025-08-13", (2025, 8, 13)),
        ("2025/8/3", (2025, 8, 3)),
        ("March 9, 2024", (2024, 3, 9)),
        ("Posted : 18 Feb, 2025", (2025, 2, 18)),
        ("Deadline: May 2nd 2025", (2025, 5, 2)),
        ("8/18/2023", (2023, 8, 18)),
        ("18/8/2023", (2023, 8, 18)),
        ("8/8/2023", (2023, 8, 8)),
        ("3.4.2024", (2024, 4, 3)),
        ("7-Nov-24", (2024, 11, 7)),
        ("Fri, 27 June 2025", (2025, 6, 27)),
        ("  27   June  2025 ", (2025, 6, 27)),
        ("5/12/2025", (2025, 5, 12)),  # the other reading, 5 December, is after today
    ],
)
def test_certain_dates_are_read(text: str, day: tuple[int, int, int]) -> None:
    """A date without a time is the start of that day in UTC for a posting."""
    assert read_moment(text, POSTED) == datetime(*day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("8/9/2023", "date_ambiguous"),
        ("22 January", "date_without_year"),
        ("1 week ", "date_relative"),
        ("Today", "date_relative"),
        ("30+ days ago", "date_relative"),
        ("28 Apr, 2024 - 28 Apr, 2026", "date_range"),
        ("31 June 2025", "date_unreadable"),
        ("13/13/2025", "date_unreadable"),
        ("27 Brumaire 2025", "date_unreadable"),
        ("soon", "date_unreadable"),
        ("1 May 1805", "date_out_of_range"),
        ("9999-12-31T23:59:59-12:00", "date_out_of_range"),
        ("2025-02-30", "date_unreadable"),
        ("9" * 5000, "date_unreadable"),
        (12, "date_unreadable"),
        (True, "date_unreadable"),
        (["2025-01-01"], "date_unreadable"),
    ],
)
def test_doubtful_dates_are_told_apart_by_code(text: object, code: str) -> None:
    """What is not certain is not guessed, and the code says what was missing."""
    with pytest.raises(UnreadableError) as caught:
        read_moment(text, POSTED)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("order", "month"),
    [("mdy", 8), ("dmy", 9)],
)
def test_a_hint_decides_the_order_of_day_and_month(order: str, month: int) -> None:
    """With the order of the source known, 8/9/2023 is certain; 8/18/2023 needs no hint and follows none."""
    context = DateContext("posted", TODAY, order="mdy" if order == "mdy" else "dmy")
    assert read_moment("8/9/2023", context).month == month
    assert read_moment("8/18/2023", context).month == 8


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Today", date(2025, 3, 31)),
        ("Yesterday", date(2025, 3, 30)),
        ("3 days", date(2025, 3, 28)),
        ("5 hours ago", date(2025, 3, 31)),
        ("2 weeks ", date(2025, 3, 17)),
        ("1 month ", date(2025, 2, 28)),
        ("22 January", date(2025, 1, 22)),
        ("22 December", date(2024, 12, 22)),
    ],
)
def test_a_reference_day_gives_relative_dates_a_meaning(text: str, day: date) -> None:
    """Counted from the day on which the rows were collected, the nearest day before it."""
    assert read_moment(text, DateContext("posted", TODAY, date(2025, 3, 31))).date() == day


def test_a_deadline_holds_through_its_day() -> None:
    """A posting that closes on 18 May is still open on 18 May; without a year the next such day is meant."""
    expires = DateContext("expires", TODAY, date(2025, 6, 1))
    assert read_moment("Deadline : 18 May, 2025", expires) == datetime(2025, 5, 18, 23, 59, 59, tzinfo=UTC)
    assert read_moment("18 May", expires).year == 2026


def test_moments_keep_their_time_in_utc() -> None:
    """Offsets are honoured, a missing one is UTC, and Unix times are read in seconds and milliseconds."""
    assert read_moment("2025-08-13T10:00:00+03:00", POSTED) == datetime(2025, 8, 13, 7, tzinfo=UTC)
    assert read_moment("2025-08-13 10:00", POSTED) == datetime(2025, 8, 13, 10, tzinfo=UTC)
    assert read_moment("Wed, 13 Aug 2025 10:00:00 GMT", POSTED) == datetime(2025, 8, 13, 10, tzinfo=UTC)
    assert read_moment(1_755_079_200, POSTED) == read_moment(1_755_079_200_000, POSTED)


@settings(deadline=None)
@given(
    st.text(max_size=80) | st.from_regex(r"\A(Posted : )?\d{1,2}[ /-](\d{1,2}|[A-Z][a-z]{2})[ /-]\d{0,5}\Z"),
    st.sampled_from(["posted", "expires"]),
    st.none() | st.dates(date(2000, 1, 1), date(2030, 1, 1)),
)
def test_any_text_is_read_or_refused(text: str, role: str, reference: date | None) -> None:
    """Nothing but UnreadableError comes out, and what is read is read again as the same moment."""
    context = DateContext("posted" if role == "posted" else "expires", TODAY, reference)
    try:
        moment = read_moment(text, context)
    except UnreadableError:
        return
    assert read_moment(moment, context) == read_moment(moment.isoformat(), context) == moment
