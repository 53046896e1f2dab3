"""A dirty row becomes a posting with what is certain, and a warning for each value that was dropped."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.ingest.cleaning import clean
from service.ingest.model import LARGEST_SALARY, Cleaned
from service.jobs.model import JobInput
from tests.growth import check_linear

TODAY = date(2025, 11, 20)
GOOD: dict[str, object] = {"title": "Cook", "company": "Bright Inn", "source": "board.example", "external_id": "7"}


def cleaned(**values: object) -> Cleaned:
    """Clean a good row with some values changed."""
    return clean({**GOOD, **values}, today=TODAY)


def codes(result: Cleaned) -> list[tuple[str, str]]:
    """The warnings, short."""
    return [(warning.field, warning.code) for warning in result.warnings]


def test_a_whole_row() -> None:
    """Every field of the API comes out in its own type, and nothing else."""
    result = clean(
        {
            "id": "not a field",
            "external_id": " p1 ",
            "source": "Cityjobs.NYC.gov",
            "title": "\n\u2605 Cook  &amp; Baker\u00a0\n",
            "company": "Full timeBright Inn\n4.1",
            "description": "  <p>Cooks.</p>\x00 ",
            "location": "Mombasa,              Mombasa",
            "remote": "False",
            "salary_text": "KSh 45,001 - 60,000 per month",
            "url": " https://board.example/job/1 ",
            "posted_at": "8/9/2025",
            "expires_at": "Deadline : 18 May, 2026",
        },
        today=TODAY,
    )
    assert result.posting == {
        "external_id": "p1",
        "source": "cityjobs.nyc.gov",
        "title": "\u2605 Cook & Baker",
        "company": "Bright Inn",
        "description": "<p>Cooks.</p>",
        "location": "Mombasa",
        "remote": False,
        "employment_type": "full_time",
        "salary_min": Decimal(45_001),
        "salary_max": Decimal(60_000),
        "currency": "KES",
        "salary_period": "month",
        "url": "https://board.example/job/1",
        "posted_at": datetime(2025, 8, 9, tzinfo=UTC),
        "expires_at": datetime(2026, 5, 18, 23, 59, 59, tzinfo=UTC),
    }
    assert result.warnings == []
    assert result.refusals == []


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"title": None}, [("title", "missing")]),
        ({"title": "-1", "company": ""}, [("title", "missing"), ("company", "missing")]),
        ({"title": "X"}, [("title", "length")]),
        ({"title": "x" * 201}, [("title", "length")]),
        ({"title": {"en": "Cook"}}, [("title", "not_text")]),
        ({"company": "n/a"}, [("company", "missing")]),
        ({"company": "Full time"}, [("company", "missing")]),
        ({"company": "x" * 201}, [("company", "length")]),
        ({"company": [["x"]]}, [("company", "not_text")]),
        ({"source": None}, [("source", "missing")]),
        ({"source": "c'est \u00e7a"}, [("source", "invalid")]),
        ({"source": "x" * 65}, [("source", "invalid")]),
        ({"url": "/company/bright-inn"}, [("url", "not_a_posting")]),
        ({"url": "https://www.brightermonday.co.ke/jobs?q=Inn"}, [("url", "not_a_posting")]),
    ],
)
def test_only_identity_refuses(values: dict[str, object], refused: list[tuple[str, str]]) -> None:
    """A bad title, company or source, or an address that is no posting's, each with its reason."""
    result = cleaned(**values)
    assert [(refusal.field, refusal.code) for refusal in result.refusals] == refused
    assert all(refusal.detail.endswith(".") for refusal in result.refusals)


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ({"posted_at": "8/9/2023"}, [("posted_at", "date_ambiguous")]),
        ({"posted_at": "1 week "}, [("posted_at", "date_relative")]),
        ({"expires_at": ["x"]}, [("expires_at", "date_unreadable")]),
        ({"salary_text": "10-Nov"}, [("salary_text", "salary_unreadable")]),
        ({"salary_min": 9, "salary_max": 5}, [("salary_min", "salary_order")]),
        ({"salary_text": "9-5 KES"}, [("salary_text", "salary_order")]),
        ({"salary_min": "lots of 7"}, [("salary_min", "salary_unreadable")]),
        ({"salary_max": -3}, [("salary_max", "salary_out_of_range")]),
        ({"salary_text": "$ 500"}, [("currency", "currency_ambiguous")]),
        ({"salary_text": "KES 500", "currency": "USD"}, [("currency", "currency_conflict")]),
        ({"currency": "cowries"}, [("currency", "currency_unknown")]),
        ({"salary_period": "Fixed"}, [("salary_period", "period_unknown")]),
        ({"url": "www.board.example/1"}, [("url", "url_not_http")]),
        ({"url": "https://[broken/1"}, [("url", "url_not_http")]),
        ({"url": "https://board.example/a b"}, [("url", "url_not_http")]),
        ({"url": "https://board.example/" + "a" * 2_000}, [("url", "url_too_long")]),
        ({"location": "x" * 501}, [("location", "too_long")]),
        ({"location": {"city": "Thika"}}, [("location", "not_text")]),
        ({"employment_type": "x" * 101}, [("employment_type", "too_long")]),
        ({"remote": "perhaps"}, [("remote", "remote_unreadable")]),
        ({"external_id": "x" * 201}, [("external_id", "too_long")]),
        ({"company": "Not Specified"}, [("company", "company_placeholder")]),
    ],
)
def test_unreadable_options_are_dropped_with_a_warning(
    values: dict[str, object], warned: list[tuple[str, str]]
) -> None:
    """The row is kept, the value is not, and the raw value is told."""
    result = cleaned(**values)
    assert result.refusals == []
    assert codes(result) == warned
    assert all(warning.raw for warning in result.warnings)
    dropped = {field for field, _ in warned} - {"company", "external_id", "salary_text"}
    assert dropped.isdisjoint(result.posting)


