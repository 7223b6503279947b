"""What people see of text from outside, in a real browser: every letter of it, and nothing else."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from odits.core.text import literal
from tests.browser.conftest import REPOSITORY, WAIT, Serve

JOINER = "\u2060"
TRAPS = (
    "*bold* _em_ ~~gone~~", "# head", "#", "- item", "+ item", "* item", "-", "--", "---", "===", "1. one", "1.",
    "12) x", "> quote", "| a | b |", "[a](http://127.0.0.1:9/x)", "![a](http://127.0.0.1:9/x.png)",
    "<img src=http://127.0.0.1:9/y.png>", "<b>x</b>", "<script>1</script>", "&lt;b&gt; &amp; &#42; &copy", "a&b;",
    "$x^2$ $$y$$", "$5 and $6", ":smile:", ":heart: :+1:", "::smile::", ":100:", ":smile", "smile:", ":material/home:",
    ":material_home:", ":streamlit:", ":red[red]", ":red-badge[b]", ":help[x]", ":small[x]", "`code`", "```\ncode",
    "    indented", "\tTab", "http://127.0.0.1:9/a", "https://example.org", "HTTP://EXAMPLE.ORG/a_b",
    "www.example.org", "WWW.example.org.jpg", "a.b-c+d@example.org", "mailto:a@b.org", "a -> b", "->", "<-", "<->",
    "a <-> b", "a <= b >= c ~= d", "a -- b", " ", "   ", "  two  spaces  ", "\\", "\\*a\\*", "a\\", "a  \nb", "a\r\nb",
    "\u202egpj.exe", "\x00\x07\x1b[2J", "שלום.jpg", "مرحبا 12", "می\u200cخواهم", "a\u200bb", "\udcff", "n" * 300,
    "[^1]", "[x] done", "__init__", "~~~", "***", "* * *", "[a]: http://127.0.0.1:9/", "🚲 a", "127.0.0.1:9 is gone",
    "<!-- c -->", "<a@b.org>", "```mermaid\ngraph", "!", "[", "](", "\\(x\\)", "--help",
)  # fmt: skip
APP = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from odits.figures.theme import escape_html as escape_html_of_plotly
from pages._shared.layout import escape_html, escape_markdown
traps = [escape_markdown(trap) for trap in {TRAPS!r}]
for number, trap in enumerate(traps):
    with st.container(key=f"trap-{{number}}"):
        st.markdown(f"**{{trap}}**: {{trap}}")
        st.markdown(f"- {{trap}}")
        st.caption(trap)
        st.button(trap, key=f"button-{{number}}")
        st.metric(trap, trap)
        st.info(trap)
        st.text_input(trap, key=f"input-{{number}}")
with st.container(key="many"):
    st.segmented_control("Options", list(range(len(traps))), format_func=traps.__getitem__)
    st.table(pd.DataFrame({{"trap": traps}}))
    st.tabs(traps)
labels = [escape_html_of_plotly(trap) for trap in {TRAPS!r}]
figure = go.Figure(go.Bar(orientation="h", x=[1] * len(labels), y=list(range(len(labels)))))
figure.update_yaxes(tickvals=list(range(len(labels))), ticktext=labels).update_layout(height=3000)
st.plotly_chart(figure)
st.html("".join(f'<p class="trap">{{escape_html(trap)}}</p>' for trap in {TRAPS!r}))
st.text("That was all.")
"""
LOOK = """(box) => ({
  texts: [...box.querySelectorAll(':is([data-testid="stMarkdownContainer"], [data-testid="stCaptionContainer"])')]
    .map((one) => one.textContent.trim()),
  drawn: [...box.querySelectorAll(':is([data-testid="stMarkdownContainer"], [data-testid="stCaptionContainer"]) ' +
    ':is(a, img, em, code, h1, h2, h3, table, hr, del, blockquote, ol, input, .katex, [role="img"])')].length,
})"""


def test_every_letter_is_seen_and_nothing_is_drawn(serve: Serve, page: Page, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    address = serve(tmp_path)
    page.goto(address)
    page.get_by_text("That was all.").wait_for(timeout=WAIT)
    page.locator(".ytick text").first.wait_for(timeout=WAIT)
    page.wait_for_timeout(2000)  # Streamlit loads what draws emoji and formulas when a text asks for them
    wrong = []
    for number, trap in enumerate(TRAPS):
        seen = literal(trap)
        found = page.locator(f".st-key-trap-{number}").evaluate(LOOK)
        texts = {text.replace(JOINER, "").strip() for text in found["texts"]}
        expected = {text.strip() for text in (f"{seen}: {seen}", seen)}
        if texts != expected or found["drawn"]:
            wrong.append((trap, texts ^ expected, found["drawn"]))
    assert not wrong
    many = page.locator(".st-key-many").evaluate(LOOK)
    assert many["drawn"] == 0
    texts = {text.replace(JOINER, "").strip() for text in many["texts"]}
    assert [trap for trap in TRAPS if literal(trap).strip() not in texts] == []
    seen_whole = [literal(trap).strip() for trap in TRAPS]
    assert [text.strip() for text in page.locator("p.trap").all_text_contents()] == seen_whole
    assert [text.strip() for text in page.locator(".ytick text").all_text_contents()] == seen_whole
    assert page.locator(".js-plotly-plot a").count() == 0
    assert [url for url in asked if "127.0.0.1:9/" in url or "example" in url] == []
