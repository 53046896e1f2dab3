"""Descriptions in any dress become readable text, quickly, whatever they hold."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.plaintext import to_plain_text
from tests.growth import check_linear

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
        lambda size: "<" * size,
        lambda size: "<div>" * size,
        lambda size: "<p>" * size,
        lambda size: "<li>" * size,
        lambda size: "<b a=1><p>" * (size // 10),
        lambda size: "".join(f"<b a={n}>" for n in range(size // 11)) + "<p>" * (size // 11),
        lambda size: "<!--" * (size // 4),
        lambda size: "<a href='" * (size // 8),
        lambda size: "<title>" * (size // 7),
        lambda size: "&" + "amp;" * (size // 3),
        lambda size: "&#" * (size // 2),
        lambda size: ("<b" + " " * 50) * (size // 50),
        lambda size: " \n" * (size // 2),
        lambda size: "a" + "\u0301\u0316" * (size // 2),
        lambda size: "<scr" * (size // 5) + "ipt>" * (size // 5),
    ],
    ids=lambda hostile: hostile(50)[:12],
)
@pytest.mark.no_cover
def test_hostile_input_takes_linear_time(hostile: Callable[[int], str]) -> None:
    """Four times of anything take about four times as long, where a tree or a sort of marks would take sixteen."""
    check_linear(lambda size: to_plain_text(hostile(size)), 100_000)


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
