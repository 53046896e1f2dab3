"""Clients that write and search while something is broken, the ledger of what they were told, and its audit."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx

from tests.containers.stack import Stack
from tests.faults.audit import WAITING, audit
from tests.faults.clients import Client
from tests.faults.ledger import Ledger
from tests.faults.searches import served_in_full
from tests.faults.timeline import Over, Timeline, until

CLIENTS = 3
ENOUGH = 15
"""Acknowledged writes before anything is broken, and after it is mended."""
RECOVERED_S = 10.0
EMBEDDED_S = 60.0
"""Longer than the lease of a worker that was killed."""
AWAY_AND_HELD = ("postgres", "postgres.held")


class Load:
    """Clients under way at one address."""

    def __init__(self, stack: Stack, address: str, seed: str) -> None:
        self.ledger = Ledger()
        self.timeline = Timeline()
        self.over = Over()
        self._stack = stack
        self._address = address
        self._clients = [Client(number, address, self, self.ledger, self.timeline, seed) for number in range(CLIENTS)]

    async def wait_until_up(self) -> None:
        """Wait until requests are answered."""
        await until(self._is_live, "the service answers", timeout_s=30)

    async def run(self) -> None:
        """Write and search until it is over."""
        async with asyncio.TaskGroup() as group:
            for client in self._clients:
                group.create_task(client.run(self.over))

    async def more_writes(self, number: int = ENOUGH) -> None:
        """Wait until so many more writes were acknowledged."""
        before = self.ledger.counts["acknowledged"]

        async def are_there() -> bool:
            return self.ledger.counts["acknowledged"] >= before + number

        await until(are_there, f"{number} more writes are acknowledged", timeout_s=30)

    async def for_s(self, seconds: float) -> None:
        """Let a fault last."""
        await self.over.within(seconds)

    @contextmanager
    def away(self, *, held: bool = False) -> Iterator[None]:
        """The database does not answer meanwhile; `held`: and says nothing."""
        spans = AWAY_AND_HELD if held else AWAY_AND_HELD[:1]
        for span in spans:
            self.timeline.begin(span)
        try:
            yield
        finally:
            for span in spans:
                self.timeline.end(span)

    async def recovered(self) -> float:
        """Seconds until a write and a search by meaning are served in full, which must be soon."""
        took_s = await until(self._writes, "a posting is stored", timeout_s=RECOVERED_S)
        took_s += await until(
            lambda: served_in_full(self._address), "a search is served in full", timeout_s=RECOVERED_S - took_s
        )
        return took_s

    async def settled(self) -> None:
        """Wait until everything is embedded, then hold the database against the ledger; fails with what is wrong."""
        async with self._stack.database() as connection:

            async def are_embedded() -> bool:
                return not await connection.fetchval(WAITING)

            await until(are_embedded, "everything is embedded", timeout_s=EMBEDDED_S)
            # Of the two that wait for recovery, which no client knows.
            await connection.execute("delete from job where source = 'recovery'")
            await audit(connection, self.ledger)
        assert self.ledger.wrong == [], f"{len(self.ledger.wrong)} found wrong: {self.ledger.wrong[:10]}"
        assert self.ledger.counts["acknowledged"] > ENOUGH

    async def _writes(self) -> bool:
        row = {"title": "Nurse", "company": "Afya", "source": "recovery"}
        return (await self._answer("POST", "/api/v1/jobs", json=row)) == httpx.codes.CREATED

    async def _is_live(self) -> bool:
        return (await self._answer("GET", "/health/live")) == httpx.codes.OK

    async def _answer(self, method: str, path: str, **more: object) -> int | None:
        async with httpx.AsyncClient(base_url=self._address, timeout=15) as client:
            try:
                return (await client.request(method, path, **more)).status_code  # type: ignore[arg-type] # passed on
            except httpx.TransportError:
                return None


@asynccontextmanager
async def under_load(stack: Stack, address: str | None = None) -> AsyncIterator[Load]:
    """Empty tables, and clients that work on them; at the end, when all is well again, the ledger is held to them."""
    async with stack.database() as connection:
        await connection.execute("truncate job cascade")
    seed = secrets.token_hex(4)
    load = Load(stack, address or str(await asyncio.to_thread(stack.url)), seed)
    running = asyncio.create_task(load.run())
    try:
        await load.more_writes()
        yield load
        await load.more_writes()
    except BaseException as error:
        error.add_note(f"seed {seed}; {dict(load.ledger.counts)}; wrong so far: {load.ledger.wrong[:10]}")
        raise
    finally:
        load.over.declare()
        await running
    await load.settled()
