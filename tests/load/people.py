"""What people and partners ask of the service, as requests, and what is wrong with an answer; knows no HTTP client.

Needs nothing but Python: `locustfile.py` runs where only locust is installed.
"""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

OCCUPATIONS = (
    *(
        "nurse",
        "paediatric nurse",
        "midwife",
        "accountant",
        "internal auditor",
        "truck driver",
        "tour guide",
        "plumber",
    ),
    *("solar technician", "electrician", "machine operator", "agronomist", "wildlife ranger", "veterinary surgeon"),
    *("maths teacher", "software engineer", "test analyst", "front office agent", "receptionist", "pharmacist"),
    *("beekeeper", "barista", "chef", "security guard", "cashier", "loan officer", "hairdresser", "lab technologist"),
)
WISHES = (
    *("part time", "internship", "remote", "entry level", "senior", "night shift", "county hospital", "with housing"),
    *(
        "who look after children",
        "for a large farm",
        "on a ship",
        "in a bank",
        "for a charity",
        "start up",
        "no degree",
    ),
)
PLACES = ("Nairobi", "Mombasa", "Kisumu", "Nakuru", "Eldoret", "Thika", "Lodwar", "Garissa", "Naivasha", "Meru")
POPULAR = tuple(f"{what} {wish}" for wish in WISHES for what in OCCUPATIONS)
"""What many ask for, the n-th about n times as seldom as the first."""
POPULAR_SHARE = 0.6
FILTERED_SHARE = 0.3
FACETED_SHARE = 0.2
BATCH = 20

Body = dict[str, Any]
Check = Callable[[Any], str]


class Call(NamedTuple):
    """One request: the name under which it is counted, and the statuses of good answers."""

    name: str
    method: str
    path: str
    body: Body | list[Body] | None = None
    headers: Mapping[str, str] = {}
    expected: tuple[int, ...] = (200,)


def search(dice: random.Random) -> Call:
    """A search as people type it: what many ask, or words of their own; some with a filter, some with facets."""
    if dice.random() < POPULAR_SHARE:
        text = POPULAR[int(len(POPULAR) ** dice.random()) - 1]
    else:
        text = f"{dice.choice(OCCUPATIONS)} {dice.choice(WISHES)} {dice.choice(PLACES)} {dice.randrange(1000)}"
    body: Body = {"text": text}
    if dice.random() < FILTERED_SHARE:
        body["filters"] = dice.choice(({"location": dice.choice(PLACES)}, {"source": ["linkedin"]}, {"active": True}))
    if dice.random() < FACETED_SHARE:
        body["facets"] = ["company", "location"]
    return Call("search", "POST", "/api/v1/search", body)


def next_results(before: Call, cursor: str) -> Call:
    """The page behind a search."""
    assert isinstance(before.body, dict)
    return before._replace(name="search, next page", body=before.body | {"cursor": cursor})


def listing(dice: random.Random) -> Call:
    """The newest postings, or those of them that have not ended."""
    query = {"limit": "20"} | ({"active": "true"} if dice.random() < 0.5 else {})
    return Call("list", "GET", f"/api/v1/jobs?{urlencode(query)}")


def next_items(before: Call, cursor: str) -> Call:
    """The page behind a list; a cursor goes with the filters that it was given for."""
    return before._replace(name="list, next page", path=f"{before.path.split('&cursor=')[0]}&cursor={cursor}")


def opening(job_id: int, tag: str | None = None) -> Call:
    """One posting; with the tag that it had, nothing comes if it is as it was. It may be gone meanwhile."""
    path = f"/api/v1/jobs/{job_id}"
    if tag is None:
        return Call("open", "GET", path, expected=(200, 404))
    return Call("open again", "GET", path, headers={"If-None-Match": tag}, expected=(200, 304, 404))


def similar(job_id: int) -> Call:
    """What else is like it."""
    return Call("similar", "GET", f"/api/v1/jobs/{job_id}/similar?top_k=5", expected=(200, 404))


def posting(dice: random.Random, source: str) -> Body:
    """A posting that nobody else sends."""
    what, place = dice.choice(OCCUPATIONS), dice.choice(PLACES)
    return {
        "title": f"{what.capitalize()} (load test)",
        "company": f"Load Test {dice.randrange(50)}",
        "source": source,
        "external_id": f"load-{dice.getrandbits(64):016x}",
        "description": f"We look for a {what} in {place}, {dice.choice(WISHES)}. "
        + " ".join(dice.choices(WISHES, k=20)),
        "location": place,
        "employment_type": dice.choice(("full_time", "part_time", "contract")),
        "salary_min": dice.randrange(20, 90) * 1000,
        "currency": "KES",
        "salary_period": "month",
    }


def creation(dice: random.Random, source: str) -> Call:
    """A new posting, under a key that makes it safe to send again."""
    key = str(UUID(int=dice.getrandbits(128), version=4))
    return Call("create", "POST", "/api/v1/jobs", posting(dice, source), {"Idempotency-Key": key}, (201,))


def again(before: Call) -> Call:
    """The same request once more, as a client does that got no answer."""
    return before._replace(name=f"{before.name} again")


def amendment(dice: random.Random, job_id: int, tag: str) -> Call:
    """Another text for a posting of one's own, unless somebody else has changed it."""
    body = {"description": f"Changed: {' '.join(dice.choices(WISHES, k=12))}."}
    return Call("amend", "PATCH", f"/api/v1/jobs/{job_id}", body, {"If-Match": tag})


def batch(dice: random.Random, source: str) -> Call:
    """Some new postings at once."""
    return Call("batch of 20", "POST", "/api/v1/jobs/batch", [posting(dice, source) for _ in range(BATCH)])


def withdrawal(job_id: int) -> Call:
    """One's own posting is taken back."""
    return Call("withdraw", "DELETE", f"/api/v1/jobs/{job_id}", expected=(204, 404))


def fault_of(call: Call, status: int, content: bytes, check: Check | None = None) -> str:
    """What is wrong with an answer, in few different words, or nothing; `check` looks at the decoded body."""
    if status == 0:
        return "no answer"
    if status not in call.expected:
        return f"{status} {_code_of(content)}".rstrip()
    if status not in (200, 201) or check is None:
        return ""
    try:
        return check(json.loads(content))
    except (ValueError, LookupError, TypeError) as error:
        return f"not the answer that is documented: {type(error).__name__}"


def _code_of(content: bytes) -> str:
    try:
        return str(json.loads(content)["code"])
    except (ValueError, LookupError, TypeError):
        return ""


def whole(answer: Any) -> str:
    """A search must be served as it was asked for: words alone, while the embedder is slow, are a fault here."""
    return f"degraded: {answer['degraded']['reason']}" if answer["degraded"] else ""


def fresh(seen: set[int], ids: list[int]) -> str:
    """A page must hold nothing that a page before it held; `seen` takes it in."""
    repeated = seen.intersection(ids) or len(set(ids)) < len(ids)
    seen.update(ids)
    return "a posting came twice" if repeated else ""


def ids_of_results(answer: Any) -> list[int]:
    """The postings of an answer to a search."""
    return [hit["job"]["id"] for hit in answer["results"]]


def ids_of_items(answer: Any) -> list[int]:
    """The postings of a page of the list."""
    return [job["id"] for job in answer["items"]]