@pytest.mark.parametrize("nothing", ["Not Specified", "N/A", " -1 ", "", "Confidential", "nan", None, float("nan")])
def test_placeholders_are_no_values_and_no_faults(nothing: object) -> None:
    """A field that says there is nothing is left out without a warning."""
    fields = ("description", "location", "salary_text", "salary_min", "salary_max", "currency", "salary_period", "url",
              "posted_at", "employment_type", "remote")  # fmt: skip
    result = cleaned(**dict.fromkeys(fields, nothing))
    assert dict(result.posting) == GOOD
    assert [code for code in codes(result) if code[0] != "posted_at"] == []


def test_the_name_of_a_hidden_employer_stays() -> None:
    """Boards show "Confidential" and the like as a name."""
    for name in ("Confidential", "Full timeConfidential", "Anonymous Employer", "Private Client"):
        result = cleaned(company=name)
        assert result.posting["company"] == name.removeprefix("Full time")
        assert result.warnings == []


def test_numbers_and_text_about_pay_are_joined() -> None:
    """The text fills in what the numbers leave open, where it agrees."""
    agreed = cleaned(
        salary_min=30_000, salary_text="30,000 ETB Monthly", currency="ETB", salary_period="Monthly"
    ).posting
    assert agreed["salary_min"] == agreed["salary_max"] == 30_000
    assert agreed["salary_period"] == "month"
    differing = cleaned(salary_min=20_000, salary_text="30,000 - 40,000 ETB").posting
    assert "salary_max" not in differing
    assert differing["salary_min"] == 20_000
    assert differing["currency"] == "ETB"
    assert "salary_min" not in cleaned(salary_min=0, salary_max=0.0).posting
    assert str(cleaned(salary_min=45_001.0).posting["salary_min"]) == "45001"


def test_a_long_description_is_not_cut_silently() -> None:
    """Markup goes first; if the text is too long still, it ends at a word, and both are told."""
    markup = cleaned(description="<p class='" + "x" * 100_000 + "'>Cooks.</p>")
    assert (markup.posting["description"], codes(markup)) == (
        "Cooks.",
        [("description", "description_reduced_to_text")],
    )
    cut = cleaned(description="word " * 25_000)
    assert codes(cut) == [("description", "description_truncated")]
    assert 99_000 < len(cut.posting["description"]) <= 100_000
    assert cut.posting["description"].endswith("word")


def test_broken_encoding_is_repaired_where_the_result_proves_it() -> None:
    """UTF-8 read as Windows-1252 is undone; French stays French."""
    result = cleaned(title="Analyst \u00e2\u20ac\u201c Fuel", company="L'Or\u00c3\u00a9al", description="une \u00e2me")
    assert result.posting["title"] == "Analyst \u2013 Fuel"
    assert result.posting["company"] == "L'Or\u00e9al"
    assert result.posting["description"] == "une \u00e2me"


def test_a_heading_gives_the_company_where_that_is_certain() -> None:
    """MyJobMag's "X at Y" is split; elsewhere the company is missing."""
    row = {"title": "Cook at Inn", "source": "x", "url": "https://www.myjobmag.co.ke/job/cook-inn"}
    result = clean(row, today=TODAY)
    assert (result.posting["title"], result.posting["company"]) == ("Cook", "Inn")
    assert clean({**row, "url": "https://x.example/1"}, today=TODAY).refusals[0].field == "company"


