"""POST /jobs/batch: every row answered by itself, in order; keys, limits, both formats, and races."""

import asyncio
import itertools
import json
import time
from typing import Any

import httpx
import msgspec
import pytest

from service.db import Database
from service.jobs.batch import _read, store_rows
from service.jobs.model import JobInput
from tests.api.calls import JOBS, create, faults, fetch, found_ids, problem, search
from tests.conftest import Service
from tests.factories import job_body

BATCH = f"{JOBS}/batch"
NDJSON = {"content-type": "application/x-ndjson"}


async def batch(api: Service, rows: list[Any]) -> list[dict[str, Any]]:
    """Send rows as a JSON array; their results."""
    answer = await api.client.post(BATCH, json=rows)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["results"]
    results: list[dict[str, Any]] = answer.json()["results"]
    assert [result["index"] for result in results] == list(range(len(rows)))
    return results


def statuses(results: list[dict[str, Any]]) -> list[str]:
    """What became of each row."""
    return [result["status"] for result in results]


async def test_rows_are_created_updated_and_left_alone(api: Service) -> None:
    """A row is created, replaces what has its key, or changes nothing; each result has the posting's id."""
    old = await create(api, external_id="old")
    same = job_body(external_id="same")
    kept = await create(api, **same)
    results = await batch(api, [job_body(external_id="old", title="New title"), same, job_body()])
    assert statuses(results) == ["updated", "unchanged", "created"]
    assert [result["id"] for result in results[:2]] == [old["id"], kept["id"]]
    assert all("errors" not in result for result in results)
    assert (await fetch(api, old["id"]))["version"] == 2
    assert await fetch(api, kept["id"]) == kept


async def test_a_row_replaces_the_whole_posting(api: Service) -> None:
    """What an upsert leaves out is gone afterwards: it is a replacement, no patch."""
    old = await create(api, external_id="whole", remote=True, salary_min=1, posted_at="2026-01-01T00:00:00Z")
    row = {"title": "Bare title", "company": "X", "source": "linkedin", "external_id": "whole"}
    assert statuses(await batch(api, [row])) == ["updated"]
    read = await fetch(api, old["id"])
    assert {read[name] for name in ("description", "location", "remote", "salary_min", "posted_at")} == {None}
    assert (read["created_at"], read["id"]) == (old["created_at"], old["id"])
    assert read["updated_at"] > old["updated_at"]


async def test_the_last_row_of_a_key_wins(api: Service) -> None:
    """Rows of one key count in order; the earlier ones answer with the same posting."""
    rows = [
        job_body(external_id="twice", title=title, description=None) for title in ("First", "Second", "Second", "Third")
    ]
    results = await batch(api, [*rows, job_body(external_id="twice", source="jobwebkenya")])
    assert statuses(results) == ["created", "updated", "unchanged", "updated", "created"]
    assert len({result["id"] for result in results[:4]}) == 1
    read = await fetch(api, results[0]["id"])
    assert read["title"] == "Third"
    assert results[4]["id"] != read["id"]


async def test_rows_without_external_id_are_always_created(api: Service) -> None:
    """Equal rows without an external_id are postings of their own."""
    row = job_body(external_id=None)
    results = await batch(api, [row, row, {**row, "external_id": None}])
    assert statuses(results) == ["created"] * 3
    assert len({result["id"] for result in results}) == 3


async def test_one_bad_row_does_not_sink_the_rest(api: Service) -> None:
    """Rows that are no postings, break a rule or hold what cannot be stored are rejected with every fault of theirs."""
    bad: list[Any] = [
        {},
        job_body(title="a", company="", extra=1),
        job_body(source="monster", currency="XXQ", salary_min=2, salary_max=1),
        job_body(title="a\u0000b"),
        job_body(posted_at="0001-01-01T00:00:00+14:00"),
        None, 7, "row", [], [job_body()], {"title": {}},
    ]  # fmt: skip
    rows = [row for one in bad for row in (one, job_body())]
    results = await batch(api, rows)
    assert statuses(results) == ["rejected", "created"] * len(bad)
    wrong = [{error["pointer"]: error["code"] for error in result["errors"]} for result in results[::2]]
    assert wrong[0] == {"/title": "missing", "/company": "missing", "/source": "missing"}
    assert wrong[1] == {"/title": "invalid", "/company": "invalid", "/extra": "unknown"}
    assert set(wrong[2].values()) == {"source_not_accepted", "unknown_currency", "salary_out_of_order"}
    assert wrong[3:5] == [{"/title": "unstorable_text"}, {"/posted_at": "out_of_range"}]
    assert wrong[5:10] == [{"": "invalid"}] * 5
    assert all("id" not in result for result in results[::2])


