"""Lays out the description of a sample posting: one sentence, prose, lists, HTML, questions, memo or a long notice."""

import hashlib
import html
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from service.sample.occupations import APPLY, CONDITIONS, FAIRNESS, SEASON, SELECTION, Occupation, Place, Sector

SEED = "jobsense-sample-1"
T = TypeVar("T")

# Words that keep their capital in the middle of a sentence.
PROPER = {"Somali", "Borana", "Bachelor", "Media", "Opera", "Institution", "National", "Kenyan", "Grade", "Trade"}


class Dice:
    """Choices that depend on the seed and a label alone: the same on every machine and Python release.

    A label of its own for each posting keeps a change of one occupation from reshuffling the rest.
    """

    def __init__(self, *label: object) -> None:
        self._label = "/".join(map(str, (SEED, *label)))
        self._turn = 0

    def below(self, end: int) -> int:
        """Return a whole number from 0 up to, not including, `end`."""
        self._turn += 1
        digest = hashlib.sha256(f"{self._label}/{self._turn}".encode()).digest()
        return int.from_bytes(digest[:8]) % end

    def chance(self, percent: int) -> bool:
        """Return True in `percent` of a hundred cases."""
        return self.below(100) < percent

    def choose(self, items: Sequence[T]) -> T:
        """Return one of `items`."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[T], size: int) -> list[T]:
        """Return up to `size` different `items` in random order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(size, len(left)))]


class Draft(NamedTuple):
    """All that a layout may speak about; `remote` postings say so, `place` is where the others are."""

    occupation: Occupation
    sector: Sector
    place: Place
    title: str
    company: str
    remote: bool

    def fill(self, phrase: str) -> str:
        """Put company, town and mail address into `phrase`."""
        domain = "".join(letter for letter in self.company.lower() if letter.isalnum() and letter.isascii())
        return phrase.format(company=self.company, town=self.place.town, mail=f"jobs@{domain}.example")


def lower_first(phrase: str) -> str:
    """Fit `phrase` into the middle of a sentence, leaving abbreviations and proper names alone."""
    word = phrase.split(maxsplit=1)[0]
    if word.strip(",;") in PROPER or not phrase[1:2].islower():
        return phrase
    return phrase[0].lower() + phrase[1:]


def _duties_prose(draft: Draft, dice: Dice, size: int) -> str:
    duties = dice.sample(draft.occupation.duties, size)
    lowered = [lower_first(duty) for duty in duties]
    style = dice.below(4)
    if style == 0:
        return "You will " + "; ".join(lowered[:-1]) + f"; and {lowered[-1]}."
    if style == 1:
        return "The work: " + "; ".join(lowered) + "."
    if style == 2:  # noqa: PLR2004 - styles are numbered from 0
        rest = "".join(f" Then there is more: {duty}." for duty in ["; ".join(lowered[2:])] if duty)
        return f"Above all we need you to {lowered[0]}. You will also {lowered[1]}.{rest}"
    return ". ".join(duties) + "."


def _asks_prose(draft: Draft, dice: Dice, size: int) -> str:
    lead = dice.choose(("We ask for", "You bring", "What counts:", "Requirements:", "Please have", "Needed:"))
    return f"{lead} " + "; ".join(lower_first(ask) for ask in dice.sample(draft.occupation.asks, size)) + "."


def _remote_line(draft: Draft, dice: Dice) -> list[str]:
    if not draft.remote:
        return []
    lines = (
        "Work from anywhere in Kenya with a steady connection; we meet in person twice a year.",
        "The post is fully remote, and the company pays for data and a proper chair.",
        "You may work from home; core hours are ten to three.",
        "Remote within East African Time, with a laptop and a backup router provided.",
    )
    return [dice.choose(lines)]


def _closing(draft: Draft, dice: Dice) -> str:
    return draft.fill(dice.choose(APPLY))


def one_sentence(draft: Draft, dice: Dice) -> str:
    """The opening alone, as on a card in a shop window."""
    return draft.fill(dice.choose(draft.occupation.openings))


