"""The sample postings: reproducible, varied, within the limits of a posting, and findable by meaning."""

import json
import re
from collections import Counter
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any

import pytest

from service.sample.generate import (
    NAIROBI_TIME,
    POSTINGS,
    QUERIES,
    SEARCHES,
    Generator,
    Posting,
    encode_postings,
    encode_queries,
)
from service.sample.layout import Dice
from service.sample.occupations import list_places, list_swahili

REQUIRED = {"title", "company", "source", "external_id", "description", "location", "posted_at", "expires_at"}
OPTIONAL = {"remote", "employment_type", "salary_min", "salary_max", "currency", "salary_period", "url"}
TYPES = {"full_time", "part_time", "contract", "internship", "temporary", "volunteer"}
SMALL_WORDS = {"of", "a", "the", "on", "in", "to", "what", "is", "they", "after", "into", "out", "up", "across"}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """The committed postings."""
    return [json.loads(line) for line in POSTINGS.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def made() -> list[Posting]:
    """The postings as the generator makes them now, with their occupations."""
    return Generator().list_postings()


def test_generator_reproduces_both_files_byte_for_byte(made: list[Posting]) -> None:
    """The committed files are what the generator writes."""
    assert encode_postings(made) == POSTINGS.read_bytes()
    assert encode_queries(made) == QUERIES.read_bytes()


def test_dice_depend_on_their_label_alone() -> None:
    """Two dice of one label agree, whatever was drawn elsewhere; another label differs."""
    first, second, other = ([dice.below(1000) for _ in range(5)] for dice in (Dice("a"), Dice("a"), Dice("b")))
    assert first == second
    assert first != other


def test_rows_hold_the_fields_of_a_posting_only(rows: list[dict[str, Any]]) -> None:
    """No row has a field that the API would refuse, and none lacks one that the sample promises."""
    for row in rows:
        assert set(row) >= REQUIRED
        assert set(row) <= REQUIRED | OPTIONAL


def test_texts_keep_their_limits(rows: list[dict[str, Any]]) -> None:
    """Lengths, sources and urls are as the contract has them; nothing would be trimmed or refused."""
    for row in rows:
        assert 2 <= len(row["title"]) <= 200
        assert 1 <= len(row["company"]) <= 200
        assert 1 <= len(row["external_id"]) <= 200
        assert row["source"] in {"brightermonday", "linkedin", "jobwebkenya"}
        assert len(row["description"]) <= 4000
        assert all(value == value.strip() for value in row.values() if isinstance(value, str))
        assert row.get("url", "https://jobs.example/").startswith("https://jobs.example/")
        assert "{" not in row["description"], "a placeholder was left unfilled"


def test_pay_is_in_order_and_complete(rows: list[dict[str, Any]]) -> None:
    """Pay is positive and in order and always has a currency and a period; a row without pay has neither."""
    for row in rows:
        if "salary_min" in row:
            assert 0 < row["salary_min"] <= row.get("salary_max", row["salary_min"])
            assert row["currency"] in {"KES", "USD"}
            assert row["salary_period"] in {"day", "month", "year"}
        else:
            assert not {"salary_max", "currency", "salary_period"} & set(row)


def test_dates_are_of_late_2026_in_east_african_time(rows: list[dict[str, Any]]) -> None:
    """Postings appear up to 18 November 2026 and end afterwards; some have ended by then, most have not."""
    last = datetime(2026, 11, 18, 23, 59, tzinfo=NAIROBI_TIME)
    for row in rows:
        assert row["posted_at"].endswith("+03:00")
        assert row["expires_at"].endswith("+03:00")
        posted, expires = datetime.fromisoformat(row["posted_at"]), datetime.fromisoformat(row["expires_at"])
        assert datetime(2026, 8, 1, tzinfo=NAIROBI_TIME) <= posted <= last
        assert posted < expires
    ended = sum(datetime.fromisoformat(row["expires_at"]) < last for row in rows)
    assert 0 < ended < len(rows) / 2


def test_keys_and_descriptions_are_unique(rows: list[dict[str, Any]]) -> None:
    """No two postings share an external id or a description."""
    assert len(rows) == 360
    assert len({row["external_id"] for row in rows}) == 360
    assert len({row["description"] for row in rows}) == 360


def test_occupations_fields_and_towns_vary(made: list[Posting]) -> None:
    """At least 60 occupations in 20 fields and 25 towns; no occupation crowds out the rest."""
    occupations = Counter(posting.occupation.key for posting in made)
    assert len(occupations) >= 60
    assert max(occupations.values()) <= 8
    assert len({posting.occupation.field for posting in made}) >= 20
    towns = {place.town for place in list_places() for posting in made if place.town in posting.row["location"]}
    assert len(towns) >= 25


def test_structures_and_lengths_vary(rows: list[dict[str, Any]]) -> None:
    """One-sentence notices, HTML lists, plain text and notices of several passages all occur."""
    texts = [row["description"] for row in rows]
    assert sum(len(text) > 2500 for text in texts) >= 20
    assert sum(len(text) < 150 for text in texts) >= 20
    assert 50 <= sum("<li>" in text for text in texts) <= 75
    assert sum("<" not in text for text in texts) >= 200


def test_facets_vary(rows: list[dict[str, Any]]) -> None:
    """Every source, employment type, pay unit and remote state occurs; two in five postings name no pay."""
    assert {row["source"] for row in rows} == {"brightermonday", "linkedin", "jobwebkenya"}
    assert {row.get("employment_type") for row in rows} == TYPES | {None}
    assert {row.get("remote") for row in rows} == {True, False, None}
    assert {row.get("salary_period") for row in rows} == {"day", "month", "year", None}
    assert {row.get("currency") for row in rows} == {"KES", "USD", None}
    assert 0.35 <= sum("salary_min" not in row for row in rows) / len(rows) <= 0.45


def test_swahili_postings_are_all_used(rows: list[dict[str, Any]]) -> None:
    """At least 15 postings are in Swahili throughout."""
    titles = [posting.title for postings in list_swahili().values() for posting in postings]
    assert len(titles) >= 15
    assert set(titles) <= {row["title"] for row in rows}


def test_eight_vacancies_are_reposted_elsewhere(rows: list[dict[str, Any]]) -> None:
    """Eight vacancies recur with one title, company and pay and nearly one text, in another city."""
    seen: dict[tuple[str, str], list[dict[str, Any]]] = {}
    pairs = 0
    for row in rows:
        twins = seen.setdefault((row["title"], row["company"]), [])
        for twin in twins:
            alike = SequenceMatcher(None, row["description"], twin["description"], autojunk=False).ratio()
            pairs += alike > 0.9 and row["location"] != twin["location"]
        twins.append(row)
    assert pairs == 8


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower())) - SMALL_WORDS


def test_sample_searches_have_right_answers_with_other_words(rows: list[dict[str, Any]]) -> None:
    """Twelve searches name one to four existing postings whose titles share no word with the search."""
    queries = json.loads(QUERIES.read_bytes())
    titles = {row["external_id"]: row["title"] for row in rows}
    assert [query["text"] for query in queries] == list(SEARCHES)
    assert len(queries) == 12
    for query in queries:
        assert 1 <= len(query["external_ids"]) <= 4
        for external_id in query["external_ids"]:
            assert not _words(query["text"]) & _words(titles[external_id])
