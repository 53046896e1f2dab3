"""Fields are found under the names that sources use, or where a map says."""

from pathlib import Path

import pytest

from service.errors import SettingError
from service.ingest.mapping import FieldMap, map_row, read_map

NO_MAP = FieldMap()


@pytest.mark.parametrize(
    ("values", "row"),
    [
        (
            {"Job Title": "Cook", "Company Name": "Inn", "Location": "Thika", "Date": "1 May 2025",
             "Minimum Salary": 5, "Maximum Salary": 9, "Currency": "KSh", "Job Description": "Cooks."},
            {"title": "Cook", "company": "Inn", "location": "Thika", "posted_at": "1 May 2025", "salary_min": 5,
             "salary_max": 9, "currency": "KSh", "description": "Cooks."},
        ),
        (
            {"job_title": "Cook", "job_category": "Food", "job_date": "1 May", "job_description": "Short.",
             "job_link": "https://x.example/1", "job_detail": "Long."},
            {"title": "Cook", "posted_at": "1 May", "url": "https://x.example/1", "description": "Long."},
        ),
        ({"description": "Short.", "job_detail": "Long.", "link": "u", "title": "Cook"},
         {"description": "Long.", "url": "u", "title": "Cook"}),
        ({"date_posted": "1 May", "job_url": "u", "job_description": "Long.", "job_title": "Cook"},
         {"posted_at": "1 May", "url": "u", "description": "Long.", "title": "Cook"}),
        ({"title": "Cook at Inn", "link": "u"}, {"title": "Cook at Inn", "url": "u"}),
        ({"Title": "Cook", "URL": "u"}, {"title": "Cook", "url": "u"}),
        ({"title": "Cook", "company": "Inn", "level": "Mid", "total_hires": "1", "salary": "salary confidential"},
         {"title": "Cook", "company": "Inn", "salary_text": "salary confidential"}),
        ({"id": "p1", "source": "x.example", "salary_text": "5", "salary_period": "Annual", "remote": "True"},
         {"external_id": "p1", "source": "x.example", "salary_text": "5", "salary_period": "Annual", "remote": "True"}),
    ],
)  # fmt: skip
def test_known_names_need_no_map(values: dict[str, object], row: dict[str, object]) -> None:
    """Case, spaces and underscores do not matter; the fuller text wins; unknown columns are left out."""
    assert map_row(values, NO_MAP) == row


def test_the_first_value_that_is_there_counts() -> None:
    """An empty column does not hide a filled one of the same meaning."""
    assert map_row({"job_detail": "  ", "job_description": "Text", "url": None, "link": "u"}, NO_MAP) == {
        "description": "Text",
        "url": "u",
    }


def test_the_source_comes_from_the_row_the_map_or_the_option() -> None:
    """The option fills in; a constant of the map rules."""
    assert map_row({"source": "a"}, NO_MAP, "b")["source"] == "a"
    assert map_row({}, NO_MAP, "b")["source"] == "b"
    assert map_row({"source": "a"}, read_map("source:=c"), "b")["source"] == "c"


def test_a_map_in_place() -> None:
    """Columns are named as written or nearly so, and all else is found as without a map."""
    field_map = read_map("title=Designation, company=Hiring Firm,date_order=mdy,source:=linkedin")
    assert map_row({"Designation": "Cook", "hiring_firm": "Inn", "Title": "Mr", "URL": "u"}, field_map) == {
        "title": "Cook",
        "company": "Inn",
        "source": "linkedin",
        "url": "u",
    }
    assert field_map.date_order == "mdy"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("map.json", '{"title": ["Role", "Designation"], "source": {"value": "linkedin"}, "date_order": "dmy"}'),
        ("map.toml", 'title = ["Role", "Designation"]\nsource = {value = "linkedin"}\ndate_order = "dmy"\n'),
    ],
)
def test_a_map_in_a_file(tmp_path: Path, name: str, content: str) -> None:
    """JSON and TOML say the same; of several columns the first with a value counts."""
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    field_map = read_map(str(path))
    assert map_row({"Role": "", "Designation": "Cook"}, field_map) == {"title": "Cook", "source": "linkedin"}
    assert field_map.date_order == "dmy"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("titel=Job", "titel"),
        ("title=", "title="),
        ("title=A,company", "company"),
        ("date_order=ymd", "ymd"),
        ("no-such-file.json", "no-such-file.json"),
    ],
)
def test_a_wrong_map_says_what_is_wrong(given: str, named: str) -> None:
    """The message names the part that is not understood."""
    with pytest.raises(SettingError, match=named):
        read_map(given)


@pytest.mark.parametrize("content", ["{", "title = 5", "= 1", '{"title": {"values": "x"}}', '{"title": []}'])
def test_a_wrong_map_file_is_refused(tmp_path: Path, content: str) -> None:
    """Neither broken syntax nor a wrong shape is taken."""
    path = tmp_path / "map"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SettingError, match="--map"):
        read_map(str(path))
