"""POST /jobs: what is taken, how it is kept, and what is refused by name."""

import json
from typing import Any

import httpx
import pytest

from tests.api.calls import JOBS, create, fetch, found_ids, problem, search
from tests.api.calls import faults as faults_of
from tests.conftest import Service
from tests.factories import job_body

EVERY_FIELD = {
    "title": "Data engineer",
    "company": "Tumaini Traders",
    "source": "linkedin",
    "external_id": "every-field",
    "description": "<p>Build <b>pipelines</b>.</p>",
    "location": "Nairobi",
    "remote": False,
    "employment_type": "full_time",
    "salary_min": 1000.5,
    "salary_max": 2000,
    "currency": "KES",
    "salary_period": "month",
    "url": "https://example.org/jobs/1?a=b",
    "posted_at": "2026-02-03T04:05:06.789Z",
    "expires_at": "2026-03-03T00:00:00+03:00",
}


async def post(api: Service, body: Any) -> httpx.Response:
    """Send a posting as it is."""
    return await api.client.post(JOBS, json=body)


async def test_every_field_comes_back(shared: Service) -> None:
    """Each field is kept as given, moments in UTC; the answer is what a read gives, with its address and tag."""
    made = await post(shared, EVERY_FIELD)
    assert made.status_code == 201
    job = made.json()
    kept = EVERY_FIELD | {"posted_at": "2026-02-03T04:05:06.789000Z", "expires_at": "2026-03-02T21:00:00Z"}
    assert {name: job[name] for name in kept} == kept
    assert (job["version"], job["embedding"]) == (1, {"state": "pending", "coverage": 0.0})
    assert job["created_at"] == job["updated_at"]
    assert made.headers["location"] == f"{JOBS}/{job['id']}"
    assert made.headers["etag"] == '"1-pending"'
    read = await shared.client.get(made.headers["location"])
    assert (read.json(), read.headers["etag"]) == (job, made.headers["etag"])


async def test_only_three_fields_are_needed(shared: Service) -> None:
    """Title, company and source make a posting; the rest is null."""
    made = await post(shared, {"title": "Cook", "company": "X", "source": "linkedin"})
    assert made.status_code == 201
    assert {made.json()[name] for name in EVERY_FIELD if name not in ("title", "company", "source")} == {None}
    missing = await post(shared, {})
    assert faults_of(missing) == {"/title": "missing", "/company": "missing", "/source": "missing"}


async def test_a_posting_of_a_source_exists_once(shared: Service) -> None:
    """A second (source, external_id) is 409 job_exists and changes nothing; another source or no id is fine."""
    first = await create(shared, external_id="once", title="First")
    again = problem(await post(shared, job_body(external_id="once", title="Second")), 409, "job_exists")
    assert str(first["id"]) in again["detail"]
    assert await fetch(shared, first["id"]) == first
    assert (await create(shared, external_id="once", source="jobwebkenya"))["id"] != first["id"]
    without = [await create(shared, external_id=None) for _ in range(2)]
    assert without[0]["id"] != without[1]["id"]


async def test_text_is_trimmed_first(shared: Service) -> None:
    """Unicode white space at both ends goes before lengths and keys count; inside it stays."""
    made = await create(
        shared, title="\u2003 Nurse  aide\u00a0", company="\tX\n", external_id=" trim ", source=" linkedin "
    )
    expected = ("Nurse  aide", "X", "trim", "linkedin")
    assert tuple(made[name] for name in ("title", "company", "external_id", "source")) == expected
    problem(await post(shared, job_body(external_id="trim\u3000")), 409, "job_exists")
    assert faults_of(await post(shared, job_body(title=" a ", company="\u3000"))) == {
        "/title": "invalid",
        "/company": "invalid",
    }


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("title", ["ab", "é" * 200, "👩‍🍳" * 2], ["a", "x" * 201, "", None, 1]),
        ("company", ["x", "x" * 200], ["x" * 201, "", None]),
        ("source", ["jobwebkenya"], ["", "LinkedIn", "-linkedin", "linked in", "x" * 65, "linkedin\u0000", None]),
        ("external_id", ["x", "x" * 200, "a/b?c#d é", None], ["x" * 201, "", 7]),
        ("description", ["", "x" * 100_000, None], ["x" * 100_001, ["x"]]),
        ("location", ["x", "x" * 500, None], ["x" * 501, "", {}]),
        ("remote", [True, False, None], ["true", 1, "yes"]),
        ("employment_type", ["x", "x" * 100, None], ["x" * 101, "", []]),
        ("salary_min", [0, 0.01, 1e12, None], [-0.01, 1e12 + 1, "1", True, 10**400]),
        ("salary_max", [0, 1e12, None], [-1, 2e12, "1"]),
        ("currency", ["KES", "USD", None], ["kes", "KE", "KESS", "K€S", 404]),
        ("salary_period", ["hour", "day", "week", "month", "year", None], ["monthly", "", 1]),
        ("url", ["http://x", "https://x.org/" + "a" * 1986, None], ["ftp://x", "x.org", "https://", "javascript:1"]),
        ("posted_at", ["2026-01-01T00:00:00Z", "2024-02-29T23:59:59+14:00", None], ["2026-01-01", "2026-01-01T00:00"]),
        ("expires_at", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"], ["2026-02-30T00:00:00Z", 1, "now", ""]),
    ],
)
async def test_limits_of_each_field(shared: Service, field: str, good: list[Any], bad: list[Any]) -> None:
    """Both edges of a field's range are taken and come back; one step beyond is refused by its name alone."""
    for value in good:
        made = await post(
            shared, job_body(**{field: value}, **({} if field == "external_id" else {"external_id": ...}))
        )
        assert made.status_code == 201, (value, made.text)
        if not field.endswith("_at"):
            assert made.json()[field] == value
        assert await fetch(shared, made.json()["id"]) == made.json()
    for value in bad:
        assert list(faults_of(await post(shared, job_body(**{field: value})))) == [f"/{field}"], value


