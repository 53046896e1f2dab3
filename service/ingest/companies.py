"""Take apart what boards and scrapers glue to the names of employers."""

import re

from service.ingest.model import COMPANY_CHARS, TITLE_CHARS

# BrighterMonday's page puts the employment type before the name; of its types this is the only one that was seen glued
# (576 times), and always to a capital letter. "Full time Recruiters Ltd" is a name.
_GLUED = re.compile(r"Full time(?=[A-Z0-9]|$)")
_RATING = re.compile(r"[1-5]\.\d")
_AT = " at "
_LONGEST = TITLE_CHARS[1] + len(_AT) + COMPANY_CHARS[1]
_MYJOBMAG_PATH = re.compile(r"https?://(?:www\.)?myjobmag\.[a-z.]+/+job/+([^/?#]+)", re.IGNORECASE)
_NOT_LETTERS = re.compile(r"[^a-z0-9]")


def split_glued_type(company: str) -> tuple[str, str | None]:
    """Split "Full timeBrighterMonday" into the name and the employment type; without such a start the type is None."""
    match = _GLUED.match(company)
    return (company[match.end() :], "full_time") if match else (company, None)


def cut_rating(company: str) -> str:
    """Cut the rating that Glassdoor shows on a line of its own below the name."""
    name, below, rating = company.rstrip().rpartition("\n")
    return name if below and _RATING.fullmatch(rating.strip()) else company


def split_title(title: str, url: str) -> tuple[str, str] | None:
    """Split MyJobMag's heading "X at Y" into title and company, or answer None where that is not certain.

    The page of one job is headed so, and its address is made of both without the "at". With one " at " there is one
    reading; with several the address decides.
    """
    page = _MYJOBMAG_PATH.match(url)
    parts = title.split(_AT)
    if not page or len(parts) == 1 or len(title) > _LONGEST:
        return None
    address = _NOT_LETTERS.sub("", page.group(1).lower())
    fitting: list[tuple[str, str]] = []
    for cut in range(1, len(parts)):
        pair = (_AT.join(parts[:cut]).strip(), _AT.join(parts[cut:]).strip())
        if not all(pair):
            continue
        fits = re.fullmatch(_NOT_LETTERS.sub("", "".join(pair).lower()) + r"\d{0,4}", address)
        if fits or len(parts) == len(pair):
            fitting.append(pair)
    return fitting[0] if len(fitting) == 1 else None
