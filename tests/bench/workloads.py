"""The workloads: what each side is asked, the same of all three, and what counts as a unit of work."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import count, islice
from random import Random
from typing import Any

import msgspec

from service.jobs import queries as job_queries
from service.jobs.prepare import fold
from tests.bench import limit
from tests.bench.corpus import posting, search_text, zipf_numbers
from tests.bench.exporting import copied_out, downloaded
from tests.bench.fill import job_columns, job_record, stored
from tests.bench.stand import CONNECTIONS, Stand
from tests.bench.turn import Turn
from tests.load.generator import closed_loop, get, post

SERVICES = ("jobsense", "reference")
SEARCH, JOBS = "/api/v1/search", "/api/v1/jobs"
MOST_SEARCHES, MOST_READS, MOST_WRITES, MOST_STATEMENTS = 3000, 8000, 4000, 30_000
"""More a second than anybody will do: so many requests are built before a turn."""
DISTINCT, EXPONENT, REPEATED = 10_000, 1.0, 10**9
"""Repeated searches: so many texts, the n-th most frequent with a share of 1 / n, and their first number."""
PLACE, KIND = "Nairobi", "full_time"
FILTERS: dict[str, Any] = {"location": PLACE, "employment_type": [KIND]}
FACETS = ("source", "company")
PAGES = 50
BATCH, WRITERS, BATCHES = 1000, 2, 6
NEW = "jobwebkenya"
LONGEST_S = 300.0

Ready = Callable[[], Awaitable[Turn]]
Side = Callable[[float, int], Ready]
"""Builds the requests for so many seconds of a round, for a turn that then only sends them.

