"""The CI workflow runs what a person would run, on what the README promises, with few rights and pinned actions."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
PROMISED = ("lint", "audit", "sbom", "coverage", "test-postgres", "node", "bench-guard", "test-containers")


def workflow(path: Path) -> Any:
    """A workflow as data."""
    return msgspec.yaml.decode(path.read_bytes())


def jobs() -> dict[str, Any]:
    """Every job of every workflow."""
    return {name: job for path in WORKFLOWS for name, job in workflow(path)["jobs"].items()}


def steps() -> list[dict[str, Any]]:
    """Every step of every job."""
    return [step for job in jobs().values() for step in job["steps"]]


def made(text: str) -> set[str]:
    """The `make` targets that a script runs."""
    return set(re.findall(r"\bmake ([a-z][a-z-]*)", text))


def test_every_target_that_ci_makes_exists() -> None:
    """No job fails for a target that was renamed, and each check that a job is promised for is run by one."""
    run = set().union(*(made(step.get("run", "")) for step in steps()))
    assert run <= TARGETS
    assert set(PROMISED) <= run


def test_every_target_of_the_script_exists() -> None:
    """The same of `.ci/run`, which names most of its targets in a loop."""
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    (looped,) = re.findall(r"^for target in (.*); do$", script, re.MULTILINE)
    named = {*re.sub(r"\$\(.*?\)", "node", looped).split(), *re.findall(r"^tests ([a-z-]+)", script, re.MULTILINE)}
    assert named == {"install", "node", "lint", "audit", "sbom", "test-postgres", "coverage"}
    assert named <= TARGETS


def test_versions_are_those_that_are_promised() -> None:
    """Every Python from the oldest that the package allows, and an image of every PostgreSQL that the README names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pythons = jobs()["test"]["strategy"]["matrix"]["python"]
    assert pythons == [f"3.{minor}" for minor in range(11, 14)]
    assert project["requires-python"] == f">={pythons[0]}"
    (oldest, newest) = re.findall(r"PostgreSQL (\d+) to (\d+) with", (ROOT / "README.md").read_text(encoding="utf-8"))[
        0
    ]
    images = [one for one in jobs()["postgres"]["strategy"]["matrix"]["postgres"] if ":" in one]
    assert images == [f"pgvector/pgvector:pg{version}" for version in range(int(oldest), int(newest) + 1)]


def test_actions_are_pinned_to_a_full_version() -> None:
    """A tag such as v4 moves under the workflow; v4.2.2 names one release."""
    used = [step["uses"] for step in steps() if "uses" in step]
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w.-]+/[\w./-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})", one)] == []


def test_jobs_have_few_rights_and_an_end() -> None:
    """Nothing may write, no checkout leaves its token on disk, no job runs for ever, a new push ends the old run."""
    for path in WORKFLOWS:
        whole = workflow(path)
        assert whole["permissions"] == {"contents": "read"}
        assert whole["concurrency"]["cancel-in-progress"]
    assert all("permissions" not in job and 0 < job["timeout-minutes"] <= 30 for job in jobs().values())
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_one_job_stands_for_all() -> None:
    """The job that protects the branch waits for every other one, and fails when one did not succeed."""
    whole = jobs()
    done = whole.pop("done")
    assert set(done["needs"]) == set(whole)
    assert done["if"] == "always()"