def short_plain(draft: Draft, dice: Dice) -> str:
    """A few lines without headings."""
    parts = [draft.fill(dice.choose(draft.occupation.openings)), _duties_prose(draft, dice, 2 + dice.below(2))]
    if dice.chance(60):
        parts.append(_asks_prose(draft, dice, 2))
    parts += _remote_line(draft, dice)
    if dice.chance(60):
        parts.append(_closing(draft, dice))
    return " ".join(parts)


def paragraphs(draft: Draft, dice: Dice) -> str:
    """Three to five paragraphs of prose, the employer first or last."""
    about = [draft.fill(dice.choose(draft.sector.blurbs))]
    if not draft.remote and dice.chance(50):
        about.append(draft.place.remark)
    work = [draft.fill(dice.choose(draft.occupation.openings)), _duties_prose(draft, dice, 3 + dice.below(2))]
    asks = [_asks_prose(draft, dice, 3), *dice.sample(draft.occupation.remarks, 1), *_remote_line(draft, dice)]
    blocks = [work, asks, about] if dice.chance(50) else [about, work, asks]
    return "\n\n".join(" ".join(block) for block in [*blocks, [_closing(draft, dice)]])


HEADINGS = (
    ("What you will do", "What we ask"),
    ("Duties", "Qualifications"),
    ("Key responsibilities", "Requirements"),
    ("Your work", "You"),
    ("Majukumu", "Sifa"),
    ("The job", "The person"),
)


def plain_lists(draft: Draft, dice: Dice) -> str:
    """Plain text with dashes or numbers."""
    duties_head, asks_head = dice.choose(HEADINGS)
    mark = dice.choose(("- ", "* ", "\u2022 ", ""))
    duties, asks = dice.sample(draft.occupation.duties, 4 + dice.below(2)), dice.sample(draft.occupation.asks, 3)
    lines = [draft.fill(dice.choose(draft.occupation.openings)), "", duties_head.upper()]
    lines += [f"{mark or f'{n}. '}{duty}" for n, duty in enumerate(duties, start=1)]
    lines += ["", asks_head.upper(), *(f"{mark or f'{n}. '}{ask}" for n, ask in enumerate(asks, start=1)), ""]
    return "\n".join([*lines, *_remote_line(draft, dice), _closing(draft, dice)])


def _html_list(items: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(item, quote=False)}</li>" for item in items) + "</ul>"


def _html_paragraph(text: str) -> str:
    return f"<p>{html.escape(text, quote=False)}</p>"


def html_lists(draft: Draft, dice: Dice) -> str:
    """HTML with headings and lists, as boards store it."""
    duties_head, asks_head = dice.choose(HEADINGS)
    tag = dice.choose(("h3", "h4", "strong"))
    parts = [_html_paragraph(draft.fill(dice.choose(draft.occupation.openings)))]
    if dice.chance(60):
        parts.append(_html_paragraph(draft.fill(dice.choose(draft.sector.blurbs))))
    parts += [f"<{tag}>{duties_head}</{tag}>", _html_list(dice.sample(draft.occupation.duties, 5))]
    parts += [f"<{tag}>{asks_head}</{tag}>", _html_list(dice.sample(draft.occupation.asks, 4))]
    parts += [_html_paragraph(line) for line in [*_remote_line(draft, dice), _closing(draft, dice)]]
    return ("\n" if dice.chance(50) else "").join(parts)


def html_prose(draft: Draft, dice: Dice) -> str:
    """HTML with line breaks and emphasis but no list."""
    opening = html.escape(draft.fill(dice.choose(draft.occupation.openings)), quote=False)
    body = html.escape(_duties_prose(draft, dice, 4), quote=False)
    asks = html.escape(_asks_prose(draft, dice, 3), quote=False)
    return f"<div><b>{opening}</b><br><br>{body}<br>{asks}<br/>&nbsp;<br><i>{_closing(draft, dice)}</i></div>"