The number of the round makes every turn another one, the same for all sides.
"""


class Workload(msgspec.Struct):
    """What is measured: the sides, and what is done before and after the turn of each."""

    name: str
    title: str
    unit: str
    sides: dict[str, Side]
    before: Callable[[float, int], Awaitable[None]] | None = None
    after: Callable[[], Awaitable[None]] | None = None
    notes: dict[str, str] = {}


Requests = Callable[[str, int], Iterator[bytes]]
"""The requests of a round, for the address of a side."""


def _http(stand: Stand, side: str, requests: Requests, *, most: int, status: int = 200) -> Side:
    """A closed loop of clients at a service; at most so many requests a second, which are built beforehand."""

    def build(seconds: float, number: int) -> Ready:
        address = stand.address[side]
        built = list(islice(requests(address, number), int(most * seconds)))

        async def turn() -> Turn:
            requests = iter(built)
            report = await closed_loop(address, requests, clients=CONNECTIONS, seconds=seconds, count=len(built) - 1)
            return Turn.of_report(report, status=status)

        return turn

    return build


def _bare(stand: Stand, calls: Callable[[int], Iterator[limit.Call]], *, most: int) -> Side:
    """The statement alone, on as many connections; at most so many a second, whose arguments are made beforehand."""

    def build(seconds: float, number: int) -> Ready:
        built = list(islice(calls(number), int(most * seconds)))
        return lambda: limit.loop(stand.bare, iter(built), seconds=seconds, most=len(built))

    return build


def _both(stand: Stand, requests: Requests, *, most: int, status: int = 200) -> dict[str, Side]:
    return {side: _http(stand, side, requests, most=most, status=status) for side in SERVICES}


def _texts(seconds: float, number: int) -> list[str]:
    """Texts that no other round has."""
    block = int(60 * MOST_SEARCHES)
    return [search_text(number * block + each) for each in range(int(seconds * MOST_SEARCHES))]


def _zipf_texts(seconds: float, number: int) -> list[str]:
    drawn = zipf_numbers(distinct=DISTINCT, exponent=EXPONENT, seed=number)
    return [search_text(REPEATED + each) for each in islice(drawn, int(seconds * MOST_SEARCHES))]


Texts = Callable[[float, int], list[str]]


def _searching(stand: Stand, name: str, title: str, texts: Texts, **fields: Any) -> Workload:
    """Searches of texts that the model server has answers ready for, so that its own time is out of the account."""
    ready: list[str] = []

    async def before(seconds: float, number: int) -> None:
        ready[:] = texts(seconds, number)
        await stand.knobs(known=[f"search_query: {text}" for text in dict.fromkeys(ready)])

    def requests(address: str, _number: int) -> Iterator[bytes]:
        return (post(address, SEARCH, {"text": text, **fields}) for text in ready)

    def statements(_number: int) -> Iterator[limit.Call]:
        now = datetime.now(UTC)
        if fields["mode"] == "semantic":
            return limit.searches(ready, stand.ef_search, now)
        filters = {"location": fold(PLACE), "employment_type": (KIND,)}
        return limit.hybrid_searches(ready, stand.ef_search, now, filters=filters, facets=FACETS, exact=True)

    sides = _both(stand, requests, most=MOST_SEARCHES) | {"limit": _bare(stand, statements, most=MOST_STATEMENTS)}
    return Workload(name, title, "searches", sides, before=before)


def semantic_distinct(stand: Stand) -> Workload:
    """Semantic searches, no text twice."""
    return _searching(stand, "semantic", "semantic search, distinct queries", _texts, mode="semantic")


def semantic_zipf(stand: Stand) -> Workload:
    """Semantic searches of texts that are repeated as people repeat them."""
    return _searching(stand, "zipf", "semantic search, Zipf-repeated queries", _zipf_texts, mode="semantic")


def hybrid(stand: Stand) -> Workload:
    """Hybrid searches with filters and facets, no text twice."""
    more: dict[str, Any] = {"mode": "hybrid", "filters": FILTERS, "facets": FACETS}
    return _searching(stand, "hybrid", "hybrid search, filters and facets", _texts, **more)


def get_one(stand: Stand) -> Workload:
    """Postings by their numbers, any of them."""

    def ids(number: int) -> Iterator[int]:
        dice = Random(number)  # noqa: S311 - which posting is read, no secrets
        while True:
            yield dice.randint(1, stand.postings)

    def statements(number: int) -> Iterator[limit.Call]:
        return limit.repeated(
            job_queries.fetch_job, ({"tenant_id": limit.TENANT, "job_id": each} for each in ids(number))
        )

    sides = _both(
        stand, lambda address, number: (get(address, f"{JOBS}/{each}") for each in ids(number)), most=MOST_READS
    )
    return Workload("get", "get one", "postings", sides | {"limit": _bare(stand, statements, most=MOST_STATEMENTS)})


def list_20(stand: Stand) -> Workload:
    """Pages of twenty, one of the first fifty; each side's own cursors lead there."""
    cursors: dict[str, list[str]] = {}

    async def walk(_seconds: float, _number: int) -> None:
        for side in SERVICES:
            if side not in cursors:
                cursors[side] = []
                for _ in range(PAGES):
                    after = f"&cursor={cursors[side][-1]}" if cursors[side] else ""
                    page = (await stand.ask(side, "GET", f"{JOBS}?limit=20{after}")).json()
                    cursors[side].append(page["next_cursor"])

    def requests(side: str) -> Requests:
        def made(address: str, number: int) -> Iterator[bytes]:
            dice = Random(number)  # noqa: S311 - which page is read, no secrets
            pages = [get(address, f"{JOBS}?limit=20&cursor={cursor}") for cursor in cursors[side]]
            while True:
                yield dice.choice(pages)

        return made

    def statements(number: int) -> Iterator[limit.Call]:
        dice = Random(number)  # noqa: S311 - which page is read, no secrets
        given = {"tenant_id": limit.TENANT, "count": 21, "now": datetime.now(UTC), "unpriced": False}
        ends = (stand.postings - 20 * dice.randint(1, PAGES) + 1 for _ in count())
        return limit.repeated(job_queries.list_jobs, (given | {"before": end} for end in ends))

    sides = {side: _http(stand, side, requests(side), most=MOST_READS) for side in SERVICES}
    return Workload(
        "list", "list of 20", "pages", sides | {"limit": _bare(stand, statements, most=MOST_STATEMENTS)}, before=walk
    )


