"""The model behind the fake: loading, the single slot, and the faults of each server era."""

import asyncio
import math
from collections.abc import Callable

from tests.fake_ollama.knobs import Counts, Knobs
from tests.fake_ollama.words import SPECIAL_TOKENS, embed, tokens_of

TOO_LONG = {
    "A": "input exceeds maximum context length",
    "B": "the input length exceeds the context length",
    "C": "the input length exceeds the context length",
}
QUEUE_FULL = "server busy, please try again.  maximum pending requests exceeded"
NAN_500 = "failed to encode response: json: unsupported value: NaN"
NAN_400 = "embedding contains NaN or Inf values"
_NAN_OF_ERA = {"A": "500", "B": "400", "C": "zeros"}
_EMPTY_TEXT = {
    "A": (500, "tokenize: no input provided"),
    "B": (500, "tokenize: no input provided"),
    "C": (400, "input exceeds maximum context length and cannot be truncated further"),
}


class EngineError(Exception):
    """A fault with the status and text that the API answers."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Engine:
    """One model, loaded on demand, serving one text at a time in order of arrival."""

    def __init__(self, knobs: Callable[[], Knobs], counts: Counts) -> None:
        self._knobs = knobs
        self._counts = counts
        self._load_lock = asyncio.Lock()
        self._slot = asyncio.Lock()
        self._options: object = None
        self._in_slot: asyncio.Task[object] | None = None

    async def load(self, options: object) -> None:
        """Load the model unless it is there with the same options; a caller that leaves aborts the load."""
        async with self._load_lock:
            knobs = self._knobs()
            if knobs.queue_full:
                raise EngineError(503, QUEUE_FULL)
            if knobs.loaded and options == self._options:
                return
            try:
                await asyncio.sleep(knobs.load_delay_s)
            except asyncio.CancelledError:
                self._counts.aborted_loads += 1
                raise
            if knobs.load_error is not None:
                raise EngineError(500, knobs.load_error)
            self._counts.loads += 1
            knobs.loaded = True
            knobs.zero_until_reload = False
            self._options = options

    def unload(self) -> None:
        """Unload the model."""
        self._counts.unloads += 1
        self._knobs().loaded = False

    async def embed(
        self, texts: list[str], *, truncate: bool, dimensions: int, legacy: bool = False
    ) -> tuple[list[list[float]], int]:
        """Return the vectors and the tokens counted. All or nothing: one fault fails all, after all were computed."""
        knobs = self._knobs()
        if knobs.cannot_embed:
            raise EngineError(*_CANNOT_EMBED[knobs.era])
        deadly = knobs.dies_for is not None and any(knobs.dies_for in text for text in texts)
        if knobs.runner_deaths > 0 or deadly:
            knobs.runner_deaths -= not deadly
            raise EngineError(500 if knobs.era == "A" or legacy else 400, knobs.runner_text)
        if knobs.era != "B":
            for text in texts:
                self._check_length(text, truncate=truncate)
        crowded = (knobs.unstable == "batch" and len(texts) > 1) or (
            knobs.unstable == "concurrent" and self._counts.in_flight > 1
        )
        tasks = [asyncio.create_task(self._item(text, truncate=truncate, dimensions=dimensions)) for text in texts]
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:  # texts that still wait are dropped; the one in the slot runs to its end
                if task is not self._in_slot:
                    task.cancel()
            raise
        results = [task.result() for task in tasks]
        return [vector[::-1] if crowded else vector for vector, _ in results], sum(tokens for _, tokens in results)

    async def wait_until_idle(self) -> None:
        """Return once the slot is free."""
        async with self._slot:
            pass

    def _check_length(self, text: str, *, truncate: bool) -> None:
        knobs = self._knobs()
        if knobs.no_special_tokens and not text:
            raise EngineError(*_EMPTY_TEXT[knobs.era])
        cut = (truncate and not knobs.uncuttable) or knobs.silent_cut
        if cut or len(tokens_of(text)) + SPECIAL_TOKENS <= knobs.context_length:
            return
        raise EngineError(400, knobs.too_long_text or TOO_LONG[knobs.era])

    async def _item(self, text: str, *, truncate: bool, dimensions: int) -> tuple[list[float], int]:
        async with self._slot:
            self._in_slot = asyncio.current_task()
            await asyncio.sleep(self._knobs().item_delay_s)
            self._counts.items_computed += 1
            self._check_length(text, truncate=truncate)
            knobs = self._knobs()
            words = tokens_of(text)
            room = knobs.context_length - SPECIAL_TOKENS
            if len(words) > room:
                text, words = " ".join(words[:room]), words[:room]
            return _vector(text, knobs, dimensions), len(words) + SPECIAL_TOKENS


_CANNOT_EMBED: dict[str, tuple[int, str]] = {
    "A": (500, "this model does not support embeddings"),
    "B": (501, "this model does not support embeddings"),
    "C": (501, "This server does not support embeddings. Start it with `--embeddings`"),
}


def _vector(text: str, knobs: Knobs, dimensions: int) -> list[float]:
    """Return the vector of one text, with the faults that the knobs ask for."""
    length = knobs.answer_dimensions or knobs.dimensions
    if knobs.odd_400_for is not None and knobs.odd_400_for in text:
        raise EngineError(400, "the llama is out for lunch")
    if knobs.nan_for is not None and knobs.nan_for in text:
        form = knobs.nan_as or _NAN_OF_ERA[knobs.era]
        if form != "zeros":
            raise EngineError(int(form), NAN_500 if form == "500" else NAN_400)
        return [0.0] * length
    if knobs.zero_until_reload:
        return [0.0] * length
    if knobs.zero_for is not None and knobs.zero_for in text:
        return [0.0] * length
    vector = embed(text, length)
    if knobs.scale_for is not None and knobs.scale_for in text:
        return [value * 3 for value in vector]
    if 0 < dimensions < len(vector):
        vector = vector[:dimensions]
        norm = math.hypot(*vector) or 1.0
        return [value / norm for value in vector]
    return vector
