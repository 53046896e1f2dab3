"""The embedder behind Ollama: learns the model's identity at start, then embeds queries ahead of passages in bulk."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from service.embedder import Identity, Vector
from service.errors import TextRefused
from service.ollama.batches import BatchSize, BulkRun
from service.ollama.faults import BadText, Permanent, Reason, TimedOut, Transient, WireFault, unavailable
from service.ollama.lanes import Lanes
from service.ollama.models import Family, family_of, same_model
from service.ollama.tokens import RESERVED_TOKENS, count_pieces, token_offsets
from service.ollama.wire import Shown, Tags, Version, Wire

PROBE_TEXT = "software engineer"
"""The harmless text that tells the true dimensions, and that the server works when it refuses another text."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class OllamaEmbedder:
    """Embeds through Ollama's /api/embed; conforms to `service.embedder.Embedder`.

    `url` may hold a path prefix. `query_timeout_s` bounds a whole query: its turn, every attempt and the pauses.
    `document_timeout_s` bounds one bulk request. `max_tokens` and the templates override what is known of the model.
    `backoff_s` is the first and the largest bound of the random pause before a retry.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        query_timeout_s: float = 20.0,
        document_timeout_s: float = 120.0,
        warm_up_timeout_s: float = 600.0,
        verify: ssl.SSLContext | bool = True,
        query_template: str | None = None,
        document_template: str | None = None,
        max_tokens: int | None = None,
        batch_items: int = 16,
        batch_characters: int = 16_000,
        backoff_s: tuple[float, float] = (0.5, 10.0),
    ) -> None:
        self._wire = Wire(url, model, headers=headers, verify=verify, backoff_s=backoff_s)
        self._model = model
        self._query_timeout_s = query_timeout_s
        self._document_timeout_s = document_timeout_s
        self._warm_up_timeout_s = warm_up_timeout_s
        self._max_tokens = max_tokens
        self._lanes = Lanes()
        self._size = BatchSize(batch_items, batch_characters)
        self._identity: Identity | None = None
        self._set_templates(family_of(model, None), query_template, document_template)
        self.server_version = ""

    @property
    def identity(self) -> Identity:
        """The model in use. Raises EmbedderUnavailable (reason not_started) before `start` has succeeded."""
        if self._identity is None:
            raise unavailable(Permanent("not_started", f"the embedder of {self._model} has not started"))
        return self._identity

    async def start(self) -> None:
        """Load the model and learn its identity; safe to repeat. Raises EmbedderUnavailable.

        A refused connection fails at once; loading waits up to `warm_up_timeout_s`, because a client that gives up
        makes the server abort the load.
        """
        try:
            self.server_version = await self._fetch_version()
            retry = partial(self._wire.retrying, deadline_s=self._document_timeout_s)
            digest = await retry(self._fetch_digest)
            shown = await retry(partial(self._wire.fetch, "/api/show", Shown, body={"model": self._model}))
            _refuse_chat_model(self._model, shown)
            await self._wire.retrying(partial(self._embed, [], timeout_s=self._warm_up_timeout_s), deadline_s=60.0)
            probe = self._query_prompt(PROBE_TEXT)
            vectors = await retry(partial(self._embed, [probe], timeout_s=self._document_timeout_s))
        except WireFault as fault:
            raise unavailable(fault.verdict) from fault
        family = family_of(self._model, shown.context_length)
        self._identity = Identity(
            provider="ollama",
            model=self._model,
            digest=digest,
            dimensions=len(vectors[0] or ()),
            max_tokens=self._max_tokens or family.max_tokens,
            query_template="{text}".join(self._query_template),
            document_template="{text}".join(self._document_template),
        )

    async def check_identity(self) -> bool:
        """Say whether the server still holds the model that `start` met. Raises EmbedderUnavailable."""
        try:
            return await self._fetch_digest() == self.identity.digest
        except WireFault as fault:
            raise unavailable(fault.verdict) from fault

    def count_tokens(self, text: str) -> int:
        """Return an upper bound of the tokens of `text`, with special tokens and the longer template.

        `count_tokens("")` is what every passage costs beside its own pieces.
        """
        return self._fixed_tokens + count_pieces(text)

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Return the character spans of the pieces of `text`; n of them in a row count at most n by `count_tokens`."""
        return token_offsets(text)

    async def embed_query(self, text: str) -> Vector:
        """Embed one search text, ahead of any bulk work. Raises EmbedderUnavailable or TextRefused."""
        dimensions = self.identity.dimensions
        call = partial(self._embed, [self._query_prompt(text)], timeout_s=self._query_timeout_s, dimensions=dimensions)
        try:
            async with asyncio.timeout(self._query_timeout_s), self._lanes.query():
                vectors = await self._wire.retrying(call, deadline_s=self._query_timeout_s)
        except TimeoutError as error:
            detail = f"no vector for the query in {self._query_timeout_s:g} s"
            raise unavailable(TimedOut(self._query_timeout_s, detail)) from error
        except WireFault as fault:
            if isinstance(fault.verdict, BadText) and fault.verdict.certain:
                raise TextRefused(fault.verdict.detail) from fault
            raise unavailable(fault.verdict) from fault
        return vectors[0] or []

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector | TextRefused]:
        """Embed passages in their order; a text that the model will never take has a TextRefused in its place.

        Raises PartlyEmbedded (an EmbedderUnavailable) with the finished passages when the rest may be repeated later.
        """
        _ = self.identity
        before, after = self._document_template
        prompts = [f"{before}{text}{after}" for text in texts]
        control = before + PROBE_TEXT + after
        run = BulkRun(prompts, lanes=self._lanes, size=self._size, send=self._send_bulk, control_prompt=control)
        return await run.run()

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    def _set_templates(self, family: Family, query: str | None, document: str | None) -> None:
        self._query_template = _halves(query or family.query_template)
        self._document_template = _halves(document or family.document_template)
        longer = max(sum(map(count_pieces, halves)) for halves in (self._query_template, self._document_template))
        self._fixed_tokens = RESERVED_TOKENS + longer

    def _query_prompt(self, text: str) -> str:
        before, after = self._query_template
        return f"{before}{text}{after}"

    async def _embed(
        self, prompts: Sequence[str], *, timeout_s: float, dimensions: int | None = None
    ) -> list[Vector | None]:
        return await self._wire.embed(prompts, read_timeout_s=timeout_s, dimensions=dimensions)

    async def _send_bulk(self, prompts: Sequence[str]) -> list[Vector | None]:
        timeout_s = self._document_timeout_s
        call = partial(self._embed, prompts, timeout_s=timeout_s, dimensions=self.identity.dimensions)
        return await self._wire.retrying(call, deadline_s=timeout_s)

    async def _fetch_version(self) -> str:
        """Return the version for reports; only an unreachable server counts, no answer to this route gates anything."""
        try:
            return (await self._wire.fetch("/api/version", Version)).version
        except WireFault as fault:
            if isinstance(fault.verdict, Transient | TimedOut) and fault.verdict.reason in _UNREACHABLE:
                raise
            return ""

    async def _fetch_digest(self) -> str:
        listed = (await self._wire.fetch("/api/tags", Tags)).models or []
        for model in listed:
            if same_model(model.name or model.model, self._model):
                return model.digest
        raise WireFault(
            Permanent("model_missing", f"Ollama does not have {self._model}; `ollama pull {self._model}` fetches it")
        )


_UNREACHABLE: frozenset[Reason] = frozenset({"refused", "dropped", "timeout"})


def _refuse_chat_model(model: str, shown: Shown) -> None:
    """Refuse a model that says it completes text and does not embed; servers before 0.6.4 say nothing."""
    capabilities = shown.capabilities or []
    if "completion" in capabilities and "embedding" not in capabilities:
        raise WireFault(Permanent("unsupported_model", f"{model} is a chat model; it cannot embed"))


def _halves(template: str) -> tuple[str, str]:
    before, _, after = template.partition("{text}")
    return before, after
