"""Text from outside on the pages: what Streamlit and HTML read is the text, letter by letter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages._shared.layout import code, escape_html, escape_markdown
from tests.pages.running import REPOSITORY

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


MARKDOWN = frozenset((
    "markdown", "caption", "write", "info", "warning", "error", "success", "toast", "title", "header",
    "subheader", "expander", "popover", "button", "download_button", "link_button", "page_link", "metric",
    "radio", "pills", "segmented_control", "checkbox", "toggle", "text_input", "text_area", "number_input",
    "slider", "select_slider", "selectbox", "multiselect", "file_uploader", "spinner", "status", "progress",
    "image", "badge", "tabs", "dialog",
))  # fmt: skip
"""Calls of Streamlit that read texts as Markdown: their first ones, and `label`, `body`, `text`, `caption`, `help`."""
KEYWORDS = ("label", "body", "text", "caption", "help")
PLACES = {"metric": (0, 3), "image": (1, 2), "progress": (1, 2)}
OPTIONS = ("radio", "pills", "segmented_control")
"""Calls that read their options as Markdown, too; those of select boxes are plain."""
OUTSIDE = frozenset((
    "name", "names", "word", "words", "text", "note", "path", "model", "annotator", "annotators", "reference",
    "file", "folder", "root", "message", "problem", "problems", "sentence", "error", "reason", "query",
    "visible", "lexicon", "user",
))  # fmt: skip
"""What the house calls what comes from outside."""
OURS = frozenset({"task.note", "found[kind].note", "found[chosen].note"})
"""What only sounds so: sentences of the project's own."""
ESCAPING = frozenset({"escape_markdown", "bullets", "code", "count_of", "len", "measured_figures"})


def raw(node: ast.AST, clean: frozenset[str]) -> Iterator[str]:
    """Yield what comes from outside in an expression and goes through no function that escapes it."""
    if isinstance(node, ast.Call):
        function = node.func
        if (function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")) in ESCAPING:
            return
        if isinstance(function, ast.Name) and function.id == "map" and getattr(node.args[0], "id", "") in ESCAPING:
            return
    if isinstance(node, ast.Attribute) and node.attr in OUTSIDE:
        if ast.unparse(node) not in OURS:
            yield ast.unparse(node)
    elif isinstance(node, ast.Name) and node.id in OUTSIDE and node.id not in clean:
        yield node.id
    elif isinstance(node, ast.IfExp):  # what it asks is not shown
        yield from (*raw(node.body, clean), *raw(node.orelse, clean))
    else:
        for child in ast.iter_child_nodes(node):
            if not (isinstance(node, ast.FormattedValue) and child is node.format_spec):
                yield from raw(child, clean)


def unescaped(source: str) -> list[str]:
    """List the calls of a module that give Streamlit's Markdown something from outside as it is, by their lines."""
    found = []
    for function in [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]:
        values: dict[str, list[ast.AST]] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    values.setdefault(getattr(target, "id", ""), []).append(node.value)
        clean = frozenset(
            name for name, given in values.items() if not any(list(raw(one, frozenset())) for one in given)
        )
        for node in ast.walk(function):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MARKDOWN):
                continue
            kind = node.func.attr
            shown = (
                node.args[:3]
                if kind == "metric"
                else node.args[1:2]
                if kind in ("image", "progress")
                else node.args[:1]
            )
            keywords = (*KEYWORDS, "format_func") if kind in OPTIONS else KEYWORDS
            shown += [one.value for one in node.keywords if one.arg in keywords]
            found += [f"line {node.lineno}, {kind}: {text}" for one in shown for text in raw(one, clean)]
    return found


@pytest.mark.parametrize("page", sorted((REPOSITORY / "pages").rglob("*.py")), ids=lambda page: page.stem)
def test_nothing_from_outside_goes_to_markdown_as_it_is(page: Path) -> None:
    assert unescaped(page.read_text(encoding="utf-8")) == []


def test_what_goes_to_markdown_as_it_is_is_found() -> None:
    source = """
def show(record, word, names):
    name = escape_markdown(record.name)
    st.caption(f"{name}, {count_of(len(names), 'word')}, {', '.join(map(escape_markdown, names))}")
    st.caption(record.name)
    st.button("Open", help=f"Opens {word}")
    row.radio("Word", [1], format_func=lambda place: names[place])
"""
    assert unescaped(source) == ["line 5, caption: record.name", "line 6, button: word", "line 7, radio: names"]
