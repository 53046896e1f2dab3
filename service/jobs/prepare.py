"""Derives what is stored beside a posting: plain text, folded names, and the hashes that tell a change from none."""

import asyncio
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from service.jobs.model import JobInput, NewJob
from service.plaintext import to_plain_text

_SEPARATOR = "\x1f"
_AT_ONCE_CHARS = 10_000
_REPEATED_NOT = re.compile(r'-(?=[^\w"]*-)')
"""A minus before another: PostgreSQL keeps each "not not ..." on a stack, which a row of them overflows."""


def fold(text: str) -> str:
    """A name as it is compared: trimmed and case-folded (Unicode, whatever the database's locale)."""
    return text.strip().casefold()


def words_of(keyword: str | None) -> str | None:
    """The words of a filter as the statements take them."""
    return None if keyword is None else _REPEATED_NOT.sub("", keyword)


def prepare(job: JobInput, *, index: int = 0, unread: Mapping[str, str] | None = None) -> NewJob:
    """A checked posting as it is stored; `unread` holds raw values that could not be read, no part of the content."""
    body = to_plain_text(job.description) if job.description else ""
    fields = {name: _in_utc(getattr(job, name)) for name in JobInput.__struct_fields__}
    return NewJob(
        index=index,
        body=body or None,
        unread=dict(unread) if unread else None,
        company_key=fold(job.company),
        location_key=fold(job.location) if job.location else None,
        content_hash=sha256(msgspec.json.encode(list(fields.values()))).hexdigest(),
        text_hash=_hash_text(job, body),
        **fields,
    )


async def prepare_aside(job: JobInput) -> NewJob:
    """The same within a request: HTML that is long, and may be made to take time, is read beside the event loop."""
    if job.description is None or len(job.description) <= _AT_ONCE_CHARS:
        return prepare(job)
    return await asyncio.to_thread(prepare, job)


def _in_utc(value: Any) -> Any:
    # One instant is one value, however its offset is written: it is compared by hash and answered as it is stored.
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _hash_text(job: JobInput, body: str) -> str:
    parts = (job.title, job.company, job.location or "", body)
    return sha256(_SEPARATOR.join(unicodedata.normalize("NFC", part) for part in parts).encode()).hexdigest()
