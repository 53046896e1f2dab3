"""What was acknowledged, posting by posting: the states that the database may hold, and whatever contradicted them."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

Key = tuple[str, str]
"""Source and external_id."""


class Content(msgspec.Struct, frozen=True):
    """A posting as a client sent it; `title` ends with a word that no other content has, save a deliberate copy."""

    title: str
    company: str
    description: str
    location: str | None = None
    remote: bool | None = None
    salary_min: float | None = None

    def __repr__(self) -> str:
        """Short, since faults show several."""
        return f"{self.title} ({len(self.description)}, {self.location}, {self.remote}, {self.salary_min})"

    @property
    def word(self) -> str:
        """The word of its own."""
        return self.title.rsplit(" ", 1)[-1]

    def equals(self, shown: Mapping[str, Any]) -> bool:
        """Whether the service or the database shows this content."""
        return all(shown[name] == getattr(self, name) for name in Content.__struct_fields__)


State = Content | None
"""What a key holds; None: there is no such posting."""


class Entry:
    """One key: every state that is possible, the last acknowledged one first."""

    def __init__(self) -> None:
        self.possible: list[State] = [None]
        self.job_id: int | None = None
        self.version: int | None = None

    @property
    def certain(self) -> bool:
        """Whether only one state is possible."""
        return len(self.possible) == 1

    @property
    def contents(self) -> list[Content]:
        """The states in which there is a posting."""
        return [state for state in self.possible if state is not None]

    def settle(self, state: State, *, job_id: int | None = None, version: int | None = None) -> None:
        """An answer said what it holds now."""
        self.possible, self.job_id, self.version = [state], job_id, version

    def may_be(self, *states: State) -> None:
        """An answer never came: what was asked for may have been done."""
        if None in self.possible and any(state is not None for state in states):
            self.job_id = None  # if it was made, then under a number that nobody told
        self.possible += [state for state in states if state not in self.possible]
        self.version = None

    def must_exist(self) -> bool:
        """An answer said that there is a posting: which leaves the states with one; false when there were none."""
        if not self.contents:
            return False
        self.possible = list(self.contents)
        return True


class Ledger:
    """All keys of all clients, each key written by one client only, and what was found wrong."""

    def __init__(self) -> None:
        self.entries: dict[Key, Entry] = {}
        self.keyless: dict[str, tuple[Content, int | None]] = {}
        """Postings without external_id by their word, with their number if the answer came."""
        self.deleted: dict[int, float] = {}
        """When the deletion of a number was acknowledged."""
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()

    def entry(self, key: Key) -> Entry:
        """What is known of a key."""
        return self.entries.setdefault(key, Entry())

    def fault(self, kind: str, what: str) -> None:
        """Note a contradiction; `kind` is lost, duplicated, resurrected, mislabelled, unembedded, status, hang, ..."""
        self.counts[kind] += 1
        self.wrong.append(f"{kind}: {what}")

    def note_deleted(self, key: Key) -> None:
        """A deletion was acknowledged."""
        entry = self.entry(key)
        if entry.job_id is not None:
            self.deleted[entry.job_id] = time.monotonic()
        entry.settle(None)

    def check_shown(self, shown: Mapping[str, Any], since: float, *, by_owner: str | None = None) -> None:
        """A posting that an answer shows must be one that the ledger allows.

        `since`: when the request began; `by_owner`: the source whose only writer asked, so that its states are exact.
        """
        gone = self.deleted.get(shown["id"])
        if gone is not None and gone < since:
            self.fault("resurrected", f"posting {shown['id']} was found after its deletion was acknowledged")
        if shown["source"] != by_owner:
            return
        if shown["external_id"] is None:
            known = self.keyless.get(shown["title"].rsplit(" ", 1)[-1])
            if known is None or not known[0].equals(shown):
                self.fault("strange", f"posting {shown['id']} without external_id was never sent like this")
            return
        entry = self.entry((shown["source"], shown["external_id"]))
        if not any(content.equals(shown) for content in entry.contents):
            kind = "lost" if entry.contents else "resurrected"
            self.fault(kind, f"{shown['external_id']} is shown as {shown['title']!r}, possible: {entry.possible}")

    def certain_postings(self) -> Iterator[tuple[Key, Content, Entry]]:
        """Keys of which it is known what they hold, and that it is a posting."""
        for key, entry in self.entries.items():
            if entry.certain and entry.contents:
                yield key, entry.contents[0], entry
