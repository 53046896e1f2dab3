"""What an export holds: the postings as the API gives them, as JSON lines or as cells that no program runs."""

import csv
import io
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.db import STATEMENTS
from service.export.model import OPENINGS, Cells
from service.http.openapi import document
from service.jobs.model import Job
from tests.api.calls import EXPORT, JOBS, create, exported, faults, fetch, sample
from tests.conftest import Service
from tests.factories import job_body

HEADER = ",".join(Cells.__struct_fields__)
TEXTS = ("title", "company", "external_id", "description", "location", "employment_type")
FULL: dict[str, Any] = {
    "remote": True,
    "employment_type": "full_time",
    "salary_min": 0,
    "salary_max": 1234567.891,
    "currency": "KES",
    "salary_period": "month",
    "url": "https://example.test/?a=1,2",
    "posted_at": "2026-03-01T12:00:00.100000+03:00",
    "expires_at": "0001-01-01T00:00:00Z",
}
ODD = 'a "quoted" word,\r\nC:\\new\\\\ \x01\x02\x1f\x7f\ttab \\N \\. é 👩\u200d🍳 \u2028 </script> ;=1+1'


async def table(api: Service) -> list[dict[str, str]]:
    """The rows of the CSV."""
    answer = await api.client.get(f"{EXPORT}.csv")
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline=""), strict=True))


async def test_lines_are_postings_as_the_api_gives_them(api: Service) -> None:
    """Every field of every line is the API's own, in its order, in each state of embedding, by increasing id."""
    made = [await create(api, description=ODD, **FULL), await create(api, description=None, location=None)]
    made += [
        await create(api, title=ODD.strip()[:150], remote=False, salary_max=0.1, expires_at="9999-12-31T23:59:59Z")
    ]
    await api.embed()
    made += [await create(api)]
    async with api.parts.db.connection() as connection:
        await connection.execute(
            "update embedding_task set failed_at = now(), reason = '=model said \"no\"' where job_id = $1",
            made[3]["id"],
        )
        await connection.execute("update embedded set coverage = 0.7 where job_id = $1", made[0]["id"])
    made += [await create(api)]
    now = [await fetch(api, job["id"]) for job in made]
    assert [job["embedding"]["state"] for job in now] == ["done", "done", "done", "failed", "pending"]
    assert await exported(api) == now
    lines = (await api.client.get(f"{EXPORT}.ndjson")).content.split(b"\n")
    assert lines.pop() == b""
    assert [list(msgspec.json.decode(line)) for line in lines] == [list(job) for job in now]
    assert [msgspec.json.decode(line, type=Job).etag for line in lines]


async def test_cells_are_the_same_values(api: Service) -> None:
    """Numbers, booleans and times are those of the API, null is an empty cell, quotes and line breaks come back."""
    job = await create(api, description=ODD, **FULL)
    (row,) = await table(api)
    embedding = {f"embedding_{name}": job["embedding"].get(name) for name in ("state", "reason", "generation")}
    expected = {name: value for name, value in job.items() if name != "embedding"} | embedding
    numbers = {name: float(row.pop(name)) for name in ("salary_min", "salary_max", "embedding_coverage")}
    assert numbers == {"salary_min": 0, "salary_max": 1234567.891, "embedding_coverage": 0}
    assert row == {
        name: "" if (value := expected[name]) is None else str(value).replace("True", "true") for name in row
    }


@pytest.mark.parametrize("form", ["csv", "ndjson"])
async def test_an_export_is_a_private_file(api: Service, wire: httpx.AsyncClient, form: str) -> None:
    """The headers name kind and file, and keep it out of every cache; nothing but the header is in an empty table."""
    kinds = {"csv": "text/csv; charset=utf-8; header=present", "ndjson": "application/x-ndjson"}
    for client in (api.client, wire):
        answer = await client.get(f"{EXPORT}.{form}")
        assert answer.headers["content-type"] == kinds[form]
        assert answer.headers["content-disposition"] == f'attachment; filename="jobs.{form}"'
        assert answer.headers["cache-control"] == "no-store"
        assert "content-length" not in answer.headers
        assert answer.text == (f"{HEADER}\r\n" if form == "csv" else "")


