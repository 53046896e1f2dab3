"""The HTTP side of the Ollama client: requests, typed answers, guards on vectors, and retries of passing faults."""

import asyncio
import math
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TypeVar

import httpx
import msgspec
import tenacity

from service.embedder import Vector
from service.errors import SettingError
from service.ollama.faults import BadText, Permanent, TimedOut, Transient, WireFault, classify
from service.ollama.models import same_model
from service.ollama.reloads import HARMLESS_TEXT, RELOADS, Reloader, Reloads
from service.ollama.tokens import least_tokens
from service.telemetry.logs import get_logger
from service.telemetry.stages import add_to_stage, outbound_headers

log = get_logger(__name__)

CONNECT_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 30.0
READ_TIMEOUT_S = 10.0
_NORM_TOLERANCE = 1e-3
_ATTEMPTS = 4  # the first and three retries
_LOOKS_AT_UNLOAD = 50
_LOOK_EVERY_S = 0.1

Answer = TypeVar("Answer")


class _EmbedRequest(msgspec.Struct):
    """No `options` and no `keep_alive`: a change of options between two requests makes the server reload the model."""

    model: str
    input: Sequence[str]
    truncate: bool = False


class _UnloadRequest(msgspec.Struct):
    """Ends the model as soon as nothing uses it; the next request loads it with the server's own keep_alive."""

    model: str
    input: Sequence[str] = ()
    keep_alive: int = 0


class _EmbedAnswer(msgspec.Struct):
    embeddings: list[list[float]]
    prompt_eval_count: int = 0
    load_duration: int = 0


class Version(msgspec.Struct):
    """Answer of GET /api/version; source builds say 0.0.0."""

    version: str = ""


class ListedModel(msgspec.Struct):
    """One model of GET /api/tags; `name` carries the tag."""

    name: str = ""
    model: str = ""
    digest: str = ""


class Tags(msgspec.Struct):
    """Answer of GET /api/tags, and of GET /api/ps: only the loaded ones."""

    models: list[ListedModel] | None = None


class Shown(msgspec.Struct):
    """Answer of POST /api/show, as far as it is of use; older servers leave fields out."""

    capabilities: list[str] | None = None
    model_info: dict[str, object] | None = None

    @property
    def context_length(self) -> int | None:
        """Tokens of the model's context window, or None when the server does not say."""
        info = self.model_info or {}
        length = info.get(f"{info.get('general.architecture')}.context_length")
        return length if isinstance(length, int) and length > 0 else None