def questions(draft: Draft, dice: Dice) -> str:
    """Questions that a candidate would ask, with answers."""
    answers = [
        ("Who are we?", draft.fill(dice.choose(draft.sector.blurbs))),
        ("Why are we hiring?", draft.fill(dice.choose(draft.occupation.openings))),
        ("What fills the week?", _duties_prose(draft, dice, 4)),
        ("Who would fit?", _asks_prose(draft, dice, 3)),
        ("Anything else?", " ".join([dice.choose(draft.occupation.remarks), *_remote_line(draft, dice)])),
        ("How do I apply?", _closing(draft, dice)),
    ]
    return "\n".join(f"{question} {answer}" for question, answer in answers)


def memo(draft: Draft, dice: Dice) -> str:
    """The style of a public notice: reference, station, numbered duties."""
    reference = f"{draft.company[:3].upper()}/HR/{dice.below(90) + 10}/2026"
    asks = dice.sample(draft.occupation.asks, 3)
    lines = [f"REF: {reference}", f"POST: {draft.title} ({dice.below(4) + 1} position(s))"]
    lines += ["DUTY STATION: " + ("Remote" if draft.remote else draft.place.town), ""]
    lines += [f"{draft.fill(dice.choose(draft.occupation.openings))} {dice.choose(draft.occupation.remarks)}", ""]
    lines += [f"({chr(97 + n)}) {duty};" for n, duty in enumerate(dice.sample(draft.occupation.duties, 4))]
    return "\n".join(
        [*lines, "", "Applicants must show: " + "; ".join(map(lower_first, asks)) + ".", _closing(draft, dice)]
    )


def _long_sections(draft: Draft, dice: Dice) -> list[tuple[str, list[str], list[str]]]:
    """Sections of a long notice: heading, sentences, list items."""
    occupation = draft.occupation
    duties_head, asks_head = dice.choose(HEADINGS)
    where = _remote_line(draft, dice) if draft.remote else [draft.place.remark]
    return [
        ("", [draft.fill(line) for line in dice.sample(occupation.openings, 2)], []),
        (f"About {draft.company}", [*map(draft.fill, draft.sector.blurbs), *where], []),
        (duties_head, dice.sample(occupation.remarks, 2), dice.sample(occupation.duties, 6)),
        (asks_head, [], dice.sample(occupation.asks, 5)),
        ("How the work goes", dice.sample(SEASON, 1 + dice.below(2)), []),
        ("What we offer", [draft.fill(line) for line in dice.sample(CONDITIONS, 2 + dice.below(2))], []),
        ("How we choose", [draft.fill(dice.choose(SELECTION)), draft.fill(dice.choose(FAIRNESS))], []),
        ("", [_closing(draft, dice)], []),
    ]


def long_plain(draft: Draft, dice: Dice) -> str:
    """A full notice of 2,500 to 4,000 characters in plain text."""
    blocks = []
    for heading, sentences, items in _long_sections(draft, dice):
        lines = [heading] if heading else []
        lines += [" ".join(sentences)] if sentences else []
        blocks.append("\n".join([*lines, *(f"- {item}" for item in items)]))
    return "\n\n".join(blocks)


def long_html(draft: Draft, dice: Dice) -> str:
    """A full notice of 2,500 to 4,000 characters in HTML."""
    parts: list[str] = []
    for heading, sentences, items in _long_sections(draft, dice):
        parts += [f"<h2>{html.escape(heading, quote=False)}</h2>"] if heading else []
        parts += [_html_paragraph(" ".join(sentences))] if sentences else []
        parts += [_html_list(items)] if items else []
    return "\n".join(parts)


Layout = Callable[[Draft, Dice], str]

LAYOUTS: tuple[Layout, ...] = (
    *(one_sentence, paragraphs, html_lists, short_plain, plain_lists, paragraphs, long_plain),
    *(html_lists, short_plain, questions, paragraphs, plain_lists, html_prose, one_sentence),
    *(short_plain, html_lists, memo, paragraphs, long_html, plain_lists, questions),
    *(html_lists, short_plain, paragraphs, long_plain, one_sentence, plain_lists, memo),
)
"""Layouts in the proportion in which postings use them."""

LONG_LAYOUTS: tuple[Layout, ...] = (long_plain, long_html)
"""Layouts that take several passages."""