async def test_head_makes_no_export(api: Service, wire: httpx.AsyncClient) -> None:
    """HEAD has the headers of GET, and nothing is read for it."""
    got = await wire.get(f"{EXPORT}.csv")
    head = await wire.head(f"{EXPORT}.csv")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-disposition", "cache-control"):
        assert head.headers[name] == got.headers[name]
    assert sample(api, "jobsense_exports_total", form="csv", outcome="done") == 1


async def test_lines_of_the_table_end_with_crlf(api: Service) -> None:
    """RFC 4180: CRLF behind the header and every row, a line break within a cell as it was given."""
    await create(api, title="Cook", description="one\ntwo\r\nthree")
    text = (await api.client.get(f"{EXPORT}.csv")).text
    assert text.startswith(f"{HEADER}\r\n1,Cook,")
    assert '"one\ntwo\r\nthree"' in text
    assert text.endswith(",pending,,,0\r\n")


FORMULAS = [
    *(
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "=cmd|' /C calc'!A0",
        "\uff1d1+1",
        "\uff0b1",
        "\uff0d1",
        "\uff20x",
        "\u22121",
        "\ufe631",
        "\u207c1",
    ),
    *('"=1+1"', "'=1+1", "''=1", "\u201c=1", "`=1", "\ufeff=1", "\u200b=1", "\u00ad=1", "\u202e=1", "\x01=1", "\x7f=1"),
    *("'quoted'", "- a list", "+254 700", '"Ace" Ltd', "'", "="),
]


async def test_no_cell_can_run_as_a_formula(api: Service) -> None:
    """What might be one has an apostrophe before it; taking one off every such cell gives the text as it was stored."""
    for number, text in enumerate(FORMULAS):
        fields = {name: text + " " + name for name in TEXTS}
        await create(api, **fields | {"external_id": f"{text}{number}"})
    async with api.parts.db.connection() as connection:
        await connection.execute("update embedding_task set failed_at = now(), reason = '=reason'")
        await connection.execute("update job set description = E'\\t=tab' where id = 1")
    rows, jobs = await table(api), await exported(api)
    for row, job in zip(rows, jobs, strict=True):
        assert not any(cell[:1] in OPENINGS.replace("'", "") for cell in row.values() if cell), row
        assert {name: row[name].removeprefix("'") for name in TEXTS} == {name: job[name] for name in TEXTS}
        assert all(row[name] == "'" + job[name] for name in TEXTS)
        assert row["embedding_reason"] == "'=reason"


TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=2, max_size=30)


@settings(max_examples=5, deadline=None, derandomize=True, database=None)
@given(texts=st.lists(TEXT.filter(lambda text: len(text.strip()) > 1), min_size=20, max_size=60))
async def test_any_text_comes_back(shared: Service, texts: list[str]) -> None:
    """Whatever titles hold, both forms give them back as they were stored."""
    answer = await shared.client.post(f"{JOBS}/batch", json=[job_body(title=text) for text in texts])
    assert {one["status"] for one in answer.json()["results"]} == {"created"}
    stored = [text.strip() for text in texts]
    assert [job["title"] for job in await exported(shared)][-len(texts) :] == stored
    assert [row["title"].removeprefix("'") for row in await table(shared)][-len(texts) :] == stored


async def test_negative_numbers_and_plain_words_stay_bare(api: Service) -> None:
    """Only text is guarded: a number is a number whatever its sign, and words, tags and bullets are left alone."""
    await create(api, title="• Cook", company="3M", description="<p>-</p>", location="Δ", employment_type="(part)")
    async with api.parts.db.connection() as connection:
        await connection.execute("alter table job drop constraint job_salary_check; update job set salary_min = -12.5")
    (row,) = await table(api)
    assert row["salary_min"] == "-12.5"
    assert [row[name] for name in ("title", "company", "description", "location", "employment_type")] == [
        *("• Cook", "3M", "<p>-</p>", "Δ", "(part)")
    ]


