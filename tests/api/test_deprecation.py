"""What is deprecated in the API is served as before, and says until when."""

from tests.api.calls import JOBS, sample
from tests.conftest import Service
from tests.factories import job_body


async def test_the_former_spelling_of_the_idempotency_key_says_that_it_ends(api: Service) -> None:
    """It works as the new one does, and every answer to it, replayed or refused, tells since when and until when."""
    told = {"deprecation": "@1795824000", "sunset": "Sat, 01 Jan 2028 00:00:00 GMT"}
    body = job_body()
    first = await api.client.post(JOBS, json=body, headers={"X-Idempotency-Key": "k"})
    again = await api.client.post(JOBS, json=body, headers={"X-Idempotency-Key": "k"})
    refused = await api.client.post(JOBS, json=job_body(), headers={"X-Idempotency-Key": "k"})
    assert [answer.status_code for answer in (first, again, refused)] == [201, 201, 422]
    for answer in (first, again, refused):
        assert told.items() <= dict(answer.headers).items()
    plain = await api.client.post(JOBS, json=body, headers={"Idempotency-Key": "k"})
    assert plain.json() == first.json()
    assert not told.keys() & plain.headers.keys()
    assert sample(api, "jobsense_deprecated_total", operation="create_job", what="X-Idempotency-Key") == 3
