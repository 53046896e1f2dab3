"""The lane that processes share, when asking the database fails as it never should."""

import asyncio
import io
import json

import pytest

from service.db import Database
from service.embedding import lane as lane_module
from service.embedding import queries
from service.embedding.lane import Lane


@pytest.fixture
def lane(db: Database) -> Lane:
    """One process's view."""
    return Lane(db, "the server")


@pytest.mark.usefixtures("telemetry")
async def test_a_fault_of_ours_is_told_once(lane: Lane, monkeypatch: pytest.MonkeyPatch, log: io.BytesIO) -> None:
    """A statement that fails as none should is logged, and bulk work and queries go on as if alone."""

    async def break_down(_db: Database, **_given: object) -> bool:
        raise ZeroDivisionError("no")

    for name in ("take_bulk_turn", "announce_queries", "fetch_query_age", "give_up_bulk_turn"):
        monkeypatch.setattr(queries, name, break_down)
    monkeypatch.setattr(lane_module, "READ_EVERY_S", 0.0)
    lane.note_query()
    async with lane.bulk():
        for _ in range(100):
            await asyncio.sleep(0)
        assert not lane.queries_elsewhere()
    assert lane._announcing is not None
    await lane._announcing
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["lane.failed"]
    assert "ZeroDivisionError" in lines[0]["error"]
