"""How many passages go into one bulk request, so that it takes a given time at the rate the server has shown."""

from collections.abc import Iterable

QUIET_REQUEST_S = 0.5
"""Aim while no query is about: long enough that the costs of a request itself do not count."""
BUSY_REQUEST_S = 0.005
"""Aim while queries are about: what one of them may have to wait for."""
MOST_ITEMS = 64
MOST_CHARACTERS = 64_000
FIRST_ITEMS = 4
FIRST_CHARACTERS = 4_000
"""Bounds of the first request, while nothing is known of the server; one text while queries are about."""

_WEIGHT = 0.3  # of the newest request; some six requests are remembered
_MOST_SURPRISE = 4.0  # a request counts as so many times slower than expected at most: one that stalled says little
_PRIOR_SPREAD = 0.1  # lengths that differ by less than this share of their mean tell little of the cost of a character


class Pace:
    """Learns the seconds of a text as a + b * characters, and fits requests to a time.

    The cost is a regression of the mean seconds a text on the mean characters a text, over the last requests, each with
    a weight that fades. The time that a request is meant to take at most doubles from one to the next. After a time-out
    requests hold half as many texts, and one more with every success.
    """

    def __init__(self, most_items: int = MOST_ITEMS, most_characters: int = MOST_CHARACTERS) -> None:
        self._most_items = self._allowed_items = most_items
        self._most_characters = most_characters
        self._aim_s = 0.0  # 0: nothing is known of the server
        self._mean_characters = self._mean_s = self._variance = self._covariance = 0.0

    def fit(self, lengths: Iterable[int], target_s: float) -> int:
        """How many of the next texts, of these lengths in characters, fit `target_s`; one at least.

        To be asked once for every request.
        """
        most, most_characters = self._allowed_items, self._most_characters
        if self._aim_s:
            target_s = self._aim_s = min(target_s, 2 * self._aim_s)
        else:
            most = min(most, FIRST_ITEMS if target_s > BUSY_REQUEST_S else 1)
            most_characters = min(most_characters, FIRST_CHARACTERS)
        items = characters = 0
        for length in lengths:
            characters += length
            fits = items < most and characters <= most_characters and self.expect(items + 1, characters) <= target_s
            if items and not fits:
                break
            items += 1
        return items

    def expect(self, items: int, characters: int) -> float:
        """Seconds that a request is likely to take; 0 while nothing is known."""
        slope = self._slope()
        return items * (self._mean_s - slope * self._mean_characters) + characters * slope

    def learn(self, items: int, characters: int, elapsed_s: float) -> None:
        """Take in a request that was answered after `elapsed_s`."""
        self._allowed_items = min(self._most_items, self._allowed_items + 1)
        if not self._aim_s:
            self._aim_s = elapsed_s
            self._mean_characters, self._mean_s = characters / items, elapsed_s / items
            return
        elapsed_s = min(elapsed_s, _MOST_SURPRISE * self.expect(items, characters))
        more_characters = characters / items - self._mean_characters
        more_s = elapsed_s / items - self._mean_s
        self._mean_characters += _WEIGHT * more_characters
        self._mean_s += _WEIGHT * more_s
        self._variance = (1 - _WEIGHT) * (self._variance + _WEIGHT * more_characters**2)
        self._covariance = (1 - _WEIGHT) * (self._covariance + _WEIGHT * more_characters * more_s)

    def halve(self, tried: int) -> None:
        """Remember that `tried` texts were too many for the time-out."""
        self._allowed_items = max(1, min(self._allowed_items, tried // 2))

    def _slope(self) -> float:
        """Seconds a character: 0 (only texts cost) to the mean (only characters do), and half of that when unknown."""
        if not self._mean_characters:
            return 0.0
        steepest = self._mean_s / self._mean_characters
        known_from = (_PRIOR_SPREAD * self._mean_characters) ** 2
        slope = (self._covariance + known_from * steepest / 2) / (self._variance + known_from)
        return min(max(slope, 0.0), steepest)
