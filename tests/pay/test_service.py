"""The service as it is put together: with a feed set, its rates come by themselves and pay is compared with them."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from service.config import Settings
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import JOBS, create, sample
from tests.conftest import running
from tests.fakes import WordEmbedder
from tests.pay.feed_server import FeedServer, rates


async def test_rates_come_from_the_feed(
    settings: Settings,
    dsn: str,
    telemetry: Telemetry,
    embedder: WordEmbedder,
    monkeypatch: pytest.MonkeyPatch,
    feed: FeedServer,
) -> None:
    """A serving process reads the feed in the background; what it told is listed, used, and seen in the metrics."""
    feed.answer(rates(USD_KES=129.5, EUR_KES=150))
    fed = msgspec.structs.replace(settings, rates_url=feed.url, rates_interval=3600)
    async with running(fed, dsn, telemetry, embedder, monkeypatch) as api, asyncio.timeout(20):
        made = await create(api, salary_min=1000, currency="USD", salary_period="month")
        while not sample(api, "jobsense_rates_fetches_total", outcome="ok"):
            await api.parts.rates.at(datetime.now(UTC))
        listed = (await api.client.get("/api/v1/rates")).json()["rates"]
        assert [(one["currency"], one["source"]) for one in listed] == [("EUR", "127.0.0.1"), ("KES", "127.0.0.1")]
        found = await api.client.get(JOBS, params={"salary_min": 129_500, "currency": "KES"})
        assert [job["id"] for job in found.json()["items"]] == [made["id"]]
        assert sample(api, "jobsense_rates_newest_timestamp_seconds") > 1.7e9
    assert len(feed.requests) == 1
