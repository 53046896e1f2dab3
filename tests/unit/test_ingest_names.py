"""Names of employers, places, types of employment and identities come out in one form each."""

import pytest

from service.ingest.companies import cut_rating, split_glued_type, split_title
from service.ingest.employment import read_employment_type, read_remote
from service.ingest.external_ids import make_external_id
from service.ingest.places import country_of_place, country_of_source, is_remote_place, tidy_place


@pytest.mark.parametrize(
    ("company", "split"),
    [
        ("Full timeBright Inn Ltd", ("Bright Inn Ltd", "full_time")),
        ("Full timeA hotel in Thika", ("A hotel in Thika", "full_time")),
        ("Full time", ("", "full_time")),
        ("Full time Recruiters Ltd", ("Full time Recruiters Ltd", None)),
        ("Full timers", ("Full timers", None)),
        ("Part timeInn", ("Part timeInn", None)),
    ],
)
def test_only_the_glued_type_that_was_seen_is_split(company: str, split: tuple[str, str | None]) -> None:
    """The words "Full time" before a capital letter is BrighterMonday's; anything else may be a name."""
    assert split_glued_type(company) == split


def test_a_rating_below_the_name_is_cut() -> None:
    """Only a number from 1 to 5 with one decimal on a line of its own is a rating."""
    assert [cut_rating(name) for name in ("Inn\n3.7", "605\n5.0 ", "Inn 3.7", "Inn\n37")] == [
        "Inn", "605", "Inn 3.7", "Inn\n37",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("title", "page", "split"),
    [
        ("Cook at Bright Inn", "cook-bright-inn-3", ("Cook", "Bright Inn")),
        ("Cook at Bright Inn", "something-else", ("Cook", "Bright Inn")),
        ("Cook at Night at Bright Inn", "cook-at-night-bright-inn", ("Cook at Night", "Bright Inn")),
        ("Cook at School at Sea", "cook-school-at-sea", ("Cook", "School at Sea")),
        ("Cook at Night at Bright Inn", "something-else", None),
        ("Cook", "cook", None),
        ("Cook at ", "cook", None),
    ],
)
def test_a_heading_is_split_where_the_page_proves_it(title: str, page: str, split: tuple[str, str] | None) -> None:
    """With several " at " the address of the page tells which one parts title and company."""
    assert split_title(title, f"https://www.myjobmag.co.ke/job/{page}") == split
    assert split_title(title, f"https://jobs.example/job/{page}") is None


@pytest.mark.parametrize(
    ("place", "tidy"),
    [
        ("Mombasa,                 Mombasa", "Mombasa"),
        ("Nairobi CBD,Nairobi", "Nairobi CBD, Nairobi"),
        ("GB, , London", "GB, London"),
        ("US, , ", "US"),
        ("bondo , kenya", "bondo, kenya"),
        (", ,", ""),
    ],
)
def test_places_have_one_form(place: str, tidy: str) -> None:
    """Parts stand once, ", " between them, in the case they came in."""
    assert tidy_place(place) == tidy
    assert tidy_place(tidy) == tidy


@pytest.mark.parametrize(
    ("place", "country"),
    [
        ("Albuquerque, NM", "US"), ("San Francisco, CA 94103", "US"), ("New Jersey", "US"), ("Lagos, LA, NG", "NG"),
        ("Nairobi", "KE"), ("Bondo, kenya", "KE"), ("Outside Kenya", None), ("LA", None), ("Georgia", None),
        ("Paris, Texas, FR", None), ("", None),
    ],
)  # fmt: skip
def test_the_country_of_a_place(place: str, country: str | None) -> None:
    """The last part decides; a state of the US needs a town before it."""
    assert country_of_place(place) == country


def test_the_country_of_a_source() -> None:
    """Only endings of countries tell one; ".com" tells none."""
    sources = ("myjobmag.co.ke", "jobwebkenya", "cityjobs.nyc.gov", "glassdoor.com", "linkedin")
    assert [country_of_source(source) for source in sources] == ["KE", "KE", "US", None, None]


@pytest.mark.parametrize(
    ("text", "token", "remote"),
    [
        ("Onsite - Full Time", "full_time", False),
        ("Remote - Freelance", "freelance", True),
        ("Hybrid - Part Time", "part_time", None),
        ("Hybrid", None, None),
        ("Remote", None, True),
        ("fulltime", "full_time", None),
        ("FT", "full_time", None),
        ("Permanent, full-time", "full_time", None),
        ("Contract, full-time", "contract", None),
        ("Contract, full-time or part-time", "contract", None),
        ("Permanent, full-time or part-time", "Permanent, full-time or part-time", None),
        ("temporary, contract", "temporary, contract", None),
        ("Permanent", "permanent", None),
        ("Other", "Other", None),
        ("full_time", "full_time", None),
    ],
)
def test_types_of_employment(text: str, token: str | None, remote: bool | None) -> None:
    """One certain token, or the text as given; where the work is done is told apart."""
    assert read_employment_type(text) == (token, remote)


def test_remote_is_a_truth_value_in_many_words() -> None:
    """Python's, a form's and a board's words are read; "Hybrid" is neither."""
    assert [read_remote(text) for text in ("True", "no", "1", "Remote", "On-site", "Hybrid", "?")] == [
        True, False, True, True, False, None, None,
    ]  # fmt: skip
    assert is_remote_place("Remote (Work From Home)")
    assert not is_remote_place("Remote, Oregon")


def test_an_identity_is_the_address_or_a_digest() -> None:
    """An address that names one short page is the identity; all else is told by five values, however spaced."""
    same = {"source": "x", "title": "Cook", "company": "Inn", "location": "Thika"}
    assert make_external_id(url="https://x.example/job/1#top", **same) == "https://x.example/job/1"
    for url in (
        "",
        "https://x.example",
        "https://x.example/",
        "https://x.example/job/n-a",
        "https://x.example/" + "a" * 200,
    ):
        one = make_external_id(url=url, **same)
        assert one.startswith("row-")
        assert one == make_external_id(url=url, **{**same, "title": " cook "})
        assert one != make_external_id(url=url, **{**same, "title": "Chef"})
