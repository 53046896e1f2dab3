"""The store that several processes share their counts in (Valkey or Redis); the only home of its client.

A call is one round trip, which calls that come together share. While the store does not answer, nobody waits for it:
`check` looks for it beside the requests, and `take` is not to be called before it is back.
"""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoScriptError, RedisError
from redis.exceptions import ConnectionError as Unreachable

from service.quota.model import BUCKETS, Rate, Reason, StoreAway, Verdict
from service.telemetry.logs import get_logger
from service.telemetry.stages import count

log = get_logger(__name__)

TIMEOUT_S = 0.1
"""The longest that a request waits for the store, once an outage; measured: 0.2 ms on one machine."""
_SLICES = 4
CHECK_TIMEOUT_S, CHECK_UP_S, CHECK_AWAY_S = 2.0, 5.0, 0.5
_CONNECTIONS, _AT_ONCE = 4, 2
"""Calls that come while two round trips are under way share the next one."""
_PREFIX = "jobsense:quota:"
_SCRIPT = (Path(__file__).parent / "take.lua").read_text(encoding="utf-8")
_SHA = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()  # as the store names it


_Call = tuple[str, int, int, int, int]
_Answer = Sequence[int]


class SharedWindows:
    """The windows in the store."""

    def __init__(self, url: str) -> None:
        # What Valkey understands, a client of Redis says; without retries, of which each would wait in a request.
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            re.sub("^valkey", "redis", url),
            protocol=2,
            socket_connect_timeout=CHECK_TIMEOUT_S,
            socket_timeout=CHECK_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            max_connections=_CONNECTIONS,
            driver_info=None,
        )
        self._client = redis.asyncio.Redis.from_pool(pool)
        self._waiting: list[tuple[asyncio.Future[_Answer], _Call]] = []
        self._asking: set[asyncio.Task[None]] = set()
        self.away: Reason | None = "connecting"
        self.since = datetime.now(UTC)

    async def take(self, key: str, rate: Rate, cost: int = 1) -> Verdict:
        """Take `cost` calls of a quota, all or none; raises StoreAway, and is away from then on."""
        told: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((told, (_PREFIX + key, rate.amount, rate.window_s, BUCKETS, cost)))
        if len(self._asking) < _AT_ONCE:
            asking = asyncio.create_task(self._ask())
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
        answer = await told
        return Verdict(bool(answer[0]), answer[1], answer[2] / 1e6, answer[3] / 1e6)

    async def check(self) -> float:
        """Look whether the store answers, by taking nothing of a quota; after how many seconds to look again."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self._run([(_PREFIX + "check", 1, 1, BUCKETS, 0)])
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(_reason_of(error))
            return CHECK_AWAY_S
        if self.away is not None:
            if self.away != "connecting":
                log.info("store.back", away_s=round((datetime.now(UTC) - self.since).total_seconds(), 3))
            self.away, self.since = None, datetime.now(UTC)
        return CHECK_UP_S

    async def close(self) -> None:
        """Let go of the connections; nobody may ask any more."""
        for asking in self._asking:
            asking.cancel()
        await self._client.aclose()

    async def _ask(self) -> None:
        """Ask for all who wait, in one round trip, and again while more have come meanwhile."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                answers = await self._within([arguments for _, arguments in batch])
            except StoreAway:
                batch += self._waiting
                self._waiting = []
                for told, _ in batch:
                    if not told.done():
                        told.set_exception(StoreAway())
                return
            for (told, _), answer in zip(batch, answers, strict=True):
                if not told.done():
                    told.set_result(answer)

    async def _within(self, calls: Sequence[_Call]) -> list[_Answer]:
        # Not asyncio.timeout: an event loop that was held up would find the time over and the answer unread. In
        # slices, one delay uses up one slice only.
        run = asyncio.create_task(self._run(calls))
        try:
            for _ in range(_SLICES):
                done, _ = await asyncio.wait({run}, timeout=TIMEOUT_S / _SLICES)
                if done:
                    return run.result()
        except (RedisError, OSError) as error:
            self._lost(_reason_of(error))
            raise StoreAway from None
        finally:
            run.cancel()
        self._lost("timeout")
        raise StoreAway

    async def _run(self, calls: Sequence[_Call]) -> list[_Answer]:
        try:
            return await self._execute(("EVALSHA", _SHA), calls)
        except NoScriptError:  # a store that was started anew; nothing of these calls was done
            return await self._execute(("EVAL", _SCRIPT), calls)

    async def _execute(self, script: tuple[str, str], calls: Sequence[_Call]) -> list[_Answer]:
        execute: Any = self._client.execute_command
        if len(calls) == 1:
            return [await execute(*script, 1, *calls[0])]
        pipeline: Any = self._client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*script, 1, *call)
        return list(await pipeline.execute())

    def _lost(self, reason: Reason) -> None:
        count("jobsense_store_failures_total", reason)
        if self.away in (None, "connecting"):
            log.warning("store.lost", reason=reason)
            self.since = datetime.now(UTC)
        self.away = reason


def _reason_of(error: Exception) -> Reason:
    # What the errors say is not passed on: it names the address.
    if isinstance(error, AuthenticationError):
        return "refused"
    if isinstance(error, TimeoutError | redis.exceptions.TimeoutError):
        return "timeout"
    return "unreachable" if isinstance(error, Unreachable | OSError) else "error"
