"""What telemetry costs: the processor time of a request with traces on, beside that with traces off, in one run."""

import statistics
from collections.abc import AsyncIterator, Mapping

import pytest

from tests.conftest import Server
from tests.load.side_by_side import CLIENTS, Side, requests_of, side_by_side, take_turns
from tests.load.stack import Stack
from tests.load.verdict import best_of, objections_to, sayer
from tests.otlp_receiver import otlp_receiver

pytestmark = pytest.mark.long

POSTINGS = 2000
ROUNDS = 7
TURNS, EACH = {"search": 12, "get": 16}, {"search": 20, "get": 40}
DELIVERY_S = 1.5
"""After a round, for its last spans to be encoded and sent: that is part of the cost."""
MODES: dict[str, Mapping[str, str]] = {
    "off": {"OTEL_SDK_DISABLED": "true"},
    "off again": {"OTEL_TRACES_EXPORTER": "none"},
    "unsampled": {"OTEL_TRACES_SAMPLER": "always_off"},
    "1 %": {"OTEL_TRACES_SAMPLER_ARG": "0.01"},
    "full": {"OTEL_TRACES_SAMPLER_ARG": "1"},
}
MOST = {"unsampled": 0.03, "1 %": 0.08, "full": 0.25}
"""The share of throughput that each may cost. Two processes with traces off tell how much is chance."""

Sides = dict[str, Side]


@pytest.fixture(scope="module")
async def modes(
    server: Server, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Stack, Sides]]:
    """A service for each mode; the same collector takes what they export."""
    with otlp_receiver() as receiver:
        receiver.status = 202  # taken and not decoded, which would cost the one who asks
        endpoint = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.endpoint}
        variants = {name: {**given, **endpoint} for name, given in MODES.items()}
        folder = tmp_path_factory.mktemp("cost")
        async with side_by_side(server, template, folder, variants, postings=POSTINGS) as made:
            yield made


def costs(modes: Sides) -> dict[str, float]:
    """The share of a server's throughput that each mode takes: of the processor time of a request, in the same round.

    A process that is busy all the time serves one request in that time, so its throughput is the inverse.
    """
    off = [statistics.mean(pair) for pair in zip(modes["off"].cpu_ms, modes["off again"].cpu_ms, strict=True)]
    return {
        name: statistics.median(1 - one / own for one, own in zip(off, mode.cpu_ms, strict=True))
        for name, mode in modes.items()
    }


async def spans(stack: Stack, mode: Side) -> dict[str, float]:
    """Its own count of spans by what became of them."""
    told = await stack.text_of(f"{mode.address}/metrics")
    found = [line for line in told.splitlines() if line.startswith("jobsense_telemetry_spans_total{")]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in found}


@pytest.mark.parametrize("kind", ["search", "get"])
async def test_what_traces_cost(modes: tuple[Stack, Sides], kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """On but unsampled 3 % of throughput at most, of one request in a hundred 8 %, of every request 25 %."""
    say = sayer(capfd)
    stack, sides = modes

    async def once() -> list[str]:
        for warm in (False, True):
            for side in sides.values():
                side.begin(await requests_of(kind, stack, side.address, seed=1 + warm))
            for _ in range(ROUNDS if warm else 1):
                await take_turns(sides, turns=TURNS[kind], each=EACH[kind], rest_s=DELIVERY_S)
        shares = costs(sides)
        for name, side in sides.items():
            say(
                f"{kind}, {name}: {statistics.median(side.cpu_ms):.3f} ms of processor a request,"
                f" {shares[name]:+.1%} of throughput; {statistics.median(side.rates):.0f}/s from {CLIENTS} clients"
            )
        return objections_to(**{name.replace("1 %", "one_in_a_hundred"): shares[name] <= MOST[name] for name in MOST})

    await best_of(once, say)
    told = {name: await spans(stack, side) for name, side in sides.items()}
    say(f"spans: {told}")
    assert not told["off"]
    assert not told["off again"]
    assert told["unsampled"].get("created", 0) < told["full"]["created"] / 20, "only what failed or was slow"
    assert 0 < told["1 %"]["created"] < told["full"]["created"] / 20
    assert told["full"]["exported"] > 4 * ROUNDS * TURNS[kind] * EACH[kind]
    assert not {"dropped", "failed"} & set(told["full"])
