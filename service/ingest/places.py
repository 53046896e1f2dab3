"""Tidy places as boards write them, and tell the country of a place or of a source where that is certain."""

import re

_PARTS = re.compile(r"\s*,\s*")
_STATE_CODES = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH "
    "OK OR PA PR RI SC SD TN TX UT VT VA WA WV WI WY "
)
_US_STATES = frozenset(_STATE_CODES.split())
_STATE_NAMES = (
    "alabama|alaska|arizona|arkansas|california|colorado|connecticut|delaware|florida|hawaii|idaho|illinois|"
    "indiana|iowa|kansas|kentucky|louisiana|maine|maryland|massachusetts|michigan|minnesota|mississippi|"
    "missouri|montana|nebraska|nevada|new hampshire|new jersey|new mexico|new york|north carolina|north dakota|"
    "ohio|oklahoma|oregon|pennsylvania|rhode island|south carolina|south dakota|tennessee|texas|utah|vermont|"
    "virginia|washington|west virginia|wisconsin|wyoming"
)
_US_STATE_NAMES = frozenset(_STATE_NAMES.split("|"))
_COUNTRIES = {
    "kenya": "KE", "nairobi": "KE", "mombasa": "KE", "kisumu": "KE", "nakuru": "KE", "rest of kenya": "KE",
    "uganda": "UG", "kampala": "UG", "tanzania": "TZ", "dar es salaam": "TZ", "rwanda": "RW", "kigali": "RW",
    "nigeria": "NG", "abuja": "NG", "ethiopia": "ET", "addis ababa": "ET", "ghana": "GH", "accra": "GH",
    "south africa": "ZA", "india": "IN", "united kingdom": "GB", "uk": "GB", "great britain": "GB", "england": "GB",
    "scotland": "GB", "wales": "GB", "northern ireland": "GB", "united states": "US", "united states of america": "US",
    "usa": "US", "u.s.a.": "US", "canada": "CA", "australia": "AU", "new zealand": "NZ", "singapore": "SG",
    "hong kong": "HK", "japan": "JP", "china": "CN", "ireland": "IE",
}  # fmt: skip
# Codes that no state of the US has, so that "Lagos, NG" is as plain as "Lagos, LA, NG".
_PLAIN_CODES = {"NG": "NG", "KE": "KE", "UG": "UG", "TZ": "TZ", "ET": "ET", "RW": "RW", "GH": "GH", "ZA": "ZA",
                "GB": "GB", "UK": "GB", "US": "US", "AU": "AU", "NZ": "NZ", "SG": "SG", "HK": "HK"}  # fmt: skip
_SOURCE_ENDINGS = {
    ".ke": "KE", ".ng": "NG", ".ug": "UG", ".tz": "TZ", ".et": "ET", ".rw": "RW", ".gh": "GH", ".za": "ZA", ".in": "IN",
    ".uk": "GB", ".gov": "US", ".mil": "US", ".us": "US", ".ca": "CA", ".au": "AU", ".nz": "NZ", ".ie": "IE",
    ".sg": "SG", ".hk": "HK",
}  # fmt: skip
_STATE_AND_ZIP = re.compile(r"([A-Z]{2})(?:\s+\d{5}(?:-\d{4})?)?")
_REMOTE = re.compile(r"(?:fully |100% )?remote(?:\s*\(work from home\)|\s*\(anywhere\))?|work from home", re.IGNORECASE)


def tidy_place(text: str) -> str:
    """Write the parts of a place with ", " between them, without empty parts and without a part said twice in a row."""
    kept: list[str] = []
    for part in _PARTS.split(text):
        name = part.strip()
        if name and not (kept and kept[-1].casefold() == name.casefold()):
            kept.append(name)
    return ", ".join(kept)


def is_remote_place(text: str) -> bool:
    """Whether the place is no place but the word for working from anywhere."""
    return _REMOTE.fullmatch(text) is not None


def country_of_place(text: str) -> str | None:
    """Tell the ISO 3166 code of a tidy place by its last part; None where that is not certain."""
    parts = text.split(", ")
    last = parts[-1]
    named = _COUNTRIES.get(last.casefold()) or _PLAIN_CODES.get(last)
    if named:
        return named
    state = _STATE_AND_ZIP.fullmatch(last)
    if len(parts) > 1 and state and state.group(1) in _US_STATES:
        return "US"
    return "US" if last.casefold() in _US_STATE_NAMES else None


def country_of_source(source: str) -> str | None:
    """Tell the ISO 3166 code of a source by the ending of its host name, or by "kenya" in its name."""
    if "kenya" in source:
        return "KE"
    dot = source.rfind(".")
    return _SOURCE_ENDINGS.get(source[dot:]) if dot >= 0 else None