HOSTILE = [
    *("'; drop table job; --", "x\n) to stdout; drop table job; --", "\\'; drop table job; --", "*/ drop table job /*"),
    *("$1", "$2 $3", "') union select 1 --", "\\", "E'\\''", '{x,"y\'\\"}', "$$", "x\r\n;select 1/0", "%s", "?"),
]


@pytest.mark.parametrize("value", HOSTILE)
async def test_hostile_values_are_only_values(shared: Service, value: str) -> None:
    """A filter goes into the text of COPY, and stays a value there: an export finds it, and nothing else happens."""
    fields: dict[str, Any] = dict.fromkeys(("company", "location", "employment_type"), value + ".")
    job = await create(shared, **fields)
    await create(shared)
    for name in fields:
        found = await exported(shared, {name: value + "."})
        assert job["id"] in [one["id"] for one in found]
        assert all(one[name] == value + "." for one in found)
    listed = await shared.client.get(JOBS, params={"keyword": value, "limit": 100})
    assert (await exported(shared, {"keyword": value}))[:-101:-1] == listed.json()["items"]


async def test_wrong_parameters_are_named(shared: Service) -> None:
    """Unknown, repeated and wrong parameters are refused before anything is sent; an export has no pages."""
    query = "limit=1&cursor=x&remote=perhaps&keyword=a&keyword=b&posted_after=2026&salary_min=1"
    answer = await shared.client.get(f"{EXPORT}.csv?{query}")
    assert set(faults(answer)) >= {"limit", "cursor", "remote", "keyword", "posted_after"}
    assert "content-disposition" not in answer.headers


def test_exports_and_lists_choose_alike() -> None:
    """The three statements have the same conditions, whatever the numbers of their parameters."""

    def conditions(name: str) -> list[str]:
        statement = STATEMENTS[name]
        text = statement.path.read_text(encoding="utf-8").partition("\nwhere\n")[2].partition("\norder by")[0]
        for number, (parameter, _) in reversed(list(enumerate(statement.parameters, 1))):
            text = text.replace(f"${number}", parameter)
        lines = [line.strip() for line in text.splitlines()]
        return [line for line in lines if not line.startswith("--") and "before" not in line.partition("job_passes")[0]]

    assert conditions("export.list_cells") == conditions("export.list_lines") == conditions("jobs.list_jobs")
    assert len(conditions("export.list_cells")) > 10


async def test_the_log_line_tells_what_was_exported(api: Service, log: io.BytesIO) -> None:
    """Rows are in the line of the request, with the time that they took; no value of a filter is."""
    await create(api, company="Zanzibar Ltd")
    await exported(api, {"company": "zanzibar ltd"})
    lines = [msgspec.json.decode(line) for line in log.getvalue().splitlines()]
    told = [line for line in lines if str(line.get("http.route", "")).startswith(EXPORT)]
    assert [line["jobsense.export.rows"] for line in told] == [1, 1]
    assert all(line["jobsense.stage.copy_ms"] > 0 for line in told)
    assert b"zanzibar" not in log.getvalue().lower()


def test_the_document_says_what_an_export_is(api: Service) -> None:
    """Text for the table, a posting for each line; the parameters are those of the list without its pages."""
    paths = document(api.app)["paths"]
    listed = {one["name"] for one in paths[JOBS]["get"]["parameters"] if one["in"] == "query"}
    for form, media, schema in (
        ("csv", "text/csv", {"type": "string"}),
        ("ndjson", "application/x-ndjson", {"$ref": "#/components/schemas/Job"}),
    ):
        operation = paths[f"{EXPORT}.{form}"]["get"]
        assert operation["operationId"] == f"export_jobs_as_{form}"
        content = operation["responses"]["200"]["content"]
        assert {kind: shown["schema"] for kind, shown in content.items()} == {media: schema}
        assert {one["name"] for one in operation["parameters"]} == listed - {"limit", "cursor"}
