"""Three tenants who try to see one another's things: what each does, and what no answer to it may hold.

Each tenant marks all that it writes with a word of its own; the tenants share everything else, so that what one asks
would find the others' rows, were it let. What a tenant asks of another's things is compared with what it asks of things
that do not exist: the two answers may differ in nothing but the number that was asked for.

A new endpoint gets an action here: a method of Tenants in ACTIONS.
"""

import csv
import io
import json
import re
from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Any

import httpx
import msgspec

from tests.api.calls import JOBS, SEARCH
from tests.conftest import Service

MARKS = ("zebrawood", "quicksilver", "moonflower")
"""A word for each tenant, in every text that it writes; no stem of another word here."""
WORDS = ("cook", "driver", "nurse", "welder")
SOURCES = ("linkedin", "brightermonday")
MISSING = 9_000_000_000
"""The number of no posting."""
VOLATILE = ("request_id", "trace_id", "instance", "took_ms")
OF_REQUEST = ("x-request-id", "traceresponse", "server-timing", "date")


class Tenants:
    """Three tenants on one application, and what each of them has."""

    def __init__(self, api: Service, keys: list[str]) -> None:
        self.api = api
        self.keys = keys
        self.owner: dict[int, int] = {}
        self.etags: dict[int, str] = {}
        self.kept: set[tuple[int, int]] = set()
        self.cursors: list[tuple[int, str, str]] = []
        self.asked: set[tuple[str, str]] = set()

    async def send(self, who: int, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request of a tenant; nothing of the others may be in the answer, headers included."""
        headers = {"X-API-Key": self.keys[who]} | more.pop("headers", {})
        answer = await self.api.client.request(method, path, headers=headers, **more)
        assert answer.status_code < 500, answer.text
        seen = answer.text + str(sorted(answer.headers.items()))
        assert not [mark for no, mark in enumerate(MARKS) if no != who and mark in seen.lower()], (method, path, seen)
        for found in _ids(answer):
            assert self.owner.get(found, who) == who, (method, path, found)
        route = re.sub(r"/\d+(?=/|$)", "/{job_id}", re.sub(r"/admin/keys/\w+", "/admin/keys/{key_id}", path))
        self.asked.add((method, route.partition("?")[0]))
        return answer

    def own(self, who: int) -> list[int]:
        """The postings of a tenant."""
        return [job_id for job_id, owner in self.owner.items() if owner == who]

    def pick(self, draw: int, who: int | None = None) -> int | None:
        """A posting of a tenant, or of whomever."""
        those = list(self.owner) if who is None else self.own(who)
        return those[draw % len(those)] if those else None

    async def create(self, who: int, draw: int) -> None:
        """POST: a (source, external_id) of another tenant is no conflict, and its Idempotency-Key replays nothing."""
        headers = {"Idempotency-Key": f"k-{draw}"} if draw % 3 == 0 else {}
        answer = await self.send(who, "POST", JOBS, json=_posting(who, draw), headers=headers)
        if "idempotent-replayed" in answer.headers:
            assert (who, draw) in self.kept
        elif headers:
            self.kept.add((who, draw))
        if answer.status_code == 201 and "idempotent-replayed" not in answer.headers:
            self.owner[answer.json()["id"]] = who
            self.etags[answer.json()["id"]] = answer.headers["etag"]
        elif answer.status_code != 201:
            assert answer.json()["code"] == "job_exists"

    async def batch(self, who: int, draw: int) -> None:
        """POST of several, which replaces one's own alone."""
        rows = [_posting(who, draw + step) for step in range(3)]
        for result in (await self.send(who, "POST", f"{JOBS}/batch", json=rows)).json()["results"]:
            self.owner.setdefault(result["id"], who)
            assert self.owner[result["id"]] == who

    async def list_jobs(self, who: int, draw: int) -> None:
        """A list has one's own, all of them, and so has each page."""
        query: dict[str, Any] = {"limit": 1 + draw % 3} | ({"keyword": WORDS[draw % 4]} if draw % 2 else {})
        page = (await self.send(who, "GET", JOBS, params=query)).json()
        if page["next_cursor"]:
            self.cursors.append((who, str(httpx.URL(JOBS, params=query)), page["next_cursor"]))
        everything = (await self.send(who, "GET", JOBS, params={"limit": 100})).json()
        assert sorted(job["id"] for job in everything["items"]) == sorted(self.own(who))

    async def export(self, who: int, draw: int) -> None:
        """An export has one's own, all of them, in each form."""
        form = ("csv", "ndjson")[draw % 2]
        text = (await self.send(who, "GET", f"/api/v1/export/jobs.{form}")).text
        rows = csv.DictReader(io.StringIO(text, newline="")) if form == "csv" else map(json.loads, text.splitlines())
        assert [int(row["id"]) for row in rows] == sorted(self.own(who))

    async def page_on(self, who: int, draw: int) -> None:
        """A cursor of another tenant leads to nothing of theirs."""
        if self.cursors:
            _, path, cursor = self.cursors[draw % len(self.cursors)]
            answer = await self.send(who, "GET", f"{path}&cursor={cursor}")
            assert answer.status_code in (200, 410)

    async def touch(self, who: int, draw: int) -> None:
        """Another's posting answers every method and condition as one that does not exist."""
        job_id = self.pick(draw)
        if job_id is None:
            return
        method, path, body = (
            ("GET", "", None),
            ("PATCH", "", {"title": f"Taken over by {MARKS[who]}"}),
            ("DELETE", "", None),
            ("GET", "/similar", None),
        )[draw % 4]
        etag = self.etags.get(job_id, '"1-pending"')
        headers = ({}, {"If-None-Match": etag}, {"If-Match": etag}, {"If-None-Match": "*"}, {"If-Match": "*"})[draw % 5]
        more: dict[str, Any] = {"headers": headers} | ({} if body is None else {"json": body})
        answer = await self.send(who, method, f"{JOBS}/{job_id}{path}", **more)
        if self.owner[job_id] != who:
            nothing = await self.send(who, method, f"{JOBS}/{MISSING}{path}", **more)
            assert answer.status_code == 404
            assert _comparable(answer, job_id) == _comparable(nothing, MISSING)
        elif answer.status_code == 204:
            del self.owner[job_id]
        elif "etag" in answer.headers:
            self.etags[job_id] = answer.headers["etag"]

    async def search(self, who: int, draw: int) -> None:
        """Hits, totals, facets, explanations and highlights are of one's own in every mode, pages too."""
        mode = ("hybrid", "semantic", "lexical")[draw % 3]
        asked: dict[str, Any] = {
            "text": f"{WORDS[draw % 4]} {MARKS[draw % 3]}" if draw % 2 else WORDS[draw % 4],
            "mode": mode,
            "min_score": 0,
            "top_k": 1 + draw % 7,
            "facets": ["source", "company", "location", "employment_type", "currency"],
            "explain": True,
            "highlight": True,
        }
        if draw % 5 == 0:
            asked["filters"] = {"company": ["Jua Kali " + MARKS[(who + 1) % 3]]}
            assert (await self.send(who, "POST", SEARCH, json=asked)).json()["results"] == []
            return
        found = (await self.send(who, "POST", SEARCH, json=asked)).json()
        most = len(self.own(who))
        assert found["total"]["value"] <= most
        assert all(one["count"] <= most for one in chain(*found["facets"].values()))
        if found["next_cursor"]:
            other = (who + 1 + draw % 2) % 3
            answer = await self.send(other, "POST", SEARCH, json=asked | {"cursor": found["next_cursor"]})
            assert answer.status_code in (200, 410)
            query = {"q": asked["text"], "mode": mode, "top_k": 5}
            await self.send(other, "GET", SEARCH, params=query)

    async def search_many(self, who: int, draw: int) -> None:
        """So are those of a batch."""
        searches = [{"text": WORDS[(draw + step) % 4], "mode": mode} for step, mode in enumerate(("hybrid", "lexical"))]
        results = (await self.send(who, "POST", f"{SEARCH}/batch", json={"searches": searches})).json()["results"]
        assert all(one["total"]["value"] <= len(self.own(who)) for one in results)

    async def match(self, who: int, draw: int) -> None:
        """And the postings that fit a profile, with their passages."""
        text = f"I have worked as a {WORDS[draw % 4]} and as a {WORDS[(draw + 1) % 4]} for years."
        await self.send(who, "POST", "/api/v1/match", json={"text": text, "min_score": 0, "top_k": 100})

    async def stats(self, who: int, draw: int) -> None:
        """Counts are of one's own, whoever asked before: what is kept is kept for each tenant."""
        del draw
        self.api.parts.jobs.stats._kept.pop(await self._tenant_id(who), None)
        for one in (who, (who + 1) % 3, who):
            answer = await self.send(one, "GET", "/api/v1/stats")
            assert "private" in answer.headers["cache-control"]
            if one == who:
                assert answer.json()["jobs"] == len(self.own(who))

    async def embed(self, who: int, draw: int) -> None:
        """Nothing that is asked; from now on meaning finds what was written."""
        del who, draw
        await self.api.embed()

    async def administer(self, who: int, draw: int) -> None:
        """The state of the service and the keys: of another tenant none is there."""
        listed = (await self.send(who, "GET", "/api/v1/admin/keys")).json()["items"]
        assert {key["tenant"] for key in listed} == {f"t{who}"}
        theirs = self.keys[(who + 1) % 3].split("_")[1]
        method, path = (("GET", ""), ("DELETE", ""), ("POST", "/rotate"))[draw % 3]
        answer = await self.send(who, method, f"/api/v1/admin/keys/{theirs}{path}")
        nothing = await self.send(who, method, f"/api/v1/admin/keys/0123456789ab{path}")
        assert answer.status_code == 404
        assert _comparable(answer, theirs) == _comparable(nothing, "0123456789ab")
        made = {"name": f"{MARKS[who]} key", "scopes": ["search"]}
        if draw % 4 == 0:
            await self.send(who, "POST", "/api/v1/admin/keys", json=made)
        await self.send(who, "GET", "/api/v1/admin/stats")
        assert (await self.send(who, "GET", "/api/v1/profile")).json()["tenant"] == f"t{who}"

    async def go_wrong(self, who: int, draw: int) -> None:
        """Texts of errors, and rates, which all tenants share."""
        body = _posting(who, draw) | {"salary_min": -1, "unknown": 1}
        assert (await self.send(who, "POST", JOBS, json=body)).status_code == 422
        await self.send(who, "GET", JOBS, params={"cursor": "rubbish", "limit": 0})
        await self.send(who, "GET", "/api/v1/rates", params={"base": "KES"})

    async def _tenant_id(self, who: int) -> int:
        return (await self.api.parts.access.caller(self.keys[who], None)).tenant_id


ACTIONS: list[Callable[[Tenants, int, int], Awaitable[None]]] = [
    Tenants.create,
    Tenants.create,
    Tenants.batch,
    Tenants.list_jobs,
    Tenants.page_on,
    Tenants.export,
    Tenants.touch,
    Tenants.touch,
    Tenants.search,
    Tenants.search,
    Tenants.search_many,
    Tenants.match,
    Tenants.stats,
    Tenants.embed,
    Tenants.administer,
    Tenants.go_wrong,
]


def _posting(who: int, draw: int) -> dict[str, Any]:
    """A posting: the same source and external_id for all tenants, the mark in every text."""
    word, mark = WORDS[draw % 4], MARKS[who]
    return {
        "title": f"Head {word} {mark}",
        "company": f"Jua Kali {mark}",
        "source": SOURCES[draw % 2],
        "external_id": f"x-{draw % 6}",
        "description": f"You work as a {word} with {WORDS[(draw + 1) % 4]} duties. {mark}",
        "location": f"Kisumu {mark}",
        "employment_type": f"full-time {mark}",
        "url": f"https://{mark}.example/{draw}",
    }


def _ids(answer: httpx.Response) -> list[int]:
    """Numbers of postings anywhere in an answer."""
    found = [int(one) for one in re.findall(r"/jobs/(\d+)", answer.headers.get("location", ""))]
    if not answer.content or not answer.headers.get("content-type", "").startswith("application/json"):
        return found
    pending: list[Any] = [answer.json()]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            found += [value for name, value in one.items() if name in ("id", "job_id") and isinstance(value, int)]
            pending += one.values()
        elif isinstance(one, list):
            pending += one
    return found


def _comparable(answer: httpx.Response, asked_for: object) -> tuple[Any, Any]:
    """An answer without what differs from request to request, and the number or id that was asked for."""
    told = msgspec.json.decode(answer.text.replace(str(asked_for), "it"))
    body = {name: value for name, value in told.items() if name not in VOLATILE}
    headers = {name: value for name, value in answer.headers.items() if name not in (*OF_REQUEST, "content-length")}
    return body, headers
