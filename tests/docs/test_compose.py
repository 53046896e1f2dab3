"""compose.yaml keeps its promises: limits, health checks, ports of this machine only, and no secret in sight."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STACK: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
PARTS: dict[str, dict[str, Any]] = STACK["services"]
OWN_DATA = {"secrets", "postgres", "ollama", "prometheus", "grafana"}


def test_the_parts_and_their_profiles() -> None:
    """The main job is there without a profile; metrics and load are asked for."""
    by_profile: dict[str, set[str]] = {}
    for name, part in PARTS.items():
        by_profile.setdefault(",".join(part.get("profiles", [])), set()).add(name)
    assert by_profile == {
        "": {"secrets", "postgres", "migrate", "service", "worker", "ollama", "model", "jaeger", "valkey"},
        "metrics": {"prometheus", "grafana"},
        "load": {"locust"},
    }


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_bounded_checked_and_locked_down(name: str) -> None:
    """Each has a health check, limits on memory, processors and processes, no capabilities and no way to more."""
    part = PARTS[name]
    assert part["healthcheck"]["test"][0] == "CMD"
    assert set(part["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]
    assert not part.get("privileged")
    # What an entrypoint needs before it becomes an ordinary user; all others begin as one.
    assert part.get("cap_add", []) == (["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"] * (name == "postgres"))


def test_what_is_ours_cannot_write() -> None:
    """Service, worker and migration have a root file system that is read-only, and an init that reaps and passes on."""
    for name in ("service", "worker", "migrate"):
        assert PARTS[name]["read_only"] is True
        assert PARTS[name]["init"] is True


def test_ports_are_of_this_machine_only() -> None:
    """Every published port is on the loopback address, and the database, the store and the model have none."""
    published = {name: port for name, part in PARTS.items() for port in part.get("ports", [])}
    assert set(published) == {"service", "jaeger", "prometheus", "grafana", "locust"}
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z]+(_[A-Z]+)?:-\d+\}:\d+", port) for port in published.values())
    assert PARTS["postgres"]["networks"] == PARTS["valkey"]["networks"] == ["inside"]
    assert STACK["networks"]["inside"]["internal"] is True


def test_secrets_come_from_files() -> None:
    """No variable holds a password: those that need one name a file."""
    for part in PARTS.values():
        for variable, value in (part.get("environment") or {}).items():
            if re.search(r"PASSWORD|SECRET|DATABASE_URL|TOKEN|KEY", variable) and "KEEP_ALIVE" not in variable:
                assert variable.endswith("_FILE") or variable == "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION", variable
                assert str(value).startswith("/run/secrets/") or value == "true"


def test_it_starts_in_order() -> None:
    """Secrets, then the database, then the schema, then whoever uses it; a missing model holds nobody up."""
    needs = {name: part.get("depends_on", {}) for name, part in PARTS.items()}
    assert needs["postgres"]["secrets"]["condition"] == "service_completed_successfully"
    assert needs["migrate"]["postgres"]["condition"] == "service_healthy"
    for name in ("service", "worker"):
        assert needs[name]["migrate"]["condition"] == "service_completed_successfully"
    assert "model" not in needs["service"]
    assert needs["worker"]["model"]["required"] is False


def test_data_is_in_named_volumes() -> None:
    """What has to outlive a container is in a volume with a name; what is mounted of the repository is there."""
    assert set(STACK["volumes"]) == OWN_DATA
    mounted = [one for part in PARTS.values() for one in part.get("volumes", []) if one.startswith("./")]
    # Locust's own file comes with the load tests.
    assert all((ROOT / one.split(":")[0]).exists() for one in mounted), mounted
    assert all(one.endswith(":ro") for one in mounted)


def test_images_are_pinned_and_no_frontend_is_fetched() -> None:
    """Each image has a version that says something, and the Containerfile needs nothing but its base."""
    images = {part["image"] for part in PARTS.values()} - {"jobsense"}
    assert all(re.fullmatch(r"[a-z./]+:(pg17|8|v?\d+\.\d+\.\d+)", image) for image in images), images
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    assert "# syntax=" not in text
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
    assert "--require-hashes" in text
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    assert f"ARG VERSION={version[1]}\n" in text
