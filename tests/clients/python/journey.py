"""The main journeys through the API, with nothing but the generated client: `python journey.py ADDRESS KEY`."""

import asyncio
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeVar

from jobsense_client import AuthenticatedClient, Client
from jobsense_client.api.health import check_live
from jobsense_client.api.jobs import create_job, delete_job, fetch_job, fetch_stats, list_jobs, patch_job, store_jobs
from jobsense_client.api.pay import list_rates
from jobsense_client.api.search import list_similar_jobs, match_jobs, search_batch, search_jobs, search_jobs_by_url
from jobsense_client.models import (
    FacetName,
    Filters,
    Job,
    JobInput,
    JobPatch,
    JobState,
    MatchRequest,
    OnDegraded,
    Page,
    Problem,
    RowStatus,
    SearchAnswer,
    SearchBatch,
    SearchFailure,
    SearchMode,
    SearchRequest,
)
from jobsense_client.types import UNSET, Response, Unset

T = TypeVar("T")
NURSE, SOLAR = "Lakeside Hospital", "Jua Power"


def good(answer: Response[T | Problem], status: HTTPStatus = HTTPStatus.OK) -> T:
    """What a call answers that must not be refused."""
    assert answer.status_code == status, answer
    assert answer.parsed is not None
    assert not isinstance(answer.parsed, Problem)
    return answer.parsed


def refused(answer: Response[T | Problem], status: HTTPStatus, code: str) -> Problem:
    """The problem of a call that has to be refused."""
    assert isinstance(answer.parsed, Problem), answer
    assert (answer.status_code, answer.parsed.status, answer.parsed.code) == (status, status, code)
    return answer.parsed


def posting(number: int, title: str | None = None) -> JobInput:
    """A posting for a nurse or an electrician."""
    is_solar = number % 2 == 1
    return JobInput(
        title=title or f"{'Electrician' if is_solar else 'Nurse for children'} {number}",
        company=SOLAR if is_solar else NURSE,
        source="linkedin",
        external_id=f"n-{number}",
        description="Repair solar panels on roofs." if is_solar else "Look after sick children on the ward.",
        location="Kisumu",
        posted_at=datetime(2026, 11, 20, 8, tzinfo=UTC),
    )