async def test_moments_that_no_calendar_has_are_refused(shared: Service) -> None:
    """A moment whose UTC lies before the year 1 or after 9999 is refused by name, in a posting and in a filter."""
    body = job_body(posted_at="0001-01-01T00:00:00+14:00", expires_at="9999-12-31T23:59:59-14:00")
    assert faults_of(await post(shared, body)) == {"/posted_at": "out_of_range", "/expires_at": "out_of_range"}
    listed = await shared.client.get(JOBS, params={"posted_after": "0001-01-01T00:00:00+14:00"})
    assert faults_of(listed) == {"posted_after": "out_of_range"}
    asked = {"text": "x", "filters": {"posted_before": "9999-12-31T23:59:59-14:00"}}
    assert faults_of(await shared.client.post("/api/v1/search", json=asked)) == {
        "/filters/posted_before": "out_of_range"
    }


@pytest.mark.parametrize("name", ["id", "version", "created_at", "updated_at", "embedding", "salary", "Title"])
async def test_unknown_and_read_only_fields_are_refused_by_name(shared: Service, name: str) -> None:
    """What callers cannot set is refused like a field that does not exist, on POST and on PATCH."""
    job = await create(shared)
    assert faults_of(await post(shared, job_body(**{name: 1}))) == {f"/{name}": "unknown"}
    patched = await shared.client.patch(f"{JOBS}/{job['id']}", json={name: job.get(name)})
    assert faults_of(patched) == {f"/{name}": "unknown"}


async def test_all_failing_fields_are_listed_at_once(shared: Service) -> None:
    """Every wrong type is named in one answer, and so is every rule over well-typed fields."""
    wrong = {"title": "a", "source": "!", "salary_min": -1, "posted_at": "soon", "extra": 1}
    expected = {"/title", "/company", "/source", "/salary_min", "/posted_at", "/extra"}
    assert set(faults_of(await post(shared, wrong))) == expected
    rules = job_body(source="monster", currency="XXQ", salary_min=2, salary_max=1)
    assert faults_of(await post(shared, rules)) == {
        "/source": "source_not_accepted",
        "/currency": "unknown_currency",
        "/salary_min": "salary_out_of_order",
    }


async def test_an_unaccepted_source_is_told_which_are_accepted(shared: Service) -> None:
    """The 422 lists the accepted sources."""
    (error,) = problem(await post(shared, job_body(source="monster")), 422, "invalid")["errors"]
    assert error["pointer"] == "/source"
    assert all(source in error["detail"] for source in ("brightermonday", "linkedin", "jobwebkenya"))


async def test_equal_ends_of_pay_are_in_order(shared: Service) -> None:
    """salary_min may equal salary_max, and either may stand alone, with or without a currency."""
    for pay in ({"salary_min": 5, "salary_max": 5}, {"salary_min": 5}, {"salary_max": 5, "currency": "UGX"}):
        assert (await post(shared, job_body(**pay))).status_code == 201


async def test_text_that_cannot_be_stored_is_refused_by_field(shared: Service) -> None:
    """U+0000 and half a surrogate pair are refused by name; whole pairs, written either way, are one character."""
    body = json.dumps(job_body(title="a\u0000b", description="x\ud83d", external_id="y\udc4d"))
    headers = {"content-type": "application/json"}
    refused = faults_of(await shared.client.post(JOBS, content=body, headers=headers))
    assert refused == dict.fromkeys(("/title", "/description", "/external_id"), "unstorable_text")
    escaped = json.dumps(job_body(title="Chef 👩‍🍳 \u202e مطبخ", company="ლუკა 𐍈"))
    made = await shared.client.post(JOBS, content=escaped, headers=headers)
    assert (made.json()["title"], made.json()["company"]) == ("Chef 👩‍🍳 \u202e مطبخ", "ლუკა 𐍈")
    broken = await shared.client.post(JOBS, content=b'{"title":"\xff"}', headers=headers)
    problem(broken, 400, "unreadable_body")


async def test_long_text_of_long_characters_fits(api: Service) -> None:
    """100,000 characters of four bytes are a description, kept whole and embedded whole."""
    text = "".join(chr(0x1F600 + i % 64) if i % 10 else " " for i in range(99_999)) + "!"
    made = await create(api, description=text)
    assert made["description"] == text.strip()
    await api.embed()
    assert (await fetch(api, made["id"]))["embedding"]["coverage"] == 1.0


async def test_html_is_kept_raw_and_searched_as_text(api: Service) -> None:
    """A description in HTML comes back as it was; its words are found, its tags are not."""
    html = "<div class='zebra'><p>Weld &amp; solder</p><script>quokka()</script></div>"
    job = await create(api, description=html)
    await api.embed()
    assert (await fetch(api, job["id"]))["description"] == html
    for mode in ("lexical", "semantic", "hybrid"):
        assert found_ids(await search(api, "solder", mode=mode, min_score=0.1)) == [job["id"]]
    for word in ("zebra", "quokka", "div"):
        assert found_ids(await search(api, word, mode="lexical")) == []