class Wire:
    """One HTTP client for one server and model; raises WireFault and nothing else."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        headers: Mapping[str, str],
        verify: ssl.SSLContext | bool,
        backoff_s: tuple[float, float],
        load_timeout_s: float = 600.0,
        reloads: Reloads = RELOADS,
    ) -> None:
        self._base = _checked_url(url)
        self._model = model
        self._backoff_s = backoff_s
        self._load_timeout_s = load_timeout_s
        self._reloader = Reloader(f"{self._base} {model}", reloads, control=self.control, reload=self._reload)
        # trust_env off: HTTP_PROXY must not catch requests to a local server.
        # Over plain HTTP nothing is verified; to read the certificates all the same would hold up the loop for 20 ms.
        verify = verify if self._base.startswith("https:") else False
        self._client = httpx.AsyncClient(trust_env=False, headers=dict(headers), verify=verify, follow_redirects=False)
        self._headers = self._client.headers.copy()
        self._headers["content-type"] = "application/json"
        self._embed_url = self._url("/api/embed")
        self._encode = msgspec.json.Encoder().encode
        self._decode_embed = msgspec.json.Decoder(_EmbedAnswer).decode

    async def fetch(self, path: str, kind: type[Answer], *, body: object = None) -> Answer:
        """GET `path`, or POST `body` to it as JSON, and return the decoded answer."""
        content = None if body is None else self._encode(body)
        answer = await self._send("GET" if body is None else "POST", self._url(path), content, READ_TIMEOUT_S)
        return _decoded(msgspec.json.Decoder(kind).decode, answer)

    async def embed(
        self, texts: Sequence[str], *, read_timeout_s: float, dimensions: int | None
    ) -> list[Vector | None]:
        """Embed `texts` in one request, in order; None stands for a vector that failed the guard (never for all).

        No texts at all: the server loads the model. `dimensions` None: not known yet, any length passes. Waits first
        while the model is being reloaded.
        """
        await self._reloader.settled()
        try:
            vectors = await self._embed(texts, read_timeout_s, dimensions)
        except WireFault as fault:
            self._reloader.note_fault(fault)
            raise
        if texts:
            self._reloader.note_good()
        return vectors

    async def _embed(self, texts: Sequence[str], read_timeout_s: float, dimensions: int | None) -> list[Vector | None]:
        try:
            content = self._encode(_EmbedRequest(self._model, texts))
        except UnicodeEncodeError as error:
            raise WireFault(BadText("the text holds a lone surrogate, which is not Unicode text")) from error
        add_to_stage(jobsense_embed_requests=1)
        answer = _decoded(self._decode_embed, await self._send("POST", self._embed_url, content, read_timeout_s))
        if len(answer.embeddings) != len(texts):
            raise WireFault(
                Permanent("protocol", f"Ollama gave {len(answer.embeddings)} vectors for {len(texts)} texts")
            )
        add_to_stage(
            gen_ai_usage_input_tokens=answer.prompt_eval_count, jobsense_embed_load_ms=answer.load_duration / 1e6
        )
        _refuse_silent_cut(texts, answer.prompt_eval_count)
        return _guarded(answer.embeddings, dimensions)

    async def retrying(
        self, call: Callable[[], Awaitable[Answer]], *, deadline_s: float, most_pause_s: float = math.inf
    ) -> Answer:
        """Run `call`, up to three times more while its fault is transient; no attempt starts after `deadline_s`.

        Once more when the model was reloaded after bad vectors. Raises the last WireFault.
        """
        low, high = self._backoff_s
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(self._may_pass),
            wait=tenacity.wait_random_exponential(multiplier=low, max=min(high, most_pause_s)),
            stop=tenacity.stop_any(tenacity.stop_after_attempt(_ATTEMPTS), tenacity.stop_before_delay(deadline_s)),
            reraise=True,
        )
        try:
            return await retrying(call)
        except WireFault as fault:
            if fault.verdict.reason != "bad_vectors" or not await self._reloader.cure():
                raise
        return await call()

    async def close(self) -> None:
        """Close the connections."""
        await self._reloader.close()
        await self._client.aclose()

    async def control(self) -> list[Vector | None]:
        """Embed a harmless text: it tells a text that is to blame from a server that is. Counts for no reload."""
        return await self._embed([HARMLESS_TEXT], self._load_timeout_s, None)

    async def _reload(self) -> None:
        """Unload the model, wait until the server has let go of it, and load it."""
        started = time.monotonic()
        await self._send("POST", self._embed_url, self._encode(_UnloadRequest(self._model)), self._load_timeout_s)
        for _ in range(_LOOKS_AT_UNLOAD):
            loaded = (await self.fetch("/api/ps", Tags)).models or []
            if not any(same_model(each.name or each.model, self._model) for each in loaded):
                break
            await asyncio.sleep(_LOOK_EVERY_S)
        await self._embed([], self._load_timeout_s, None)
        log.warning("embed.model_reloaded", model=self._model, reload_s=round(time.monotonic() - started, 3))

    def _may_pass(self, error: BaseException) -> bool:
        """Say whether another attempt makes sense; not while the model is to be reloaded first."""
        if not isinstance(error, WireFault) or not isinstance(error.verdict, Transient):
            return False
        return error.verdict.reason != "bad_vectors" or not self._reloader.wanted

    def _url(self, path: str) -> httpx.URL:
        return httpx.URL(self._base + path)

    async def _send(self, method: str, url: httpx.URL, content: bytes | None, read_timeout_s: float) -> bytes:
        """Send one request and return the body of a 200: every byte to and from Ollama passes here.

        The trace headers of the stage that runs go with it.
        """
        timeout = {"connect": CONNECT_TIMEOUT_S, "write": WRITE_TIMEOUT_S, "read": read_timeout_s, "pool": 30.0}
        # Built directly, from bytes: no merging per call, and a Content-Length that lets the server see a disconnect.
        headers = self._headers.copy()
        headers.update(outbound_headers())
        request = httpx.Request(method, url, headers=headers, content=content, extensions={"timeout": timeout})
        started = time.monotonic()
        try:
            response = await self._client.send(request)
        except RuntimeError as error:
            if not self._client.is_closed:
                raise
            raise WireFault(Permanent("closed", "the client of Ollama is closed")) from error
        except httpx.HTTPError as error:
            raise WireFault(_transport_verdict(error, time.monotonic() - started)) from error
        if response.status_code != HTTPStatus.OK:
            raise WireFault(classify(response.status_code, response.content))
        return response.content


def _checked_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SettingError(f"OLLAMA_URL {url!r} is not a URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SettingError(f"OLLAMA_URL {url!r} has to start with http:// or https:// and name a host")
    return url.rstrip("/")


def _transport_verdict(error: httpx.HTTPError, elapsed_s: float) -> Transient | TimedOut | Permanent:
    detail = f"{type(error).__name__}: {error}".rstrip(": ")
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return Transient("refused", detail)
        case httpx.PoolTimeout():
            return Transient("busy", detail)
        case httpx.TimeoutException():
            return TimedOut(elapsed_s, f"no answer from Ollama in {elapsed_s:.1f} s ({detail})")
        case httpx.NetworkError() | httpx.RemoteProtocolError():
            return Transient("dropped", detail)
        case _:
            return Permanent("protocol", detail)


def _decoded(decode: Callable[[bytes], Answer], body: bytes) -> Answer:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireFault(Permanent("protocol", f"the answer is not what Ollama sends: {error}")) from error


def _refuse_silent_cut(texts: Sequence[str], counted_tokens: int) -> None:
    """Refuse an answer whose token count is below what the words alone make: an old server cut in spite of us.

    0 means that the server does not count; fewer tokens than texts is not a count at all. The count is a sum, so that
    the guilty text is found by bisecting.
    """
    if counted_tokens >= max(len(texts), 1):
        least = sum(map(least_tokens, texts))
        if counted_tokens < least:
            raise WireFault(
                BadText(
                    f"the server cut the text without a word: it counted {counted_tokens} tokens of {least} or more"
                )
            )


def _guarded(vectors: list[list[float]], dimensions: int | None) -> list[Vector | None]:
    """Return the vectors with None for those that are not unit length; NaN and infinities fail the same comparison."""
    kept: list[Vector | None] = []
    for vector in vectors:
        if dimensions is not None and len(vector) != dimensions:
            raise WireFault(
                Permanent("wrong_dimensions", f"Ollama gave {len(vector)} dimensions, the model has {dimensions}")
            )
        kept.append(vector if abs(math.hypot(*vector) - 1.0) <= _NORM_TOLERANCE else None)
    if kept and not any(kept):
        raise WireFault(Transient("bad_vectors", "Ollama gave vectors that are not of unit length"))
    return kept
