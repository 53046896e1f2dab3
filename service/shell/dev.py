"""The command that runs everything on this machine; apart from `serving`, whose processes need none of its imports."""

import asyncio
import os
import shlex
import sys
from pathlib import Path

import click

from service.access.domain import Access
from service.access.keys import create_key
from service.access.model import SCOPES
from service.access.queries import ensure_tenant
from service.config import read
from service.errors import Unauthenticated
from service.health.domain import Health
from service.ingest.domain import read_sample
from service.jobs.model import Filters
from service.jobs.prepare import prepare
from service.parts import Parts, prepare_schema
from service.sample.generate import POSTINGS
from service.serve import TRACES_S, database, loop_factory, serve_on, telemetry_of
from service.shell.embedding import embed_all
from service.shell.progress import Progress
from service.shell.running import parts_on, run_service
from service.stopping import Stop
from service.supervisor import listening

DEV_KEY = "dev-key"
EMBEDDER_PATIENCE_S = 5.0
QUESTION = "help mothers give birth"


@click.command(epilog="Example: jobsense dev")
def dev() -> None:
    """Run everything on this machine: database, sample postings, embedding, the API.

    Prints the address, a key and three curl lines when it is ready. Ctrl-C stops it.
    """
    settings = read()

    async def work(stop: Stop) -> None:
        with listening(settings) as sockets:
            telemetry = telemetry_of(settings, log_stream=sys.stderr.buffer)
            try:
                async with database(settings, stop) as dsn:
                    await prepare_schema(dsn, settings)
                    async with parts_on(settings, dsn, application="jobsense-command", stop=stop) as parts:
                        await _load_sample(parts)
                        key = await _dev_key(parts, settings.data_dir / DEV_KEY)

                    async def announce(base: str, health: Health) -> None:
                        await _until_embedder_is_known(health)
                        click.echo(_welcome(base, key))

                    await serve_on(settings, telemetry, dsn, sockets, stop=stop, ready=announce)
            finally:
                await telemetry.stop(timeout_s=stop.left_s(TRACES_S))

    run_service(work, loop_factory=loop_factory())


async def _load_sample(parts: Parts) -> None:
    """Store and embed the sample postings where there are none at all; what else waits is embedded while serving."""
    tenant_id = await ensure_tenant(parts.db, name="public")
    if (await parts.jobs.list(tenant_id, Filters(), keyword=None, after=None, limit=1)).items:
        return
    jobs = [prepare(job, index=index) for index, job in enumerate(read_sample(POSTINGS))]
    await parts.jobs.store(tenant_id, jobs)
    click.echo(f"loaded {len(jobs)} sample postings", err=True)
    with Progress() as bar:
        await embed_all(parts, bar)


async def _until_embedder_is_known(health: Health) -> None:
    """Wait while the model is loaded, so that the first search that is pasted already goes by meaning."""
    deadline = asyncio.get_running_loop().time() + EMBEDDER_PATIENCE_S
    while asyncio.get_running_loop().time() < deadline:
        if (await health.report()).parts["embedder"].detail.get("reason") != "starting":
            return
        await asyncio.sleep(0.02)


async def _dev_key(parts: Parts, path: Path) -> str:
    """A key for trying things, kept readable for its owner alone so that the next start prints the same one."""
    kept = await asyncio.to_thread(_read_key, path)
    if kept:
        try:
            await Access(parts.db, is_open=False).caller(kept, None)
        except Unauthenticated:
            click.echo("the key of the last start is not known to this database; here is a new one", err=True)
        else:
            return kept
    key = await create_key(parts.db, tenant="public", name="dev", scopes=SCOPES)
    await asyncio.to_thread(_keep_key, path, key)
    return key


def _read_key(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _keep_key(path: Path, key: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(key + "\n")
    made.replace(path)


def _welcome(base: str, key: str) -> str:
    search = '{"text": "' + QUESTION + '", "top_k": 3}'
    job = '{"title": "Solar technician", "company": "Jua Power", "source": "linkedin", "location": "Kisumu"}'
    headers = f"-H {shlex.quote(f'X-API-Key: {key}')} -H 'Content-Type: application/json'"
    return f"""
JobSense is ready at {base}   (documentation: {base}/docs)
key: {key}

curl -s {headers} -d {shlex.quote(search)} {base}/api/v1/search
curl -s {headers} -d {shlex.quote(job)} {base}/api/v1/jobs
curl -s -H {shlex.quote(f"X-API-Key: {key}")} '{base}/api/v1/search?q=fix+panels+on+roofs&top_k=3'

Ctrl-C stops it."""


COMMANDS = (dev,)
