"""What came of a load run: every answer as it came, and the figures made from them."""

from collections import Counter
from collections.abc import Iterable

import msgspec


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What came of one request: when it was due and answered, in seconds since the run began, and the answer itself."""

    due_s: float
    answered_s: float
    status: int
    """0: no whole answer came, and `fault` says why."""
    head: bytes = b""
    body: bytes = b""
    fault: str = ""

    @property
    def latency_s(self) -> float:
        """Seconds from when the request was due to the last byte of its answer."""
        return self.answered_s - self.due_s

    def header(self, name: str) -> str | None:
        """The value of a header."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode()
        return None

    def timing_ms(self, stage: str) -> float:
        """Milliseconds of a stage in `Server-Timing`, summed; 0 where it is not named."""
        parts = [part.split(";") for part in (self.header("server-timing") or "").split(",")]
        durations = [field for name, *fields in parts for field in fields if name.strip() == stage]
        return sum(float(field.strip().removeprefix("dur=")) for field in durations if field.strip().startswith("dur="))


class Report(msgspec.Struct):
    """All answers of a run, in order of arrival."""

    answers: list[Answer]
    began: float
    """When the run began, as the event loop counts time."""
    seconds: float
    """How long requests were offered."""
    cpu_s: float
    """Processor time of the generator's own process meanwhile."""

    def statuses(self) -> dict[int, int]:
        """How many answers there are of each status."""
        return dict(sorted(Counter(answer.status for answer in self.answers).items()))

    def having(self, *statuses: int) -> list[Answer]:
        """The answers of these statuses."""
        return [answer for answer in self.answers if answer.status in statuses]

    def latency_s(self, quantile: float, *, status: int = 200, since_s: float = 0.0) -> float:
        """A quantile (0..1) of the latency of answers of one status, of the requests due from `since_s` on."""
        return quantile_of((one.latency_s for one in self.having(status) if one.due_s >= since_s), quantile)

    def goodput(self) -> float:
        """Answers of status 200 a second that came while requests were offered."""
        return sum(answer.answered_s <= self.seconds for answer in self.having(200)) / self.seconds


def quantile_of(values: Iterable[float], quantile: float) -> float:
    """The value that this share (0..1) of the values do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] if ordered else float("nan")
