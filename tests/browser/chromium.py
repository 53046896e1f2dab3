"""Headless Chromium over its debugging pipe: the Chrome DevTools Protocol as JSON that zero bytes part."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_LIMIT = 64 * 2**20
_FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # as root there is none; only our own page is loaded
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1280,1000",
)

Message = dict[str, Any]


def chromium() -> str | None:
    """Where Chromium is, if it is here."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Tab:
    """One page: commands with their answers, and every event that came meanwhile."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.events: list[Message] = []
        self._reader = reader
        self._writer = writer
        self._session: str | None = None
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._listening = asyncio.create_task(self._listen())

    async def open(self) -> None:
        """Attach to a new, empty page."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")

    async def call(self, method: str, **parameters: Any) -> Message:
        """Give a command; its result. Raises RuntimeError with what Chromium says against it."""
        number = len(self._waiting) + 1
        answered = self._waiting[number] = asyncio.get_running_loop().create_future()
        command = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            command["sessionId"] = self._session
        self._writer.write(json.dumps(command).encode() + b"\0")
        answer = await answered
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: Message = answer["result"]
        return result

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression on the page; a promise is waited for."""
        told = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise RuntimeError(str(told["exceptionDetails"]))
        return told["result"].get("value")

    async def until(self, condition: str) -> Any:
        """Wait until a JavaScript expression is true on the page, looked at before each frame; its value."""
        value = "it instanceof Node || it"
        look = (
            f"const look = () => {{ const it = {condition}; it ? done({value}) : requestAnimationFrame(look) }}; look()"
        )
        return await self.evaluate(f"new Promise(done => {{ {look} }})")

    def told(self, method: str) -> list[Message]:
        """The parameters of every event of one kind so far."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def close(self) -> None:
        """Stop listening."""
        self._listening.cancel()

    async def _listen(self) -> None:
        while True:
            try:
                message: Message = json.loads((await self._reader.readuntil(b"\0"))[:-1])
            except asyncio.IncompleteReadError:
                for future in self._waiting.values():
                    if not future.done():
                        future.set_exception(RuntimeError("Chromium has ended"))
                return
            if "id" in message:
                self._waiting[message["id"]].set_result(message)
            else:
                self.events.append(message)


@asynccontextmanager
async def browser(program: str, profile: Path) -> AsyncIterator[Tab]:
    """Chromium with a fresh profile and one page, which can reach this machine alone."""
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    arguments = [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _LAUNCH, str(commands), str(answers), *arguments,
        pass_fds=(commands, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)}, start_new_session=True,
    )  # fmt: skip
    os.close(commands)
    os.close(answers)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LIMIT)
    incoming, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(from_browser, "rb")
    )
    outgoing, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(to_browser, "wb"))
    tab = Tab(reader, asyncio.StreamWriter(outgoing, protocol, None, loop))
    try:
        await tab.open()
        yield tab
    finally:
        tab.close()
        outgoing.close()  # Chromium ends when its pipe does
        incoming.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
