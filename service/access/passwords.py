"""Passwords: hashed with Argon2id in a thread of their own, a few at once, so that sign-ins starve nothing else."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from service.errors import Overloaded

TIME_COST, MEMORY_KIB, LANES = 2, 19_456, 1
"""The least that OWASP's Password Storage Cheat Sheet asks of Argon2id: 19 MiB, two passes, one lane."""
AT_ONCE = 1
"""Passwords checked at the same time: one core at most, and 19 MiB."""
MOST_WAITING = 32
"""Sign-ins that wait for it, about a second; the others are turned away."""
LEAST_CHARS, MOST_CHARS = 12, 200

T = TypeVar("T")


class Passwords:
    """Hashes and checks passwords; raises Overloaded when too many wait."""

    def __init__(self, *, time_cost: int = TIME_COST, memory_kib: int = MEMORY_KIB) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=LANES)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="password")
        self._waiting = 0
        self._nobodys = ""

    async def make_hash(self, password: str) -> str:
        """The text to keep: parameters, salt and hash."""
        return await self._run(partial(self._hasher.hash, normalized(password)))

    async def check(self, kept: str | None, password: str) -> bool:
        """Whether it is the password; takes as long where there is nobody to compare with (None)."""
        return await self._run(partial(self._check, kept, normalized(password)))

    def is_outdated(self, kept: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    def close(self) -> None:
        """Give up what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, kept: str | None, password: str) -> bool:
        # Made before it is known whether it is needed, or the first unknown name would take twice as long.
        self._nobodys = self._nobodys or self._hasher.hash(secrets.token_urlsafe())
        try:
            self._hasher.verify(kept or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= AT_ONCE + MOST_WAITING:
            raise Overloaded("Too many sign-ins at once", reason="sign_ins", retry_after_s=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def normalized(password: str) -> str:
    """The same however a keyboard composes letters; white space at the ends is taken off, as of every text here."""
    return unicodedata.normalize("NFC", password.strip())
