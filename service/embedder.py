"""What an embedding client is, whichever model stands behind it: an identity, token counts and unit vectors."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, Protocol

import msgspec

from service.errors import EmbedderUnavailable, TextRefused

Vector = list[float]
"""An embedding: finite floats with an L2 norm of 1 (within 1e-3)."""

QUIET_AFTER_S = 3.0
"""Without a query for so long, here or in another process, bulk work need not give way any more."""

NONE_SUSPECT: Mapping[int, str] = MappingProxyType({})


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides what vector a text gets; two identities never share a generation.

    `query_template` and `document_template` hold the place `{text}` once; `max_tokens` counts the special tokens too.
    """

    provider: Literal["ollama", "local"]
    model: str
    digest: str
    dimensions: int
    max_tokens: int
    query_template: str = "{text}"
    document_template: str = "{text}"


QueryOutcome = Vector | TextRefused | EmbedderUnavailable
"""What came of one search text among several: its vector, or why it alone has none."""


class PartlyEmbedded(EmbedderUnavailable):
    """Some passages of a call are embedded, the others may be repeated later.

    `finished` maps the position of each passage that has an outcome to it; it can be empty. `suspects` are positions of
    passages that failed alone while a harmless text went through, each with the reason: the text is likely at fault.
    """

    def __init__(
        self,
        cause: EmbedderUnavailable,
        finished: dict[int, Vector | TextRefused],
        suspects: Mapping[int, str] = NONE_SUSPECT,
    ) -> None:
        super().__init__(cause.detail, reason=cause.reason, retry_after_s=cause.retry_after_s)
        self.finished = finished
        self.suspects = suspects


class Embedder(Protocol):
    """A client of one embedding model. All methods may be called from many tasks at once."""

    @property
    def identity(self) -> Identity:
        """The model in use; known after `start` at the latest, and before that EmbedderUnavailable where it is not."""

    @property
    def gathers_queries(self) -> bool:
        """Whether it puts queries that wait together by itself; else its callers do, with `embed_queries`."""

    async def start(self) -> None:
        """Load or reach the model and learn its identity; raises EmbedderUnavailable when it cannot."""

    async def check_identity(self) -> bool:
        """Say whether the model is still the one that `start` met; raises EmbedderUnavailable."""

    def count_tokens(self, text: str) -> int:
        """Tokens that a document takes: exact, or an upper bound where the tokenizer is unknown.

        Special tokens and the template are included, so `count_tokens("")` is what every passage costs by itself.
        """

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """The character span of each token of `text` itself; n in a row count at most n by `count_tokens`."""

    async def embed_queries(self, texts: Sequence[str]) -> list[QueryOutcome]:
        """Embed search texts in their order (template applied), together if they are several.

        A text that fails while others do not has its error in its place; raises EmbedderUnavailable when all fail
        alike. May be cancelled by callers that wait no longer. What is already with a model server then goes on in the
        background, within a bound: a server whose client leaves gives up loading the model.
        """

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector | TextRefused]:
        """Embed passages in their order (template applied); one bad text does not sink the rest.

        Raises EmbedderUnavailable when the whole batch may be repeated later, PartlyEmbedded when a part of it may.
        """

    async def close(self) -> None:
        """Release connections and threads."""


async def each_alone(embed: Callable[[str], Awaitable[Vector]], texts: Sequence[str]) -> list[QueryOutcome]:
    """Embed search texts at the same time, each by itself; the failure of one is that one's outcome."""

    async def outcome(text: str) -> QueryOutcome:
        try:
            return await embed(text)
        except (EmbedderUnavailable, TextRefused) as error:
            return error

    return await asyncio.gather(*map(outcome, texts))