class _Numbers:
    """Numbers of postings that nobody has stored yet, for whoever asks."""

    def __init__(self, first: int) -> None:
        self._numbers = count(first)

    def take(self, most: int) -> list[int]:
        """The next ones."""
        return list(islice(self._numbers, most))


def create(stand: Stand) -> Workload:
    """Postings one by one, each with its words and its task."""
    numbers = _Numbers(2 * 10**6)

    def requests(address: str, _number: int) -> Iterator[bytes]:
        while True:
            (number,) = numbers.take(1)
            yield post(address, JOBS, posting(number, source=NEW))

    def statements(_number: int) -> Iterator[limit.Call]:
        while True:
            (number,) = numbers.take(1)
            yield from limit.repeated(job_queries.upsert_jobs, iter([_upserted(number)]))

    sides = _both(stand, requests, most=MOST_WRITES, status=201) | {"limit": _bare(stand, statements, most=MOST_WRITES)}
    return Workload("create", "create (with its task)", "postings", sides, after=stand.forget_new)


def _upserted(number: int) -> dict[str, Any]:
    rows = msgspec.json.encode([stored(number, source=NEW)]).decode()
    return {"tenant_id": limit.TENANT, "rows": rows, "replace": False, "now": datetime.now(UTC)}


def batch(stand: Stand) -> Workload:
    """Batches of a thousand, two at a time; against COPY into the same table."""
    numbers = _Numbers(10**7)

    def http(side: str) -> Side:
        def build(_seconds: float, _number: int) -> Ready:
            address = stand.address[side]
            chunks = [[posting(each, source=NEW) for each in numbers.take(BATCH)] for _ in range(BATCHES)]
            requests = iter([post(address, f"{JOBS}/batch", chunk) for chunk in chunks])

            async def turn() -> Turn:
                most: dict[str, Any] = {"seconds": LONGEST_S, "patience_s": LONGEST_S, "count": BATCHES}
                report = await closed_loop(address, requests, clients=WRITERS, **most)
                return Turn.of_report(report, status=200, units_each=BATCH)

            return turn

        return build

    def copy(_seconds: float, _number: int) -> Ready:
        chunks = [
            [job_record(stored(each, source=NEW), 10**9 + each) for each in numbers.take(BATCH)] for _ in range(BATCHES)
        ]

        def into(records: list[tuple[Any, ...]]) -> limit.Call:
            return lambda connection: connection.copy_records_to_table(
                "job", columns=list(job_columns()), records=records
            )

        calls = iter([into(chunk) for chunk in chunks])

        async def turn() -> Turn:
            made = await limit.loop(stand.bare[:WRITERS], calls, seconds=LONGEST_S, most=BATCHES)
            return msgspec.structs.replace(made, units=made.units * BATCH)

        return turn

    sides: dict[str, Side] = {side: http(side) for side in SERVICES}
    title = "batch ingest, rows without vectors"
    return Workload("batch", title, "postings", sides | {"limit": copy}, after=stand.forget_new)


def export(stand: Stand) -> Workload:
    """The whole table as CSV, one reader at a time; against COPY of the same columns."""

    def http(side: str) -> Side:
        return lambda seconds, _number: partial(downloaded, stand.address[side], seconds=seconds, rows=stand.postings)

    def copy(seconds: float, _number: int) -> Ready:
        return partial(copied_out, stand.bare[0], seconds=seconds, rows=stand.postings)

    sides: dict[str, Side] = {side: http(side) for side in SERVICES}
    return Workload("export", "export CSV", "postings", sides | {"limit": copy})


WORKLOADS: tuple[Callable[[Stand], Workload], ...] = (
    *(semantic_distinct, semantic_zipf, hybrid, get_one, list_20, create, batch, export),
)
