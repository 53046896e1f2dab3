"""Reads the phrase material into occupations, employers, places and notices that the generator draws from.

Notation of the `material_*` modules, one item to a line:

    * titles, separated by semicolons      > an opening (may hold {company} and {town})
    : key field employer-sector options    - a duty, as a command
    = names of employers                   + a requirement
                                           . a remark about the work
Options: `pay=low-high[/period[/currency]]`, `types=` (the first is the usual one), `count=` (exact number of postings),
`remote=often|sometimes`, and on a line of its own `towns=`.
"""

from typing import NamedTuple

import msgspec

from service.sample import (
    material_care,
    material_digital,
    material_employers,
    material_land,
    material_notices,
    material_office,
    material_places,
    material_service,
    material_swahili,
    material_works,
)


class Pay(NamedTuple):
    """The range that an occupation is paid in, with its unit."""

    low: int
    high: int
    period: str
    currency: str


class Occupation(msgspec.Struct, frozen=True, kw_only=True):
    """What an occupation does, asks for and pays; `count` is None where any number of postings will do."""

    key: str
    field: str
    sector: str
    titles: list[str]
    openings: list[str]
    duties: list[str]
    asks: list[str]
    remarks: list[str]
    pay: Pay
    types: list[str]
    count: int | None
    remote: str
    towns: list[str]


class Sector(NamedTuple):
    """Made-up employers of one line of business and what they say about themselves."""

    names: list[str]
    blurbs: list[str]


class Place(NamedTuple):
    """A town, its county and a sentence about working there."""

    town: str
    county: str
    remark: str


class SwahiliPosting(NamedTuple):
    """A title and a whole description in Swahili."""

    title: str
    text: str


def _blocks(material: str) -> list[dict[str, list[str]]]:
    """Split `material` at its `*` lines; each block maps a mark to its items."""
    blocks: list[dict[str, list[str]]] = []
    for line in filter(None, material.splitlines()):
        mark, _, item = line.partition(" ")
        if mark == "*":
            blocks.append({})
        blocks[-1].setdefault(mark, []).append(item)
    return blocks


def _pay(written: str) -> Pay:
    """Read `low-high[/period[/currency]]`; monthly shillings unless said otherwise."""
    amounts, period, currency, *_ = [*written.split("/"), "", ""]
    low, high = amounts.split("-")
    return Pay(int(low), int(high), period or "month", currency or "KES")


def _occupation(block: dict[str, list[str]]) -> Occupation:
    key, field, sector, *words = block[":"][0].split()
    # The second header line holds the towns, whose names have spaces in them.
    options = dict(word.split("=") for word in [*words, *block[":"][1:]])
    return Occupation(
        key=key,
        field=field,
        sector=sector,
        titles=block["*"][0].split("; "),
        openings=block[">"],
        duties=block["-"],
        asks=block["+"],
        remarks=block["."],
        pay=_pay(options["pay"]),
        types=options["types"].split(","),
        count=int(options["count"]) if "count" in options else None,
        remote=options.get("remote", "never"),
        towns=options["towns"].split(",") if "towns" in options else [],
    )


def list_occupations() -> list[Occupation]:
    """All occupations, in the order of their modules."""
    modules = (material_digital, material_care, material_office, material_land, material_works, material_service)
    return [_occupation(block) for module in modules for block in _blocks(module.MATERIAL)]


def list_sectors() -> dict[str, Sector]:
    """Employers by sector."""
    blocks = _blocks(material_employers.EMPLOYERS)
    return {block["*"][0]: Sector("; ".join(block["="]).split("; "), block[">"]) for block in blocks}


def list_places() -> list[Place]:
    """Every town that has postings."""
    return [Place(*line.split("; ", 2)) for line in material_places.PLACES.strip().splitlines()]


def list_paragraphs(notices: str) -> list[str]:
    """Paragraphs of `notices`, which are parted by empty lines, each on one line."""
    return [" ".join(paragraph.split()) for paragraph in notices.strip().split("\n\n")]


def list_swahili() -> dict[str, list[SwahiliPosting]]:
    """Postings in Swahili by occupation key."""
    found: dict[str, list[SwahiliPosting]] = {}
    for paragraph in material_swahili.SWAHILI.strip().split("\n\n"):
        head, _, text = paragraph.partition("\n")
        key, title = head.removeprefix("* ").split("; ")
        found.setdefault(key, []).append(SwahiliPosting(title, " ".join(text.split())))
    return found


APPLY = material_notices.APPLY.strip().splitlines()
CONDITIONS = list_paragraphs(material_notices.CONDITIONS)
SELECTION = list_paragraphs(material_notices.SELECTION)
FAIRNESS = list_paragraphs(material_notices.FAIRNESS)
SEASON = list_paragraphs(material_notices.SEASON)
