"""Read pay as boards write it: one amount or a range, its currency and its period."""

import re
from decimal import Decimal, InvalidOperation

import msgspec

from service.ingest.currencies import SIGNS, read_currency
from service.ingest.model import LARGEST_SALARY, Period, UnreadableError
from service.jobs.currencies import CURRENCIES

_PERIODS: dict[str, Period] = {
    **dict.fromkeys(("hour", "hourly", "hr", "ph", "p/h", "p.h."), "hour"),
    **dict.fromkeys(("day", "daily", "pd", "p/d"), "day"),
    **dict.fromkeys(("week", "weekly", "wk", "pw", "p/w"), "week"),
    **dict.fromkeys(("month", "monthly", "mo", "mth", "pm", "p.m.", "p.m", "p/m", "pcm"), "month"),
    **dict.fromkeys(("year", "yearly", "annual", "annually", "annum", "yr", "pa", "p.a.", "p.a", "p/a"), "year"),
}
_SUFFIXES = {"k": Decimal(1000), "m": Decimal(1_000_000), "lakh": Decimal(100_000), "lac": Decimal(100_000)}

_AMOUNT = (
    r"(?P<amount>(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}|\d{1,15})(?:\.\d{1,2})?)(?!\d|[.,]\d)"
    r"(?:\s?(?P<suffix>k|m|lakh|lac)s?(?![a-z]))?"
)
_CURRENCY = "(?P<currency>" + "|".join(
    re.escape(sign) + ("(?![a-z])" if sign[-1].isalpha() else "") for sign in SIGNS
) + r"|(?-i:[A-Z]{3})(?![A-Za-z]))"  # fmt: skip
_PERIOD = (
    r"(?P<period>(?:(?:per|an?|each|every|/)\s*)?(?:"
    + "|".join(re.escape(word) for word in sorted(_PERIODS, key=len, reverse=True))
    + r")(?![a-z]))"
)
# What stands beside an amount without changing it. Anything that is not listed makes the text unreadable.
_BESIDE = (
    r"(?P<estimate>\(?(?:glassdoor|employer)\s+est\.?\)?|employer provided salary\s*:?)"
    r"|(?P<upto>up\s?to|max(?:imum)?|under)\b|(?P<from>from|min(?:imum)?|starting (?:at|from)|at least)\b"
    r"|(?P<range>-|\u2013|\u2014|to\b|and\b)|(?P<plus>\+)"
    r"|(?P<noise>(?:salary|pay|range|wage|ote|negotiable|(?:inc(?:l|luding)?\.?|plus|\+)\s*benefits|pro[\s-]?rata|net"
    r"|gross|basic|fixed|only|between|per|for)\b|[\s,:;.()~]+)"
)
_TOKEN = re.compile(f"{_PERIOD}|{_BESIDE}|{_AMOUNT}|{_CURRENCY}", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_LONGEST = 200
_LARGEST_SHORTENED = 1000
_IN_A_RANGE = 2


class Pay(msgspec.Struct, frozen=True):
    """What a text says about pay. `lowest` and `highest` are in units of `currency` for each `period`, in order.

    `doubt` is the code of why a sign of currency could not be turned into `currency`.
    """

    lowest: Decimal | None = None
    highest: Decimal | None = None
    currency: str | None = None
    period: Period | None = None
    doubt: str | None = None


class _Seen:
    """What the tokens of one text add up to."""

    def __init__(self) -> None:
        self.amounts: list[tuple[Decimal, str]] = []
        self.signs: set[str] = set()
        self.periods: set[Period] = set()
        self.kinds: set[str] = set()

    def add(self, match: re.Match[str]) -> None:
        kind = match.lastgroup or ""
        kind = "amount" if kind == "suffix" else kind
        text = match.group(kind)
        if kind == "range" and not self.amounts and not self.kinds - {"currency"}:
            raise UnreadableError("salary_unreadable")  # a sign before the first number: "-5 USD"
        if kind != "noise" or text.strip():
            self.kinds.add(kind)
        if kind == "amount":
            self.amounts.append((Decimal(text.replace(",", "")), (match.group("suffix") or "").lower()))
        elif kind == "currency":
            self.signs.add(text)
        elif kind == "period":
            self.periods.add(read_period(text))


def read_period(text: str) -> Period:
    """Read the word for a period; raises UnreadableError("period_unknown")."""
    word = re.sub(r"^(?:per|an?|each|every|/)\s*(?=[a-z])", "", text.strip().lower())
    found = _PERIODS.get(word) or _PERIODS.get(text.strip().lower())
    if found is None:
        raise UnreadableError("period_unknown")
    return found


def read_amount(value: object, country: str | None) -> Pay:
    """Read one amount from a number or a text; raises UnreadableError with a code that starts with "salary_"."""
    if isinstance(value, bool):
        raise UnreadableError("salary_unreadable")
    if isinstance(value, int | float | Decimal):
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            raise UnreadableError("salary_unreadable") from None
        _check(amount)
        return Pay(lowest=amount, highest=amount)
    pay = read_pay(str(value), country)
    if pay.lowest != pay.highest:
        raise UnreadableError("salary_unreadable")
    return pay


def read_pay(text: str, country: str | None) -> Pay:
    """Read a text about pay; `country` (ISO 3166) settles shared signs of currency.

    A text without a digit, and "0" or "0-0", say nothing about pay. A single amount is both ends. Raises
    UnreadableError: "salary_unreadable", "salary_order" (the lower end is above the higher), "salary_out_of_range",
    "currency_conflict".
    """
    if not _DIGIT.search(text):
        return Pay()
    if len(text) > _LONGEST:
        raise UnreadableError("salary_unreadable")
    seen = _scan(text.strip())
    lowest, highest = _bounds(seen)
    if not lowest and not highest:
        return Pay()
    for amount in (lowest, highest):
        if amount is not None:
            _check(amount)
    if lowest is not None and highest is not None and lowest > highest:
        raise UnreadableError("salary_order")
    currency, doubt = _currency(seen.signs, country)
    period = seen.periods.pop() if seen.periods else None
    if period is None and "estimate" in seen.kinds:
        period = "year"  # Glassdoor says "Per Hour" where its estimate is not for a year
    return Pay(lowest=lowest, highest=highest, currency=currency, period=period, doubt=doubt)


def _scan(text: str) -> _Seen:
    """Split the whole text into tokens; anything left over means that the text is not understood."""
    seen = _Seen()
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            raise UnreadableError("salary_unreadable")
        if match.lastgroup == "currency" and match.group().isupper() and len(match.group()) == len("KES"):
            known = match.group() in CURRENCIES or match.group().lower() in SIGNS
            if not known:
                raise UnreadableError("salary_unreadable")
        seen.add(match)
        position = match.end()
    if len(seen.periods) > 1:
        raise UnreadableError("salary_unreadable")
    return seen


def _bounds(seen: _Seen) -> tuple[Decimal | None, Decimal | None]:
    if len(seen.amounts) == 1:
        amount = _full(*seen.amounts[0])
        if "upto" in seen.kinds:
            return None, amount
        if seen.kinds & {"from", "plus", "range"}:  # "55,000 ETB to" lost its second half
            return amount, None
        return amount, amount
    if len(seen.amounts) != _IN_A_RANGE or not seen.kinds & {"range"}:
        raise UnreadableError("salary_unreadable")
    (first, first_suffix), (second, second_suffix) = seen.amounts
    if not first_suffix and second_suffix and first < _LARGEST_SHORTENED:
        first_suffix = second_suffix  # "63-112K"
    return _full(first, first_suffix), _full(second, second_suffix)


def _full(amount: Decimal, suffix: str) -> Decimal:
    return amount * _SUFFIXES.get(suffix, Decimal(1))


def _check(amount: Decimal) -> None:
    if not amount.is_finite():
        raise UnreadableError("salary_unreadable")
    if not 0 <= amount <= LARGEST_SALARY:
        raise UnreadableError("salary_out_of_range")


def _currency(signs: set[str], country: str | None) -> tuple[str | None, str | None]:
    """Read all signs of one text ("KSh 45,000/="); they have to agree."""
    codes: set[str] = set()
    doubt: str | None = None
    for sign in signs:
        try:
            codes.add(read_currency(sign, country))
        except UnreadableError as fault:
            doubt = fault.code
    if len(codes) > 1:
        raise UnreadableError("currency_conflict")
    return (codes.pop(), None) if codes else (None, doubt)
