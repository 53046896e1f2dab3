"""Normalise types of employment, and find in them whether the work is remote."""

import re

_WORDS = {
    "fulltime": "full_time", "ft": "full_time", "parttime": "part_time", "pt": "part_time",
    "contract": "contract", "contractor": "contract", "fixedterm": "contract", "fixedtermcontract": "contract",
    "internship": "internship", "intern": "internship", "temporary": "temporary", "temp": "temporary",
    "volunteer": "volunteer", "voluntary": "volunteer", "freelance": "freelance", "freelancer": "freelance",
    "apprenticeship": "apprenticeship", "apprentice": "apprenticeship", "permanent": "permanent", "casual": "casual",
    "seasonal": "seasonal", "perdiem": "per_diem",
}  # fmt: skip
_HOURS = frozenset({"full_time", "part_time"})
_ARRANGEMENTS = {"onsite": False, "inoffice": False, "remote": True, "hybrid": None}
_SEPARATORS = re.compile(r"\s*(?:,|;|/|\||\bor\b|\band\b|\s-\s)\s*", re.IGNORECASE)
_NOT_LETTERS = re.compile(r"[^a-z]")
_TRUTHS = {"true": True, "yes": True, "y": True, "1": True, "remote": True, "fully remote": True,
           "false": False, "no": False, "n": False, "0": False, "onsite": False, "on-site": False,
           "on site": False}  # fmt: skip


def read_remote(text: str) -> bool | None:
    """Read yes or no; None where the text says neither ("Hybrid" is neither)."""
    return _TRUTHS.get(text.casefold())


def read_employment_type(text: str) -> tuple[str | None, bool | None]:
    """Read a type of employment into (token, remote).

    Tokens: full_time, part_time, contract, internship, temporary, volunteer, freelance, apprenticeship, casual,
    seasonal, per_diem, permanent. A kind of contract says more than the hours, so "Contract, full-time" is contract
    and "Permanent, full-time" is full_time. Where no single token is certain the text stays as it is given. The token
    is None where the text tells only whether the work is remote.
    """
    remote: bool | None = None
    tokens: set[str] = set()
    for part in _SEPARATORS.split(text):
        word = _NOT_LETTERS.sub("", part.lower())
        if word in _ARRANGEMENTS:
            remote = _ARRANGEMENTS[word]
        elif word in _WORDS:
            tokens.add(_WORDS[word])
        elif word:
            return text, remote
    if not tokens:
        return (None if remote is not None or _NOT_LETTERS.sub("", text.lower()) in _ARRANGEMENTS else text), remote
    kinds = tokens - _HOURS - {"permanent"}
    for candidates in (kinds, tokens & _HOURS):
        if candidates:
            return (candidates.pop() if len(candidates) == 1 else text), remote
    return "permanent", remote