def test_rows_without_an_id_keep_their_identity() -> None:
    """The address is the identity, or else a digest: the same row gives the same one."""
    row: dict[str, object] = {"title": "Cook", "company": "Inn", "source": "x"}
    assert clean({**row, "url": "https://x.example/1"}, today=TODAY).posting["external_id"] == "https://x.example/1"
    first = clean(row, today=TODAY).posting["external_id"]
    assert first == clean({**row, "posted_at": "Today"}, today=date(2026, 1, 1)).posting["external_id"]
    assert first != clean({**row, "location": "Thika"}, today=TODAY).posting["external_id"]


def test_hints_reach_the_dates() -> None:
    """The reference day and the order of the map count, and so does the country of the source."""
    assert (
        clean({**GOOD, "posted_at": "Yesterday"}, today=TODAY, reference=date(2025, 3, 1)).posting["posted_at"].day
        == 28
    )
    assert clean({**GOOD, "posted_at": "8/9/2023"}, today=TODAY, date_order="mdy").posting["posted_at"].month == 8
    assert cleaned(source="board.co.ke", posted_at="8/9/2023").posting["posted_at"].month == 9


@pytest.mark.parametrize(
    "piece", ["\n", " at ", ",", " - ", "\u00c3", "9", "1,", "<b ", "&amp;", "Full time", "KSh", "/", " per"]
)
@pytest.mark.no_cover
def test_endless_values_take_linear_time(piece: str) -> None:
    """With a hundred thousand characters in every field: four times as many take about four times as long."""

    def run(size: int) -> None:
        value = piece * (size // len(piece)) + "x"
        row = dict.fromkeys((*NAMES, *OPTIONS.split()), value) | {"url": "https://www.myjobmag.co.ke/job/" + value}
        clean(row, today=TODAY)
        # Without a company, that is looked for in the title.
        clean({"title": value, "url": "https://www.myjobmag.co.ke/job/x"}, today=TODAY)

    check_linear(run, 100_000)


SHAPES = st.sampled_from(
    [
        "Full timeInn",
        "Inn\n3.7",
        "a at b",
        "https://www.myjobmag.co.ke/job/a-b",
        "HTTP://board.example/1#x",
        "/company/x",
        "NGN 150,000 - 250,000",
        "$63K-$112K (Glassdoor est.)",
        "5,000 ETB To",
        "-1",
        "Not Specified",
        "8/9/2023",
        "27th June 2025",
        "1 week ",
        "Nairobi,   Nairobi",
        "Remote - Contract",
        "<p>x &amp;amp; y</p>",
        "\u00e2\u20ac\u201c",
        "\u00c3\u00a9",
        "\ud800",
        "\x00",
        "board.co.ke",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(max_size=40) | SHAPES
NESTED = st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)
VALUES = SCALARS | NESTED | st.datetimes()
ENDS: tuple[Literal["salary_min"], Literal["salary_max"]] = ("salary_min", "salary_max")
NAMES = ("title", "company", "source")
OPTIONS = (
    "external_id description location remote employment_type salary_text salary_min salary_max currency salary_period "
    "url posted_at expires_at"
)
ROWS = st.dictionaries(st.sampled_from((*NAMES, *OPTIONS.split())), VALUES) | st.fixed_dictionaries(
    {"title": st.just("Cook"), "company": SHAPES, "source": st.just("x")},
    optional=dict.fromkeys(OPTIONS.split(), VALUES),
)


@settings(deadline=None)
@given(ROWS, st.none() | st.dates(date(2000, 1, 1), date(2025, 11, 1)))
def test_any_row_is_cleaned_within_the_limits(row: Mapping[str, object], reference: date | None) -> None:
    """Cleaning never raises, keeps every limit, and leaves its own result as it is."""
    result = clean(row, today=TODAY, reference=reference)
    posting = result.posting
    if not result.refusals:
        assert 2 <= len(posting["title"]) <= 200
        assert 1 <= len(posting["company"]) <= 200
    assert 1 <= len(posting["external_id"]) <= 200
    assert len(posting.get("description", "")) <= 100_000
    ends = [posting[end] for end in ENDS if end in posting]
    assert ends == sorted(ends)
    assert all(0 <= end <= LARGEST_SALARY for end in ends)
    assert all(moment.tzinfo is UTC for moment in (posting.get("posted_at"), posting.get("expires_at")) if moment)
    for value in posting.values():
        assert not isinstance(value, str) or (
            value and "\x00" not in value and value.encode() and value == value.strip()
        )
    if not result.refusals:
        amounts: dict[str, object] = {end: float(posting[end]) for end in ENDS if end in posting}
        assert msgspec.convert({**posting, **amounts}, JobInput).title == posting["title"]
    again = clean(posting, today=TODAY, reference=reference)
    assert again.posting == posting
