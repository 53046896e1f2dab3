"""Backup and restore by the commands of OPERATIONS.md: what comes back answers as before, and goes on from there."""

import asyncio
import itertools
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from service.access.keys import create_key
from service.config import Settings
from service.migrate import migrate_down, migrate_up, read_migrations
from service.telemetry.lifecycle import Telemetry
from tests.conftest import Service, running
from tests.database_server import CHOICE
from tests.factories import job_body
from tests.fakes import WordEmbedder
from tests.operations.ordinary import Ordinary
from tests.operations.page import commands

JOBS, SEARCH = "/api/v1/jobs", "/api/v1/search"
TRADES = ("nurse", "driver", "cook", "clerk", "welder")
PLACES = ("Nairobi", "Kisumu", "Mombasa")
WORDS = ("night", "ward", "lorry", "kitchen", "harbour")
QUERIES = ("nurse on a night ward", "lorry driver", "kitchen", "welder in the harbour office", "clerk")
MODES = ("hybrid", "semantic", "lexical")
LAST = len(read_migrations())


async def fill(api: Service) -> None:
    """Sixty postings: most of them embedded, some deleted, the last ones still waiting."""
    rows = [
        job_body(title=trade, location=place, description=f"A {trade} for the {first} and the {second} in {place}.")
        for trade, place, (first, second) in itertools.product(TRADES, PLACES, itertools.pairwise(WORDS))
    ]
    made = await api.client.post(f"{JOBS}/batch", json=rows)
    assert [row["status"] for row in made.json()["results"]] == ["created"] * 60
    assert await api.embed() == 60
    for job_id in (7, 31):
        assert (await api.client.delete(f"{JOBS}/{job_id}")).status_code == 204
    assert (await api.client.patch(f"{JOBS}/12", json={"title": "Night nurse"})).status_code == 200
    batch = [job_body(title="Captain", description=f"Steer ferry {number}.") for number in range(3)]
    assert (await api.client.post(f"{JOBS}/batch", json=batch)).status_code == 200


async def seen(api: Service) -> dict[str, Any]:
    """What callers see: searches of each mode to their last page, every posting, an export."""
    pages = {}
    for text, mode in itertools.product(QUERIES, MODES):
        found: dict[str, Any] = {"next_cursor": None}
        for number in itertools.count(1):
            body = {"text": text, "mode": mode, "top_k": 20, "cursor": found["next_cursor"], "facets": ["location"]}
            found = (await api.client.post(SEARCH, json=body)).json()
            pages[text, mode, number] = found["results"], found["total"], found["facets"], found["mode"]
            if found["next_cursor"] is None:
                break
    listed = await api.client.get(JOBS, params={"limit": 100})
    exported = await api.client.get("/api/v1/export/jobs.ndjson")
    return {"pages": pages, "list": listed.json()["items"], "export": exported.text}


async def shell(script: str, folder: Path, programs: Path, **variables: str) -> str:
    """Run commands of the page as their reader would, up to the first that fails; what they print."""
    path = os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"]))
    env = os.environ | {"PATH": path, "JOBSENSE_EMBEDDER": "ollama", "JOBSENSE_OLLAMA_URL": "http://127.0.0.1:9"}
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        cwd=folder,
        env=env | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, f"{script}\n{said}"
    return said


@pytest.mark.parametrize("schema", [LAST, LAST - 1])
async def test_what_is_restored_answers_as_before(
    ordinary: Ordinary, settings: Settings, telemetry: Telemetry, tmp_path: Path, schema: int
) -> None:
    """Into a new database, brought up where the dump is of an older schema: the same answers in the same order.

    What was written after the dump is not there, what waited is embedded, keys are good, and new postings get new ids.
    """
    dsn = await ordinary.create_database()
    await migrate_up(dsn)
    embedder, programs = WordEmbedder(), await ordinary.programs()
    with pytest.MonkeyPatch.context() as patched:
        async with running(settings, dsn, telemetry, embedder, patched) as old:
            await fill(old)
            key = await create_key(old.parts.db, tenant="public", name="kept", scopes=("jobs:read",))
            before = await seen(old)
        await migrate_down(dsn, schema)
        await shell(commands("Backup"), tmp_path, programs, JOBSENSE_DATABASE_URL=dsn)
        await migrate_up(dsn)
        async with running(settings, dsn, telemetry, embedder, patched) as old:
            assert (await old.client.post(JOBS, json=job_body(title="Too late"))).status_code == 201
    new = ordinary.name()
    names = {"OWNER": ordinary.role, "NEW": new, "NEW_URL": ordinary.dsn_of(new), "ADMIN_URL": ordinary.admin_dsn}
    said = await shell(commands("Restore"), tmp_path, programs, JOBSENSE_DATABASE_URL=dsn, **names)
    assert f"applied {LAST - schema}: " in said
    assert '"title":"nurse"' in said
    with pytest.MonkeyPatch.context() as patched:
        async with running(settings, names["NEW_URL"], telemetry, embedder, patched) as restored:
            assert await seen(restored) == before
            await goes_on(restored, before, key)


async def test_the_private_database_is_dumped_where_it_is(
    pytestconfig: pytest.Config, server_folder: Path, tmp_path: Path, ordinary: Ordinary
) -> None:
    """Without a port and a password, by the socket that its folder names."""
    if (choice := pytestconfig.stash[CHOICE]).kind != "embedded":
        pytest.skip(f"not an embedded server: {choice}")
    script, programs = commands("Backup of the private database"), await ordinary.programs()
    await shell(script, tmp_path, programs, JOBSENSE_DATA_DIR=str(server_folder))
    assert (tmp_path / "jobsense.dump").read_bytes().startswith(b"PGDMP")


async def goes_on(api: Service, before: dict[str, Any], key: str) -> None:
    """The restored database is one to work with."""
    assert len({page[0] for page in before["pages"]}) == len(QUERIES)
    assert (await api.client.get("/api/v1/profile", headers={"X-API-Key": key})).json()["scopes"] == ["jobs:read"]
    assert await api.embed() == 4  # the three that waited, and the one whose title was changed
    found = await api.client.post(SEARCH, json={"text": "steer ferry", "mode": "semantic", "top_k": 3})
    assert {hit["job"]["title"] for hit in found.json()["results"]} == {"Captain"}
    made = await api.client.post(JOBS, json=job_body())
    assert made.status_code == 201, made.text
    assert made.json()["id"] > max(job["id"] for job in before["list"])
