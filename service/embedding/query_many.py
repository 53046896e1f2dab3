"""Embeds many search texts at once, the failure of each its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from service.embedding.domain import QueryVector
from service.errors import DatabaseUnavailable, EmbedderUnavailable, TextRefused

Failure = EmbedderUnavailable | DatabaseUnavailable | TextRefused


async def embed_queries(
    embed_query: Callable[[str], Awaitable[QueryVector]], texts: Sequence[str]
) -> list[QueryVector | Failure]:
    """The vectors of search texts in their order, or why there is none; all are asked for together."""

    async def outcome(text: str) -> QueryVector | Failure:
        try:
            return await embed_query(text)
        except (EmbedderUnavailable, DatabaseUnavailable, TextRefused) as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outcome(text)) for text in texts]
    return [task.result() for task in tasks]
