"""The fake Ollama of a run as a process: what is switched wrong on it, for how long, and put right again."""

import random
import signal
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import httpx
import msgspec

from tests.fake_ollama.clients import TLS
from tests.fake_ollama.knobs import Knobs
from tests.faults.processes import Supervised, environment
from tests.faults.timeline import Over, Timeline

DIMENSIONS = 64
USUAL: Mapping[str, object] = MappingProxyType({"dimensions": DIMENSIONS, "item_delay_s": 0.004})
"""The knobs of a run in health: a text takes a while, so that postings change while they are being embedded."""
OTHER_DIGEST = "f" * 64
MUTE = "ollama.mute"
"""The name of the spans in which no vector can be had from it."""


class Fault(msgspec.Struct, frozen=True):
    """Knobs to be turned; `mute`: with them no embedding request can succeed."""

    knobs: Mapping[str, object]
    mute: bool = False


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "hang": Fault({"hang": True}, mute=True),
        "slow": Fault({"slow_s": 0.4}),
        "slow_item": Fault({"item_delay_s": 0.1}),
        "zero": Fault({"zero_for": ""}, mute=True),
        "nan": Fault({"nan_for": ""}, mute=True),
        "nan_500": Fault({"nan_for": "", "era": "A"}, mute=True),
        "nan_400": Fault({"nan_for": "", "era": "B"}, mute=True),
        "busy": Fault({"queue_full": True}, mute=True),
        "runner_died": Fault({"runner_deaths": 6}),
        "runner_died_500": Fault({"runner_deaths": 6, "era": "A"}),
        "cut_before": Fault({"drop": "before"}, mute=True),
        "cut_middle": Fault({"drop": "middle"}, mute=True),
        "fail_500": Fault({"fail_next": 6, "fail_status": 500}),
        "fail_503": Fault({"fail_next": 6, "fail_status": 503, "fail_text": "server busy, please try again"}),
        "fail_400": Fault({"fail_next": 6, "fail_status": 400}),
        "model_missing": Fault({"missing_model": True}, mute=True),
        "slow_load": Fault({"loaded": False, "load_delay_s": 2.0}),
        "load_failed": Fault({"loaded": False, "load_error": "timed out waiting for llama runner to start"}, mute=True),
        "other_model": Fault({"digest": OTHER_DIGEST}),
    }
)


class Ollama(Supervised):
    """The fake as a process on a port of its own."""

    def __init__(self, port: int, *, folder: Path, timeline: Timeline) -> None:
        self.url = f"http://127.0.0.1:{port}"
        knobs = msgspec.json.encode(dict(USUAL)).decode()
        super().__init__(
            "ollama",
            ["tests.fake_ollama", "--port", str(port), "--knobs", knobs],
            env=environment(folder),
            folder=folder,
            timeline=timeline,
            is_up=lambda _: self._answers(),
        )
        self._timeline = timeline

    async def turn(self, changes: Mapping[str, object]) -> bool:
        """Turn knobs; whether it is there to be turned."""
        async with httpx.AsyncClient(timeout=5, verify=TLS) as client:
            try:
                answer = await client.post(f"{self.url}/__fake/knobs", json=dict(changes))
            except httpx.TransportError:
                return False
        return answer.status_code == httpx.codes.OK

    async def misbehave(self, name: str, seconds: float, over: Over) -> None:
        """Have a fault for a while; a process that is killed meanwhile comes back without it."""
        fault, usual = FAULTS[name], msgspec.convert(dict(USUAL), Knobs)
        pid = self.pid
        if not await self.turn(fault.knobs):
            return
        if fault.mute and pid is not None and self.pid == pid and self.up.is_set():
            self._timeline.begin(MUTE)
        await over.within(seconds)
        self._timeline.end(MUTE)
        if not await self.turn({knob: getattr(usual, knob) for knob in fault.knobs if knob != "loaded"}):
            await self.wait_until_up()

    def kill(self, number: signal.Signals, *, away_s: float = 0.0) -> bool:
        """End it; the one that comes back has none of the faults."""
        killed = super().kill(number, away_s=away_s)
        if killed:
            self._timeline.end(MUTE)
        return killed

    async def _answers(self) -> bool:
        async with httpx.AsyncClient(timeout=5, verify=TLS) as client:
            try:
                return (await client.get(f"{self.url}/__fake/knobs")).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False


def draw_fault(rng: random.Random, deck: list[str]) -> str:
    """The next fault: each once in random order, then all again."""
    if not deck:
        deck += rng.sample(sorted(FAULTS), len(FAULTS))
    return deck.pop()
