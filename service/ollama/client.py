"""The embedder behind Ollama: learns the model's identity at start, then embeds queries ahead of passages in bulk."""

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from service.embedder import Identity, QueryOutcome, Vector, each_alone
from service.errors import TextRefused
from service.ollama.batches import BulkRun
from service.ollama.faults import BadText, Permanent, Reason, TimedOut, Transient, WireFault, unavailable
from service.ollama.lanes import Lanes
from service.ollama.late_queries import PAUSE_S, LateQueries
from service.ollama.models import Family, family_of, same_model
from service.ollama.pacing import MOST_CHARACTERS, MOST_ITEMS, Pace
from service.ollama.reloads import HARMLESS_TEXT, RELOADS, Reloads
from service.ollama.self_test import COMPANION_TEXT, both, require_stable
from service.ollama.tokens import RESERVED_TOKENS, count_pieces, token_offsets
from service.ollama.wire import Shown, Tags, Version, Wire

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class OllamaEmbedder:
    """Embeds through Ollama's /api/embed; conforms to `service.embedder.Embedder`.

    `url` may hold a path prefix. `query_timeout_s` bounds a whole query: its turn, every attempt and the pauses.
    `warm_up_timeout_s` bounds the loading of the model, also by a query that goes on when its caller has left.
    `document_timeout_s` bounds one bulk request, `batch_items` and `batch_characters` its size. `busy_elsewhere` says
    whether other processes have queries for this server. `max_tokens` and the templates override what is known of the
    model. `backoff_s` is the first and the largest bound of the random pause before a retry.
    """

    gathers_queries = False

    def __init__(
        self,
        url: str,
        model: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        query_timeout_s: float = 60.0,
        document_timeout_s: float = 120.0,
        warm_up_timeout_s: float = 600.0,
        verify: ssl.SSLContext | bool = True,
        query_template: str | None = None,
        document_template: str | None = None,
        max_tokens: int | None = None,
        batch_items: int = MOST_ITEMS,
        batch_characters: int = MOST_CHARACTERS,
        backoff_s: tuple[float, float] = (0.5, 10.0),
        busy_elsewhere: Callable[[], bool] = lambda: False,
        reloads: Reloads = RELOADS,
    ) -> None:
        self._wire = Wire(
            url,
            model,
            headers=headers,
            verify=verify,
            backoff_s=backoff_s,
            load_timeout_s=warm_up_timeout_s,
            reloads=reloads,
        )
        self._model = model
        self._document_timeout_s = document_timeout_s
        self._warm_up_timeout_s = warm_up_timeout_s
        self._max_tokens = max_tokens
        self._lanes = Lanes(busy_elsewhere)
        self._queries = LateQueries(
            self._wire, self._lanes, timeout_s=query_timeout_s, load_timeout_s=warm_up_timeout_s
        )
        self._pace = Pace(batch_items, batch_characters)
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
        """Load the model, learn its identity and test it (`self_test`); safe to repeat. Raises EmbedderUnavailable.

        A refused connection fails at once; loading waits up to `warm_up_timeout_s`, because a client that gives up
        makes the server abort the load.
        """
        try:
            self.server_version = await self._fetch_version()
            retry = partial(self._wire.retrying, deadline_s=self._document_timeout_s)
            digest, shown = await both(
                retry(self._fetch_digest),
                retry(partial(self._wire.fetch, "/api/show", Shown, body={"model": self._model})),
            )
            _refuse_chat_model(self._model, shown)
            await self._wire.retrying(partial(self._embed, [], timeout_s=self._warm_up_timeout_s), deadline_s=60.0)
            vector = await require_stable(
                lambda prompts: retry(partial(self._embed, prompts, timeout_s=self._document_timeout_s)),
                self._query_prompt(HARMLESS_TEXT),
                self._query_prompt(COMPANION_TEXT),
            )
        except WireFault as fault:
            raise unavailable(fault.verdict) from fault
        family = family_of(self._model, shown.context_length)
        self._identity = Identity(
            provider="ollama",
            model=self._model,
            digest=digest,
            dimensions=len(vector),
            max_tokens=self._max_tokens or family.max_tokens,
            query_template="{text}".join(self._query_template),
            document_template="{text}".join(self._document_template),
        )

    async def check_identity(self) -> bool:
        """Say whether the server still holds the model that `start` met. Raises EmbedderUnavailable."""
        try:
            digest = await self._wire.retrying(self._fetch_digest, deadline_s=1.0, most_pause_s=PAUSE_S)
        except WireFault as fault:
            raise unavailable(fault.verdict) from fault
        return digest == self.identity.digest

    def count_tokens(self, text: str) -> int:
        """Return an upper bound of the tokens of `text`, with special tokens and the longer template.

        `count_tokens("")` is what every passage costs beside its own pieces.
        """
        return self._fixed_tokens + count_pieces(text)

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Return the character spans of the pieces of `text`; n of them in a row count at most n by `count_tokens`."""
        return token_offsets(text)

    async def embed_query(self, text: str) -> Vector:
        """Embed one search text, ahead of any bulk work. Raises EmbedderUnavailable or TextRefused.

        Refused is also what fails in a way that leaves doubt, if a harmless text goes through right after it.
        May be cancelled; what is in flight then goes on in the background, because a server whose client leaves gives
        up loading the model.
        """
        return (await self._send_queries([text]))[0] or []

    async def embed_queries(self, texts: Sequence[str]) -> list[QueryOutcome]:
        """Embed search texts in one request, ahead of any bulk work; what it failed for, if for one of them, alone.

        Raises EmbedderUnavailable when the request failed and no text of it is to blame.
        """
        if len(texts) == 1:
            return await each_alone(self.embed_query, texts)
        try:
            vectors = await self._send_queries(texts)
        except TextRefused:
            return await each_alone(self.embed_query, texts)
        without = [text for text, vector in zip(texts, vectors, strict=True) if vector is None]
        again = iter(await each_alone(self.embed_query, without))
        return [next(again) if vector is None else vector for vector in vectors]

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector | TextRefused]:
        """Embed passages in their order; a text that the model will never take has a TextRefused in its place.

        Raises PartlyEmbedded (an EmbedderUnavailable) with the finished passages when the rest may be repeated later,
        and with those that failed alone while a harmless text went through.
        """
        _ = self.identity
        before, after = self._document_template
        prompts = [f"{before}{text}{after}" for text in texts]
        control = partial(self._send_bulk, [before + HARMLESS_TEXT + after])
        return await BulkRun(prompts, lanes=self._lanes, pace=self._pace, send=self._send_bulk, control=control).run()

    async def close(self) -> None:
        """End the queries that are under way, and close the connections."""
        await self._queries.close()
        await self._wire.close()

    def _set_templates(self, family: Family, query: str | None, document: str | None) -> None:
        self._query_template = _halves(query or family.query_template)
        self._document_template = _halves(document or family.document_template)
        longer = max(sum(map(count_pieces, halves)) for halves in (self._query_template, self._document_template))
        self._fixed_tokens = RESERVED_TOKENS + longer

    def _query_prompt(self, text: str) -> str:
        before, after = self._query_template
        return f"{before}{text}{after}"

    async def _send_queries(self, texts: Sequence[str]) -> list[Vector | None]:
        """Send one request of the query lane. Raises TextRefused when a text is to blame, else EmbedderUnavailable."""
        prompts = [self._query_prompt(text) for text in texts]
        dimensions = self.identity.dimensions
        call = partial(self._embed, prompts, timeout_s=self._warm_up_timeout_s, dimensions=dimensions)
        try:
            return await self._queries.run(call, texts=len(texts))
        except WireFault as fault:
            if isinstance(fault.verdict, BadText) and fault.verdict.certain:
                raise TextRefused(fault.verdict.detail) from fault
            raise unavailable(fault.verdict) from fault

    async def _embed(
        self, prompts: Sequence[str], *, timeout_s: float, dimensions: int | None = None
    ) -> list[Vector | None]:
        return await self._wire.embed(prompts, read_timeout_s=timeout_s, dimensions=dimensions)

    async def _send_bulk(self, prompts: Sequence[str]) -> list[Vector | None]:
        return await self._wire.retrying(partial(self._time_bulk, prompts), deadline_s=self._document_timeout_s)

    async def _time_bulk(self, prompts: Sequence[str]) -> list[Vector | None]:
        """Send once, and learn from the time that it took."""
        started = time.monotonic()
        timeout_s, dimensions = self._document_timeout_s, self.identity.dimensions
        vectors = await self._embed(prompts, timeout_s=timeout_s, dimensions=dimensions)
        self._pace.learn(len(prompts), sum(map(len, prompts)), time.monotonic() - started)
        self._queries.note_answer()
        return vectors

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
