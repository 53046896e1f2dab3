"""Commands that run the service: dev, serve, worker."""

import asyncio
import os
import signal
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from service.access.domain import create_key
from service.access.model import SCOPES
from service.access.queries import ensure_tenant
from service.app import Parts
from service.config import Settings, read
from service.ingest.domain import read_sample
from service.jobs.prepare import prepare
from service.sample.generate import POSTINGS
from service.serve import serve, serve_many
from service.shell.data import embed_all
from service.shell.running import parts_of, run

DEV_KEY = "dev-key"
QUESTION = "look after sick children"


@click.command("serve", epilog="Example: JOBSENSE_DATABASE_URL=postgresql://... jobsense serve")
def serve_command() -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C."""
    settings = read()
    asyncio.run(serve_many(settings) if settings.workers > 1 else serve(settings))


@click.command(epilog="Example: JOBSENSE_DATABASE_URL=postgresql://... jobsense worker")
def worker() -> None:
    """Embed postings in the background until SIGTERM or Ctrl-C."""
    settings = read()

    async def work() -> None:
        async with parts_of(settings, application=f"jobsense-worker:{os.getpid()}") as parts:
            parts.start(embed=True)
            await _until_told_to_stop()

    asyncio.run(work())


async def _until_told_to_stop() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


@click.command(epilog="Example: jobsense dev")
def dev() -> None:
    """Run everything on this machine: embedded database, sample postings, embedding, the API.

    Prints the address, a key and three curl lines when it is ready. Ctrl-C stops it.
    """
    settings = read()

    async def work() -> str:
        async with parts_of(settings) as parts:
            await _load_sample(parts)
            return await _dev_key(parts, settings.data_dir / DEV_KEY)

    key = run(work())

    async def announce() -> None:
        click.echo(_welcome(settings, key), err=True)

    asyncio.run(serve(settings, ready=announce))


async def _load_sample(parts: Parts) -> None:
    """Store the sample postings once and embed what is not embedded; nothing to do takes a few milliseconds."""
    tenant_id = await ensure_tenant(parts.db, name="public")
    jobs = [prepare(job, index=index) for index, job in enumerate(read_sample(POSTINGS))]
    stored = await parts.jobs.store(tenant_id, jobs)
    new = sum(one.status == "created" for one in stored)
    if new:
        click.echo(f"loaded {new} sample postings", err=True)
    with Progress(console=Console(stderr=True)) as bar:
        await embed_all(parts, bar)


async def _dev_key(parts: Parts, path: Path) -> str:
    """A key for trying things, kept readable for its owner alone so that the next start prints the same one."""
    kept = await asyncio.to_thread(_read_key, path)
    if kept:
        return kept
    key = await create_key(parts.db, tenant="public", name="dev", scopes=SCOPES)
    await asyncio.to_thread(_keep_key, path, key)
    return key


def _read_key(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _keep_key(path: Path, key: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(key + "\n")


def _welcome(settings: Settings, key: str) -> str:
    base = f"http://{settings.host}:{settings.port}"
    search = '{"text": "' + QUESTION + '", "top_k": 3}'
    job = '{"title": "Solar technician", "company": "Jua Power", "source": "linkedin", "location": "Kisumu"}'
    return f"""
JobSense is ready at {base}   (documentation: {base}/docs)
key: {key}

curl -s -H 'X-API-Key: {key}' -H 'Content-Type: application/json' -d '{search}' {base}/api/v1/search
curl -s -H 'X-API-Key: {key}' -H 'Content-Type: application/json' -d '{job}' {base}/api/v1/jobs
curl -s -H 'X-API-Key: {key}' '{base}/api/v1/search?q=fix+panels+on+roofs&top_k=3'

Ctrl-C stops it."""


COMMANDS = (dev, serve_command, worker)
