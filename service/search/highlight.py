"""Quotes hits as HTML in which the words of the query are marked and everything else is escaped."""

from collections.abc import Sequence

from service.db import Database
from service.search import queries
from service.search.model import Highlight, Hit

_HTML = str.maketrans(
    {
        "\ue000": "<mark>",
        "\ue001": "</mark>",
        "\ue002": "&lt;",
        "\ue003": "&gt;",
        "\ue004": "&amp;",
        '"': "&quot;",
        "'": "&#39;",
        "<": "&lt;",
        ">": "&gt;",
        "&": "&amp;",
    }
)
"""The signs of mark_words.sql, and what must not stand in HTML as it is, should any be left."""


async def highlight(db: Database, tenant_id: int, text: str, hits: Sequence[Hit]) -> None:
    """Give every hit its highlight: the title, and the passage or else the fitting places of the text."""
    if not hits:
        return
    marked = {
        row.job_id: row
        for row in await queries.mark_words(
            db,
            tenant_id=tenant_id,
            text=text,
            job_ids=[hit.job.id for hit in hits],
            quotes=[None if hit.passage is None else hit.passage.text for hit in hits],
        )
    }
    for hit in hits:
        if (row := marked.get(hit.job.id)) is not None:
            passage = None if row.passage is None else row.passage.translate(_HTML)
            hit.highlight = Highlight(row.title.translate(_HTML), passage)