async def test_half_a_character_sinks_its_own_row(shared: Service) -> None:
    """Half a surrogate pair, anywhere in a row of an array, rejects that row; those around it are stored."""
    first, last = json.dumps(job_body()), json.dumps(job_body())
    halves = [json.dumps(job_body(title="x\ud83d")), json.dumps(job_body(description="\udc4d x")), '{"\\udfff": 1}']
    body = f"[{first},{','.join(halves)},{last}]".encode()
    answer = await shared.client.post(BATCH, content=body, headers={"content-type": "application/json"})
    results = answer.json()["results"]
    assert statuses(results) == ["created", "rejected", "rejected", "rejected", "created"]
    assert [result["errors"][0]["code"] for result in results[1:4]] == ["unstorable_text"] * 3
    assert [result["errors"][0]["pointer"] for result in results[1:4]] == ["/title", "/description", "/?"]
    assert "half of a surrogate pair" in results[1]["errors"][0]["detail"]


async def test_a_thousand_rows_and_no_more(api: Service) -> None:
    """1,000 rows are stored, and the same again change nothing; 1,001 are refused and none is stored."""
    rows = [job_body(external_id=f"row-{number}") for number in range(1000)]
    assert statuses(await batch(api, rows)) == ["created"] * 1000
    assert statuses(await batch(api, rows)) == ["unchanged"] * 1000
    refused = await api.client.post(BATCH, json=[*rows, job_body(external_id="too-many")])
    assert faults(refused) == {"": "too_many"}
    assert (await api.client.get(JOBS, params={"limit": 1})).json()["items"][0]["external_id"] == "row-999"


async def test_the_edges_of_an_array(shared: Service) -> None:
    """An empty array has no results; what is no array is refused; broken JSON is 400, and stores nothing."""
    assert await batch(shared, []) == []
    for content in (b"{}", b'{"jobs":[]}', b'"x"', b"null", b"1"):
        answer = await shared.client.post(BATCH, content=content, headers={"content-type": "application/json"})
        assert faults(answer) == {"": "invalid"}
    for content in (b'[{"title":', b"[1,]", b"[\xff]", b"", b"[" * 5000, b"nan"):
        answer = await shared.client.post(BATCH, content=content, headers={"content-type": "application/json"})
        problem(answer, 400, "unreadable_body")
    other = await shared.client.post(BATCH, content=b"a,b", headers={"content-type": "text/csv"})
    problem(other, 415, "unsupported_media_type")


async def test_ndjson_in_gives_ndjson_out(shared: Service) -> None:
    """Lines are answered line by line; a broken line is rejected by itself, an empty one passed over."""
    lines = [job_body(), {"title": "a"}, job_body(title="Zwölfte 👩\u200d🍳")]
    text = [json.dumps(line).encode() for line in lines]
    body = b"\n".join([text[0], b"", b'{"title": "broken', text[1], b"\xff\xfe", b"  ", text[2], b"\r"])
    answer = await shared.client.post(BATCH, content=body, headers=NDJSON)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    results = [json.loads(line) for line in answer.text.splitlines()]
    assert statuses(results) == ["created", "rejected", "rejected", "rejected", "created"]
    assert [result["index"] for result in results] == list(range(5))
    assert results[1]["errors"][0]["code"] == results[3]["errors"][0]["code"] == "unreadable_body"
    assert (await fetch(shared, results[4]["id"]))["title"] == lines[2]["title"]
    none = await shared.client.post(BATCH, content=b"\n\n", headers=NDJSON)
    assert (none.status_code, none.content) == (200, b"")
    many = b"\n".join([b"{}"] * 1001)
    assert faults(await shared.client.post(BATCH, content=many, headers=NDJSON)) == {"": "too_many"}


async def test_sixteen_megabytes_and_no_more(wire: httpx.AsyncClient) -> None:
    """A batch may weigh 16 MB, a posting 1 MB; one byte more is 413, whether the length is declared or not."""
    for path, most in ((BATCH, 16 * 2**20), (JOBS, 2**20)):
        row = json.dumps([job_body()] if path == BATCH else job_body()).encode()
        for size, status in ((most, {200, 201}), (most + 1, {413})):
            body = row.ljust(size)

            async def chunks(body: bytes = body) -> Any:
                for start in range(0, len(body), 2**20):
                    yield body[start : start + 2**20]

            headers = {"content-type": "application/json"}
            for content in (body, chunks()):
                answer = await wire.post(path, content=content, headers=headers)
                if status == {413}:
                    problem(answer, 413, "body_too_large")
                else:
                    assert answer.status_code in {*status, 409}, answer.text


