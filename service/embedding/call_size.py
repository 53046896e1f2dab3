"""How many search texts share a call, so that it is answered well before their deadline."""

CALL_S = 0.2
"""What a call may take: a quarter of the usual deadline, since all its texts are answered when the last is computed."""
MOST_TEXTS = 64
FIRST_TEXTS = 16
"""While nothing is known of the embedder."""
WEIGHT = 0.5
"""Of the newest call. High, so that it is soon found out where a call itself costs most, and more texts little more."""
MOST_SURPRISE = 4.0
"""A call counts as so many times slower than expected at most: one in which the model was loaded says little."""


class CallSize:
    """Learns the seconds of a text from the calls that were answered, and from those that were given up."""

    def __init__(self) -> None:
        self._text_s = 0.0  # 0: nothing is known

    @property
    def most(self) -> int:
        """Texts of the next call; one at least."""
        if not self._text_s:
            return FIRST_TEXTS
        return max(1, min(MOST_TEXTS, int(CALL_S / self._text_s)))

    def learn(self, texts: int, seconds: float, *, answered: bool) -> None:
        """Take in a call; one that was given up says only how long it took at least."""
        share = seconds / texts
        if self._text_s:
            share = min(share, MOST_SURPRISE * self._text_s)
            if answered or share > self._text_s:
                self._text_s += WEIGHT * (share - self._text_s)
        elif answered:
            self._text_s = share
