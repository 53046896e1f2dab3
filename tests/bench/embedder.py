"""A model server that costs next to nothing: Ollama's wire, vectors of the corpus, a set latency; and takes traces.

`tests/fake_ollama` is made to misbehave; this one to be left out of the account: a protocol without a framework, and
answers that can be made beforehand. A call takes `latency_s`, however many are under way, as at a model on a graphics
card; `one_by_one`, each text takes that long and the next waits, as at a model on few cores.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import msgspec
import numpy as np
import uvloop

from tests.bench.corpus import DIMENSIONS, vectors_of
from tests.fake_ollama.words import SPECIAL_TOKENS, tokens_of

MODEL = "nomic-embed-text:latest"
LATENCY_S = 0.005
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LISTED = {"name": MODEL, "model": MODEL, "digest": "0a109f422b47e3a30ba2b10eca18548e944e8a23073ee3f3e947efcf3c45e59f"}
_SHOWN = {
    "capabilities": ["embedding"],
    "model_info": {
        "general.architecture": "nomic-bert",
        "nomic-bert.context_length": 2048,
        "nomic-bert.embedding_length": DIMENSIONS,
    },
}


class Embedding(msgspec.Struct):
    """The body of POST /api/embed."""

    input: list[str] | str = ()  # type: ignore[assignment] # absent: the model is loaded
    model: str = ""


class Knobs(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /__fake/knobs; `known` are texts whose answers are made now, in place of those made before."""

    latency_s: float | None = None
    one_by_one: bool | None = None
    known: list[str] | None = None


def encoded(text: str) -> bytes:
    """The vector of a text as JSON, with as many digits as Ollama gives."""
    vector = np.round(vectors_of([text])[0].astype(np.float64), 8)
    return msgspec.json.encode(vector.tolist())


class Model:
    """What all connections share: the knobs, the answers made beforehand, and the turn of the next text."""

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._one_by_one = False
        self._known: dict[str, bytes] = {}
        self._free_at = 0.0
        self._decode = msgspec.json.Decoder(Embedding).decode

    def turn(self, knobs: Knobs) -> None:
        """Change what is given."""
        if knobs.latency_s is not None:
            self._latency_s = knobs.latency_s
        if knobs.one_by_one is not None:
            self._one_by_one = knobs.one_by_one
        if knobs.known is not None:
            self._known = {text: encoded(text) for text in knobs.known}

    def embed(self, content: bytes) -> tuple[bytes, float]:
        """The answer, and how many seconds from now it is due."""
        given = self._decode(content).input
        texts: Sequence[str] = [given] if isinstance(given, str) else given
        vectors = b",".join(self._known.get(text) or encoded(text) for text in texts)
        tokens = sum(len(tokens_of(text)) + SPECIAL_TOKENS for text in texts)
        body = b'{"model":"%b","embeddings":[%b],"prompt_eval_count":%d}' % (MODEL.encode(), vectors, tokens)
        return body, self._delay(len(texts))

    def _delay(self, texts: int) -> float:
        if not self._one_by_one:
            return self._latency_s if texts else 0.0
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now) + texts * self._latency_s
        return self._free_at - now


class _Connection(asyncio.Protocol):
    """One client's connection; one request at a time, as HTTP/1.1 clients send them."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._received = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by type

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(_END_OF_HEAD)
        if end < 0:
            return
        head = bytes(self._received[:end])
        length = _LENGTH.search(head)
        whole = end + len(_END_OF_HEAD) + (int(length[1]) if length else 0)
        if len(self._received) >= whole:
            content = bytes(self._received[end + len(_END_OF_HEAD) : whole])
            del self._received[:whole]
            self._answer(head.split(b" ", 2)[1], content)

    def _answer(self, path: bytes, content: bytes) -> None:
        if path == b"/api/embed":
            body, delay_s = self._model.embed(content)
            asyncio.get_running_loop().call_later(delay_s, self._send, body)
        elif path == b"/__fake/knobs":
            self._model.turn(msgspec.json.decode(content, type=Knobs))
            self._send(b"{}")
        else:
            answer = _ROUTES.get(path)
            self._send(
                b"{}" if answer is None else msgspec.json.encode(answer),
                b"404 Not Found" if answer is None else b"200 OK",
            )

    def _send(self, body: bytes, status: bytes = b"200 OK") -> None:
        if not self._transport.is_closing():
            head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
            self._transport.write(head + body)


_ROUTES: dict[bytes, Any] = {
    b"/api/version": {"version": "0.32.15"},
    b"/api/tags": {"models": [_LISTED]},
    b"/api/ps": {"models": [_LISTED]},
    b"/api/show": _SHOWN,
    b"/v1/traces": {},
}


async def serve(latency_s: float) -> None:
    """Listen on a free port, say where, and serve until a signal comes."""
    encoded("warm")  # the corpus takes a moment to load
    server = await asyncio.get_running_loop().create_server(partial(_Connection, Model(latency_s)), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=LATENCY_S * 1000)
    uvloop.run(serve(parser.parse_args().latency_ms / 1000))


if __name__ == "__main__":
    main()