def store(client: AuthenticatedClient) -> int:
    """Create one, be refused twice, and send a batch; the id of the first."""
    answer = create_job.sync_detailed(client=client, body=posting(0))
    made = good(answer, HTTPStatus.CREATED)
    assert answer.headers["Location"] == f"/api/v1/jobs/{made.id}"
    assert made.posted_at == datetime(2026, 11, 20, 8, tzinfo=UTC)
    refused(create_job.sync_detailed(client=client, body=posting(0)), HTTPStatus.CONFLICT, "job_exists")
    wrong = create_job.sync_detailed(client=client, body=posting(99, "x"))
    problem = refused(wrong, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid")
    assert not isinstance(problem.errors, Unset)
    assert [error.pointer for error in problem.errors] == ["/title"]
    batch = good(store_jobs.sync_detailed(client=client, body=[posting(number) for number in range(25)]))
    assert [row.status for row in batch.results] == [RowStatus.UNCHANGED, *[RowStatus.CREATED] * 24]
    return made.id


def list_all(client: AuthenticatedClient) -> None:
    """List to the end, page by page."""
    ids: list[int] = []
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        page: Page = good(list_jobs.sync_detailed(client=client, limit=10, cursor=cursor))
        ids += [job.id for job in page.items]
        cursor = page.next_cursor
    assert len(ids) == len(set(ids)) == 25


def embedded(client: AuthenticatedClient, job_id: int) -> str:
    """Wait until a posting is found by meaning; its ETag then."""
    while True:
        answer = fetch_job.sync_detailed(job_id, client=client)
        job: Job = good(answer)
        if job.embedding.state == JobState.DONE:
            return answer.headers["ETag"]


def change(client: AuthenticatedClient, job_id: int) -> None:
    """Read with an ETag, change on its condition, and be refused with the old one."""
    etag = embedded(client, job_id)
    known = fetch_job.sync_detailed(job_id, client=client, if_none_match=etag)
    assert (known.status_code, known.parsed) == (HTTPStatus.NOT_MODIFIED, None)
    patch = JobPatch(salary_min=500, currency="USD", remote=None)
    changed = good(patch_job.sync_detailed(job_id, client=client, body=patch, if_match=etag))
    assert (changed.version, changed.salary_min, changed.remote) == (2, 500, None)
    stale = patch_job.sync_detailed(job_id, client=client, body=patch, if_match=etag)
    refused(stale, HTTPStatus.PRECONDITION_FAILED, "precondition_failed")


def search(client: AuthenticatedClient) -> None:
    """Search in three modes with filters and facets, take the next page, and search by URL."""
    for mode in SearchMode:
        asked = SearchRequest(
            text="look after sick children",
            top_k=4,
            mode=mode,
            filters=Filters(location="kisumu", posted_after=datetime(2026, 11, 1, tzinfo=UTC)),
            facets=[FacetName.COMPANY],
            min_score=UNSET if mode == SearchMode.LEXICAL else 0.1,
            explain=True,
            highlight=True,
            on_degraded=OnDegraded.FAIL,
        )
        page: SearchAnswer = good(search_jobs.sync_detailed(client=client, body=asked))
        assert (page.mode.served, page.degraded) == (mode, None)
        assert [hit.job.company for hit in page.results] == [NURSE] * 4
        assert page.facets["company"][0].value == NURSE
        asked.cursor = page.next_cursor
        following = good(search_jobs.sync_detailed(client=client, body=asked))
        assert [hit.rank for hit in following.results] == [5, 6, 7, 8]
    by_url = search_jobs_by_url.sync_detailed(client=client, q="solar panels", top_k=2, source=["linkedin"])
    assert [hit.job.company for hit in good(by_url).results] == [SOLAR] * 2


def more(client: AuthenticatedClient, job_id: int) -> None:
    """Neighbours, a résumé, a batch of searches with one that is wrong, counts, rates."""
    neighbours = good(list_similar_jobs.sync_detailed(job_id, client=client, top_k=3))
    assert job_id not in [hit.job.id for hit in neighbours.results]
    resume = MatchRequest(text="I repair solar panels on roofs, and I have done so for years.", top_k=3)
    assert good(match_jobs.sync_detailed(client=client, body=resume)).results[0].job.company == SOLAR
    searches = [SearchRequest(text="children"), SearchRequest(text="children", cursor="rubbish")]
    found, wrong = good(search_batch.sync_detailed(client=client, body=SearchBatch(searches=searches))).results
    assert isinstance(found, SearchAnswer)
    assert found.total.value > 0
    assert isinstance(wrong, SearchFailure)
    assert wrong.problem.code == "invalid"
    assert good(fetch_stats.sync_detailed(client=client)).jobs == 25
    assert good(list_rates.sync_detailed(client=client)).base == "USD"


def end(client: AuthenticatedClient, job_id: int, address: str) -> None:
    """Delete, look again, come as a stranger, and see without credentials that it lives."""
    assert delete_job.sync_detailed(job_id, client=client).status_code == HTTPStatus.NO_CONTENT
    refused(asyncio.run(fetch_later(client, job_id)), HTTPStatus.NOT_FOUND, "job_not_found")
    with AuthenticatedClient(address, "nobody's", prefix="", auth_header_name="X-API-Key") as stranger:
        refused(fetch_stats.sync_detailed(client=stranger), HTTPStatus.UNAUTHORIZED, "unauthenticated")
    with Client(address) as anybody:
        assert good(check_live.sync_detailed(client=anybody)).status == "live"


async def fetch_later(client: AuthenticatedClient, job_id: int) -> Response[Job | Problem]:
    """Fetch without blocking, as services do."""
    async with client:
        return await fetch_job.asyncio_detailed(job_id, client=client)


def main(address: str, key: str) -> None:
    """Make every journey."""
    with AuthenticatedClient(address, key, prefix="", auth_header_name="X-API-Key") as client:
        job_id = store(client)
        list_all(client)
        change(client, job_id)
        search(client)
        more(client, job_id)
        end(client, job_id, address)
    print("the journey is made")  # noqa: T201 - the test waits for it


if __name__ == "__main__":
    main(*sys.argv[1:])
