"""Users for locust: people who search, page, open and look for similar ones, and partners who write.

`make load` runs it against a service of its own, `make load ARGS='--url ...'` against yours. By hand, from the top of
the checkout: `locust -f tests/load/locustfile.py --host http://127.0.0.1:8000`; needs locust and nothing of JobSense.
"""

import logging
import random
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from locust import FastHttpUser, between, events, task
from locust.env import Environment
from locust.runners import WorkerRunner

from tests.load import people
from tests.load.slowest import Slowest, asked
from tests.load.summary import Run, markdown, write
from tests.load.thresholds import Figures, missed, read_limits

LIMITS = Path(__file__).parent / "thresholds.toml"
PAGES = 3
"""How far people page, at most."""
KEPT = 200
"""Postings that a partner leaves in place; past that it withdraws the oldest."""

log = logging.getLogger(__name__)
remembered = Slowest()


class Visitor(FastHttpUser):
    """Somebody with a credential, who thinks between two requests."""

    abstract = True
    wait_time = between(0.2, 1.5)
    connection_timeout = 10.0
    network_timeout = 30.0

    def on_start(self) -> None:
        """Come with dice of one's own, so that no two users ask alike."""
        options = self.environment.parsed_options
        self.dice = random.Random()  # noqa: S311 - what users ask, no secrets
        self.source = options.source
        self.credentials = {"X-API-Key": options.api_key} if options.api_key else {}

    def ask(self, call: people.Call, check: people.Check | None = None) -> Any:
        """Send a request; the answer if it is good, and what is wrong with it in the figures if it is not."""
        headers = {**self.credentials, **call.headers}
        with self.client.request(
            call.method, call.path, name=call.name, json=call.body, headers=headers, catch_response=True
        ) as response:
            fault = people.fault_of(call, response.status_code, response.content or b"", check)
            if fault:
                response.failure(fault)
                return None
            response.success()
            return response


class Seeker(Visitor):
    """Looks for work."""

    weight = 5

    @task(5)
    def look_for_work(self) -> None:
        """Search, page on, open what looks good, and see what is like it."""
        call = people.search(self.dice)
        seen = set[int]()

        def check(answer: Any) -> str:
            return people.whole(answer) or people.fresh(seen, people.ids_of_results(answer))

        for _ in range(self.dice.randint(1, PAGES)):
            if (response := self.ask(call, check)) is None:
                return
            answer = response.json()
            self._read(people.ids_of_results(answer))
            if not answer["next_cursor"]:
                return
            self.wait()
            call = people.next_results(call, answer["next_cursor"])

    def _read(self, ids: list[int]) -> None:
        for job_id in self.dice.sample(ids, min(len(ids), self.dice.randint(0, 2))):
            self.wait()
            response = self.ask(people.opening(job_id))
            if response is None or response.status_code != 200:
                continue
            if self.dice.random() < 0.3:
                self.ask(people.opening(job_id, response.headers["ETag"]))
            if self.dice.random() < 0.5:
                self.ask(people.similar(job_id))

    @task(2)
    def leaf_through(self) -> None:
        """See what is new, page by page."""
        seen = set[int]()
        call = people.listing(self.dice)
        for _ in range(self.dice.randint(1, PAGES)):
            response = self.ask(call, lambda answer: people.fresh(seen, people.ids_of_items(answer)))
            if response is None or not (cursor := response.json()["next_cursor"]):
                return
            self.wait()
            call = people.next_items(call, cursor)


