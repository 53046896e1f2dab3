"""Waiting for what other processes do: whoever looks again and again leaves them the processor in between."""

import asyncio
import threading

LOOK_EVERY_S = 0.02
_NEVER = threading.Event()


def until_next_look() -> None:
    """Let the others go on."""
    _NEVER.wait(LOOK_EVERY_S)


async def until_next_look_async() -> None:
    """Let the others go on, those of this loop too."""
    await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=LOOK_EVERY_S)
