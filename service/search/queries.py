"""Statements that search: signatures; the SQL is in sql/queries/search/."""

from datetime import datetime

from pgvector import HalfVector

from service.db import Db, statement
from service.search.match_model import MatchRow
from service.search.model import HitRow, MarkedRow
from service.search.similar_model import SimilarRow


@statement
async def search_semantic(
    db: Db,
    *,
    vector: HalfVector,
    generation: int,
    tenant_id: int,
    source: tuple[str, ...] | None,
    company: tuple[str, ...] | None,
    location: str | None,
    remote: bool | None,
    employment_type: tuple[str, ...] | None,
    posted_after: datetime | None,
    posted_before: datetime | None,
    active: bool | None,
    now: datetime,
    joined: bool,
    exact: bool,
    ef: int,
    budget: int,
    floor: float,
    count: int,
    since: datetime | None,
    inner: float | None,
    after_score: float | None,
    after_id: int | None,
    half_life_days: float | None,
    facets: tuple[str, ...] | None,
    explained: bool,
    pay_currency: tuple[str, ...] | None,
    pay_low: tuple[float, ...] | None,
    pay_high: tuple[float, ...] | None,
    unpriced: bool,
) -> list[HitRow]:
    """The postings nearest in meaning, the best passage of each; the first row says what there is in all."""


@statement
async def search_hybrid(
    db: Db,
    *,
    vector: HalfVector,
    generation: int,
    tenant_id: int,
    source: tuple[str, ...] | None,
    company: tuple[str, ...] | None,
    location: str | None,
    remote: bool | None,
    employment_type: tuple[str, ...] | None,
    posted_after: datetime | None,
    posted_before: datetime | None,
    active: bool | None,
    now: datetime,
    joined: bool,
    exact: bool,
    ef: int,
    budget: int,
    floor: float,
    count: int,
    since: datetime | None,
    inner: float | None,
    after_score: float | None,
    after_id: int | None,
    half_life_days: float | None,
    facets: tuple[str, ...] | None,
    explained: bool,
    text: str,
    weight: float,
    word_budget: int,
    unembedded: float,
    ndocs: list[int] | None,
    jobs: int | None,
    pay_currency: tuple[str, ...] | None,
    pay_low: tuple[float, ...] | None,
    pay_high: tuple[float, ...] | None,
    unpriced: bool,
) -> list[HitRow]:
    """The postings nearest in meaning and those that hold the query's rare words, scored alike."""


@statement
async def search_lexical(
    db: Db,
    *,
    text: str,
    tenant_id: int,
    source: tuple[str, ...] | None,
    company: tuple[str, ...] | None,
    location: str | None,
    remote: bool | None,
    employment_type: tuple[str, ...] | None,
    posted_after: datetime | None,
    posted_before: datetime | None,
    active: bool | None,
    now: datetime,
    word_budget: int,
    count: int,
    since: datetime | None,
    after_score: float | None,
    after_id: int | None,
    half_life_days: float | None,
    facets: tuple[str, ...] | None,
    explained: bool,
    ndocs: list[int] | None,
    jobs: int | None,
    pay_currency: tuple[str, ...] | None,
    pay_low: tuple[float, ...] | None,
    pay_high: tuple[float, ...] | None,
    unpriced: bool,
) -> list[HitRow]:
    """The postings that hold the query's words, without any vector."""


@statement
async def search_similar(
    db: Db,
    *,
    job_id: int,
    generation: int,
    tenant_id: int,
    source: tuple[str, ...] | None,
    company: tuple[str, ...] | None,
    location: str | None,
    remote: bool | None,
    employment_type: tuple[str, ...] | None,
    posted_after: datetime | None,
    posted_before: datetime | None,
    active: bool | None,
    now: datetime,
    joined: bool,
    exact: bool,
    ef: int,
    budget: int,
    floor: float,
    count: int,
    own_most: int,
    copy_similarity: float,
    pay_currency: tuple[str, ...] | None,
    pay_low: tuple[float, ...] | None,
    pay_high: tuple[float, ...] | None,
    unpriced: bool,
) -> list[SimilarRow]:
    """The postings nearest in meaning to a stored one, without its copies; the first row says how the look went."""


@statement
async def match_passages(
    db: Db,
    *,
    vectors: list[HalfVector],
    weights: list[float],
    generation: int,
    tenant_id: int,
    source: tuple[str, ...] | None,
    company: tuple[str, ...] | None,
    location: str | None,
    remote: bool | None,
    employment_type: tuple[str, ...] | None,
    posted_after: datetime | None,
    posted_before: datetime | None,
    active: bool | None,
    now: datetime,
    joined: bool,
    exact: bool,
    ef: int,
    budget: int,
    candidates: int,
    floor: float,
    count: int,
    pay_currency: tuple[str, ...] | None,
    pay_low: tuple[float, ...] | None,
    pay_high: tuple[float, ...] | None,
    unpriced: bool,
) -> list[MatchRow]:
    """The postings that answer most pieces of a text best; the first row says what there is in all."""


@statement
async def match_words(
    db: Db,
    *,
    text: str,
    tenant_id: int,
    source: tuple[str, ...] | None,
    company: tuple[str, ...] | None,
    location: str | None,
    remote: bool | None,
    employment_type: tuple[str, ...] | None,
    posted_after: datetime | None,
    posted_before: datetime | None,
    active: bool | None,
    now: datetime,
    words_most: int,
    word_budget: int,
    count: int,
    pay_currency: tuple[str, ...] | None,
    pay_low: tuple[float, ...] | None,
    pay_high: tuple[float, ...] | None,
    unpriced: bool,
) -> list[MatchRow]:
    """The postings that hold most of the rarest words of a long text, without any vector."""


@statement
async def mark_words(
    db: Db, *, tenant_id: int, text: str, job_ids: list[int], quotes: list[str | None]
) -> list[MarkedRow]:
    """Titles and quoted text of postings, with signs around the query's words."""


@statement
async def list_behind_filters(
    db: Db,
    *,
    generation: int,
    tenant_id: int,
    source: tuple[str, ...] | None,
    company: tuple[str, ...] | None,
    location: str | None,
    remote: bool | None,
    employment_type: tuple[str, ...] | None,
    posted_after: datetime | None,
    posted_before: datetime | None,
    active: bool | None,
    now: datetime,
    joined: bool,
    pay_currency: tuple[str, ...] | None,
    pay_low: tuple[float, ...] | None,
    pay_high: tuple[float, ...] | None,
    unpriced: bool,
) -> list[int]:
    """The postings behind the filters; only explained, for the planner's estimate."""


@statement
async def count_passages(db: Db, *, generation: int) -> int:
    """About how many passages a generation has, by the statistics of its table."""
