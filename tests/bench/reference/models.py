"""The tables of JobSense as SQLAlchemy models: the same database, mapped as most teams map theirs."""

import os
from datetime import datetime
from typing import Any

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import BigInteger, DateTime, Double, ForeignKey, Identity, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

GENERATION = 1
TENANT = 1
POOL_SIZE = 16

engine = create_async_engine(
    os.environ["DATABASE_URL"],
    pool_size=POOL_SIZE,
    max_overflow=0,
    connect_args={
        "server_settings": {
            "jit": "off",
            "timezone": "UTC",
            # For the session, which is quicker than SET LOCAL in a transaction of each search.
            "hnsw.ef_search": os.environ["EF_SEARCH"],
            "hnsw.iterative_scan": "relaxed_order",
        }
    },
)
new_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """All tables."""


class Job(Base):
    """A posting. What no answer shows is loaded when it is asked for."""

    __tablename__ = "job"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[int]
    source: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    company: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str | None] = mapped_column(Text, deferred=True)
    location: Mapped[str | None] = mapped_column(Text)
    remote: Mapped[bool | None]
    employment_type: Mapped[str | None] = mapped_column(Text)
    salary_min: Mapped[float | None] = mapped_column(Double)
    salary_max: Mapped[float | None] = mapped_column(Double)
    currency: Mapped[str | None] = mapped_column(Text)
    salary_period: Mapped[str | None] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(Text)
    posted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    unread: Mapped[dict[str, Any] | None] = mapped_column(JSONB, deferred=True)
    company_key: Mapped[str] = mapped_column(Text, deferred=True)
    location_key: Mapped[str | None] = mapped_column(Text, deferred=True)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    text_hash: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    task: Mapped["EmbeddingTask | None"] = relationship(lazy="joined", uselist=False, viewonly=True)
    embedded: Mapped["Embedded | None"] = relationship(
        lazy="joined",
        uselist=False,
        viewonly=True,
        primaryjoin=f"and_(Job.id == Embedded.job_id, Embedded.generation == {GENERATION})",
    )

    @property
    def embedding(self) -> dict[str, Any]:
        """How far it is searchable by meaning."""
        state = "pending"
        if self.task is not None and self.task.failed_at is not None:
            state = "failed"
        elif self.task is None and self.embedded is not None:
            state = "done"
        return {
            "state": state,
            "coverage": self.embedded.coverage if self.embedded else 0.0,
            "reason": self.task.reason if self.task else None,
            "generation": self.embedded.generation if self.embedded else None,
        }


class JobWord(Base):
    """The words of a posting, for searches by words."""

    __tablename__ = "job_word"

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)
    words: Mapped[Any] = mapped_column(TSVECTOR)


class EmbeddingTask(Base):
    """A posting that waits to be embedded."""

    __tablename__ = "embedding_task"

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)
    text_hash: Mapped[bytes] = mapped_column(LargeBinary)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    failed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Embedded(Base):
    """What of a posting is embedded."""

    __tablename__ = "embedded"

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)
    generation: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    text_hash: Mapped[bytes] = mapped_column(LargeBinary)
    passages: Mapped[int] = mapped_column(SmallInteger)
    coverage: Mapped[float]
    embedded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Passage(Base):
    """A piece of a posting with its vector."""

    __tablename__ = f"passage_g{GENERATION}"

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)
    passage_no: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    tenant_id: Mapped[int]
    source: Mapped[str] = mapped_column(Text)
    posted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    body_start: Mapped[int]
    body_end: Mapped[int]
    embedding: Mapped[Any] = mapped_column(HALFVEC(768))
