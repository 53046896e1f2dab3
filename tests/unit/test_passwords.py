"""Passwords: what is kept, how equal all answers take, and that a burst of sign-ins starves nothing."""

import asyncio
import threading

import pytest

from service.access.passwords import AT_ONCE, MOST_WAITING, Passwords, normalized
from service.errors import Overloaded


@pytest.fixture
def passwords() -> Passwords:
    """Hashes that take no time."""
    return Passwords(time_cost=1, memory_kib=64)


async def test_a_password_is_kept_as_argon2id(passwords: Passwords) -> None:
    """The hash is salted Argon2id, good for its password alone; what cannot be a hash is good for none."""
    kept = await passwords.make_hash("correct horse")
    assert kept.startswith("$argon2id$")
    assert kept != await passwords.make_hash("correct horse")
    assert await passwords.check(kept, " correct horse\n")
    for wrong in ("correct", "correct horse battery", "", "Correct horse"):
        assert not await passwords.check(kept, wrong)
    for broken in ("", "x", kept[:-8], "$argon2id$v=19$m=64,t=1,p=1$x$x"):
        assert not await passwords.check(broken, "correct horse")
    assert not passwords.is_outdated(kept)
    assert Passwords().is_outdated(kept)


async def test_composed_letters_are_one_password(passwords: Passwords) -> None:
    """A letter with an accent is the same whether a keyboard sends one character or two."""
    assert normalized("caf\u0065\u0301") == normalized("caf\u00e9")
    assert await passwords.check(await passwords.make_hash("caf\u0065\u0301"), "caf\u00e9")


async def test_nobody_takes_as_much_as_somebody(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is nobody to compare with, one hash of the same parameters is verified all the same."""
    kept = await passwords.make_hash("correct horse")
    verified: list[str] = []
    verify = type(passwords._hasher).verify

    def counted(self: object, hashed: str, password: str) -> bool:
        verified.append(hashed)
        return bool(verify(self, hashed, password))  # type: ignore[arg-type] # the hasher itself

    monkeypatch.setattr(type(passwords._hasher), "verify", counted)
    assert not await passwords.check(None, "correct horse")
    assert not await passwords.check(kept, "wrong horse")
    assert len(verified) == 2
    nobodys, somebodys = (one.rsplit("$", 2)[0] for one in verified)
    assert nobodys == somebodys
    assert await passwords.check(None, verified[0]) is False


async def test_a_burst_is_bounded(passwords: Passwords) -> None:
    """One at a time is checked, some wait, the rest are turned away at once; those who leave give their place back."""
    running, most, go = 0, 0, threading.Event()
    lock = threading.Lock()

    def slow() -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(10)
        with lock:
            running -= 1
        return True

    waiting = [asyncio.ensure_future(passwords._run(slow)) for _ in range(AT_ONCE + MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as turned_away:
        await passwords.check(None, "x")
    assert turned_away.value.retry_after_s > 0
    waiting[-1].cancel()
    await asyncio.gather(waiting.pop(), return_exceptions=True)
    waiting.append(asyncio.ensure_future(passwords._run(slow)))
    go.set()
    assert all(await asyncio.gather(*waiting))
    assert most == AT_ONCE
    passwords.close()
