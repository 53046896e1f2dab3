"""Clients of a run: each writes postings under keys of its own, searches, and keeps the ledger of what was answered."""

import random
from collections import Counter
from typing import Any, Protocol

import httpx
import msgspec

from tests.faults.calls import Caller
from tests.faults.ledger import Content, Entry, Key, Ledger, State
from tests.faults.postings import write_posting
from tests.faults.searches import Searches
from tests.faults.timeline import Over, Timeline

KEYS = 10
"""So few that a key is often written again before it is embedded."""
PAUSE_S = 0.12
COPY_SHARE = 0.3
"""How often a row has the text of the row before, of the next key, or of its own key as it is."""
KEYLESS_SHARE = 0.5
NDJSON_SHARE = 0.5
FIND_SHARE = 0.5
STALE_SHARE = 0.2


class Served(Protocol):
    """What clients call."""

    async def wait_until_up(self) -> None:
        """Wait until it works again."""


class Client:
    """One client with one request at a time, so that it knows what each of its keys may hold."""

    def __init__(
        self, number: int, address: str, service: Served, ledger: Ledger, timeline: Timeline, seed: str
    ) -> None:
        self.source = f"client-{number}"
        self._rng = random.Random(f"{seed} {self.source}")  # noqa: S311 - an experiment that can be repeated
        self._service = service
        self._ledger = ledger
        self._caller = Caller(address, ledger, timeline)
        self._searches = Searches(self._caller, self.source, ledger, timeline)

    async def run(self, over: Over) -> None:
        """Write and search until it is over."""
        actions = [self._create, self._store, self._store, self._patch, self._patch, self._delete, self._fetch]
        actions += [self._search] * 4
        try:
            # Part of the experiment: requests come when they like.
            while not await over.within(self._rng.uniform(0, PAUSE_S)):
                broken = self._ledger.counts["broken connections"]
                await self._rng.choice(actions)()
                if self._ledger.counts["broken connections"] > broken:
                    await self._service.wait_until_up()
        finally:
            await self._caller.close()

    async def _search(self) -> None:
        await self._searches.search(self._rng)

    def _draw(self) -> tuple[Key, Entry]:
        key = (self.source, f"key-{self._rng.randrange(KEYS)}")
        return key, self._ledger.entry(key)

    def _row(self, content: Content, external_id: str | None) -> dict[str, Any]:
        given = {name: value for name, value in msgspec.structs.asdict(content).items() if value is not None}
        return given | {"source": self.source} | ({} if external_id is None else {"external_id": external_id})

    async def _create(self) -> None:
        """POST /jobs: 201 where there was none, 409 where there was one."""
        key, entry = self._draw()
        content = write_posting(self._rng)
        before = list(entry.possible)
        answer = await self._caller.call("POST", "/jobs", 201, 409, json=self._row(content, key[1]))
        if answer is None:
            if None in before:
                entry.may_be(content)
        elif answer.status_code == httpx.codes.CONFLICT:
            if not entry.must_exist():
                self._ledger.fault("resurrected", f"{key} is there, possible: {before}")
        else:
            if None not in before:
                self._ledger.fault("lost", f"{key} could be created anew, possible: {before}")
            job = answer.json()
            self._acknowledged(entry, content, job["id"], job["version"])
            await self._find(content, entry)

    async def _store(self) -> None:
        """POST /jobs/batch: rows of several keys, some twice, some with another's text, some without external_id."""
        rows = self._write_rows()
        results = await self._send_rows([self._row(content, external_id) for external_id, content in rows])
        if results is None:
            self._unanswered(rows)
            return
        times = Counter(external_id for external_id, _ in rows)
        for (external_id, content), result in zip(rows, results, strict=True):
            if external_id is None:
                self._judge_keyless(content, result)
            else:
                self._judge_row(external_id, content, result, repeated=times[external_id] > 1)
        external_id, _ = self._rng.choice(rows)
        if external_id is not None:
            entry = self._ledger.entry((self.source, external_id))
            await self._find(entry.contents[0], entry)

    def _write_rows(self) -> list[tuple[str | None, Content]]:
        rng = self._rng
        rows: list[tuple[str | None, Content]] = []
        for number in rng.choices(range(KEYS), k=rng.randrange(1, 12)):
            texts = [content for _, content in rows[-1:]]
            for near in (number, number + 1):
                texts += self._ledger.entry((self.source, f"key-{near % KEYS}")).contents
            copied = rng.choice(texts) if texts and rng.random() < COPY_SHARE else None
            rows.append((f"key-{number}", copied or write_posting(rng)))
        if rng.random() < KEYLESS_SHARE:
            rows.append((None, write_posting(rng)))
        return rows

    async def _send_rows(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
        """The results in order, asked for as JSON or as NDJSON."""
        if self._rng.random() < NDJSON_SHARE:
            lines = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
            headers = {"Content-Type": "application/x-ndjson"}
            answer = await self._caller.call("POST", "/jobs/batch", 200, content=lines, headers=headers)
            return None if answer is None else [msgspec.json.decode(line) for line in answer.content.splitlines()]
        answer = await self._caller.call("POST", "/jobs/batch", 200, json=rows)
        return None if answer is None else list(answer.json()["results"])

    def _unanswered(self, rows: list[tuple[str | None, Content]]) -> None:
        for external_id, content in dict(row for row in rows if row[0] is not None).items():
            self._ledger.entry((self.source, str(external_id))).may_be(content)
        for external_id, content in rows:
            if external_id is None:
                self._ledger.keyless[content.word] = (content, None)

    def _judge_keyless(self, content: Content, result: dict[str, Any]) -> None:
        if result["status"] != "created":
            self._ledger.fault("status", f"a row without external_id was {result}")
        self._ledger.keyless[content.word] = (content, result["id"])
        self._ledger.counts["acknowledged"] += 1

    def _judge_row(self, external_id: str, content: Content, result: dict[str, Any], *, repeated: bool) -> None:
        """`repeated`: of rows of one key the last is written, and what the others answer is for the whole."""
        status = result["status"]
        entry = self._ledger.entry((self.source, external_id))
        possible: dict[str, bool] = {
            "created": None in entry.possible,
            "updated": any(state != content for state in entry.contents) or (repeated and bool(entry.contents)),
            "unchanged": content in entry.possible or (repeated and bool(entry.contents)),
        }
        if not possible.get(status):
            kind = "lost" if status == "created" else "resurrected" if not entry.contents else "status"
            self._ledger.fault(kind, f"{external_id} was {result}, possible: {entry.possible}")
        known = entry.job_id
        if status != "created" and known is not None and known != result["id"]:
            self._ledger.fault("duplicated", f"{external_id} was number {known} and is {result['id']}")
        self._acknowledged(entry, content, result["id"], None)

    def _acknowledged(self, entry: Entry, state: State, job_id: int | None, version: int | None) -> None:
        entry.settle(state, job_id=job_id, version=version)
        self._ledger.counts["acknowledged"] += 1

    async def _find(self, content: Content, entry: Entry) -> None:
        if self._rng.random() < FIND_SHARE:
            await self._searches.find(content, entry)

    async def _patch(self) -> None:
        """PATCH: the text or other fields, sometimes on the condition of the known version or of another."""
        key, entry = self._draw()
        if entry.job_id is None:
            return
        new = write_posting(self._rng)
        fields: dict[str, Any] = (
            {"title": new.title, "description": new.description} if self._rng.random() < 0.6 else {}
        )
        fields |= {"remote": new.remote, "salary_min": new.salary_min}
        headers, stale = {}, False
        if entry.version is not None and self._rng.random() < 0.5:
            stale = self._rng.random() < STALE_SHARE
            headers = {"If-Match": f'"{entry.version + stale}-done"'}
        answer = await self._caller.call("PATCH", f"/jobs/{entry.job_id}", 200, 404, 412, json=fields, headers=headers)
        after = [msgspec.structs.replace(content, **fields) for content in entry.contents]
        if answer is None:
            if not stale:
                entry.may_be(*after)
        elif answer.status_code == httpx.codes.NOT_FOUND:
            self._gone(key, entry)
        elif answer.status_code == httpx.codes.PRECONDITION_FAILED:
            if not stale:
                self._ledger.fault("lost", f"{key} is not at the version {entry.version}: {answer.text[:200]}")
        else:
            await self._patched(key, entry, after, answer.json(), stale=stale)

    async def _patched(
        self, key: Key, entry: Entry, after: list[Content], shown: dict[str, Any], *, stale: bool
    ) -> None:
        if stale:
            self._ledger.fault("status", f"{key} was changed on the condition of a version that it has not")
        now = next((content for content in after if content.equals(shown)), None)
        if now is None:
            self._ledger.fault("lost", f"{key} is {shown['title']!r} after a change, possible: {after}")
            return
        self._acknowledged(entry, now, shown["id"], shown["version"])
        await self._find(now, entry)

    async def _delete(self) -> None:
        """DELETE: 204, and never found again; 404 where it may have been done before."""
        key, entry = self._draw()
        if entry.job_id is None:
            return
        job_id, words = entry.job_id, [content.word for content in entry.contents]
        answer = await self._caller.call("DELETE", f"/jobs/{job_id}", 204, 404)
        if answer is None:
            entry.possible += [] if None in entry.possible else [None]
            entry.version = None
        elif answer.status_code == httpx.codes.NOT_FOUND:
            self._gone(key, entry)
        else:
            self._ledger.note_deleted(key)
            self._ledger.counts["acknowledged"] += 1
            await self._searches.miss(self._rng.choice(words), job_id)

    async def _fetch(self) -> None:
        """GET: what it holds now."""
        key, entry = self._draw()
        if entry.job_id is None:
            return
        answer = await self._caller.call("GET", f"/jobs/{entry.job_id}", 200, 404)
        if answer is None:
            return
        if answer.status_code == httpx.codes.NOT_FOUND:
            self._gone(key, entry)
            return
        shown = answer.json()
        now = next((content for content in entry.contents if content.equals(shown)), None)
        if now is None:
            self._ledger.fault("lost", f"{key} shows {shown['title']!r}, possible: {entry.possible}")
        else:
            entry.settle(now, job_id=shown["id"], version=shown["version"])

    def _gone(self, key: Key, entry: Entry) -> None:
        if None not in entry.possible:
            self._ledger.fault("lost", f"{key} is not there, possible: {entry.possible}")
        self._ledger.note_deleted(key)
