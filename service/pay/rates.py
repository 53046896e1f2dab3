"""The exchange rates of one moment, and the ways between currencies that they open."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from service.jobs.pay import Conversion
from service.pay.model import Rate


class Link(Conversion, frozen=True):
    """A conversion with what it rests on; `derived`: no source told it as it stands."""

    sources: tuple[str, ...]
    derived: bool

    def then(self, following: "Link") -> "Link":
        """This conversion and another after it."""
        return Link(
            rate=self.rate * following.rate,
            oldest=min(self.oldest, following.oldest),
            newest=max(self.newest, following.newest),
            sources=tuple(sorted({*self.sources, *following.sources})),
            derived=True,
        )


class Rates:
    """A snapshot that never changes: pairs as told, their inverses, and what follows from several of them."""

    def __init__(self, told: Iterable[Rate] = ()) -> None:
        self._links: dict[str, dict[str, Link]] = {}
        self._reached: dict[str, Mapping[str, Link]] = {}
        for one in told:
            sources, valid_at = (one.source,), one.valid_at
            self._offer(one.base, one.quote, Link(one.rate, valid_at, valid_at, sources, derived=False))
            self._offer(one.quote, one.base, Link(1 / one.rate, valid_at, valid_at, sources, derived=True))

    @property
    def newest(self) -> datetime | None:
        """The moment of the newest rate."""
        return max((link.newest for links in self._links.values() for link in links.values()), default=None)

    def between(self, base: str, quote: str) -> float | None:
        """The rate of a pair that was told so or the other way round."""
        link = self._links.get(base, {}).get(quote)
        return None if link is None else link.rate

    def conversions(self, base: str) -> Mapping[str, Link]:
        """The conversion of a currency into every other that it can be reached in.

        Over as few currencies as possible; of ways of one length the one whose oldest rate is the newest.
        """
        if base not in self._reached:
            self._reached[base] = self._walk(base)
        return self._reached[base]

    def _offer(self, base: str, quote: str, link: Link) -> None:
        """Keep the newer of a pair and the inverse of its opposite; at one moment what was told."""
        links = self._links.setdefault(base, {})
        known = links.get(quote)
        if known is None or (link.newest, known.derived) > (known.newest, link.derived):
            links[quote] = link

    def _walk(self, base: str) -> Mapping[str, Link]:
        frontier = self._links.get(base, {})
        found = dict(frontier)
        while frontier:
            further: dict[str, Link] = {}
            for via, link in frontier.items():
                for quote, following in self._links[via].items():
                    if quote == base or quote in found:
                        continue
                    through = link.then(following)
                    if quote not in further or through.oldest > further[quote].oldest:
                        further[quote] = through
            found |= further
            frontier = further
        return found
