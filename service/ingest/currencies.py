"""Turn the signs and names of currencies into ISO 4217 codes, with the help of a country where a sign is shared."""

from service.ingest.model import UnreadableError
from service.jobs.currencies import CURRENCIES

_CERTAIN = {
    "£": "GBP", "€": "EUR", "\u201a¬": "EUR", "₦": "NGN", "₹": "INR", "₵": "GHS", "gh₵": "GHS", "₱": "PHP", "₩": "KRW",
    "₺": "TRY", "₽": "RUB", "₫": "VND", "₪": "ILS", "฿": "THB", "₴": "UAH", "₸": "KZT", "us$": "USD", "usd$": "USD",
    "$us": "USD", "us dollars": "USD", "ca$": "CAD", "c$": "CAD", "au$": "AUD", "a$": "AUD", "nz$": "NZD", "s$": "SGD",
    "hk$": "HKD", "r$": "BRL", "ksh": "KES", "kshs": "KES", "ksh.": "KES", "kshs.": "KES", "kes": "KES", "ushs": "UGX",
    "ush": "UGX", "ugx": "UGX", "tsh": "TZS", "tshs": "TZS", "tzs": "TZS", "naira": "NGN", "ngn": "NGN", "birr": "ETB",
    "etb": "ETB", "usd": "USD", "eur": "EUR", "euro": "EUR", "euros": "EUR", "gbp": "GBP", "aed": "AED", "sar": "SAR",
    "inr": "INR", "zar": "ZAR",
}  # fmt: skip
_SHILLINGS = {"KE": "KES", "UG": "UGX", "TZ": "TZS"}
# In a country whose own money is no dollar, "$" is the US dollar; countries not listed may have one of their own.
_DOLLARS = {
    "US": "USD", "CA": "CAD", "AU": "AUD", "NZ": "NZD", "SG": "SGD", "HK": "HKD", "KE": "USD", "UG": "USD", "TZ": "USD",
    "NG": "USD", "ET": "USD", "RW": "USD", "GH": "USD", "ZA": "USD", "IN": "USD", "GB": "USD", "IE": "USD",
}  # fmt: skip
_BY_COUNTRY = {
    "$": _DOLLARS, "dollars": _DOLLARS, "sh": _SHILLINGS, "sh.": _SHILLINGS, "shs": _SHILLINGS, "shs.": _SHILLINGS,
    "/=": _SHILLINGS, "shillings": _SHILLINGS, "r": {"ZA": "ZAR"}, "rs": {"IN": "INR"}, "rs.": {"IN": "INR"},
    "₨": {"IN": "INR"}, "rupees": {"IN": "INR"}, "br": {"ET": "ETB"}, "n": {"NG": "NGN"}, "pounds": {"GB": "GBP"},
    "¥": {"JP": "JPY", "CN": "CNY"},
}  # fmt: skip

SIGNS = tuple(sorted({*_CERTAIN, *_BY_COUNTRY}, key=len, reverse=True))
"""Every sign and name that `read_currency` may know, in lower case, the longest first."""


def read_currency(text: str, country: str | None) -> str:
    """Read an ISO 4217 code, a sign or a name.

    Raises UnreadableError: "currency_ambiguous" where several countries share the sign and `country` (ISO 3166) does
    not settle it, "currency_unknown" for anything else.
    """
    code = text.upper()
    if code in CURRENCIES:
        return code
    sign = text.casefold()
    if sign in _CERTAIN:
        return _CERTAIN[sign]
    if sign not in _BY_COUNTRY:
        raise UnreadableError("currency_unknown")
    found = _BY_COUNTRY[sign].get(country or "")
    if found is None:
        raise UnreadableError("currency_ambiguous")
    return found
