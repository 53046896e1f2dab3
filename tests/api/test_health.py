"""Probes, the health report, metrics: what they say when all is well, when a part is missing, and when it is back."""

import asyncio
import contextlib
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

from service.config import Settings
from service.embedded.server import EmbeddedPostgres
from service.health.model import Part
from service.migrate import migrate_up
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import JOBS, SEARCH, create, problem, search
from tests.conftest import Service, running
from tests.fakes import WordEmbedder


async def test_live_and_ready(shared: Service) -> None:
    """A process that serves is live and ready, and no cache may keep that."""
    live, ready = await shared.client.get("/health/live"), await shared.client.get("/health/ready")
    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "failing": []})
    assert live.headers["cache-control"] == ready.headers["cache-control"] == "no-store"


async def test_the_report_names_every_part(api: Service) -> None:
    """The report holds database, pool, embedder, backlog and store, each with its state and what there is to know."""
    await create(api)
    report = (await api.client.get("/health")).json()
    assert (report["status"], set(report["parts"])) == ("up", {"database", "pool", "embedder", "backlog", "store"})
    assert report["version"]
    parts = report["parts"]
    assert re.match(r"1[678]\.", parts["database"]["detail"]["postgres"])
    assert re.match(r"0\.[89]", parts["database"]["detail"]["pgvector"])
    known = {"generation": 1, "provider": "local", "model": "words", "breaker": "closed"}
    assert parts["embedder"] == {"status": "up", "detail": known}
    assert parts["backlog"]["detail"]["waiting"] == 1
    assert parts["pool"]["detail"]["open"] >= 1


async def test_without_an_embedder_it_is_degraded_and_ready(api: Service, embedder: WordEmbedder) -> None:
    """A missing embedder degrades the report, with reason and since when, and never readiness."""
    await create(api)
    await api.embed()
    embedder.down = "unreachable"
    await search(api, "x")
    report = (await api.client.get("/health")).json()
    assert (report["status"], report["parts"]["embedder"]["status"]) == ("degraded", "degraded")
    assert report["parts"]["embedder"]["detail"]["reason"] == "unreachable"
    assert "since" in report["parts"]["embedder"]["detail"]
    assert (await api.client.get("/health/ready")).status_code == 200


async def test_a_part_that_hangs_does_not_hang_the_report(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that does not answer within its time is down by that reason; the others are reported as they are."""

    async def hang() -> Part:
        await asyncio.Event().wait()
        raise AssertionError("never")

    monkeypatch.setattr("service.health.domain.PROBE_TIMEOUT_S", 0.01)
    api.app.state["health"]._probes["embedder"] = hang
    monkeypatch.setattr(api.app.state["health"], "_database", api.parts.embedder_state)
    report = (await api.client.get("/health")).json()
    assert report["parts"]["embedder"] == {"status": "down", "detail": {"reason": "no answer within 0.01 s"}}
    assert (report["status"], report["parts"]["pool"]["status"]) == ("degraded", "up")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for a server that is stopped while it is used; its path is short, for a socket lies in it."""
    memory = Path("/dev/shm")  # noqa: S108 - removed afterwards
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="jobsense-own-") as made:
        yield Path(made)
        shutil.rmtree(made, ignore_errors=True)


@contextlib.asynccontextmanager
async def own_server(folder: Path) -> AsyncIterator[str]:
    """A Postgres of this test; its address."""
    async with EmbeddedPostgres(folder, memory=256 * 2**20) as server:
        yield server.dsn


async def test_without_its_database_it_is_not_ready_and_recovers(
    folder: Path, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database is away readiness is 503 and names it, requests are 503 problems; back, all is well again."""
    async with contextlib.AsyncExitStack() as stack:
        first = contextlib.AsyncExitStack()
        dsn = await first.enter_async_context(own_server(folder))
        await migrate_up(dsn)
        settings = Settings(embed_in_serve=False, migrate_on_start=False)
        service = await stack.enter_async_context(running(settings, dsn, telemetry, embedder, monkeypatch))
        job = await create(service)
        await first.aclose()
        ready = await service.client.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "failing": ["database"]})
        report = (await service.client.get("/health")).json()
        assert (report["status"], report["parts"]["database"]["status"]) == ("down", "down")
        assert report["parts"]["backlog"]["status"] == "down"
        assert (await service.client.get("/health/live")).status_code == 200
        for answer in (
            await service.client.get(f"{JOBS}/{job['id']}"),
            await service.client.post(SEARCH, json={"text": "x"}),
            await service.client.post(f"{JOBS}/batch", json=[]),
        ):
            if answer.status_code != 200:  # an empty batch needs no database
                problem(answer, 503, "database_unavailable")
                assert answer.headers["retry-after"]
        assert await stack.enter_async_context(own_server(folder)) == dsn
        assert (await service.client.get("/health/ready")).status_code == 200
        assert (await service.client.get(f"{JOBS}/{job['id']}")).json() == job


async def test_metrics_in_both_formats(shared: Service) -> None:
    """/metrics is Prometheus text, or OpenMetrics where that is asked for; both hold what was just served."""
    await search(shared, "x")
    plain = await shared.client.get("/metrics")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    openly = await shared.client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert openly.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    read: dict[str, Callable[[str], Iterable[Metric]]] = {plain.text: read_prometheus, openly.text: read_openmetrics}
    for families in (list(reader(text)) for text, reader in read.items()):
        samples = {(one.name, *sorted(one.labels.values())): one.value for family in families for one in family.samples}
        assert samples["jobsense_search_total", "hybrid", "ok"] >= 1
        requests = ("http_server_request_duration_seconds_count", "", SEARCH, "200", "POST")
        assert samples[(requests[0], *sorted(requests[1:]))] >= 1
        assert samples["db_client_connection_max",] > 0
    assert openly.text.endswith("# EOF\n")


async def test_metrics_have_bounded_labels(shared: Service) -> None:
    """Numbers of postings, unknown paths and unknown methods make no series of their own."""
    for number in range(5):
        await shared.client.get(f"{JOBS}/{number + 100}")
        await shared.client.get(f"/nowhere/{number}")
        await shared.client.request(f"METHOD{number}", JOBS)
    text = (await shared.client.get("/metrics")).text
    assert f'route="{JOBS}/{{job_id}}"' in text
    assert "/nowhere" not in text
    assert "METHOD" not in text
