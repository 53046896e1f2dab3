"""Turn descriptions as boards write them (HTML, fragments, escaped HTML, plain text) into readable plain text."""

import html
import re
import unicodedata
from html.entities import html5

from selectolax.lexbor import LexborHTMLParser

_PARAGRAPH = (
    "html body head main article section header footer nav aside address p h1 h2 h3 h4 h5 h6 ul ol menu dl table "
    "blockquote pre form fieldset figure hr center"
)
_LINE = "div tr dt dd option legend caption figcaption summary details label"
_CELL = "td th"
_INLINE = (
    "a abbr acronym applet area audio b base basefont bdi bdo big button canvas cite code col colgroup data "
    "datalist del dfn dir em embed font frame hgroup i iframe img image input ins kbd link map mark meta meter "
    "nobr noembed noframes noscript object optgroup output param path picture progress q rp rt ruby s samp select "
    "small source span strike strong sub sup svg template tbody textarea tfoot thead time track tt u var video "
    "wbr xml xmp "
)
_DROPPED = ("script", "style", "title")

# Every tag is rewritten to a void element before the parser sees it. Elements then never nest, so the tree is flat and
# parsing stays linear: 100,000 nested <div> cost the parser 10 s, 100,000 <br> cost it 4 ms.
_VOID = {
    **dict.fromkeys(_PARAGRAPH.split(), "hr"),
    **dict.fromkeys(_LINE.split(), "area"),
    **dict.fromkeys(_CELL.split(), "embed"),
    **dict.fromkeys(_INLINE.split(), "wbr"),
    "br": "br",
    "li": "img",
}
_VOID_AT_END = {"li": "param", "ul": "track", "ol": "track", "menu": "track", "td": "wbr", "th": "wbr"}
_BREAKS = {"hr": 2, "track": 2, "area": 1, "param": 1, "img": 1, "br": 1, "embed": 0}

_OFFICE_PREFIXES = ("o:", "v:", "w:", "m:", "st1:")
_ANY_LESS_THAN = re.compile(
    r"<(?:(?P<end>/)?(?P<name>[a-z][a-z0-9]{0,15}(?::[a-z0-9]{1,30})?)(?=[\s/>])|(?P<other>!--|!doctype\b|\?xml\b|!\[cdata\[|!\[))?",
    re.IGNORECASE,
)
_TAG_GOES_ON = re.compile(
    r"\s*/?>|\s+[\w:@.-]+\s*=|\s+(?:nowrap|hidden|selected|checked|disabled|noshade|compact|reversed|open)\b",
    re.IGNORECASE,
)
_ENTITY = re.compile(
    r"&(?:(?:amp|#0{0,9}38|#x0{0,9}26);)*(#[0-9]{1,9}|#x[0-9a-f]{1,8}|[a-z][a-z0-9]{1,31});", re.IGNORECASE
)

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b\u2060\ufeff\ud800-\udfff]")
_SPACES = re.compile(r"[^\S\n]+")
_SPACE_AROUND_BREAK = re.compile(r" ?\n ?")
_BLANK_LINES = re.compile(r"\n{3,}")
_NON_ASCII_NON_WORD_RUN = re.compile(r"[^\w\s\x00-\x7f]{31,}")
_BULLET = re.compile(r"[-*•·▪●◦‣]\s+")
_LONGEST_MARK_RUN = 30

_ADVERT_CALL = "(adsbygoogle = window.adsbygoogle || []).push({});"
_PASSES = 4


def to_plain_text(raw: str) -> str:
    """Reduce `raw` to readable text: paragraphs a blank line apart, list items on lines of their own after "- ".

    Plain text and Markdown pass through ("a < b", "C&A" and "R&D;" survive); entities are decoded even where they were
    escaped twice; script and style are left out. The answer is NFC, without control characters, spaces in single
    file, with one blank line at most. Takes linear time and never raises.
    """
    text = _tidy(raw)
    for _ in range(_PASSES):
        before = text
        if "&" in text:
            text = _ENTITY.sub(_decode_entity, text)
        if "<" in text:
            text = _strip_tags(_normalize(text))
        if text == before:
            break
        text = _tidy(text)
    return text


