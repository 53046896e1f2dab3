"""Splits a posting into passages that fit the model, each led by title, company and place; nothing is left out."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from service.embedding.model import Generation, Passage

LEAD_SHARE = 0.5
"""A lead longer than this share of a passage is not repeated: it would leave no room for the text."""
MARGIN = 4
"""Tokens kept free: joining lead and text can make a few tokens more than both have apart."""
LOOK_BACK = 0.4
"""How far back from the limit, as a share of the room, a sentence end is looked for."""

_SENTENCE_END = re.compile(r"\n+|(?<=[.!?።])\s+")


class Tokenizer(Protocol):
    """Counts tokens and says where they stand, as `service.embedder.Embedder` does."""

    def count_tokens(self, text: str) -> int:
        """Tokens of a whole input, special ones and the model's template included."""

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """The character span of each token of the text itself, in order."""


def lead_of(title: str, company: str, location: str | None) -> str:
    """The line that leads every passage: without it a passage from the middle of a text belongs to no job."""
    return f"{title}\n{company}, {location}" if location else f"{title}\n{company}"


def split(
    title: str, company: str, location: str | None, body: str | None, *, generation: Generation, tokenizer: Tokenizer
) -> list[Passage]:
    """The passages of a posting, in order, each within the generation's limit once its template is applied."""
    lead = lead_of(title, company, location)
    limit = generation.passage_tokens
    whole = f"{lead}\n{body}" if body else lead
    if tokenizer.count_tokens(whole) <= limit:
        return [Passage(whole, 0, len(body or ""))]
    if tokenizer.count_tokens(lead) > limit * LEAD_SHARE:
        return _windows("", whole, len(whole) - len(body or ""), generation, tokenizer)
    return _windows(lead + "\n", body or "", 0, generation, tokenizer)


def _windows(lead: str, text: str, offset: int, generation: Generation, tokenizer: Tokenizer) -> list[Passage]:
    """Windows over `text`, whose first `offset` characters come before the body."""
    limit = generation.passage_tokens
    room = max(1, limit - tokenizer.count_tokens(lead) - MARGIN)
    spans = tokenizer.token_offsets(text)
    breaks = [found.end() for found in _SENTENCE_END.finditer(text)]
    made, first = [], 0
    while first < len(spans):
        last = _last_token(spans, breaks, first, room)
        while last > first + 1 and tokenizer.count_tokens(lead + _piece(text, spans, first, last)) > limit:
            last -= max(1, (last - first) // 10)
        start, end = spans[first][0], spans[last - 1][1]
        made.append(Passage(lead + text[start:end], max(0, start - offset), max(0, end - offset)))
        if last >= len(spans):
            break
        first = max(first + 1, last - min(generation.passage_overlap, room // 4))
    return made


def _piece(text: str, spans: Sequence[tuple[int, int]], first: int, last: int) -> str:
    return text[spans[first][0] : spans[last - 1][1]]


def _last_token(spans: Sequence[tuple[int, int]], breaks: Sequence[int], first: int, room: int) -> int:
    """One past the last token of the window: at a sentence end near the limit, else at the limit."""
    last = min(len(spans), first + room)
    if last == len(spans):
        return last
    at = bisect_right(breaks, spans[last - 1][1])
    if at == 0:
        return last
    cut = bisect_right([start for start, _ in spans[first:last]], breaks[at - 1] - 1) + first
    return cut if cut > first + room * (1 - LOOK_BACK) else last


def coverage(passages: Sequence[Passage], body: str | None) -> float:
    """The share of the body's characters, white space aside, that lies in some passage; 1.0 leaves nothing out."""
    total = _visible(body or "")
    if not body or not total:
        return 1.0
    missed, reached = 0, 0
    for passage in passages:
        missed += _visible(body[reached : passage.start])
        reached = max(reached, passage.end)
    return 1.0 - (missed + _visible(body[reached:])) / total


def _visible(text: str) -> int:
    return len("".join(text.split()))
