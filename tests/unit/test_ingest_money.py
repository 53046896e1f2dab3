"""Pay as boards write it is read where amounts, currency and period are certain."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.ingest.currencies import read_currency
from service.ingest.model import LARGEST_SALARY, UnreadableError
from service.ingest.money import Pay, read_amount, read_pay, read_period
from service.jobs.currencies import CURRENCIES


@pytest.mark.parametrize(
    ("text", "country", "lowest", "highest", "currency", "period"),
    [
        ("NGN 150,000 - 250,000", None, 150_000, 250_000, "NGN", None),
        ("$63K-$112K (Glassdoor est.)", "US", 63_000, 112_000, "USD", "year"),
        ("$21-$34 Per Hour(Glassdoor est.)", "US", 21, 34, "USD", "hour"),
        ("Employer Provided Salary:$120K-$145K", "US", 120_000, 145_000, "USD", "year"),
        (" £37,000 - £45,000 per annum, negotiable, inc benefits, OTE ", None, 37_000, 45_000, "GBP", "year"),
        (" \u201a¬30,000 - \u201a¬40,000 per annum ", None, 30_000, 40_000, "EUR", "year"),
        (" up to £30,000 per annum ", None, None, 30_000, "GBP", "year"),
        ("from £28,000 p.a.", None, 28_000, None, "GBP", "year"),
        ("A$90k+", None, 90_000, None, "AUD", None),
        ("SAR 1500", None, 1500, 1500, "SAR", None),
        ("KSh 45,001", None, 45_001, 45_001, "KES", None),
        ("Ksh. 45,000/= per month", None, 45_000, 45_000, "KES", "month"),
        ("45,000/=", "KE", 45_000, 45_000, "KES", None),
        ("45,000/=", "UG", 45_000, 45_000, "UGX", None),
        ("₹144K (Employer est.)", None, 144_000, 144_000, "INR", "year"),
        ("₹1,50,000 - 2,00,000 per month", None, 150_000, 200_000, "INR", "month"),
        ("63-112K", None, 63_000, 112_000, None, None),
        ("$15/hr", "US", 15, 15, "USD", "hour"),
        ("US$ 2,000 pm", None, 2_000, 2_000, "USD", "month"),
        ("$2,000", "KE", 2_000, 2_000, "USD", None),
        ("8,000 ETB Monthly", None, 8_000, 8_000, "ETB", "month"),
        ("55,000 ETB To", None, 55_000, None, "ETB", None),
        ("20k to 30k per year", None, 20_000, 30_000, None, "year"),
        ("45000-60000", None, 45_000, 60_000, None, None),
    ],
)
def test_pay_is_read(
    text: str, country: str | None, lowest: int | None, highest: int | None, currency: str | None, period: str | None
) -> None:
    """Each shape gives its ends, its ISO 4217 code and its period, without a doubt."""
    pay = read_pay(text, country)
    assert (pay.lowest, pay.highest, pay.currency, pay.period, pay.doubt) == (lowest, highest, currency, period, None)


@pytest.mark.parametrize("text", ["Competitive", "salary confidential", "Negotiable", "Not Specified", "0-0", "0", ""])
def test_words_and_noughts_say_nothing_about_pay(text: str) -> None:
    """They are no amount, and no fault either."""
    assert read_pay(text, None) == Pay()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("10-Nov", "salary_unreadable"),
        ("€1.500", "salary_unreadable"),
        ("Grade 7", "salary_unreadable"),
        ("-500 USD", "salary_unreadable"),
        ("5,000 - 6,000 - 7,000", "salary_unreadable"),
        ("5,000 6,000", "salary_unreadable"),
        ("100 per hour per month", "salary_unreadable"),
        ("1e5", "salary_unreadable"),
        ("KES 1,00", "salary_unreadable"),
        ("9" * 5000, "salary_unreadable"),
        ("90,000 - 80,000 KES", "salary_order"),
        ("USD 1,000 - KES 5,000", "currency_conflict"),
        ("USD 9000000000000", "salary_out_of_range"),
    ],
)
def test_doubtful_pay_is_refused(text: str, code: str) -> None:
    """What is not understood as a whole is not read in part."""
    with pytest.raises(UnreadableError) as caught:
        read_pay(text, None)
    assert caught.value.code == code


@pytest.mark.parametrize("text", ["$63K-$112K (Glassdoor est.)", "45,000/=", "Rs 5,000", "¥ 500"])
def test_a_shared_sign_needs_a_country(text: str) -> None:
    """The amounts stand, the currency stays open, and the doubt is told."""
    pay = read_pay(text, None)
    assert pay.lowest is not None
    assert (pay.currency, pay.doubt) == (None, "currency_ambiguous")


def test_amounts_are_read_from_numbers_and_texts() -> None:
    """One amount, not a range; not a truth value; not an endless number."""
    assert read_amount(45_001.5, None).lowest == Decimal("45001.5")
    assert read_amount("$55,000.00", "US") == Pay(Decimal(55_000), Decimal(55_000), "USD")
    for wrong in (True, float("inf"), "1 - 2", -5):
        with pytest.raises(UnreadableError):
            read_amount(wrong, None)


@pytest.mark.parametrize(
    ("text", "period"),
    [("Annual", "year"), ("per annum", "year"), ("Hourly", "hour"), ("monthly", "month"), ("a week", "week"),
     ("DAILY", "day"), ("yearly", "year")],
)  # fmt: skip
def test_periods_are_read(text: str, period: str) -> None:
    """Adjectives, nouns and abbreviations name the five periods."""
    assert read_period(text) == period


@pytest.mark.parametrize("text", ["Fixed", "per", "", "fortnight"])
def test_other_periods_are_unknown(text: str) -> None:
    """A lump sum has no period, and half a phrase tells none."""
    with pytest.raises(UnreadableError, match="period_unknown"):
        read_period(text)


def test_currencies_are_read() -> None:
    """Codes in any case, names and signs; unknown ones are told from shared ones."""
    assert [read_currency(text, None) for text in ("kes", "KSh", "Kshs.", "naira", "₦", "US$", "Birr")] == [
        "KES", "KES", "KES", "NGN", "NGN", "USD", "ETB",
    ]  # fmt: skip
    assert read_currency("$", "CA") == "CAD"
    with pytest.raises(UnreadableError, match="currency_ambiguous"):
        read_currency("$", "LR")
    with pytest.raises(UnreadableError, match="currency_unknown"):
        read_currency("cowries", None)


_PARTS = "KSh $ £ € 5 10,000 63K 1.5m - to per month hour ( ) , . /= est. Glassdoor up from + 0 Nov"
WORDS = st.sampled_from(_PARTS.split(" "))


@settings(deadline=None)
@given(st.text(max_size=60) | st.lists(WORDS, max_size=8).map(" ".join) | st.lists(WORDS, max_size=8).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but UnreadableError comes out, and what is read is in order, in range and of a known currency."""
    try:
        pay = read_pay(text, "KE")
    except UnreadableError:
        return
    ends = [end for end in (pay.lowest, pay.highest) if end is not None]
    assert ends == sorted(ends)
    assert all(0 <= end <= LARGEST_SALARY for end in ends)
    assert pay.currency is None or pay.currency in CURRENCIES
