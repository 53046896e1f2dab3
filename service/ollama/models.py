"""What each embedding model family of Ollama wants around a text, and how many tokens it can really use.

Sources: the model cards and Ollama's own limits. Ollama applies no template when embedding, so prefixes are the
caller's job. No model gets more than 2,048: a default server cuts or refuses longer input at its physical batch.
"""

import msgspec

UNKNOWN_MODEL_TOKENS = 512
"""The most that an unlisted model is trusted with: the position table of most BERT-like embedders."""

_BATCH_LIMIT = 2048
_MXBAI_QUERY = "Represent this sentence for searching relevant passages: {text}"


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Templates (with the place `{text}` once) and usable tokens, special ones included, of a model family."""

    max_tokens: int
    query_template: str = "{text}"
    document_template: str = "{text}"


_NOMIC = Family(max_tokens=2048, query_template="search_query: {text}", document_template="search_document: {text}")
_ARCTIC = Family(max_tokens=512, query_template=_MXBAI_QUERY)

FAMILIES: dict[str, Family] = {
    "all-minilm": Family(max_tokens=256),
    "nomic-embed-text": _NOMIC,
    "nomic-embed-text-v1.5": _NOMIC,
    "nomic-embed-text-v2-moe": msgspec.structs.replace(_NOMIC, max_tokens=512),
    "mxbai-embed-large": Family(max_tokens=512, query_template=_MXBAI_QUERY),
    "bge-m3": Family(max_tokens=_BATCH_LIMIT),
    "snowflake-arctic-embed": _ARCTIC,
    "snowflake-arctic-embed:137m": msgspec.structs.replace(_ARCTIC, max_tokens=2048),
    "snowflake-arctic-embed2": Family(max_tokens=_BATCH_LIMIT, query_template="query: {text}"),
    "embeddinggemma": Family(
        max_tokens=2048,
        query_template="task: search result | query: {text}",
        document_template="title: none | text: {text}",
    ),
    "qwen3-embedding": Family(
        max_tokens=_BATCH_LIMIT,
        query_template="Instruct: Given a search for a job, retrieve job postings that fit it\nQuery:{text}",
    ),
}
"""By model name without registry, namespace and tag; an entry with a tag goes first."""


def family_of(model: str, context_length: int | None) -> Family:
    """Return the family of `model`, its tokens lowered to the `context_length` that the server reports (None: unknown).

    An unlisted model gets no templates and at most 512 tokens: one refused or silently cut passage costs more than
    a few passages too many.
    """
    name = model.lower().rsplit("/", 1)[-1]
    family = FAMILIES.get(name) or FAMILIES.get(name.split(":", 1)[0]) or Family(max_tokens=UNKNOWN_MODEL_TOKENS)
    if context_length and context_length < family.max_tokens:
        return msgspec.structs.replace(family, max_tokens=context_length)
    return family


def same_model(listed: str, asked: str) -> bool:
    """Say whether the server's `listed` name is the one `asked` for, whose tag may be left out (`:latest`)."""
    tagged = asked if ":" in asked.rsplit("/", 1)[-1] else f"{asked}:latest"
    return listed.lower() == tagged.lower()
