"""Writes `postings.jsonl` and `queries.json`: `python -m service.sample.generate`, the same bytes on every run."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from service.sample.layout import LAYOUTS, LONG_LAYOUTS, Dice, Draft, paragraphs, plain_lists
from service.sample.occupations import (
    Occupation,
    Pay,
    Place,
    SwahiliPosting,
    list_occupations,
    list_places,
    list_sectors,
    list_swahili,
)

FOLDER = Path(__file__).parent
POSTINGS = FOLDER / "postings.jsonl"
QUERIES = FOLDER / "queries.json"
TOTAL, REPOSTS = 360, 8
NAIROBI_TIME = timezone(timedelta(hours=3))
NEWEST = datetime(2026, 11, 18, 17, 0, tzinfo=NAIROBI_TIME)
LONGEST_AGE_DAYS = 105

SEARCHES = {
    "look after sick children": "paediatric-nurse",
    "help mothers give birth": "midwife",
    "keep the books of a company": "accountant",
    "fix solar panels on roofs": "pv-technician",
    "stop poachers killing elephants": "ranger",
    "take care of honey bees": "beekeeper",
    "prepare coffee drinks": "barista",
    "haul freight across borders in a big lorry": "truck-driver",
    "break into computer systems legally to find weak spots": "penetration-tester",
    "help deaf people follow what is said": "sign-interpreter",
    "repair leaking pipes in flats": "plumber",
    "get late borrowers to pay back what they owe": "collections-officer",
}
"""Searches that share no words with the titles they should find, by the key of the right occupation."""


class Posting(NamedTuple):
    """A row of the file with the occupation it was made from."""

    occupation: Occupation
    place: Place
    row: dict[str, Any]


def _schedule(occupations: list[Occupation]) -> Iterator[tuple[int, int, Occupation]]:
    """Yield (round, position, occupation): exact counts where an occupation has one, the rest shared evenly."""
    fixed = sum(occupation.count or 0 for occupation in occupations)
    free = [occupation.key for occupation in occupations if occupation.count is None]
    each, extra = divmod(TOTAL - REPOSTS - fixed, len(free))
    counts = {key: each + (1 if n * extra % len(free) < extra else 0) for n, key in enumerate(free)}
    for turn in range(each + 1):
        for position, occupation in enumerate(occupations):
            if turn < (occupation.count or counts.get(occupation.key, 0)):
                yield turn, position, occupation


def _kind(title: str, occupation: Occupation, dice: Dice) -> str:
    """The employment type: what the title says, else usually the first of the occupation."""
    words = title.lower()
    if any(word in words for word in ("intern,", "intern", "attachee", "graduate trainee")) and (
        "internship" in occupation.types and "internal" not in words
    ):
        return "internship"
    if "volunteer" in words:
        return "volunteer"
    return occupation.types[0] if dice.chance(60) else dice.choose(occupation.types)


def _titled(title: str, kind: str) -> str:
    """Say in the title that a post is an internship or voluntary, as advertisers do."""
    if kind == "internship" and not any(word in title for word in ("Intern", "Attachee", "Trainee")):
        return f"{title} - Internship"
    if kind == "volunteer" and "Volunteer" not in title:
        return f"Volunteer {title}"
    return title


def _round(amount: float, low: int) -> int:
    """Round to what people would write: fifties below 10,000, thousands above."""
    step = 1000 if low >= 10_000 else 50  # noqa: PLR2004 - the docstring states the bound
    return max(step, round(amount / step) * step)


def _salary(pay: Pay, kind: str, dice: Dice) -> dict[str, Any]:
    """Pay of one posting; none in two of five cases and for volunteers."""
    if kind == "volunteer" or dice.chance(39):
        return {}
    low, high = pay.low, pay.high
    if kind == "internship":
        low, high = (12_000, 25_000) if pay.currency == "KES" else (300, 600)
    elif kind == "part_time" and pay.period == "month":
        low, high = low * 6 // 10, high * 6 // 10
    first = low + (high - low) * dice.below(50) / 100
    last = first + (high - first) * (20 + dice.below(70)) / 100
    bounds = {"salary_min": _round(first, low), "salary_max": _round(last, low)}
    if dice.chance(12):
        del bounds["salary_max"]
    period = "month" if kind == "internship" else pay.period
    return {**bounds, "currency": pay.currency, "salary_period": period}


def _identity(label: str, dice: Dice) -> tuple[str, str]:
    """Source and external id, shaped as that board shapes them."""
    number = Dice("id", label).below(9_000_000)
    source = dice.choose(("brightermonday", "brightermonday", "linkedin", "jobwebkenya"))
    shapes = {"brightermonday": f"bm-{number + 1_000_000:x}", "linkedin": f"{4_200_000_000 + number * 7}"}
    return source, shapes.get(source, f"jwk-{number + 100_000}")


def _dates(dice: Dice) -> dict[str, str]:
    """When a posting appeared and when it ends: recent ones are more frequent, old ones may be over."""
    days = min(dice.below(LONGEST_AGE_DAYS), dice.below(LONGEST_AGE_DAYS))
    posted = NEWEST - timedelta(days=days, minutes=dice.below(600))
    expires = (posted + timedelta(days=14 + dice.below(47))).replace(hour=23, minute=59)
    return {"posted_at": posted.isoformat(), "expires_at": expires.isoformat()}


def _location(place: Place, *, remote: bool, dice: Dice) -> str:
    """The place as boards write it: town, suburb, county or none."""
    if remote and dice.chance(55):
        return dice.choose(("Remote, Kenya", "Remote"))
    style = dice.below(10)
    if place.town == "Nairobi" and style > 5:  # noqa: PLR2004 - four in ten
        return (
            f"{dice.choose(('Westlands', 'Industrial Area', 'Kilimani', 'Karen', 'Embakasi', 'Upper Hill'))}, Nairobi"
        )
    if style == 0:
        return f"{place.county} County"
    return f"{place.town}, Kenya" if style < 3 else place.town  # noqa: PLR2004 - two in ten


def _place(occupation: Occupation, places: list[Place], dice: Dice) -> Place:
    """A town of the occupation, or any: the large cities have more than their share."""
    if occupation.towns:
        town = dice.choose(occupation.towns)
        return next(place for place in places if place.town == town)
    if dice.chance(22):
        return places[0]
    return dice.choose(places[:10] if dice.chance(45) else places)


class Generator:
    """Makes the postings; holds what must not be used twice."""

    def __init__(self) -> None:
        self._places = list_places()
        self._sectors = list_sectors()
        self._swahili = list_swahili()
        self._descriptions: set[str] = set()

    def list_postings(self) -> list[Posting]:
        """All postings, reposts among them, in the order of the file: oldest first."""
        originals = [self._posting(*item) for item in _schedule(list_occupations())]
        postings = originals + self._reposts(originals)
        return sorted(postings, key=lambda posting: (posting.row["posted_at"], posting.row["external_id"]))

    def _posting(self, turn: int, position: int, occupation: Occupation) -> Posting:
        label = f"{occupation.key}/{turn}"
        dice = Dice(label)
        texts = self._swahili.get(occupation.key, [])
        swahili = texts[turn] if turn < len(texts) else None
        title = swahili.title if swahili else occupation.titles[turn % len(occupation.titles)]
        kind = occupation.types[0] if swahili else _kind(title, occupation, dice)
        title = title if swahili else _titled(title, kind)
        remote = not swahili and dice.chance({"often": 55, "sometimes": 22}.get(occupation.remote, 0))
        place = _place(occupation, self._places, dice)
        sector = self._sectors[occupation.sector]
        draft = Draft(occupation, sector, place, title, dice.choose(sector.names), remote)
        source, external_id = _identity(label, dice)
        row: dict[str, Any] = {"title": title, "company": draft.company, "source": source, "external_id": external_id}
        row["description"] = self._description(draft, label, position * 5 + turn * 11, swahili)
        row["location"] = _location(place, remote=remote, dice=dice)
        if remote or dice.chance(45):
            row["remote"] = remote
        if dice.chance(90):
            row["employment_type"] = kind
        row |= _salary(occupation.pay, kind, dice)
        if dice.chance(95):
            row["url"] = f"https://jobs.example/{source}/{external_id}"
        return Posting(occupation, place, row | _dates(dice))

    def _description(self, draft: Draft, label: str, slot: int, swahili: SwahiliPosting | None) -> str:
        """A description that no posting has yet, not even in another town; later tries use a roomier layout."""
        if swahili:
            return draft.fill(swahili.text)
        attempt = 0
        while True:
            layout = LAYOUTS[slot % len(LAYOUTS)] if attempt < 4 else paragraphs  # noqa: PLR2004 - two openings
            if layout in LONG_LAYOUTS and draft.occupation.pay.period == "day":
                layout = plain_lists  # nobody offers day labour with a pension plan
            text = layout(draft, Dice("text", label, attempt))
            bare = text.replace(draft.place.town, "").replace(draft.company, "")
            if bare not in self._descriptions:
                self._descriptions.add(bare)
                return text
            attempt += 1

    def _reposts(self, originals: list[Posting]) -> list[Posting]:
        """The same vacancy a few days later in another city, as employers with many branches do."""
        fit = [
            posting
            for posting in originals
            if posting.row["description"].count(posting.place.town)
            and not posting.row.get("remote")
            # A remark about the town, or a right answer counted by hand, would become false.
            and posting.place.remark not in posting.row["description"]
            and posting.occupation.count is None
            and not posting.occupation.towns
            and posting.occupation.key not in self._swahili
        ]
        return [self._repost(posting) for posting in Dice("reposts").sample(fit, REPOSTS)]

    def _repost(self, original: Posting) -> Posting:
        dice = Dice("repost", original.row["external_id"])
        place = dice.choose([place for place in self._places[:10] if place.town != original.place.town])
        source, external_id = _identity(f"repost/{original.row['external_id']}", dice)
        row = original.row | {"source": source, "external_id": external_id, "location": place.town}
        row["description"] = row["description"].replace(original.place.town, place.town)
        row["url"] = f"https://jobs.example/{source}/{external_id}"
        for name in ("posted_at", "expires_at"):
            moved = datetime.fromisoformat(row[name]) + timedelta(days=2 + dice.below(9))
            row[name] = moved.isoformat()
        row["posted_at"] = min(row["posted_at"], NEWEST.isoformat())
        return Posting(original.occupation, place, row)


def encode_postings(postings: list[Posting]) -> bytes:
    """The bytes of `postings.jsonl`."""
    return b"".join(msgspec.json.encode(posting.row) + b"\n" for posting in postings)


def encode_queries(postings: list[Posting]) -> bytes:
    """The bytes of `queries.json`: a list of {text, external_ids}, every right answer of each search."""
    queries = [
        {
            "text": text,
            "external_ids": [p.row["external_id"] for p in postings if p.occupation.key == key],
        }
        for text, key in SEARCHES.items()
    ]
    return msgspec.json.format(msgspec.json.encode(queries), indent=2) + b"\n"


def main() -> None:
    """Rewrite both files."""
    postings = Generator().list_postings()
    POSTINGS.write_bytes(encode_postings(postings))
    QUERIES.write_bytes(encode_queries(postings))


if __name__ == "__main__":
    main()
