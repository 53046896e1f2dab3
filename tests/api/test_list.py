"""GET /jobs: pages without gaps or repeats, cursors, keywords, and parameters that are refused by name."""

import asyncio
import random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.calls import JOBS, Parameters, create, exported, faults, problem
from tests.conftest import Service


async def pages(api: Service, **parameters: Any) -> AsyncIterator[list[dict[str, Any]]]:
    """Every page of a list, in order."""
    cursor: dict[str, str] = {}
    while True:
        answer = await api.client.get(JOBS, params=parameters | cursor)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield page["items"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


async def listed(api: Service, **parameters: Any) -> list[int]:
    """The ids of a whole list."""
    return [job["id"] async for page in pages(api, **parameters) for job in page]


async def test_the_last_received_comes_first(api: Service) -> None:
    """A list is newest first; an item is what a read gives; the last page, and an empty list, have no cursor."""
    assert [page async for page in pages(api)] == [[]]
    made = [await create(api) for _ in range(5)]
    whole = await api.client.get(JOBS)
    assert whole.json() == {"items": made[::-1], "next_cursor": None, "pay": None}
    assert whole.headers["cache-control"] == "private, no-cache"
    assert [len(page) async for page in pages(api, limit=2)] == [2, 2, 1]
    assert [len(page) async for page in pages(api, limit=5)] == [5]
    assert await listed(api, limit=1) == [job["id"] for job in made[::-1]]


async def test_twenty_unless_told_and_a_hundred_at_most(api: Service) -> None:
    """`limit` is 1 to 100, and 20 by default."""
    await api.client.post(
        f"{JOBS}/batch", json=[{"title": f"Job {n}", "company": "X", "source": "linkedin"} for n in range(101)]
    )
    assert [len(page) async for page in pages(api)] == [20] * 5 + [1]
    assert [len(page) async for page in pages(api, limit=100)] == [100, 1]
    for limit in ("0", "101", "-1", "1.0", "ten", "", "1e1", "9" * 30, "null"):
        assert faults(await api.client.get(JOBS, params={"limit": limit})) == {"limit": "invalid"}


@pytest.mark.parametrize("seed", range(4))
async def test_no_gaps_and_no_repeats_while_rows_come_and_go(api: Service, seed: int) -> None:
    """Whoever pages while others write sees each posting that was there throughout once, and none twice."""
    chance = random.Random(seed)  # noqa: S311 - a test, not a secret
    lasting = [(await create(api))["id"] for _ in range(30)]
    passing = [(await create(api))["id"] for _ in range(15)]

    async def write() -> None:
        match chance.randrange(3):
            case 0:
                await create(api)
            case 1 if passing:
                gone = passing.pop(chance.randrange(len(passing)))
                assert (await api.client.delete(f"{JOBS}/{gone}")).status_code == 204
            case _:
                changed = f"{JOBS}/{chance.choice(lasting)}"
                assert (await api.client.patch(changed, json={"title": f"T {chance.random()}"})).status_code == 200

    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        asking = asyncio.create_task(api.client.get(JOBS, params={"limit": str(chance.randint(1, 9))} | cursor))
        await asyncio.gather(*(write() for _ in range(4)))
        answer = await asking
        seen += [job["id"] for job in answer.json()["items"]]
        if answer.json()["next_cursor"] is None:
            break
        cursor = {"cursor": answer.json()["next_cursor"]}
    assert seen == sorted(set(seen), reverse=True)
    assert set(lasting) <= set(seen)


async def test_a_cursor_is_bound_to_its_query_alone(shared: Service) -> None:
    """A cursor goes on with another limit, whatever the order of parameters; with another query it is 410."""
    for _ in range(4):
        await create(shared, location="Mombasa", remote=True)
    query = {"location": "Mombasa", "remote": "true"}
    first = (await shared.client.get(JOBS, params={**query, "limit": 1})).json()
    cursor = first["next_cursor"]
    assert urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert "=" not in cursor
    wider = {"cursor": cursor, "limit": 100, "remote": "1", "location": "  MOMBASA "}
    for parameters in ({**query, "cursor": cursor}, wider):
        answer = await shared.client.get(JOBS, params=parameters)
        assert answer.status_code == 200, answer.text
    for other in ({}, {"location": "Mombasa"}, {**query, "remote": "false"}, {**query, "keyword": "x"}):
        problem(await shared.client.get(JOBS, params={**other, "cursor": cursor}), 410, "cursor_stale")


async def test_order_in_a_list_does_not_make_another_query(shared: Service) -> None:
    """A filter that is a list is a set: its order, repeats and case do not end a cursor."""
    for source in ("linkedin", "jobwebkenya", "linkedin"):
        await create(shared, source=source, company="Ordered Ltd")
    query: Parameters = [("source", "linkedin"), ("source", "jobwebkenya"), ("company", "Ordered Ltd"), ("limit", "1")]
    cursor = (await shared.client.get(JOBS, params=query)).json()["next_cursor"]
    turned: Parameters = [
        ("source", "jobwebkenya"),
        ("source", "linkedin"),
        ("source", "linkedin"),
        ("company", "ORDERED LTD"),
    ]
    answer = await shared.client.get(JOBS, params=[*turned, ("cursor", cursor)])
    assert len(answer.json()["items"]) == 2


@pytest.mark.parametrize(
    "rubbish", ["x", "!!!!", "AAAA", "é", "a" * 500, "%", "lg==", "kwEC", "null", "-1", "gqA", "wQ"]
)
async def test_rubbish_is_no_cursor(shared: Service, rubbish: str) -> None:
    """What was never a cursor is 422 and names the parameter."""
    assert faults(await shared.client.get(JOBS, params={"cursor": rubbish})) == {"cursor": "invalid"}


@pytest.mark.parametrize("position", [[0], [-1], [2**63], [2**64 - 1], [1.5], ["1"], [None], [], [1, 2], 1, None, {}])
async def test_a_forged_cursor_is_rubbish(shared: Service, position: object) -> None:
    """A cursor that was tampered with is refused or read as a position; the database never sees what it cannot take."""
    for _ in range(2):
        await create(shared)
    cursor = (await shared.client.get(JOBS, params={"limit": 1})).json()["next_cursor"]
    mark, _ = msgspec.msgpack.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    forged = urlsafe_b64encode(msgspec.msgpack.encode([mark, position])).decode().rstrip("=")
    answer = await shared.client.get(JOBS, params={"cursor": forged})
    assert answer.status_code == 200 if position == [1, 2] else faults(answer) == {"cursor": "invalid"}


async def test_single_parameters_are_given_once(shared: Service) -> None:
    """A single-valued parameter given twice is refused by name, unknown ones too; all of them at once."""
    asked: Parameters = [
        ("limit", "1"),
        ("limit", "1"),
        ("keyword", "a"),
        ("keyword", "b"),
        ("remote", "true"),
        ("remote", "true"),
    ]
    asked += [("locations", "x"), ("tenant_id", "2"), ("active", "maybe"), ("posted_after", "2026-01-01")]
    assert faults(await shared.client.get(JOBS, params=asked)) == {
        **dict.fromkeys(("limit", "keyword", "remote"), "repeated"),
        **dict.fromkeys(("locations", "tenant_id"), "unknown"),
        **dict.fromkeys(("active", "posted_after"), "invalid"),
    }
    assert faults(await shared.client.get(f"{JOBS}/1", params={"x": "1"})) == {"x": "unknown"}
    posted = await shared.client.post(JOBS, params={"x": "1"}, json={})
    assert faults(posted) == {"x": "unknown", **dict.fromkeys(("/title", "/company", "/source"), "missing")}


@pytest.fixture(scope="module")
async def worded(shared: Service) -> dict[str, int]:
    """Postings by what they say, for keyword searches."""
    texts = {
        "python": "Senior Python developers wanted",
        "java": "Java developer with Python",
        "nurse": "Registered nurses, part-time, in a hospital",
        "swahili": "Mwalimu wa Kiswahili, O'Neil Academy",
        "c++": "C++ and C# engineer",
    }
    made = {
        name: await create(shared, title=text, company="Keyword Ltd", description=None) for name, text in texts.items()
    }
    return {name: job["id"] for name, job in made.items()}


@pytest.mark.parametrize(
    ("keyword", "found"),
    [
        ("python", {"python", "java"}),
        ("PYTHON developer", {"python", "java"}),
        ('"python developer"', {"python"}),
        ('"developer python"', set()),
        ("python -java", {"python"}),
        ("nurse or java", {"nurse", "java"}),
        ("nursing", {"nurse"}),
        ("kiswahili", {"swahili"}),
        ("keyword", {"python", "java", "nurse", "swahili", "c++"}),
        ("-python", {"nurse", "swahili", "c++"}),
        ("nothing of the kind", set()),
        ("part-time", {"nurse"}),
        ("o'neil", {"swahili"}),
        ('nurse -"hospital nurse"', {"nurse"}),
        ("- - - python", {"nurse", "swahili", "c++"}),
    ],
)
async def test_keywords(shared: Service, worded: dict[str, int], keyword: str, found: set[str]) -> None:
    """All words must occur, in any form; phrases, `or` and `-not` work; words of the title and the company count."""
    parameters = {"keyword": keyword, "company": "keyword ltd"}
    assert set(await listed(shared, **parameters)) == {worded[name] for name in found}
    assert {job["id"] for job in await exported(shared, parameters)} == {worded[name] for name in found}


HOSTILE = [
    *("'", '"', "''--", "a' or '1'='1", "\\", "& | ! ( ) <-> :*", "a:*b", "'a' & !", "((((", "-", "or", "or or", "!!a"),
    *('"unclosed', "<script>", "%", "_", "$1", "\u202e", "👩\u200d🍳", "ﷺ" * 100, "a-b-c", "a\\0b", "{}", "c++", "the"),
    *("-" * 500, "- " * 250, "-(" * 250, '"' * 499, "x" * 500, '-"' * 250, '-"a" ' * 100),
]


@pytest.mark.parametrize("keyword", HOSTILE)
async def test_hostile_keywords_are_only_words(shared: Service, keyword: str) -> None:
    """Quotes, operators, escapes and symbols are words or nothing: no error of ours, and an export finds the same."""
    await create(shared, title="Bystander")
    answer = await shared.client.get(JOBS, params={"keyword": keyword, "limit": 100})
    assert answer.status_code == 200, answer.text
    assert (await exported(shared, {"keyword": keyword}))[:-101:-1] == answer.json()["items"]


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(keyword=st.text(alphabet="-\"' ()&|!<>:*\\aor.\t\u00ad\u2010", min_size=1, max_size=500).filter(str.strip))
async def test_no_row_of_symbols_is_an_error(shared: Service, keyword: str) -> None:
    """Whatever signs of the query language stand in a row, the answer is a page."""
    answer = await shared.client.get(JOBS, params={"keyword": keyword, "limit": 1})
    assert answer.status_code == 200, (keyword, answer.text)


@pytest.mark.parametrize("keyword", ["%00", "a%00b", "%ff", "%ed%a0%80", "x" * 501, ""])
async def test_keywords_that_are_no_text(shared: Service, keyword: str) -> None:
    """NUL, broken UTF-8, half a surrogate pair, too long and empty keywords are refused by name."""
    assert list(faults(await shared.client.get(f"{JOBS}?keyword={keyword}"))) == ["keyword"]
