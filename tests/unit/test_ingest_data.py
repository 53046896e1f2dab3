"""The real files are read and cleaned as their description says, with every doubt counted."""

import os
import time
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from service.ingest.cleaning import clean
from service.ingest.mapping import FieldMap, map_row
from service.ingest.model import Cleaned
from service.ingest.reader import read_rows

DATA = os.environ.get("JOBSENSE_TEST_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="JOBSENSE_TEST_DATA names no folder with the real files")
TODAY = date(2026, 11, 20)
LONGEST_S = 60.0
"""Several times what the processor needs here for the largest file, even while coverage is measured."""


def clean_file(name: str, source: str | None = None) -> list[Cleaned]:
    """Read and clean a whole file."""
    rows = list(read_rows(str(Path(DATA or "") / name)))
    assert [row.error for row in rows if row.error] == []
    return [clean(map_row(row.values, FieldMap(), source), today=TODAY) for row in rows]


def refused(results: list[Cleaned]) -> Counter[tuple[str, ...]]:
    """How many rows are refused, by the fields and codes at fault."""
    return Counter(
        tuple(f"{refusal.field}:{refusal.code}" for refusal in result.refusals) for result in results if result.refusals
    )


def warned(results: list[Cleaned]) -> dict[str, int]:
    """How many warnings there are, by field and code."""
    return dict(Counter(f"{warning.field}:{warning.code}" for result in results for warning in result.warnings))


@pytest.mark.no_cover
def test_all_postings_are_read_and_those_without_title_or_company_refused() -> None:
    """3,939 rows have no company (38 of them no title either), and one has an employment type in its place."""
    before = time.thread_time()
    results = clean_file("postings.jsonl.gz")
    assert time.thread_time() - before < LONGEST_S
    assert len(results) == 20_556
    assert refused(results) == {("company:missing",): 3_902, ("title:missing", "company:missing"): 38}
    assert warned(results) == {
        "posted_at:date_relative": 1_500,
        "posted_at:date_range": 294,
        "salary_period:period_unknown": 57,
        "posted_at:date_without_year": 47,
        "company:company_placeholder": 24,
        "salary_text:salary_unreadable": 2,
    }
    kept = [result.posting for result in results if not result.refusals]
    assert len({(posting["source"], posting["external_id"]) for posting in kept}) == len(kept) == 16_616


@pytest.mark.no_cover
def test_the_raw_kenyan_files_need_no_map() -> None:
    """Five shapes in one file: links to companies are refused as such, headings are split where certain."""
    results = clean_file("kenya.jsonl.gz", source="kenyan-boards")
    assert len(results) == 10_122
    reasons = refused(results)
    assert sum(count for fields, count in reasons.items() if "url:not_a_posting" in fields) == 877
    assert reasons["company:missing",] == 1_709
    assert reasons["title:missing", "company:missing"] == 38
    kept = [result.posting for result in results if not result.refusals]
    assert len(kept) == 7_498
    assert sum("myjobmag" in posting.get("url", "") for posting in kept) == 4_983
    assert sum(posting.get("employment_type") == "full_time" for posting in kept) == 576
    assert warned(results) == {"posted_at:date_without_year": 47, "company:company_placeholder": 24}
