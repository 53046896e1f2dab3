"""The lateness of the event loop, as operators see it."""

import time

from service.telemetry.lifecycle import Telemetry
from service.telemetry.loop_lag import LoopLag
from tests.conftest import Service
from tests.looking import until_next_look_async

NAME = "jobsense_event_loop_lag_seconds"
HELD_S = 0.06


async def test_what_holds_up_the_loop_is_seen(telemetry: Telemetry) -> None:
    """Computing for 60 ms without a pause makes what was due at its start that late; after a stop nothing is noted."""
    sample = telemetry.metrics.registry.get_sample_value
    lag = LoopLag(every_s=0.001)
    lag.start()
    until = time.monotonic() + HELD_S
    while time.monotonic() < until:
        pass
    while not sample(f"{NAME}_count"):
        await until_next_look_async()
    late = sample(f"{NAME}_count"), sample(f"{NAME}_bucket", {"le": "0.05"})
    lag.stop()
    lag.stop()
    assert (sample(f"{NAME}_sum") or 0) > HELD_S - 0.005
    assert late[0] == 1 + (late[1] or 0), "one was late, whatever came after it was not"
    counted = sample(f"{NAME}_count")
    for _ in range(3):
        await until_next_look_async()
    assert sample(f"{NAME}_count") == counted


async def test_a_process_watches_its_loop(api: Service, telemetry: Telemetry) -> None:
    """Whatever serves or embeds looks at its event loop by itself, and `/metrics` shows it."""
    while not telemetry.metrics.registry.get_sample_value(f"{NAME}_count"):
        await until_next_look_async()
    assert f"{NAME}_bucket" in (await api.client.get("/metrics")).text
