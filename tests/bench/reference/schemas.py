"""What callers send and get, as Pydantic models with the rules of JobSense."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from service.jobs.currencies import CURRENCIES

SOURCES = ("brightermonday", "linkedin", "jobwebkenya")
Moment = Annotated[AwareDatetime, AfterValidator(lambda value: value.astimezone(UTC))]
Period = Literal["hour", "day", "week", "month", "year"]
FacetName = Literal["source", "company", "location", "employment_type", "currency"]


class JobIn(BaseModel):
    """A posting as callers send it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    title: str = Field(min_length=2, max_length=200)
    company: str = Field(min_length=1, max_length=200)
    source: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")
    external_id: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=100_000)
    location: str | None = Field(default=None, min_length=1, max_length=500)
    remote: bool | None = None
    employment_type: str | None = Field(default=None, min_length=1, max_length=100)
    salary_min: float | None = Field(default=None, ge=0, le=1e12)
    salary_max: float | None = Field(default=None, ge=0, le=1e12)
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    salary_period: Period | None = None
    url: str | None = Field(default=None, max_length=2000, pattern=r"^https?://[^\s/]+")
    posted_at: Moment | None = None
    expires_at: Moment | None = None

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """What the types cannot say."""
        if self.source not in SOURCES:
            raise ValueError(f"accepted sources: {', '.join(SOURCES)}")
        if self.currency is not None and self.currency not in CURRENCIES:
            raise ValueError(f"{self.currency} is not an ISO 4217 code")
        if self.salary_min is not None and self.salary_max is not None and self.salary_min > self.salary_max:
            raise ValueError("salary_min is above salary_max")
        return self


class EmbeddingOut(BaseModel):
    """How far a posting is searchable by meaning."""

    state: Literal["pending", "done", "failed"]
    coverage: float
    reason: str | None = None
    generation: int | None = None


class JobOut(BaseModel):
    """A posting as callers get it."""

    model_config = ConfigDict(from_attributes=True)

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
    embedding: EmbeddingOut


class PageOut(BaseModel):
    """A page of a list."""

    items: list[JobOut]
    next_cursor: str | None


class FiltersIn(BaseModel):
    """What a search lets through."""

    model_config = ConfigDict(extra="forbid")

    source: list[str] | None = Field(default=None, min_length=1, max_length=50)
    company: list[str] | None = Field(default=None, min_length=1, max_length=50)
    location: str | None = Field(default=None, min_length=1, max_length=500)
    remote: bool | None = None
    employment_type: list[str] | None = Field(default=None, min_length=1, max_length=50)
    posted_after: Moment | None = None
    posted_before: Moment | None = None
    active: bool | None = None


class SearchIn(BaseModel):
    """A search."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    text: str = Field(min_length=1, max_length=2000)
    top_k: int = Field(default=10, ge=1, le=100)
    mode: Literal["hybrid", "semantic"] = "hybrid"
    filters: FiltersIn = FiltersIn()
    facets: list[FacetName] = Field(default=[], max_length=5)
    min_score: float | None = Field(default=None, ge=0, le=1)


class PassageOut(BaseModel):
    """The passage that matched best."""

    text: str
    start: int
    end: int


class HitOut(BaseModel):
    """A posting found."""

    rank: int
    score: float
    job: JobOut
    passage: PassageOut | None


class TotalOut(BaseModel):
    """How many postings match."""

    value: int
    relation: Literal["exact", "at_least"]


class FacetCount(BaseModel):
    """A value, and how many of the matches have it."""

    value: str
    count: int


class SearchOut(BaseModel):
    """The postings found."""

    results: list[HitOut]
    total: TotalOut
    facets: dict[str, list[FacetCount]]
    mode: str
    model: str
    generation: int
    took_ms: float


class RowOut(BaseModel):
    """What became of one row of a batch."""

    index: int
    status: Literal["created", "updated", "unchanged", "rejected"]
    id: int | None = None
    errors: list[str] | None = None


class BatchOut(BaseModel):
    """The results of a batch."""

    results: list[RowOut]
