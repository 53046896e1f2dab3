"""Random postings that differ from one another in a word of their own, by which they can be found."""

import itertools
import random

from tests.faults.ledger import Content

_OCCUPATIONS = ("Accountant", "Nurse", "Driver", "Teacher", "Plumber", "Analyst", "Cook", "Welder", "Surveyor", "Clerk")
_PLACES = ("Nairobi", "Mombasa", "Kisumu", "Eldoret", "Nakuru")
_COMPANIES = ("Jua Power", "Afya Centre", "Linda Guards", "Mto Foods", "Safari Works")
_TEXT = (
    "keeps records and prepares monthly reports for the team, answers calls, plans the shifts, checks stock and tools, "
    "drives to customers, trains new colleagues, repairs machines, teaches classes, sells solar panels and pumps"
)
_WORDS = _TEXT.split()
_NUMBER = itertools.count(1)
LONG_SHARE = 0.06
LONG_WORDS = 700
"""Enough for several passages."""


def write_posting(rng: random.Random, *, plain: bool = False) -> Content:
    """A posting; `plain`: with no more than every way in keeps as it is given."""
    word = f"uq{next(_NUMBER)}x"
    length = LONG_WORDS if rng.random() < LONG_SHARE else rng.randrange(5, 40)
    text = " ".join(rng.choices(_WORDS, k=length)) + "."
    content = Content(f"{rng.choice(_OCCUPATIONS)} {word}", rng.choice(_COMPANIES), text)
    if plain:
        return content
    return Content(
        content.title,
        content.company,
        content.description,
        location=rng.choice((*_PLACES, None)),
        remote=rng.choice((True, False, None)),
        salary_min=rng.choice((None, 1000.0, 2500.5)),
    )


def write_query(rng: random.Random) -> str:
    """A search text that nobody has asked before, so that no answer can come from memory."""
    return f"{rng.choice(_OCCUPATIONS)} {' '.join(rng.choices(_WORDS, k=3))} uq{next(_NUMBER)}q"
