"""The main journey over HTTP: store, embed, search, read, change, delete."""

from tests.conftest import Service
from tests.factories import job_body


async def test_main_journey(api: Service) -> None:
    """A posting is found by its words at once and by meaning once embedded, and goes when it is deleted."""
    made = await api.client.post("/api/v1/jobs", json=job_body(title="Solar technician", location="Kisumu"))
    assert made.status_code == 201, made.text
    job_id = made.json()["id"]
    assert made.headers["location"] == f"/api/v1/jobs/{job_id}"
    assert made.json()["embedding"] == {"state": "pending", "coverage": 0.0}
    assert await api.embed() == 1
    found = await api.client.post("/api/v1/search", json={"text": "solar technician", "mode": "semantic"})
    assert found.status_code == 200, found.text
    assert [hit["job"]["id"] for hit in found.json()["results"]] == [job_id]
    assert found.json()["mode"] == {"asked": "semantic", "served": "semantic"}
    read = await api.client.get(f"/api/v1/jobs/{job_id}")
    assert read.headers["etag"] == '"1-done"'
    gone = await api.client.delete(f"/api/v1/jobs/{job_id}", headers={"If-Match": '"1-done"'})
    assert gone.status_code == 204
    assert (await api.client.get(f"/api/v1/jobs/{job_id}")).json()["code"] == "job_not_found"
