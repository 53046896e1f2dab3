"""Since when a search is degraded, where its reason is one of this search alone."""

from datetime import UTC, datetime

import pytest

from service.db import Database
from service.errors import EmbedderUnavailable, TextRefused
from service.search.domain import QueryVectorLike, Searcher
from service.search.model import SearchRequest

TENANT = 1
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("why", ["overloaded", "text_refused"])
async def test_what_befalls_one_search_has_no_history(why: str, db: Database) -> None:
    """A search that came among too many, or whose text is refused, is degraded since now, whatever else is absent."""
    error = TextRefused("no") if why == "text_refused" else EmbedderUnavailable("no", reason=why)

    async def fail(_text: str) -> QueryVectorLike:
        raise error

    began = datetime.now(UTC)
    answer = await Searcher(db, fail, lambda: SINCE).search(TENANT, SearchRequest(text="tailor"))
    assert answer.degraded is not None
    assert answer.degraded.reason == why
    assert answer.degraded.since >= began
