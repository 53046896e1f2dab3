"""Splits a posting into passages that fit the model, each led by title, company and place; nothing is left out."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from service.embedding.model import ClaimedTask, Generation, Passage
from service.errors import TextRefused

LEAD_SHARE = 0.5
"""The most of a passage that its lead may take; a longer one is shortened, or it would leave no room for the text."""
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


class _Window(NamedTuple):
    """Tokens `first` to `last`, the latter not included; `sentence`: a sentence ends there, so nothing is repeated."""

    first: int
    last: int
    sentence: bool


def lead_of(title: str, company: str, location: str | None) -> str:
    """The line that leads every passage: without it a passage from the middle of a text belongs to no job.

    A company that is only a dash or the like says nothing and is left out.
    """
    where = ", ".join(part for part in (company, location) if part and any(map(str.isalnum, part)))
    return f"{title}\n{where}" if where else title


def split(
    title: str, company: str, location: str | None, body: str | None, *, generation: Generation, tokenizer: Tokenizer
) -> list[Passage]:
    """The passages of a posting, in order, each within the generation's limit once its template is applied.

    `start` and `end` of a passage are characters of the body. A lead that takes more than half of a passage is part of
    the text to be split, and its beginning leads the passages.
    """
    lead = lead_of(title, company, location)
    limit = generation.passage_tokens
    whole = f"{lead}\n{body}" if body else lead
    if tokenizer.count_tokens(whole) <= limit:
        return [Passage(whole, 0, len(body or ""))]
    most = int(limit * LEAD_SHARE)
    if tokenizer.count_tokens(lead) <= most:
        return _Splitter(lead + "\n", body or "", 0, generation, tokenizer).passages()
    shortened = _shorten(lead, most, tokenizer) + "\n"
    return _Splitter(shortened, whole, len(whole) - len(body or ""), generation, tokenizer).passages()


def split_all(
    tasks: Sequence[ClaimedTask], generation: Generation, tokenizer: Tokenizer
) -> tuple[dict[int, list[Passage]], dict[int, str]]:
    """The passages of each posting; and why there are none, for those whose text the tokenizer refuses."""
    passages, refused = dict[int, list[Passage]](), dict[int, str]()
    for task in tasks:
        try:
            passages[task.job_id] = split(
                task.title, task.company, task.location, task.body, generation=generation, tokenizer=tokenizer
            )
        except TextRefused as refusal:
            refused[task.job_id] = refusal.detail
    return passages, refused


def split_query(text: str, *, generation: Generation, tokenizer: Tokenizer) -> list[str]:
    """A search text in pieces that the model takes whole; nearly always the one."""
    if tokenizer.count_tokens(text) <= generation.max_tokens:
        return [text]
    return [passage.text for passage in _Splitter("", text, 0, generation, tokenizer).passages()]


def split_text(text: str, most: int, *, generation: Generation, tokenizer: Tokenizer) -> list[Passage]:
    """A long text in pieces the size of a passage; where that makes more than `most`, in fewer and larger ones.

    A piece may then be longer than the model takes: as a query it is embedded in parts.
    """
    if tokenizer.count_tokens(text) <= generation.passage_tokens:
        return [Passage(text, 0, len(text))]
    while True:
        pieces = _Splitter("", text, 0, generation, tokenizer).passages()
        if len(pieces) <= most:
            return pieces
        larger = generation.passage_tokens * len(pieces) // most + 1
        generation = msgspec.structs.replace(generation, passage_tokens=larger)


def _shorten(lead: str, most: int, tokenizer: Tokenizer) -> str:
    """As much of the lead's beginning as takes `most` tokens."""
    spans = tokenizer.token_offsets(lead)
    kept = min(len(spans), max(1, most - tokenizer.count_tokens("")))
    while kept > 1 and tokenizer.count_tokens(lead[: spans[kept - 1][1]]) > most:
        kept -= 1
    return lead[: spans[kept - 1][1]]


class _Splitter:
    """Windows over `text`, whose first `offset` characters come before the body."""

    def __init__(self, lead: str, text: str, offset: int, generation: Generation, tokenizer: Tokenizer) -> None:
        self._lead = lead
        self._text = text
        self._offset = offset
        self._limit = generation.passage_tokens
        self._tokenizer = tokenizer
        self._room = max(1, self._limit - tokenizer.count_tokens(lead) - MARGIN)
        self._overlap = min(generation.passage_overlap, self._room // 4)
        self._spans = tokenizer.token_offsets(text)
        self._breaks = [found.end() for found in _SENTENCE_END.finditer(text)]

    def passages(self) -> list[Passage]:
        """All of them; every character of the text is in one, those that make no token too."""
        made, first = [], 0
        while True:
            window = self._fitting(first)
            start, end = self._place(window)
            made.append(
                Passage(self._lead + self._text[start:end], max(0, start - self._offset), max(0, end - self._offset))
            )
            if window.last >= len(self._spans):
                return made
            first = window.last if window.sentence else self._repeat_from(window)

    def _fitting(self, first: int) -> _Window:
        """The window from `first` on, made smaller until it fits together with the lead."""
        room = self._room
        while True:
            window = self._window(first, room)
            start, end = self._place(window)
            size = window.last - first
            if size <= 1 or self._tokenizer.count_tokens(self._lead + self._text[start:end]) <= self._limit:
                return window
            room = size - max(1, size // 10)

    def _window(self, first: int, room: int) -> _Window:
        """At most `room` tokens: up to a sentence end near the limit, else to the end of a word, else to the limit."""
        last = first + room
        if last >= len(self._spans):
            return _Window(first, len(self._spans), sentence=False)
        least = first + int(room * (1 - LOOK_BACK)) + 1
        at = bisect_right(self._breaks, self._spans[last][0])
        if at:
            starts = [start for start, _ in self._spans[first : last + 1]]
            cut = first + bisect_right(starts, self._breaks[at - 1] - 1)
            if cut >= least:
                return _Window(first, cut, sentence=True)
        return _Window(first, self._word_start(last, least) or last, sentence=False)

    def _repeat_from(self, window: _Window) -> int:
        """The token with which the next window begins: some tokens back, at the start of a word if there is one."""
        back = max(window.first + 1, window.last - self._overlap)
        return next((token for token in range(back, window.last) if self._begins_word(token)), back)

    def _word_start(self, token: int, least: int) -> int | None:
        """The last token from `least` to `token` that begins a word."""
        return next((at for at in range(token, least - 1, -1) if self._begins_word(at)), None)

    def _begins_word(self, token: int) -> bool:
        start = self._spans[token][0]
        return start > 0 and self._text[start - 1].isspace()

    def _place(self, window: _Window) -> tuple[int, int]:
        """The characters of a window: those between its last token and the next are its own, white space aside."""
        start = self._spans[window.first][0] if window.first else 0
        end = self._spans[window.last][0] if window.last < len(self._spans) else len(self._text)
        return start, max(start + len(self._text[start:end].rstrip()), start)


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