async def test_a_large_batch_is_not_read_on_the_event_loop(api: Service) -> None:
    """While a batch of megabytes is decoded and reduced to text, the event loop goes on: no turn takes as long."""
    html = "<p>" + "weld &amp; solder <b>steel</b> " * 300 + "</p>"
    rows = [JobInput(title="Welder", company="X", source="linkedin", description=html)] * 100
    body = msgspec.json.encode(rows)
    start = time.perf_counter()
    read = _read(api.parts.jobs, body, "application/json")
    alone_s = time.perf_counter() - start
    assert len(read[0]) == 100
    loop = asyncio.get_running_loop()
    turns = [loop.time()]

    def turn() -> None:
        turns.append(loop.time())
        if not storing.done():
            loop.call_soon(turn)

    storing = asyncio.create_task(store_rows(api.parts.jobs, 1, body, "application/json"))
    turn()
    assert {result.status for result in await storing} == {"created"}
    assert max(after - before for before, after in itertools.pairwise(turns)) < alone_s / 2


@pytest.mark.parametrize("attempt", range(4))
async def test_batches_of_the_same_keys_at_once(api: Service, db: Database, attempt: int) -> None:
    """Eight batches of the same keys at once: all answered, no duplicate, every row with the one id of its key."""
    keys = [f"key-{attempt}-{number}" for number in range(40)]

    def rows(writer: int) -> list[dict[str, Any]]:
        # the writers agree on some texts and differ in others, and each has an order of its own
        made = [
            job_body(external_id=key, title=f"Title {n % 4 * writer}", description=key) for n, key in enumerate(keys)
        ]
        turn = writer * 5 % len(made)
        return made[turn:] + made[:turn] if writer % 2 else made[::-1]

    sent = [rows(writer) for writer in range(8)]
    answers = await asyncio.gather(*(batch(api, one) for one in sent))
    ids: dict[str, set[int]] = {key: set() for key in keys}
    for one, results in zip(sent, answers, strict=True):
        for row, result in zip(one, results, strict=True):
            ids[row["external_id"]].add(result["id"])
    assert {len(found) for found in ids.values()} == {1}
    assert sum(statuses(results).count("created") for results in answers) == len(keys)
    async with db.connection() as connection:
        assert await connection.fetchval("select count(*) from job") == len(keys)
        assert await connection.fetchval("select count(*) from embedding_task") == len(keys)
        assert await connection.fetchval("select count(*) from job_word") == len(keys)


async def test_posts_of_one_key_at_once(api: Service) -> None:
    """Of eight POSTs of one key at once one creates the posting, seven are told that it exists."""
    for number in range(5):
        body = job_body(external_id=f"race-{number}")
        answers = await asyncio.gather(*(api.client.post(JOBS, json=body) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


async def test_batches_and_deletions_at_once(api: Service) -> None:
    """Keys that are deleted while batches write them end as one posting or none; every row has an answer."""
    body = [job_body(external_id=f"come-and-go-{number}") for number in range(10)]
    for _ in range(3):
        results = await batch(api, body)
        gone = [api.client.delete(f"{JOBS}/{result['id']}") for result in results]
        answers = await asyncio.gather(*(batch(api, body) for _ in range(3)), *gone)
        assert {answer.status_code for answer in answers[3:] if isinstance(answer, httpx.Response)} <= {204, 404}


async def test_an_equal_instant_is_no_change(api: Service) -> None:
    """The same moment written with another offset leaves a posting unchanged; so does white space around text."""
    row = job_body(posted_at="2026-01-01T03:00:00+03:00")
    again = {**row, "posted_at": "2026-01-01T00:00:00Z", "title": f" {row['title']} "}
    assert statuses(await batch(api, [row, again])) == ["created", "unchanged"]
    assert statuses(await batch(api, [again])) == ["unchanged"]


async def test_a_batch_moves_the_copies_beside_the_vectors(api: Service) -> None:
    """A date replaced by a batch counts for the next search by meaning, without a new vector."""
    row = job_body(title="Plumber", description=None, posted_at="2026-01-01T00:00:00Z")
    (made,) = await batch(api, [row])
    await api.embed()
    asked = {"mode": "semantic", "min_score": 0.1, "filters": {"posted_after": "2026-06-01T00:00:00Z"}}
    assert found_ids(await search(api, "plumber", **asked)) == []
    assert statuses(await batch(api, [{**row, "posted_at": "2026-07-01T00:00:00Z"}])) == ["updated"]
    assert found_ids(await search(api, "plumber", **asked)) == [made["id"]]
    assert await api.embed() == 0