class Partner(Visitor):
    """Sends postings, some twice since an answer was lost, changes them, and takes all of them back at the end."""

    weight = 1

    def on_start(self) -> None:
        """Begin without postings."""
        super().on_start()
        self.own = dict[int, str]()

    @task(4)
    def publish(self) -> None:
        """Send a posting; what is sent again under the same key is answered as before, and stored once."""
        call = people.creation(self.dice, self.source)
        if (response := self.ask(call)) is None:
            return
        job = response.json()
        self.own[job["id"]] = response.headers["ETag"]
        if self.dice.random() < 0.4:
            self.ask(people.again(call), lambda answer: "" if answer["id"] == job["id"] else "stored twice")

    @task(2)
    def amend(self) -> None:
        """Change one's own posting."""
        if not self.own:
            return
        job_id = self.dice.choice(list(self.own))
        response = self.ask(people.amendment(self.dice, job_id, self.own[job_id]))
        if response is not None:
            self.own[job_id] = response.headers["ETag"]

    @task(1)
    def send_many(self) -> None:
        """Send some postings at once, each of which has to be stored."""

        def check(answer: Any) -> str:
            statuses = {row["status"] for row in answer["results"]}
            return "" if statuses == {"created"} and len(answer["results"]) == people.BATCH else "a row was not stored"

        response = self.ask(people.batch(self.dice, self.source), check)
        if response is not None:
            self.own.update((row["id"], "*") for row in response.json()["results"])

    @task(2)
    def withdraw(self) -> None:
        """Take back the oldest, more of them when there are many."""
        for job_id in list(self.own)[: max(1, len(self.own) - KEPT)]:
            self._take_back(job_id)

    def _take_back(self, job_id: int) -> None:
        if self.ask(people.withdrawal(job_id)) is not None:
            self.own.pop(job_id, None)

    def on_stop(self) -> None:
        """Leave the service as it was found."""
        for job_id in list(self.own):
            self._take_back(job_id)


@events.init_command_line_parser.add_listener
def add_arguments(parser: ArgumentParser) -> None:
    """What this file needs beside locust's own options."""
    parser.add_argument("--api-key", default="", env_var="JOBSENSE_LOAD_KEY", is_secret=True, help="sent as X-API-Key")
    parser.add_argument("--source", default="linkedin", help="source of the postings that partners send")
    parser.add_argument("--limits", default=str(LIMITS), help="TOML file of what a run has to hold")
    parser.add_argument("--report", default=".make/load/report", help="folder of the report")
    parser.add_argument("--jaeger", default="", help="address of a Jaeger, for links from trace ids")


@events.request.add_listener
def remember(
    name: str, response_time: float, response: Any = None, exception: BaseException | None = None, **_: Any
) -> None:
    """Keep what finds the trace of a slow or failed request again."""
    headers = getattr(response, "headers", None) or {}
    status = getattr(response, "status_code", 0) or 0
    remembered.add(asked(name, response_time, status, headers, str(exception) if exception else ""))


@events.test_start.add_listener
def forget(**_: Any) -> None:
    """A run begins, perhaps the second from the web page."""
    remembered.clear()


@events.report_to_master.add_listener
def tell(data: dict[str, Any], **_: Any) -> None:
    """As a worker process: what is remembered goes with the figures."""
    data["slowest"] = remembered.drain()


@events.worker_report.add_listener
def hear(data: dict[str, Any], **_: Any) -> None:
    """As the master: take it in."""
    remembered.merge(data.get("slowest", {}))


@events.init.add_listener
def add_page(environment: Environment, **_: Any) -> None:
    """Put the report so far on locust's own web page, as /report."""
    if environment.web_ui is not None:

        @environment.web_ui.app.route("/report")
        def report() -> tuple[str, dict[str, str]]:
            return markdown(told(environment)), {"Content-Type": "text/plain; charset=utf-8"}


def _figures(one: Any) -> Figures:
    p50, p95, p99 = (one.get_response_time_percentile(share) or 0.0 for share in (0.5, 0.95, 0.99))
    return Figures(one.num_requests, one.num_failures, one.total_rps, p50, p95, p99, one.max_response_time)


def told(environment: Environment) -> Run:
    """What came of the run so far."""
    options, stats = environment.parsed_options, environment.stats
    figures = {name: _figures(one) for (name, _), one in sorted(stats.entries.items())}
    limits = read_limits(Path(options.limits))
    users = getattr(environment.runner, "target_user_count", 0)
    seconds = (stats.last_request_timestamp or stats.start_time) - stats.start_time
    everybody = options.headless and len(environment.user_classes) > 1
    found = missed(figures, limits, planned=everybody)
    return Run(
        environment.host or "", users, seconds, figures, limits, found, remembered.slowest(), remembered.failed()
    )


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """Write the report, and end with exit code 1 when a limit was missed."""
    if isinstance(environment.runner, WorkerRunner):
        return  # its figures are the master's
    run = told(environment)
    environment.process_exit_code = 1 if run.missed else 0
    for sentence in run.missed:
        log.error("Missed: %s", sentence)
    try:
        path = write(run, Path(environment.parsed_options.report), environment.parsed_options.jaeger)
    except OSError as error:  # in a container that may not write there
        log.warning("No report was written: %s", error)
    else:
        log.info("Figures, and the trace ids of slow requests: %s", path)
