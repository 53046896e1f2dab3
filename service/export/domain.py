"""Exports: all postings behind the filters as of one moment, streamed in bounded memory, and only a few at a time."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from service.db import Database
from service.db_copy import Write, copy_out, reading
from service.errors import Overloaded
from service.export import queries
from service.export.model import OPENING_CODES, ExportQuery, Form
from service.jobs.domain import folded
from service.jobs.pay import Conversions, no_conversions, pay_bands
from service.jobs.prepare import words_of
from service.telemetry.stages import annotate, count

MOST, MOST_A_TENANT = 4, 2
"""Exports under way in a process: each holds a connection of the pool for as long as its reader takes."""
LONGEST_S = 1800.0
"""How long one may take: while it runs, vacuum cannot clear away what was deleted since it began."""
RETRY_S = 10
"""When those who found no place may ask again."""


class Exports:
    """The exports of one process."""

    def __init__(self, db: Database, *, conversions: Conversions = no_conversions) -> None:
        self._db = db
        self._conversions = conversions
        self._under_way: Counter[int] = Counter()

    @property
    def active(self) -> int:
        """How many are under way."""
        return self._under_way.total()

    async def stream(self, tenant_id: int, query: ExportQuery, form: Form, write: Write) -> None:
        """Write all postings behind the filters, in the order of their ids; raises Overloaded, DatabaseUnavailable.

        The CSV has a header, CRLF and quotes as in RFC 4180; no cell of it begins as a formula might. NDJSON holds
        postings as the API gives them.
        """
        outcome = "broken_off"
        try:
            with self._place(tenant_id):
                rows = await self._copy(tenant_id, query, form, write)
            annotate(jobsense_export_rows=rows)
            outcome = "done"
        except Exception as error:
            outcome = "refused" if isinstance(error, Overloaded) else "failed"
            raise
        finally:
            count("jobsense_exports_total", form, outcome)

    @contextmanager
    def _place(self, tenant_id: int) -> Iterator[None]:
        if self.active >= MOST or self._under_way[tenant_id] >= MOST_A_TENANT:
            raise Overloaded("Other exports are under way", reason="exports_full", retry_after_s=RETRY_S)
        self._under_way[tenant_id] += 1
        try:
            yield
        finally:
            self._under_way[tenant_id] -= 1
            self._under_way += Counter()  # forgets tenants that have none

    async def _copy(self, tenant_id: int, query: ExportQuery, form: Form, write: Write) -> int:
        filters = query.bare()
        bands = await pay_bands(filters, self._conversions)
        given: dict[str, Any] = folded(filters) | bands.parameters()
        given |= {"tenant_id": tenant_id, "keyword": words_of(query.keyword), "now": datetime.now(UTC)}
        async with reading(self._db) as connection:
            await queries.take_time(connection, timeout_ms=int(LONGEST_S * 1000))
            if form == "ndjson":
                return await copy_out(
                    connection, queries.list_lines, write, layout="lines", within_s=LONGEST_S, **given
                )
            given["opening"] = OPENING_CODES
            written = with_crlf(write)
            return await copy_out(connection, queries.list_cells, written, layout="csv", within_s=LONGEST_S, **given)


def with_crlf(write: Write) -> Write:
    """End lines with CRLF, as RFC 4180 has it and COPY does not; a line break in quotes stays what it is."""
    quoted = False

    async def pass_on(piece: bytes) -> None:
        nonlocal quoted
        parts = piece.split(b'"')
        parts[quoted::2] = [part.replace(b"\n", b"\r\n") for part in parts[quoted::2]]
        quoted ^= len(parts) % 2 == 0
        await write(b'"'.join(parts))

    return pass_on
