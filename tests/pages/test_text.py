"""Text from outside on the pages: what Streamlit and HTML read is the text, letter by letter."""

from __future__ import annotations

import pytest

from pages._shared.layout import code, escape_html, escape_markdown

JOINER = "\u2060"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("00_00.jpg", r"00\_00.jpg"),
        ("*a* ~~b~~ `c` $d$", r"\*a\* \~\~b\~\~ \`c\` \$d\$"),
        ("<b>&lt;", r"\<b\>\&lt;"),
        ("[a](b)", r"\[a\]\(b\)"),
        ("1. a", r"1\. a"),
        ("- a", r"\- a"),
        (":smile:", rf"\:{JOINER}smile\:"),
        (":material/home:", rf"\:{JOINER}material/home\:"),
        (":red[a]", r"\:red\[a\]"),
        ("http://a.b", rf"http\:{JOINER}//a.b"),
        ("127.0.0.1:9 is gone", r"127.0.0.1\:9 is gone"),
        ("www.a.b", rf"www{JOINER}.a.b"),
        ("a@b.org", rf"a{JOINER}@b.org"),
        ("a -> b", rf"a -{JOINER}\> b"),
        ("a\nb", r"a\\nb"),
        (" ", f"{JOINER}␣"),
        (" a ", f"{JOINER}\u00a0a\u00a0{JOINER}"),
        ("🚲 a", f"{JOINER}🚲 a"),
        ("--help", "--help"),
        ("---", r"\---"),
    ],
)
def test_nothing_is_left_to_format(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


@pytest.mark.parametrize(
    ("text", "written"),
    [("a", "`a`"), ("a`b``c", "```a`b``c```"), ("`", "`` ` ``"), ("", ""), ("a\nb", r"`a\nb`")],
)
def test_code_ends_where_the_text_does(text: str, written: str) -> None:
    assert code(text) == written


def test_html_of_the_pages_shows_every_letter() -> None:
    assert escape_html('<a href="x">\'\u202e') == "&lt;a href=&quot;x&quot;&gt;&#x27;\\u202e"
