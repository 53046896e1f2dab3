"""Descriptions in any dress become readable text, quickly, whatever they hold."""

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.plaintext import to_plain_text

_PARTS = (
    "<p> </p> <div> <br> <br/> <ul><li> </li></ul> <b> </b> <script> </script> <!-- --> <td> & &amp; &lt; &gt; "
    "&amp;lt; &nbsp; &#60; &#38;lt; < > a b é \u0301 \u037e \u226e \u200b \xa0 \n \r\n - • <o:p> <![CDATA[ ]]> <x <p "
    "\x00 \x01 = ' \" ; #"
)
PIECES = st.sampled_from(_PARTS.split(" "))


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "C&A, AT&T, R&D; and P&L",
        "x<y, y>z",
        "Write to <jobs@example.com> or <Hotel Name>",
        "**Duties**\n\n- lead\n- teach",
        "q?a=1&copy=2&lt=3",
        "<3 and <- and <=",
        "if a <b and c> d",
        "ሠላም ለዓለም",
        "👩‍💻 wanted",
    ],
)
def test_plain_text_passes_unharmed(text: str) -> None:
    """What only looks like a tag or an entity is text."""
    assert to_plain_text(text) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("<p>One <b>bo</b>ld</p><p>Two</p>", "One bold\n\nTwo"),
        ("<ul><li>one</li>\n<li><p>two</p></li><li></li></ul>after", "- one\n- two\n\nafter"),
        ("<ul><li>• one<li>- two</ul>", "- one\n- two"),
        ("one<br>two<br/>\nthree", "one\ntwo\nthree"),
        ("<div>a\nb</div><p>c\nd</p>", "a b\n\nc d"),
        ("<i>first</i>\nsecond", "first\nsecond"),
        ("<table><tr><th>Pay</th><td>5</td></tr><tr><td>x</td></tr></table>", "Pay 5\nx"),
        ("&lt;p&gt;R&amp;amp;D&lt;/p&gt;", "R&D"),
        ("Tom &amp;amp; Jerry&rsquo;s&nbsp;shop", "Tom & Jerry\u2019s shop"),
        ("<script>var a = '<p>';</script>Hi<style>p {}</style>", "Hi"),
        ("(adsbygoogle = window.adsbygoogle || []).push({});\nWork", "Work"),
        ("<!-- <p>no</p> -->yes", "yes"),
        ("<![CDATA[ <b>x</b> & y ]]>", "x & y"),
        ('<a href="?a=1&copy=2" title="x > y">link</a> here', "link here"),
        ("<o:p></o:p>Word", "Word"),
        ("<div>never <i>closed", "never closed"),
        ("a\x00b\u200bc\x07", "abc"),
        ("e\u0301", "é"),
        ("a \xa0\t b\r\n\r\n\r\n\r\n c ", "a b\n\nc"),
        ("a\u2028b\x85c", "a\nb\nc"),
        ("\ud800x", "x"),
        ("", ""),
    ],
)
def test_html_becomes_readable(raw: str, text: str) -> None:
    """Blocks stand apart, items stand on their own lines, the rest of HTML is gone."""
    assert to_plain_text(raw) == text


@pytest.mark.parametrize(
    "hostile",
    [
        "<" * 100_000,
        "<div>" * 100_000,
        "<p>" * 100_000,
        "<li>" * 100_000,
        "<b a=1><p>" * 10_000,
        "".join(f"<b a={n}>" for n in range(9_000)) + "<p>" * 9_000,
        "<!--" * 25_000,
        "<a href='" * 12_000,
        "<title>" * 15_000,
        "&" + "amp;" * 30_000,
        "&#" * 50_000,
        ("<b" + " " * 50) * 2_000,
        " \n" * 50_000,
        "a" + "\u0301\u0316" * 50_000,
        "<scr" * 20_000 + "ipt>" * 20_000,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_input_takes_linear_time(hostile: str) -> None:
    """A hundred thousand of anything costs a fraction of a second, where a tree or a sort of marks would take many."""
    before = time.process_time()
    to_plain_text(hostile)
    assert time.process_time() - before < 2


@settings(deadline=None)
@given(st.text() | st.lists(PIECES).map("".join) | st.lists(PIECES).map(" ".join))
def test_the_result_is_clean_and_final(raw: str) -> None:
    """Any text is taken; the result is NFC, without control characters or needless white space, and stays as it is."""
    text = to_plain_text(raw)
    assert unicodedata.is_normalized("NFC", text)
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} and char != "\n" for char in text)
    assert "  " not in text
    assert "\n\n\n" not in text
    assert text == text.strip()
    assert to_plain_text(text) == text
