"""What the README tells to do with containers works as it stands there, and leaves traces and metrics."""

import asyncio
import json
import re
import subprocess

import httpx
import pytest

from tests.containers.stack import REPOSITORY, Stack
from tests.faults.timeline import until

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PROFILES: tuple[list[str], ...] = ([], ["metrics"], ["load"], ["metrics", "load"])


def blocks(heading: str) -> list[str]:
    """The shell blocks under a heading of the README."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@pytest.mark.parametrize("profiles", PROFILES, ids="+".join)
def test_the_file_is_clean_with_each_profile(engine: None, profiles: list[str]) -> None:  # noqa: ARG001 - asked for first
    """Compose finds nothing to complain of, with nothing set in the environment."""
    chosen = [word for name in profiles for word in ("--profile", name)]
    done = subprocess.run(
        ["docker", "compose", "--file", "compose.yaml", *chosen, "config", "--quiet"],
        check=False,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_curl_lines_of_the_readme(stack: Stack) -> None:
    """Each line of "Try it" works against the stack as it stands there, save for the port."""
    stack.inside("postgres", "psql", "-U", "postgres", "-d", "jobsense", "-c", "truncate job cascade")
    address = stack.address("service", 8000)
    lines = blocks("Try it")[0].replace("\\\n", " ").replace("\n       ", " ").replace("127.0.0.1:8000", address)
    commands = [line for line in re.split(r"\n(?=curl)", lines) if line.strip()]
    assert len(commands) == 3
    answers = []
    for command in commands:
        done = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True)
        answers.append(json.loads(done.stdout))
    searched, made, found = answers
    assert searched["mode"]["asked"] == found["mode"]["asked"] == "hybrid"
    assert (made["title"], made["version"]) == ("Solar technician", 1)
    assert found["results"][0]["job"]["id"] == made["id"]


def test_the_commands_of_the_readme_run_in_the_containers(stack: Stack) -> None:
    """`docker compose exec` and `run` lines of "In containers": a key is made, a file is taken in, tasks are shown."""
    lines = [line for block in blocks("In containers") for line in block.splitlines() if "jobsense " in line]
    inside = [re.sub(r"\s+#.*", "", line).split("jobsense ", 1)[1] for line in lines]
    assert [words.split()[0] for words in inside] == ["ingest", "keys", "tasks"]
    rows = "".join(
        json.dumps({"title": f"Nurse {number}", "company": "Afya", "source": "file", "external_id": str(number)}) + "\n"
        for number in range(20)
    )
    said = stack.inside("worker", "jobsense", "ingest", "--no-embed", "-", said=rows)
    assert "20" in said
    key = stack.inside("service", "jobsense", *inside[1].split()).split()
    assert any(word.startswith("js") or len(word) > 20 for word in key), key
    stack.inside("worker", "jobsense", *inside[2].split())
    with httpx.Client(base_url=stack.url(), timeout=10) as client:
        listed = client.get("/api/v1/jobs", params={"source": "file", "limit": 100}).json()
    assert len(listed["items"]) == 20


async def test_a_posting_is_stored_embedded_found_and_traced(stack: Stack) -> None:
    """The main job: a posting comes in, the worker embeds it, a search by meaning finds it, and the traces say so."""
    async with httpx.AsyncClient(base_url=stack.url(), timeout=10) as client:
        body = {"title": "Beekeeper", "company": "Asali Farm", "source": "file", "description": "Looks after hives."}
        made = await client.post("/api/v1/jobs", json=body)
        assert made.status_code == httpx.codes.CREATED
        path = made.headers["location"]

        async def is_embedded() -> bool:
            return bool((await client.get(path)).json()["embedding"]["state"] == "done")

        await until(is_embedded, "the posting is embedded", timeout_s=15)
        found = await client.post("/api/v1/search", json={"text": "beekeeper with hives", "mode": "semantic"})
        assert found.json()["results"][0]["job"]["title"] == "Beekeeper"
        assert (await client.get("/docs")).status_code == httpx.codes.OK
        metrics = (await client.get("/metrics")).text
        assert "jobsense_store_up 1.0" in metrics
    trace = found.headers["traceresponse"].split("-")[1]
    async with httpx.AsyncClient(base_url=stack.url("jaeger", 4318), timeout=10) as collector:

        async def is_traced() -> bool:
            spans = (await collector.get("/spans")).json()
            return {"POST /api/v1/search"} <= {span["name"] for span in spans if span["trace"] == trace}

        await until(is_traced, "the search is traced", timeout_s=15)
        names = {span["name"] for span in (await collector.get("/spans")).json()}
    assert "process embed_queue" in names


def test_only_its_own_role_serves(stack: Stack) -> None:
    """The service is no superuser of its database, and what it is told of secrets is the name of a file."""
    role = "select rolsuper from pg_roles where rolname = 'jobsense'"
    asked = ("psql", "-U", "postgres", "-d", "jobsense", "-Atc", role)
    assert stack.inside("postgres", *asked).strip() == "f"
    environment = stack.inside("service", "python", "-c", "import os; print(os.environ)")
    secret = stack.inside("service", "cat", "/run/secrets/jobsense/jwt_secret").strip()
    assert len(secret) == 64
    assert secret not in environment
    refused = subprocess.run(
        ["docker", "exec", stack.container("service"), "cat", "/run/secrets/jobsense/superuser_password"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert refused.returncode != 0
    assert "Permission denied" in refused.stderr


async def test_the_worker_has_metrics_for_prometheus(stack: Stack) -> None:
    """Prometheus can find every replica by its name: the worker offers what it did at its own port."""
    asked = "import urllib.request as r; print(r.urlopen('http://worker:9464/metrics', timeout=5).read().decode())"
    said = await asyncio.to_thread(stack.inside, "service", "python", "-c", asked)
    assert "jobsense_embed_queue_depth" in said
