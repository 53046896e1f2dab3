"""OPERATIONS.md tells the truth: what it names is there, its numbers are the code's, its deployment would start."""

import inspect
import re
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from service import app as composition
from service import migrate, stopping
from service.__main__ import cli
from service.app import create_app
from service.config import SECRETS, Settings, read, variable
from service.db import LOCK_TIMEOUT_S, POOL_TIMEOUT_S, Database
from service.embedding.worker import LEASE_S
from service.export.domain import MOST
from service.health.domain import PROBE_TIMEOUT_S
from service.http.hosts import ASKED_BY_ADDRESS
from service.serve import DRAIN_S
from service.shell.running import COMMAND_POOL
from service.telemetry.event_names import EVENTS
from service.telemetry.lifecycle import Telemetry
from service.telemetry.names import METRICS
from tests.operations.page import PAGE, section

ROOT = Path(__file__).parents[2]
SECRET = "0123456789abcdef" * 4
MIGRATION = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "sql/migrations").glob("*.up.sql"))


def container() -> Any:
    """The container of the deployment under Kubernetes, and what stands around it."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```", section("Kubernetes"), re.MULTILINE | re.DOTALL)
    pod = msgspec.yaml.decode(block.encode())["spec"]["template"]["spec"]
    return {**pod, **pod["containers"][0]}


def served(app: Litestar) -> set[str]:
    """The paths of the service."""
    return {route.path_format for route in app.routes if isinstance(route, HTTPRoute)}


def named(pattern: str) -> set[str]:
    """What the page names of a kind."""
    found = set(re.findall(pattern, PAGE))
    assert found
    return found


def test_settings_that_are_named_exist() -> None:
    """Every JOBSENSE_ name is a setting, or one of a secret's file."""
    known = {variable(name) for name in Settings.__struct_fields__} | {f"{variable(name)}_FILE" for name in SECRETS}
    assert named(r"\bJOBSENSE_[A-Z_]+\b") <= known


def test_commands_that_are_named_exist() -> None:
    """Every `jobsense` command with its subcommand is one, and so is every make target."""
    root = click.Context(cli)
    for name, below in re.findall(r"\bjobsense (migrate|serve|worker|search|dev)\b(?: (up|down))?", PAGE):
        command = cli.get_command(root, name)
        assert command is not None, name
        assert not below or (isinstance(command, click.Group) and below in command.list_commands(root)), below
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert named(r"`make ([a-z-]+)`") <= targets


def test_routes_that_are_named_exist(settings: Settings, telemetry: Telemetry) -> None:
    """Every path of the API, of health and of metrics is served."""
    assert named(r"(?<![\w.])/(?:api/v1|health|metrics)[a-z/]*") <= served(create_app(settings, "", telemetry))


def test_metrics_events_and_tables_that_are_named_exist() -> None:
    """What to look for in metrics, in the log and in the database is what the service writes."""
    assert named(r"\bjobsense_[a-z_]+(?=[`{ ])") - {"jobsense_new"} <= {metric.name for metric in METRICS}
    events = {event.name for event in EVENTS}
    assert {"migration.waiting", "loop.failed"} <= named(r"`([a-z]+\.[a-z]+)`") & events
    for table in ("job_word", "embedded", "embedding_task"):
        assert f"`{table}`" in PAGE
        assert f"create table {table} (" in MIGRATION


def test_numbers_are_those_of_the_code() -> None:
    """Times and counts that an operator plans with."""
    pool = inspect.signature(Database.open).parameters["max_size"].default
    assert f"| {pool} for each of `JOBSENSE_WORKERS` |" in PAGE
    assert f"- **Connections.** {pool} for each serving process, {COMMAND_POOL} for each worker" in PAGE
    assert "gets none within two seconds is 503 `pool_timeout`" in PAGE
    assert POOL_TIMEOUT_S == 2
    assert f"lease of {LEASE_S:g} seconds" in PAGE
    assert f"running requests get {DRAIN_S:g} of them" in PAGE
    assert "within ten seconds" in PAGE
    assert stopping.STOP_S + stopping.CUT_S < 10
    assert "within two seconds, and not the embedder" in PAGE
    assert PROBE_TIMEOUT_S == 2
    assert "does not get its lock within two seconds" in PAGE
    assert migrate.LOCK_S == 2
    assert f"up to {migrate.PATIENCE_S / 60:g}\n   minutes" in PAGE
    assert f"set statement_timeout = '{composition.STATEMENT_TIMEOUT_S:g}s'" in PAGE
    assert f"set lock_timeout = '{LOCK_TIMEOUT_S:g}s'" in PAGE
    assert "four of them a process" in PAGE
    assert MOST == 4


def test_settings_of_a_connection_are_those_that_a_pooler_drops() -> None:
    """What the service sends with a connection and PgBouncer does not know is listed, for the role to have instead."""
    sent = set(re.findall(r'^ +"([a-z_]+)": ', inspect.getsource(Database.open), re.MULTILINE))
    followed = {"application_name", "timezone"}
    assert set(re.findall(r"^ *alter role jobsense set ([a-z_]+) =", PAGE, re.MULTILINE)) == sent - followed
    listed = section("Managed PostgreSQL").partition("unless `ignore_startup_parameters` names them:")[2]
    assert set(re.findall(r"`([a-z_]+)`", listed.partition(".")[0])) == sent - followed


def test_the_deployment_has_valid_settings(tmp_path: Path) -> None:
    """With secrets in files, the environment of the deployment is one that production starts with."""
    environ = {one["name"]: one["value"] for one in container()["env"]}
    texts = {"database_url": "postgresql://db/jobsense", "jwt_secret": SECRET, "store_url": "valkey://store"}
    for name in [name for name in environ if name.endswith("_FILE")]:
        path = tmp_path / Path(environ[name]).name
        path.write_text(texts[path.name])
        path.chmod(0o600)
        environ[name] = str(path)
    settings = read(environ)
    assert (settings.environment, settings.auth, settings.migrate_on_start) == ("production", "required", False)
    assert settings.host == "0.0.0.0"  # noqa: S104 - the address inside a pod
    assert settings.port == container()["ports"][0]["containerPort"]


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_probes_ask_what_answers_by_address(probe: str) -> None:
    """A kubelet names a pod by its address, which ALLOWED_HOSTS does not list; and it waits as long as it takes."""
    asked = container()[probe]
    assert asked["httpGet"]["path"] in ASKED_BY_ADDRESS
    if probe == "readinessProbe":
        assert asked["timeoutSeconds"] > PROBE_TIMEOUT_S


def test_a_pod_has_the_time_to_stop() -> None:
    """The grace period holds the pause before SIGTERM and the whole of a stop."""
    pod = container()
    pause = pod["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > pause + stopping.STOP_S + stopping.CUT_S
