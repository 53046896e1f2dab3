"""Whatever the collector does, callers of a real service do not notice: its latency is that of one whose is well."""

import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest

from tests.conftest import Server
from tests.load.report import quantile_of
from tests.load.side_by_side import Side, requests_of, side_by_side, take_turns
from tests.load.stack import Stack
from tests.load.verdict import best_of, objections_to, sayer
from tests.otlp_receiver import OtlpReceiver, otlp_receiver

pytestmark = pytest.mark.long

FAULTS = ("is well", "is well too", "refuses", "hangs", "answers 503", "dies midway")
POSTINGS = 500
TURNS, EACH = 15, 20
ROUNDS = 6
MOST_SLOWER = 1.2
"""Of the p99: about twice what two services differ in whose collectors are both well."""


@contextmanager
def collectors() -> Iterator[Mapping[str, OtlpReceiver]]:
    """A collector with each fault; that which dies is well at first."""
    with ExitStack() as running:
        made = {fault: running.enter_context(otlp_receiver()) for fault in FAULTS}
        for receiver in made.values():
            receiver.status = 202  # taken and not decoded, which would cost the one who asks
        with socket.create_server(("127.0.0.1", 0)) as gone:
            made["refuses"].endpoint = f"http://127.0.0.1:{gone.getsockname()[1]}/v1/traces"
        made["hangs"].hold.clear()
        made["answers 503"].status = 503
        yield made


@pytest.fixture(scope="module")
async def sides(
    server: Server, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Stack, dict[str, Side], Mapping[str, OtlpReceiver]]]:
    """A service for each collector, every trace kept."""
    with collectors() as receivers:
        variants = {fault: {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": made.endpoint} for fault, made in receivers.items()}
        folder = tmp_path_factory.mktemp("collectors")
        async with side_by_side(server, template, folder, variants, postings=POSTINGS) as (stack, made):
            yield stack, made, receivers


async def test_latency_is_the_same(
    sides: tuple[Stack, dict[str, Side], Mapping[str, OtlpReceiver]], capfd: pytest.CaptureFixture[str]
) -> None:
    """The p99 of searches is that of a service whose collector is well, and the log has one line of the outage."""
    say = sayer(capfd)
    stack, services, receivers = sides

    async def once() -> list[str]:
        for service in services.values():
            service.begin(await requests_of("search", stack, service.address))
        receivers["dies midway"].status = 202
        receivers["dies midway"].hold.set()
        for number in range(ROUNDS):
            if number == ROUNDS // 2:
                receivers["dies midway"].status = 503
                receivers["dies midway"].hold.clear()
            await take_turns(services, turns=TURNS, each=EACH, rest_s=0)
        slower = {}
        well = [a.latency_s for name in FAULTS[:2] for a in services[name].answers]
        for fault, service in services.items():
            times = [answer.latency_s for answer in service.answers]
            p50, p99 = (quantile_of(times, quantile) * 1000 for quantile in (0.5, 0.99))
            slower[fault] = p99 / quantile_of(well, 0.99) / 1000
            say(f"{fault}: p50 {p50:.2f}, p99 {p99:.2f} ms, {slower[fault]:.2f} times that of those that are well")
        return objections_to(**{fault.replace(" ", "_"): slower[fault] <= MOST_SLOWER for fault in FAULTS[2:]})

    await best_of(once, say)
    for fault in FAULTS[2:]:
        told = stack.log_of(fault.replace(" ", "-"))
        assert 1 <= told.count('"telemetry.export_failed"') <= 4, fault
        assert "Traceback" not in told
