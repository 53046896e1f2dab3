"""What a posting is: as callers send it, as they get it, and as the statements take and give it."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.errors import Invalid
from service.jobs.fields import (
    Amount,
    At,
    Company,
    Currency,
    Description,
    EmploymentType,
    ExternalId,
    Location,
    Moment,
    Period,
    Source,
    Title,
    Url,
    moment_errors,
)
from service.jobs.filter_fields import (
    Active,
    BeforeMoment,
    FromMoment,
    LeastPay,
    MostPay,
    PayCurrency,
    PayPeriod,
    SomeCompanies,
    SomeEmploymentTypes,
    SomeLocation,
    SomeSources,
    WithUnpriced,
    Words,
)
from service.jobs.pay import PayNote, filter_errors

State = Annotated[Literal["pending", "done", "failed"], Meta(title="JobState")]
Status = Literal["created", "updated", "unchanged"]


class JobInput(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A posting as callers send it. Text is trimmed of Unicode white space before it is checked."""

    title: Title
    company: Company
    source: Source
    external_id: ExternalId | None = None
    description: Description | None = None
    location: Location | None = None
    remote: bool | None = None
    employment_type: EmploymentType | None = None
    salary_min: Amount | None = None
    salary_max: Amount | None = None
    currency: Currency | None = None
    salary_period: Period | None = None
    url: Url | None = None
    posted_at: Moment | None = None
    expires_at: Moment | None = None


class JobPatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A change to a posting: what is left out stays, null clears."""

    title: Title | UnsetType = UNSET
    company: Company | UnsetType = UNSET
    source: Source | UnsetType = UNSET
    external_id: ExternalId | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    location: Location | UnsetType | None = UNSET
    remote: bool | UnsetType | None = UNSET
    employment_type: EmploymentType | UnsetType | None = UNSET
    salary_min: Amount | UnsetType | None = UNSET
    salary_max: Amount | UnsetType | None = UNSET
    currency: Currency | UnsetType | None = UNSET
    salary_period: Period | UnsetType | None = UNSET
    url: Url | UnsetType | None = UNSET
    posted_at: Moment | UnsetType | None = UNSET
    expires_at: Moment | UnsetType | None = UNSET


class EmbeddingState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a posting is searchable by meaning. `coverage` is the share of its text that vectors stand for, 0..1."""

    state: State
    coverage: float
    reason: str | None = None
    generation: int | None = None


class Job(msgspec.Struct, kw_only=True):
    """A posting as callers get it."""

    id: int
    title: str
    company: str
    source: str
    external_id: str | None
    description: str | None
    location: str | None
    remote: bool | None
    employment_type: str | None
    salary_min: float | None
    salary_max: float | None
    currency: str | None
    salary_period: Period | None
    url: str | None
    posted_at: At | None
    expires_at: At | None
    version: int
    created_at: At
    updated_at: At
    embedding: EmbeddingState

    @property
    def etag(self) -> str:
        """Strong validator: changes with the posting and with the state of its embedding."""
        return f'"{self.version}-{self.embedding.state}"'


class JobRow(msgspec.Struct):
    """A posting as the statements give it; columns in this order."""

    id: int
    title: str
    company: str
    source: str
    external_id: str | None
    description: str | None
    location: str | None
    remote: bool | None
    employment_type: str | None
    salary_min: float | None
    salary_max: float | None
    currency: str | None
    salary_period: Period | None
    url: str | None
    posted_at: datetime | None
    expires_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
    embedding_state: State
    embedding_reason: str | None
    embedding_generation: int | None
    embedding_coverage: float | None

    def job(self) -> Job:
        """The same with its embedding as an object."""
        return Job(
            id=self.id,
            title=self.title,
            company=self.company,
            source=self.source,
            external_id=self.external_id,
            description=self.description,
            location=self.location,
            remote=self.remote,
            employment_type=self.employment_type,
            salary_min=self.salary_min,
            salary_max=self.salary_max,
            currency=self.currency,
            salary_period=self.salary_period,
            url=self.url,
            posted_at=self.posted_at,
            expires_at=self.expires_at,
            version=self.version,
            created_at=self.created_at,
            updated_at=self.updated_at,
            embedding=EmbeddingState(
                state=self.embedding_state,
                coverage=self.embedding_coverage or 0.0,
                reason=self.embedding_reason,
                generation=self.embedding_generation,
            ),
        )


class NewJob(msgspec.Struct, kw_only=True):
    """A checked posting as the statements take it: with plain text, folded names and hashes (hexadecimal SHA-256)."""

    index: int
    source: str
    external_id: str | None
    title: str
    company: str
    description: str | None
    body: str | None
    location: str | None
    remote: bool | None
    employment_type: str | None
    salary_min: float | None
    salary_max: float | None
    currency: str | None
    salary_period: str | None
    url: str | None
    posted_at: datetime | None
    expires_at: datetime | None
    unread: dict[str, str] | None
    company_key: str
    location_key: str | None
    content_hash: str
    text_hash: str


class UpsertRow(msgspec.Struct):
    """What a statement says became of a posting; without an id when another transaction stored it meanwhile."""

    index: int
    job_id: int | None
    status: Status
    version: int | None


class Stored(msgspec.Struct):
    """What became of one posting of a batch."""

    index: int
    job_id: int
    status: Status
    version: int


class Filters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a search, a list or an export lets through; absent fields let all through. Fields are and, lists or."""

    source: SomeSources | None = None
    company: SomeCompanies | None = None
    location: SomeLocation | None = None
    remote: bool | None = None
    employment_type: SomeEmploymentTypes | None = None
    salary_min: LeastPay | None = None
    salary_max: MostPay | None = None
    currency: PayCurrency | None = None
    salary_period: PayPeriod | None = None
    include_unpriced: WithUnpriced = False
    posted_after: FromMoment | None = None
    posted_before: BeforeMoment | None = None
    active: Active | None = None

    def __post_init__(self) -> None:
        """Refuse moments that no calendar has in UTC, and pay that cannot be compared."""
        if errors := filter_errors(self) + moment_errors(self, "posted_after", "posted_before"):
            raise Invalid(errors)

    def bare(self) -> "Filters":
        """The filters alone, out of a query that has more."""
        return Filters(**{name: getattr(self, name) for name in Filters.__struct_fields__})


class ListQuery(Filters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a list."""

    limit: Annotated[int, Meta(ge=1, le=100, description="Postings in a page.")] = 20
    cursor: Annotated[str, Meta(max_length=500, description="`next_cursor` of the page before.")] | None = None
    keyword: Words | None = None


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of a list ended, as its cursor carries it."""

    id: Annotated[int, Meta(ge=1, le=2**63 - 1)]


class Page(msgspec.Struct):
    """One page of a list; `next_cursor` is null on the last, `pay` without a filter on pay."""

    items: list[Job]
    next_cursor: str | None
    pay: PayNote | None = None


class Count(msgspec.Struct):
    """How many postings have a value."""

    value: str
    jobs: int


class Stats(msgspec.Struct):
    """Counts over a tenant's postings: by source, by the commonest places, by state of embedding."""

    jobs: int
    sources: list[Count]
    locations: list[Count]
    embedding: dict[State, int]
