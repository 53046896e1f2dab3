"""Make a posting of a mapped row: read what is certain, warn of what is dropped, refuse only what has no identity."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from urllib.parse import urlsplit

from service.ingest import companies, model
from service.ingest.dates import DateContext, read_moment
from service.ingest.employment import read_employment_type, read_remote
from service.ingest.external_ids import make_external_id
from service.ingest.fields import Fields, show
from service.ingest.model import Cleaned, DateOrder, Posting, UnreadableError
from service.ingest.places import country_of_place, country_of_source, is_remote_place, tidy_place
from service.ingest.salary import read_salary
from service.ingest.words import is_absent, is_absent_name, read_line, read_raw, read_text, repair_encoding
from service.plaintext import to_plain_text

_SOURCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_SOURCE_GAPS = re.compile(r"[\s_]+")
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_SPACE = re.compile(r"\s")
_NOT_A_POSTING = re.compile(
    r"(?:(?:https?://)?(?:www\.)?brightermonday\.[a-z.]+)?/(?:company/|jobs\?q=)", re.IGNORECASE
)


def clean(
    row: Mapping[str, object],
    *,
    today: date,
    reference: date | None = None,
    date_order: DateOrder | None = None,
) -> Cleaned:
    """Clean one row whose keys are fields of the API or `salary_text`; never raises for any value.

    Args:
        row: Raw values, as `mapping.map_row` picks them.
        today: The day of the run; no posting was made after it.
        reference: The day on which the rows were collected, if known: it gives "Yesterday" and "22 January" a meaning.
        date_order: How the source writes 8/9/2023, if known. Otherwise the country of the source decides, if it can.
    """
    return _Cleaning(Fields(row), today, reference, date_order).run()


class _Cleaning:
    """One row on its way to a posting."""

    def __init__(self, fields: Fields, today: date, reference: date | None, date_order: DateOrder | None) -> None:
        self.fields = fields
        self.today = today
        self.reference = reference
        self.date_order = date_order
        self.posting: Posting = {}

    def run(self) -> Cleaned:
        """Read the fields; later ones look at earlier ones (pay at the place, the identity at all)."""
        self._source()
        self._url()
        self._title_and_company()
        self._place()
        self._employment()
        self._description()
        self._pay()
        self._dates()
        self._identity()
        return Cleaned(self.posting, self.fields.warnings, self.fields.refusals)

    def _source(self) -> None:
        source = _SOURCE_GAPS.sub("-", self.fields.name("source").lower())
        if _SOURCE.fullmatch(source):
            self.posting["source"] = source
        elif not source:
            self.fields.refuse("source", "missing", "The row names no source, and none was given with --source.")
        else:
            self.fields.refuse(
                "source", "invalid", "A source is up to 64 of a-z, 0-9, '.' and '-', and starts with a letter."
            )

    def _url(self) -> None:
        url = self.fields.line("url")
        if not url:
            return
        if _NOT_A_POSTING.match(url):
            self.fields.refuse(
                "url", "not_a_posting", "The address is that of a company or a search, not of a posting."
            )
        elif len(url) > model.URL_CHARS[1]:
            self.fields.warn("url", "url_too_long")
        elif not _SCHEME.match(url) or _SPACE.search(url) or not _has_host(url):
            self.fields.warn("url", "url_not_http")
        else:
            scheme, rest = url.split(":", 1)
            self.posting["url"] = f"{scheme.lower()}:{rest}"

    def _title_and_company(self) -> None:
        title = self.fields.name("title")
        try:
            given = companies.cut_rating(repair_encoding(read_text(self.fields.raw("company"))))
            company, glued = companies.split_glued_type(read_line(given))
        except UnreadableError:
            company, glued = self.fields.name("company"), None
        company = "" if is_absent_name(company) else company
        if not company:
            split = companies.split_title(title, self.posting.get("url", ""))
            title, company = split or (title, company)
        if glued and company:
            self.posting["employment_type"] = glued
        self._check_name("title", title, model.TITLE_CHARS)
        self._check_name("company", company, model.COMPANY_CHARS)
        if company and is_absent(company) and company.casefold() != "confidential":
            self.fields.warn("company", "company_placeholder")

    def _check_name(self, field: str, text: str, limits: tuple[int, int]) -> None:
        if self.fields.is_refused(field):
            return
        if is_absent_name(text):
            self.fields.refuse(field, "missing", f"The row has no {field}.")
        elif not limits[0] <= len(text) <= limits[1]:
            self.fields.refuse(
                field, "length", f"The {field} has {len(text)} characters; {limits[0]} to {limits[1]} are allowed."
            )
        elif field == "title":
            self.posting["title"] = text
        else:
            self.posting["company"] = text

    def _place(self) -> None:
        place = tidy_place(self.fields.line("location"))
        if len(place) > model.LOCATION_CHARS[1]:
            self.fields.warn("location", "too_long")
        elif place:
            self.posting["location"] = place
            if is_remote_place(place):
                self.posting["remote"] = True

    def _employment(self) -> None:
        text = self.fields.line("employment_type")
        if len(text) > model.EMPLOYMENT_TYPE_CHARS[1]:
            self.fields.warn("employment_type", "too_long")
        elif text:
            token, remote = read_employment_type(text)
            if token is not None:
                self.posting["employment_type"] = token
            if remote is not None:
                self.posting["remote"] = remote
        said = self.fields.line("remote")
        if said:
            remote = read_remote(said)
            if remote is not None:
                self.posting["remote"] = remote
            elif said.casefold() != "hybrid":
                self.fields.warn("remote", "remote_unreadable")

    def _description(self) -> None:
        text = self.fields.attempt("description", read_raw) or ""
        if is_absent(text):
            return
        limit = model.DESCRIPTION_CHARS[1]
        if len(text) > limit:
            plain = to_plain_text(text)
            if len(plain) <= limit:
                self.fields.warn("description", "description_reduced_to_text")
                text = plain
            else:
                self.fields.warn("description", "description_truncated")
                text = plain[:limit].rsplit(maxsplit=1)[0]
        if text:
            self.posting["description"] = text

    def _pay(self) -> None:
        country = country_of_place(self.posting.get("location", "")) or country_of_source(
            self.posting.get("source", "")
        )
        pay = read_salary(self.fields, country)
        if pay.currency:
            self.posting["currency"] = pay.currency
        if pay.period:
            self.posting["salary_period"] = pay.period
        if pay.lowest is not None:
            self.posting["salary_min"] = _plain_number(pay.lowest)
        if pay.highest is not None:
            self.posting["salary_max"] = _plain_number(pay.highest)

    def _dates(self) -> None:
        order = self.date_order or _order_of(country_of_source(self.posting.get("source", "")))
        posted = DateContext("posted", self.today, self.reference, order)
        expires = DateContext("expires", self.today, self.reference, order)
        moment = self._moment("posted_at", posted)
        if moment:
            self.posting["posted_at"] = moment
        moment = self._moment("expires_at", expires)
        if moment:
            self.posting["expires_at"] = moment

    def _moment(self, field: str, context: DateContext) -> datetime | None:
        value = self.fields.raw(field)
        if isinstance(value, str) and is_absent(value.strip()):
            return None
        return self.fields.attempt(field, lambda raw: read_moment(raw, context))

    def _identity(self) -> None:
        given = self.fields.line("external_id")
        if 0 < len(given) <= model.EXTERNAL_ID_CHARS[1]:
            self.posting["external_id"] = given
            return
        if given:
            self.fields.warn("external_id", "too_long")
        parts = {field: show(self.fields.raw(field)) for field in ("title", "company", "location")}
        url = self.posting.get("url") or given
        self.posting["external_id"] = make_external_id(url=url, source=self.posting.get("source", ""), **parts)


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def _order_of(country: str | None) -> DateOrder | None:
    """Tell the order of day and month in a country; Canada uses both."""
    if country is None or country == "CA":
        return None
    return "mdy" if country == "US" else "dmy"


def _plain_number(amount: Decimal) -> Decimal:
    """Write 45001.0 as 45001, and 1E+3 as 1000."""
    whole = amount.to_integral_value()
    return whole.quantize(Decimal(1)) if amount == whole else amount.normalize()
