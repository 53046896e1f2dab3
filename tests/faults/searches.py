"""Searches of a client: is the answer in form, does it say truly how it was served, and is all that it shows so?"""

import itertools
import random
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.fake_ollama.clients import TLS
from tests.faults.calls import Caller
from tests.faults.ledger import Content, Entry, Ledger
from tests.faults.ollama import MUTE
from tests.faults.postings import write_query
from tests.faults.timeline import Timeline

NO_VECTORS = (MUTE, "ollama.gone", "ollama.held")
"""Spans in which nobody can embed a query that was not asked before."""
LOOKED_UP = 40
_NUMBER = itertools.count(1)
MODES = ("hybrid", "hybrid", "semantic", "lexical")


class Searches:
    """The searches of the client that alone writes the postings of `source`."""

    def __init__(self, caller: Caller, source: str, ledger: Ledger, timeline: Timeline) -> None:
        self._caller = caller
        self._source = source
        self._ledger = ledger
        self._timeline = timeline

    async def search(self, rng: random.Random) -> None:
        """Any search."""
        asked: dict[str, Any] = {"text": write_query(rng), "mode": rng.choice(MODES), "top_k": rng.choice((1, 10, 50))}
        if rng.random() < 0.4:
            asked["filters"] = {"source": [self._source]} | rng.choice(({}, {"remote": True}, {"location": "Nairobi"}))
        if rng.random() < 0.25:
            asked["on_degraded"] = "fail"
        if asked["mode"] == "semantic" and rng.random() < 0.5:
            asked["min_score"] = 0.0
        await self._ask(asked)

    async def find(self, content: Content, entry: Entry) -> None:
        """A posting that was acknowledged is found by its word at once."""
        asked = {"text": content.word, "mode": "lexical", "top_k": 100, "filters": {"source": [self._source]}}
        found = await self._ask(asked)
        if found is not None and all(hit["job"]["id"] != entry.job_id for hit in found):
            self._ledger.fault("lost", f"posting {entry.job_id} is not found by its word {content.word}")

    async def miss(self, word: str, job_id: int) -> None:
        """A posting that was deleted, or lost this word, is not found by it."""
        found = await self._ask({"text": word, "mode": "lexical", "top_k": 100})
        if found is not None and any(hit["job"]["id"] == job_id for hit in found):
            self._ledger.fault("resurrected", f"posting {job_id} is still found by {word}")

    async def _ask(self, asked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
        began = time.monotonic()
        answer = await self._caller.call("POST", "/search", 200, json=dict(asked))
        if answer is None:
            return None
        self._ledger.counts["searches"] += 1
        body = answer.json()
        hits: Sequence[Mapping[str, Any]] = body["results"]
        for complaint in (*_form(asked, body, hits), *_label(asked, body), *_filters(asked, hits)):
            self._ledger.fault("mislabelled", f"{complaint}: asked {dict(asked)}, answered {str(body)[:400]}")
        if body["mode"]["served"] != "lexical" and self._nobody_embeds(began):
            self._ledger.fault("mislabelled", f"served {body['mode']} while nothing could be embedded: {dict(asked)}")
        if body["degraded"] is not None:
            self._ledger.counts["degraded"] += 1
            self._ledger.counts[f"degraded {body['degraded']['reason']}"] += 1
        for hit in hits:
            self._ledger.check_shown(hit["job"], began, by_owner=self._source)
        return hits

    def _nobody_embeds(self, began: float) -> bool:
        now = time.monotonic()
        return any(self._timeline.covers(span, began, now) for span in NO_VECTORS)


def _form(asked: Mapping[str, Any], body: Mapping[str, Any], hits: Sequence[Mapping[str, Any]]) -> list[str]:
    scores = [hit["score"] for hit in hits]
    checks = {
        "ranks": [hit["rank"] for hit in hits] == list(range(1, len(hits) + 1)),
        "scores": all(0 <= score <= 1 + 1e-6 for score in scores) and scores == sorted(scores, reverse=True),
        "top_k": len(hits) <= asked.get("top_k", 10),
        "total": body["total"]["value"] >= len(hits),
        "twice": len({hit["job"]["id"] for hit in hits}) == len(hits),
    }
    return [name for name, holds in checks.items() if not holds]


def _label(asked: Mapping[str, Any], body: Mapping[str, Any]) -> list[str]:
    mode, degraded = body["mode"], body["degraded"]
    wanted = asked["mode"]
    by_words = mode["served"] == "lexical"
    checks = {
        "asked": mode["asked"] == wanted,
        "served": mode["served"] in {wanted, "lexical"},
        "degraded": (degraded is not None) == (by_words and wanted != "lexical"),
        "degraded though it was to fail": degraded is None or asked.get("on_degraded") != "fail",
        "model": (body["model"] is None) == by_words and (body["generation"] is None) == by_words,
        "reason": degraded is None or bool(degraded["reason"]),
        "since": degraded is None or datetime.fromisoformat(degraded["since"]) <= datetime.now(UTC),
    }
    return [name for name, holds in checks.items() if not holds]


def _filters(asked: Mapping[str, Any], hits: Sequence[Mapping[str, Any]]) -> list[str]:
    given = asked.get("filters", {})
    wrong = []
    for hit in hits:
        job = hit["job"]
        if "source" in given and job["source"] not in given["source"]:
            wrong.append("filter source")
        wrong += [f"filter {name}" for name in ("remote", "location") if name in given and job[name] != given[name]]
    return wrong


async def served_in_full(address: str) -> bool:
    """Whether a search by meaning that nobody has made before is served as asked."""
    return not await why_not_in_full(address)


async def why_not_in_full(address: str) -> str:
    """What is wrong with the answer to such a search; empty when nothing is."""
    async with httpx.AsyncClient(base_url=address, timeout=30, verify=TLS) as client:
        try:
            answer = await client.post("/api/v1/search", json={"text": f"solar panels {next(_NUMBER)}"})
        except httpx.TransportError as error:
            return repr(error)
    if answer.status_code != httpx.codes.OK:
        return f"{answer.status_code} {answer.text}"
    return "" if answer.json()["degraded"] is None else str(answer.json()["degraded"])


async def check_found(address: str, ledger: Ledger, rng: random.Random) -> None:
    """At the end, postings are found by their word among words and meanings, and nothing is degraded."""
    certain = list(ledger.certain_postings())
    async with httpx.AsyncClient(base_url=address, timeout=30, verify=TLS) as client:
        for (source, external_id), content, _ in rng.sample(certain, min(LOOKED_UP, len(certain))):
            asked = {"text": content.word, "mode": "hybrid", "top_k": 100, "filters": {"source": [source]}}
            body = (await client.post("/api/v1/search", json=asked)).json()
            if len(body["results"]) == asked["top_k"] and body["degraded"] is None:
                # The fake's vectors are so few numbers that a hundred others may be nearer; by its word it comes first.
                body = (await client.post("/api/v1/search", json=asked | {"mode": "lexical"})).json()
            if external_id not in {hit["job"]["external_id"] for hit in body["results"]}:
                told = {name: body[name] for name in ("mode", "degraded", "total", "warnings", "took_ms")}
                lowest = min((hit["score"] for hit in body["results"]), default=None)
                ledger.fault("lost", f"{external_id} of {source} is not found by {content.word}: {told}, from {lowest}")
            if body["degraded"] is not None:
                ledger.fault("mislabelled", f"degraded at the end: {body['degraded']}")