def _tidy(text: str) -> str:
    """Normalise characters, then white space; leave out script lines that scrapers bring along."""
    text = _normalize(text)
    if not text.isascii() or "\t" in text or "  " in text:
        text = _SPACES.sub(" ", text)
    if "\n" in text:
        text = _BLANK_LINES.sub("\n\n", _SPACE_AROUND_BREAK.sub("\n", text))
        if "adsbygoogle" in text or "document.createElement" in text:
            kept = (line for line in text.split("\n") if not _is_script_line(line))
            text = _BLANK_LINES.sub("\n\n", "\n".join(kept))
    return text.strip()


def _normalize(text: str) -> str:
    """Make line ends one kind, remove what cannot be seen, and compose to NFC."""
    text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
    if text.isascii():
        return text
    # Ordering a run of n combining marks takes n * n steps, so runs are capped as in UAX 15, "stream-safe text".
    text = _NON_ASCII_NON_WORD_RUN.sub(_cap_marks, text)
    return unicodedata.normalize("NFC", text)


def _cap_marks(run: re.Match[str]) -> str:
    kept: list[str] = []
    marks = 0
    for char in run.group():
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= _LONGEST_MARK_RUN:
            kept.append(char)
    return "".join(kept)


def _is_script_line(line: str) -> bool:
    return line == _ADVERT_CALL or (line.startswith("(function") and "document.createElement('script')" in line)


def _decode_entity(match: re.Match[str]) -> str:
    name = match.group(1)
    if name.startswith("#"):
        return html.unescape(f"&{name};")
    return html5.get(f"{name};", f"&{name};")


def _strip_tags(text: str) -> str:
    """Read `text` as HTML if it holds at least one HTML tag; else hand it back as it is."""
    tags: set[str] = set()

    def rewrite(match: re.Match[str]) -> str:
        name = (match.group("name") or "").lower()
        if match.group("other"):
            is_cdata = match.group("other").endswith(("a[", "A["))
            tags.add("![" if is_cdata else "!")
            return "" if is_cdata else match.group()
        if name in _DROPPED:
            tags.add(name)
            return match.group()
        void = "wbr" if name.startswith(_OFFICE_PREFIXES) else _VOID.get(name)
        if void is None or not _TAG_GOES_ON.match(match.string, match.end()):
            return "&lt;" + match.group()[1:]
        tags.add(void)
        return "<" + (_VOID_AT_END.get(name, void) if match.group("end") else void)

    flat = _ANY_LESS_THAN.sub(rewrite, text.replace("&", "&amp;"))
    if "![" in tags:
        flat = flat.replace("]]>", "")
    return _read_flat(flat, keep_breaks=not tags & {"hr", "img"}) if tags else text


def _read_flat(flat: str, *, keep_breaks: bool) -> str:
    """Write out HTML that holds void elements and text only.

    A line break in the source is white space to HTML; where no tag makes paragraphs (`keep_breaks`) it is the only sign
    of one, and stays.
    """
    body = LexborHTMLParser(f"<body>{flat}").body
    if body is None:
        return ""
    page = _Page()
    after_break = False
    for node in body.iter(include_text=True):
        tag = str(node.tag)
        if tag == "-text":
            words = node.text_content or ""
            page.write(words.removeprefix("\n" if after_break else "") if keep_breaks else words.replace("\n", " "))
        elif tag in _BREAKS:
            page.mark(tag)
        after_break = tag == "br"
    return "".join(page.written)


class _Page:
    """Text with the breaks between its pieces; a break counts once text follows it."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self._breaks = 0
        self._br_in_a_row = 0
        self._in_new_item = False

    def mark(self, tag: str) -> None:
        """Note a void element: blocks next to each other make one break, every <br> one more."""
        if tag == "embed":
            self.written.append(" ")
            return
        if self._in_new_item and tag in {"hr", "area", "br"}:
            return  # <li><p>: nothing comes between the bullet and its text
        self._br_in_a_row += tag == "br"
        self._breaks = 1 if tag == "img" else max(self._breaks, self._br_in_a_row, _BREAKS[tag])
        self._in_new_item = tag == "img" or (self._in_new_item and tag not in {"param", "track"})

    def write(self, words: str) -> None:
        """Add text; white space alone is none."""
        if not words.strip():
            self.written.append(words if "\n" in words else " ")
            return
        self.written.append("\n" * self._breaks)
        if self._in_new_item:
            words = words.lstrip()
            bullet = _BULLET.match(words)
            words = "- " + words[bullet.end() if bullet else 0 :]
        self.written.append(words)
        self._breaks = self._br_in_a_row = 0
        self._in_new_item = False
