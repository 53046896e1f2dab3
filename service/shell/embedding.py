"""Embeds what waits before a command ends, or says who will."""

import ctypes
from datetime import UTC, datetime

import msgspec

from service.embedding import queries
from service.errors import EmbedderUnavailable
from service.parts import Parts
from service.shell.progress import Progress


class Embedded(msgspec.Struct):
    """What a command did: texts that went to the model, and postings whose vectors are still to come."""

    embedded: int = 0
    waiting: int = 0


async def embed_all(parts: Parts, bar: Progress) -> Embedded:
    """Embed until no task is due, unless a worker runs elsewhere; what cannot be embedded now stays a task."""
    waiting = await count_waiting(parts)
    if not waiting:
        return Embedded()
    if await queries.count_workers(parts.db):
        bar.say(f"{waiting:,} postings are left to the worker that is running")
        return Embedded(0, waiting)
    _give_back_memory()
    await parts.live.connect()
    result, reason = Embedded(), ""
    try:
        await _work_off(parts, bar, waiting, result)
    except EmbedderUnavailable as error:
        reason = f": {error.detail}"
    result.waiting = await count_waiting(parts)
    if result.waiting:
        bar.say(
            f"not embedded yet: {result.waiting:,} postings{reason}. They are kept, and `jobsense worker` embeds them"
        )
    await parts.worker.keep_term_stat()
    await queries.gather_statistics(parts.db)
    return result


async def _work_off(parts: Parts, bar: Progress, waiting: int, result: Embedded) -> None:
    embedding, done = bar.begin("embedding", total=waiting), 0
    while (outcome := await parts.worker.step()).claimed > outcome.retried:
        done += outcome.claimed - outcome.retried
        result.embedded += outcome.texts
        embedding.at(done, f"{done:,} postings")


async def count_waiting(parts: Parts) -> int:
    """Postings whose vectors are still to come."""
    return (await queries.fetch_backlog(parts.db, now=datetime.now(UTC))).waiting


def _give_back_memory() -> None:
    """Return to the system what reading a file has freed: glibc keeps some 30 MB of it, and the model needs 120."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
