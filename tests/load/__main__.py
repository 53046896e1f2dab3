"""`make load`: starts a service of its own on loopback, fills it, lets locust's users at it, and stops everything.

With --url it is your service that is loaded, with JOBSENSE_LOAD_KEY as its key. Options of locust go on to it.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import httpx

from tests.cli.conftest import environment
from tests.load.material import posting
from tests.load.stack import BATCH, Program, until

ROOT = Path(__file__).parents[2]
LOCUST = ROOT / ".make" / "load" / "venv" / "bin" / "locust"
LATENCY_MS = 5
"""What the model server takes for a call: a small model on a graphics card."""
PATIENCE_S = 300.0


class Part(Program):
    """A part of the service; Ctrl-C is for whoever ends the parts in order."""

    process_group = 0


def _say(line: str) -> None:
    sys.stdout.write(f"== {line}\n")
    sys.stdout.flush()


@asynccontextmanager
async def own_service(postings: int, workers: int) -> AsyncIterator[str]:
    """A service with a database and a model server of its own and so many postings, embedded; its address."""
    programs: list[Program] = []
    with tempfile.TemporaryDirectory(prefix="jobsense-load-") as name:
        folder = Path(name)
        telemetry = {key: value for key, value in os.environ.items() if key.startswith("OTEL_")}

        def begin(name: str, *arguments: str, **settings: str) -> Program:
            env = environment(folder, **settings) | telemetry
            programs.append(Part(name, arguments, folder=folder, env=env))
            return programs[-1]

        try:
            fake = begin("embedder", "tests.bench.embedder", "--latency-ms", str(LATENCY_MS))
            embedder = (await fake.said(r"(http://\S+)\n"))[1]
            telemetry.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", embedder)  # which takes spans and drops them
            own = {"data_dir": name, "embedder": "ollama", "ollama_url": embedder, "port": "0", "workers": str(workers)}
            serve = begin("serve", "service", "serve", **own)
            address = (await serve.said(r'"service.starting".*"address":"(http://[^"]+)"'))[1]
            await _fill(address, postings)
            yield address
        finally:
            for program in reversed(programs):
                await asyncio.to_thread(program.stop)


async def _fill(address: str, postings: int) -> None:
    """Store postings and wait until all are embedded."""
    async with httpx.AsyncClient(base_url=address, timeout=60, trust_env=False) as client:

        async def is_ready() -> bool:
            try:
                return (await client.get("/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        async def is_embedded() -> bool:
            parts = (await client.get("/health")).json()["parts"]
            return bool(parts["embedder"]["status"] == "up" and parts["backlog"]["detail"]["waiting"] == 0)

        await until(is_ready)
        _say(f"{address} is ready; {postings} postings are stored and embedded")
        rows = (posting(number) for number in range(postings))
        while chunk := list(islice(rows, BATCH)):
            (await client.post("/api/v1/jobs/batch", json=chunk)).raise_for_status()
        await until(is_embedded, within_s=PATIENCE_S)


async def locust(address: str, options: argparse.Namespace, more: list[str]) -> int:
    """Run locust against an address; its exit code, which is 1 when a limit was missed."""
    report: Path = options.report
    command = [str(LOCUST), "-f", "tests/load/locustfile.py", "--host", address, "--report", str(report)]
    command += ["--users", str(options.users), "--spawn-rate", str(max(1, options.users // 4)), "--stop-timeout", "15"]
    if options.web:
        command += ["--web-host", "127.0.0.1", "--web-port", str(options.web_port)]
        _say(f"http://127.0.0.1:{options.web_port} is the page; /report there has trace ids. Ctrl-C ends all.")
    else:
        command += ["--headless", "--only-summary", "--run-time", f"{options.seconds}s"]
        command += ["--html", str(report / "locust.html")]
    if options.limits:
        command += ["--limits", str(options.limits)]
    command += [*more, *(["Seeker"] if options.read_only else [])]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, process_group=0
    )
    try:
        return await process.wait()
    except asyncio.CancelledError:  # told to stop: locust ends its run and reports, then everything else ends
        process.send_signal(signal.SIGINT)
        return await process.wait()


async def run(options: argparse.Namespace, more: list[str]) -> int:
    """One load run; its exit code. Ctrl-C and SIGTERM end it in order."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    if not LOCUST.exists():
        _say("locust is not installed: make load installs it")
        return 2
    if options.url:
        return await locust(options.url, options, more)
    async with own_service(options.postings, options.workers) as address:
        return await locust(address, options, more)


def _path(given: str) -> Path:
    """As whoever started it means it; locust runs somewhere else."""
    return Path(given).resolve()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--url", help="load this service instead; JOBSENSE_LOAD_KEY is its key")
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--web", action="store_true", help="locust's web page instead of one run")
    parser.add_argument("--web-port", type=int, default=8089)
    parser.add_argument("--read-only", action="store_true", help="nobody who writes")
    parser.add_argument("--postings", type=int, default=3000, help="of the service that is started")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service that is started")
    parser.add_argument("--limits", type=_path, help="TOML file of what the run has to hold")
    parser.add_argument("--report", type=_path, default=".make/load/report", help="folder of the report")
    options, more = parser.parse_known_args()
    options.report.mkdir(parents=True, exist_ok=True)
    try:
        sys.exit(asyncio.run(run(options, more)))
    except asyncio.CancelledError:
        sys.exit(130)


if __name__ == "__main__":
    main()
