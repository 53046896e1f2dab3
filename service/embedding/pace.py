"""How much text one claim may hold, so that a step takes a few seconds whatever the model and the machine."""

STEP_S = 2.0
"""What a step should take: short beside a lease and a stop, long beside what a step costs by itself."""
FIRST_BYTES = 32_000
LEAST_BYTES = 4_000
MOST_BYTES = 4_000_000


class Pace:
    """Learns from how long the last steps took."""

    def __init__(self) -> None:
        self.claim_bytes = FIRST_BYTES

    def learn(self, embedded_bytes: int, seconds: float) -> None:
        """Note that a step embedded so much text in so much time; half or double at most from step to step.

        A step with little text says nothing: what it took is not the text's doing.
        """
        if embedded_bytes * 2 < self.claim_bytes or seconds <= 0:
            return
        wanted = embedded_bytes / seconds * STEP_S
        near = min(max(wanted, self.claim_bytes / 2), self.claim_bytes * 2)
        self.claim_bytes = int(min(max(near, LEAST_BYTES), MOST_BYTES))
