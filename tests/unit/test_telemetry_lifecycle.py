"""Starting, stopping, settings, logs and the register."""

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.errors import SettingError
from service.telemetry.event_names import EVENTS
from service.telemetry.lifecycle import Identification, Telemetry, start_telemetry
from service.telemetry.logs import LogFormat, LogLevel, get_logger
from service.telemetry.names import ATTRIBUTE_BY_KEY, ATTRIBUTES, METRICS, STAGES
from service.telemetry.redact import hide_secrets
from service.telemetry.register import with_register
from service.telemetry.sampling import OtelSettings, Sampling, read_otel
from service.telemetry.stages import task_record
from service.telemetry.w3c import parse_traceparent
from tests.otlp_receiver import otlp_receiver

ROOT = Path(__file__).parents[2]
WHAT = Identification(version="1")


def start(
    log: io.BytesIO, endpoint: str | None = None, form: LogFormat = "json", level: LogLevel = "info"
) -> Telemetry:
    """Start telemetry that logs into `log`."""
    return start_telemetry(
        what=WHAT, otel=OtelSettings(endpoint=endpoint), log_format=form, log_level=level, log_stream=log
    )


async def test_stop_is_bounded_when_the_collector_hangs() -> None:
    """With a collector that never answers, stop returns within five seconds and leaves the event loop free."""
    with otlp_receiver() as receiver:
        receiver.hold.clear()
        telemetry = start(io.BytesIO(), receiver.endpoint)
        with task_record("ingest"):
            pass
        started = time.monotonic()
        stopping = asyncio.create_task(telemetry.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        await stopping
        assert time.monotonic() - started < 5


async def test_an_outage_is_said_once() -> None:
    """A collector that refuses makes one warning, and one line when it takes spans again."""
    log = io.BytesIO()
    with otlp_receiver() as receiver:
        telemetry = start(log, receiver.endpoint)
        receiver.status = 400
        for _ in range(2):
            with task_record("ingest"):
                pass
            await telemetry.flush()
        receiver.status = 200
        with task_record("ingest"):
            pass
        await telemetry.flush()
        await telemetry.stop()
    events = [json.loads(line)["event"] for line in log.getvalue().splitlines()]
    assert [event for event in events if event != "task.done"] == [
        "telemetry.export_failed",
        "telemetry.export_recovered",
    ]
    value = telemetry.metrics.registry.get_sample_value
    assert value("jobsense_telemetry_spans_total", {"result": "failed"}) == 2
    assert value("jobsense_telemetry_spans_total", {"result": "exported"}) == 1


async def test_what_the_queue_drops_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the collector hangs, the oldest spans give way to newer ones, and every span made is accounted for."""
    monkeypatch.setattr("service.telemetry.traces._QUEUE_RECORDS", 4)
    monkeypatch.setattr("service.telemetry.traces._BATCH_RECORDS", 2)
    with otlp_receiver() as receiver:
        receiver.hold.clear()
        telemetry = start(io.BytesIO(), receiver.endpoint)
        for _ in range(20):
            with task_record("ingest"):
                pass
        receiver.hold.set()
        await telemetry.flush()
        await telemetry.stop()
    spans = {
        result: telemetry.metrics.registry.get_sample_value("jobsense_telemetry_spans_total", {"result": result})
        for result in ("created", "exported", "dropped")
    }
    assert spans["created"] == 20
    assert spans["exported"] == len(receiver.spans) <= 8
    assert spans["dropped"] == 20 - len(receiver.spans)


async def test_starting_twice_in_one_process() -> None:
    """A second start delivers to its own collector and counts in its own registry."""
    with otlp_receiver() as first, otlp_receiver() as second:
        for receiver in (first, second):
            telemetry = start(io.BytesIO(), receiver.endpoint)
            with task_record("ingest"):
                pass
            await telemetry.stop()
            await telemetry.stop()
        assert [len(first.spans), len(second.spans)] == [1, 1]


def test_without_an_endpoint_the_sdk_is_not_imported() -> None:
    """A process that traces nothing does not pay for the SDK."""
    program = (
        "import sys\n"
        "from service.telemetry.lifecycle import Identification, start_telemetry\n"
        "from service.telemetry.sampling import read_otel\n"
        "start_telemetry(what=Identification(version='1'), otel=read_otel({}))\n"
        "sys.exit(any(name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter')) for name in sys.modules))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("environ", "endpoint", "sampling"),
    [
        ({}, None, Sampling(1.0, follow_parent=True)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"}, "http://c:4318/v1/traces", Sampling()),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/x"}, "http://c/x", Sampling()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, None, Sampling()),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, None, Sampling(0.0, follow_parent=False)),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
            None,
            Sampling(0.1, follow_parent=False),
        ),
    ],
)
def test_settings(environ: dict[str, str], endpoint: str | None, sampling: Sampling) -> None:
    """The standard OpenTelemetry settings are read as their specification says."""
    settings = read_otel(environ)
    assert settings.endpoint == endpoint
    assert settings.sampling == sampling


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_SAMPLER", "most"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "65536"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "http"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    """A wrong value is refused with the setting's name and what is allowed."""
    with pytest.raises(SettingError, match=rf"{name} is .*{value}.*allowed"):
        read_otel({name: value})


def test_ratio_follows_the_trace_id() -> None:
    """The decision depends on the low 64 bits of the trace id alone, and a parent comes first when it is followed."""
    half = Sampling(0.5)
    assert half.keeps(None, 0x7FFF_FFFF_FFFF_FFFF)
    assert not half.keeps(None, (1 << 64) + 0x8000_0000_0000_0000)
    parent = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert Sampling(0.0).keeps(parent, 1)
    assert not Sampling(0.0, follow_parent=False).keeps(parent, 1)


async def test_log_lines_of_libraries_look_the_same() -> None:
    """The standard library's logging comes out as JSON, with level, stack and hidden secrets."""
    log = io.BytesIO()
    telemetry = start(log)
    failure = ValueError("token=canary-1")
    logging.getLogger("uvicorn.error").error("failed for %s", "postgres://u:canary-2@h/db", exc_info=failure)
    get_logger("x").info("service.ready", api_key="canary-3", nested={"password": "canary-4"}, tokens=5, odd="\ud800")
    get_logger("x").debug("service.ready")
    await telemetry.stop()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (library,) = (line for line in lines if line.get("message", "").startswith("failed for "))  # a server may speak too
    (own,) = (line for line in lines if line.get("event") == "service.ready")
    assert (library["module"], library["level"]) == ("uvicorn.error", "error")
    assert library["message"] == "failed for postgres://u:***@h/db"
    assert "ValueError" in library["exception"]
    assert own["tokens"] == 5
    assert own["api_key"] == "***"
    assert b"canary" not in log.getvalue()


async def test_a_library_says_it_once() -> None:
    """However often logging was set up in a process, a line of a library is one line."""
    start(io.BytesIO())  # as a start that went no further leaves it
    log = io.BytesIO()
    telemetry = start(log)
    logging.getLogger("uvicorn.error").error("out of chairs")
    await telemetry.stop()
    assert log.getvalue().count(b"out of chairs") == 1


async def test_console_lines_are_for_people() -> None:
    """The console format is text with the event and its fields."""
    log = io.BytesIO()
    telemetry = start(log, form="console", level="debug")
    get_logger("x").debug("service.ready", port=8000)
    await telemetry.stop()
    assert re.search(r"service\.ready .*port.*8000", log.getvalue().decode())


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://jobs:S3@cr.t@db:5432/x",
        "GET /x?token=S3@cr.t&k=1",
        "Authorization: Bearer S3@cr.t",
        "{'x-api-key': 'S3@cr.t'}",
        '{"password": "S3@cr.t"}',
    ],
)
def test_secrets_in_text(text: str) -> None:
    """Secrets are found by what stands before them."""
    assert "S3" not in hide_secrets(text)


def test_harmless_text_is_kept() -> None:
    """Ordinary text with colons, addresses and numbers stays as it is."""
    text = "GET http://host:8000/jobs/7?k=1 took 3 ms: input_tokens 5, 10:20:30"
    assert hide_secrets(text) == text


def test_register_is_up_to_date() -> None:
    """otel/README.md has what the registry writes."""
    page = (ROOT / "otel/README.md").read_text()
    assert page == with_register(page), "run: python -m service.telemetry.register"


def test_registry_is_consistent() -> None:
    """Names are unique and speak the language of their kind."""
    for names in ([m.name for m in METRICS], [a.name for a in ATTRIBUTES], [e.name for e in EVENTS]):
        assert len(names) == len(set(names))
    assert len(ATTRIBUTE_BY_KEY) == 2 * len(ATTRIBUTES)
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert not {"query", "job_id", "trace_id", "path"} & set(metric.labels)
    for spec in STAGES.values():
        assert set(spec.constants) <= set(ATTRIBUTE_BY_KEY)
        assert all(name in ATTRIBUTE_BY_KEY for name in re.findall(r"{(.*?)}", spec.span))
