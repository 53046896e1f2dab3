"""Join what the fields of a row say about pay: two ends, a text about both, a currency and a period."""

from decimal import Decimal

from service.ingest.currencies import read_currency
from service.ingest.fields import Fields, show
from service.ingest.model import Period
from service.ingest.money import Pay, read_amount, read_pay, read_period

_NO_AMOUNT = -1
_NOTHING = Pay()


def read_salary(fields: Fields, country: str | None) -> Pay:
    """Read the pay of a row; `country` (ISO 3166) settles shared signs of currency.

    Numbers count more than the text, which fills in what they leave open where it does not contradict them. What cannot
    be read is noted in `fields`; two currencies leave none.
    """
    said = fields.attempt_line("salary_text", lambda text: read_pay(text, country)) or _NOTHING
    lower = _read_end(fields, "salary_min", country)
    upper = _read_end(fields, "salary_max", country)
    lowest, highest = _ends(fields, lower.lowest, upper.highest, said)
    return Pay(
        lowest=lowest,
        highest=highest,
        currency=_currency(fields, country, (lower, upper, said)),
        period=_period(fields, (lower, upper, said)),
    )


def _read_end(fields: Fields, field: str, country: str | None) -> Pay:
    value = fields.raw(field)
    if isinstance(value, int | float | Decimal):
        if Decimal(value).is_nan() or value == _NO_AMOUNT:  # how tables of numbers show a hole
            return _NOTHING
        return fields.attempt(field, lambda number: read_amount(number, country)) or _NOTHING
    return fields.attempt_line(field, lambda text: read_amount(text, country)) or _NOTHING


def _ends(
    fields: Fields, lowest: Decimal | None, highest: Decimal | None, said: Pay
) -> tuple[Decimal | None, Decimal | None]:
    if not lowest and not highest:  # nought to nought is how a form says nothing
        return said.lowest, said.highest
    if lowest is None and highest == said.highest:
        return said.lowest, highest
    if highest is None and lowest == said.lowest:
        return lowest, said.highest
    if lowest is not None and highest is not None and lowest > highest:
        fields.warn(
            "salary_min", "salary_order", f"{show(fields.raw('salary_min'))} > {show(fields.raw('salary_max'))}"
        )
        return None, None
    return lowest, highest


def _currency(fields: Fields, country: str | None, pays: tuple[Pay, ...]) -> str | None:
    given = fields.attempt_line("currency", lambda text: read_currency(text, country))
    codes = {code for code in (given, *(pay.currency for pay in pays)) if code}
    if len(codes) == 1:
        return codes.pop()
    doubt = "currency_conflict" if codes else next((pay.doubt for pay in pays if pay.doubt), None)
    if doubt:
        known = (show(fields.raw(field)) for field in ("currency", "salary_text", "salary_min", "salary_max"))
        fields.warn("currency", doubt, " / ".join(text for text in known if text))
    return None


def _period(fields: Fields, pays: tuple[Pay, ...]) -> Period | None:
    given = fields.attempt_line("salary_period", read_period)
    return given or next((pay.period for pay in pays if pay.period), None)
