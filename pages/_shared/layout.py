"""What every page looks like: heading, panes, charts, downloads, and how a mistake is shown."""

from __future__ import annotations

import html
import logging
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.pages_manager import PagesManager

from odits.core.errors import OditsError
from odits.core.text import literal
from odits.data.csv_tables import guard
from pages._shared import announcer, memory, serving, state
from pages._shared.guide import show_guide
from pages._shared.parameters import reach_of

CHART = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
"""Plotly's settings for every chart."""

_STYLE = """
<style>
[data-testid="stMainBlockContainer"] {padding: 3.25rem 2.5rem 4rem; max-width: 1500px}
/* rows of panes: side by side where there is room, below each other where there is not */
[class*="st-key-panes"] > div {flex: 1 1 23rem; min-width: 0}
[class*="st-key-panes"] > div:has(> .st-key-pane-overlay) {flex-grow: 1.6}
[class*="st-key-fit"] img {max-height: 64vh; width: auto !important; max-width: 100%; border-radius: 6px}
.st-key-fit-crop img {max-height: 9rem}
.st-key-fit-compared img {max-height: 20vh}
[class*="st-key-panes-models"] > div {flex-basis: 15rem}
@media (min-width: 1200px) {[class*="st-key-who-"] {min-height: 9.5rem}}
.st-key-stepper > div:has([data-testid="stSelectbox"]) {flex: 1 1 8rem; max-width: 20rem}
[data-testid="stMetricValue"] {font-size: 1.6rem}
.st-key-page-heading {row-gap: 0}
[class*="st-key-live-"] {position: absolute; width: 1px; height: 1px; overflow: hidden}
/* a long name in a box ends in three dots */
[data-testid="stSelectbox"] input {text-overflow: ellipsis}
/* Streamlit's grey of captions has less contrast than WCAG's level AA asks for, in both themes */
:is([data-testid="stCaptionContainer"], [data-testid="stImageCaption"]) {opacity: .78}
[data-testid="stWidgetLabel"] {color: inherit !important}
[data-testid="stCaptionContainer"] code {color: inherit; font-size: .9em}
/* nor has Plotly's of ticks, of titles of axes and panels, and of numbers at bars */
[data-testid="stPlotlyChart"] :is([class$="tick"], [class^="g-"][class$="title"]) text {fill: currentColor !important;
  fill-opacity: .85 !important}
[data-testid="stPlotlyChart"] :is(.bartext-outside,
  .annotation-text:not([style*="fill: rgb(255, 255, 255)"])) {
  fill: currentColor !important; fill-opacity: .85 !important}
/* nor has white on the accent of the dark theme */
:is([data-testid^="stBaseButton-primary"], [data-testid="stMultiSelect"] [data-tag] *) {
  color: light-dark(#FFFFFF, #0B1015) !important;
}
</style>
"""


_JOINER = "\u2060"
_DRAWN = re.compile(
    r":(?=//|[\w+/-]*:|[\w+/-]*[^\W\d][\w+/-]*$)"  # shortcodes of emoji and icons; addresses
    r"|\b[wW]{3}(?=\.)|[-.\w+](?=@)"
    r"|(?<!\S)[<>~-](?=(?:[-=>]|->)(?!\S))"  # arrows and dashes
)


class NeededError(OditsError):
    """Something that the user has to do first, such as a download: shown as a hint, not as a mistake."""


@contextmanager
def page(title: str, lead: str) -> Iterator[None]:
    """Draw a page with its title and one sentence of what it is for; a mistake inside becomes one sentence."""
    _hand_over()
    st.set_page_config(page_title=f"{title} · ODITS Explorer")
    st.html(_STYLE)
    with st.container(key="page-heading", horizontal=True, vertical_alignment="center", gap="medium"):
        st.title(title, anchor=False, width="content")
        show_guide(first=title == "Words" and serving.is_at_least("annotator"))
    st.caption(lead)
    notice = st.container(key="link-notice")
    memory.settle()
    try:
        yield from _content(title, notice)
    finally:
        announcer.announce()
        memory.leave_out()


def _content(title: str, notice: DeltaGenerator) -> Iterator[None]:
    """Draw what a page holds below its title, for whoever may see it."""
    with guarded():
        serving.admit(title)
        state.adopt_url(title)
        _offer_waiting()
        yield
    if names := state.left_out():
        which = ", ".join(f"“{name[:60]}”" for name in names[:10])
        notice.info(
            escape_markdown(f"The address says something that is not offered here: {which}. The default is shown."),
            icon=":material/link_off:",
        )


def _offer_waiting() -> None:
    """Say what the address asks for beyond what is offered here; only a button opens it."""
    asked = state.waiting()
    reaches = {name: reach for name, value in asked.items() if (reach := reach_of(name, value))}
    if not reaches:
        return
    if not serving.paths_may_be_typed():
        state.leave_waiting()
        st.info("This link wants to open what this server does not offer: nothing was opened.", icon=":material/lock:")
        return
    with st.container(border=True, key="link-asks"):
        st.markdown(
            "\n".join(f"- This link wants to {escape_markdown(reach)}." for reach in reaches.values())
            + "\n\nNothing was opened. Open it only if you trust whoever sent the link."
        )
        with st.container(horizontal=True):
            st.button("Open", icon=":material/link:", key="link-open", on_click=state.open_waiting)
            st.button("Leave it", key="link-leave", on_click=state.leave_waiting, type="tertiary")


def _hand_over() -> None:
    """Start again through app.py where Streamlit ran the page without it.

    Streamlit routes a folder named pages/ by itself until an entry point has called st.navigation once; so the first
    visit of a fresh server would miss app.py if it came by a link to a page.
    """
    if getattr(PagesManager, "uses_pages_directory", False):
        PagesManager.uses_pages_directory = False
        st.rerun()


@contextmanager
def guarded() -> Iterator[None]:
    """Show the mistakes of a part of a page in one sentence while the rest of the page goes on."""
    try:
        yield
    except NeededError as error:
        if str(error):
            st.info(escape_markdown(str(error)), icon=":material/info:")
    except OditsError as error:
        complain(str(error))
    except Exception as error:
        logging.getLogger("odits").exception("unexpected error on a page")
        complain(
            f"Something unexpected went wrong ({type(error).__name__}); the terminal that runs the app has details."
        )


def complain(sentence: str) -> None:
    """Show a mistake."""
    st.error(escape_markdown(sentence), icon=":material/error:")


def bullets(sentences: Sequence[str], most: int = 100) -> str:
    """Return sentences as a Markdown list; of very many the first, and how many more there are."""
    more = [f"… and {len(sentences) - most:,} more"] if len(sentences) > most else []
    return "\n".join(f"- {line}" for line in [*map(escape_markdown, sentences[:most]), *more])


def count_of(number: int, thing: str) -> str:
    """Return a number with its noun, such as "1 image" and "1,024 images"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def escape_markdown(text: str) -> str:
    """Return text in which Streamlit finds nothing to format: for names and words that come from outside.

    Every place that Streamlit reads as Markdown takes its text through here: what the page writes, labels, help,
    captions, and the options of buttons and tabs, but not those of select boxes, nor descriptions (`alt`).
    """
    shown = literal(text)
    # Streamlit strips spaces, and draws a first emoji as an icon
    if shown and (shown[0].isspace() or unicodedata.category(shown[0]) == "So"):
        shown = f"{_JOINER}{shown}"
    if shown[-1:].isspace():
        shown = f"{shown}{_JOINER}"
    # Streamlit draws emoji, icons, arrows and links from the letters that are left when escapes are resolved: only a
    # joiner without width between the letters keeps them apart
    shown = re.sub(
        r":(?=//|[\w+/-]*:|[\w+/-]*[^\W\d][\w+/-]*$)|\b[wW]{3}(?=\.)|[-.\w+](?=@)", rf"\g<0>{_JOINER}", shown
    )
    shown = re.sub(r"(?<!\S)[<>~-](?=(?:[-=>]|->)(?!\S))", rf"\g<0>{_JOINER}", shown)
    shown = re.sub(r"&(?=[#\w])|[\\`*_{}\[\]()#+!|~$<>:]", r"\\\g<0>", shown)
    return re.sub(r"^(\d*)([-=.])(?=[-=.]*(?:\s|$))", r"\1\\\2", shown)  # a list's sign, or a line below a heading


def escape_html(text: str) -> str:
    """Return text for HTML of the page's own, between tags or in a quoted attribute, shown letter by letter."""
    return html.escape(literal(text), quote=True)


def code(text: str) -> str:
    """Return text as Markdown's code, such as a reference or a path: it ends where the text does."""
    shown = literal(text).replace(":material/", f":{_JOINER}material/")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{space}{shown}{space}{fence}" if shown else ""


@contextmanager
def panes(key: str) -> Iterator[DeltaGenerator]:
    """Open a row whose children, containers of their own, stand side by side and wrap on narrow screens."""
    row = st.container(horizontal=True, key=f"panes-{key}", gap="medium")
    with row:
        yield row


def chart(figure: go.Figure, key: str, alt: str, **settings: Any) -> Any:
    """Draw a Plotly chart in the theme of the page; `alt` says in words what it shows."""
    return st.plotly_chart(figure, key=key, config=CHART, alt=literal(alt), **settings)


def chart_download(figure: go.Figure | Callable[[], go.Figure], name: str, key: str, label: str = "Chart") -> None:
    """Draw a button that saves a figure, or what draws it at the click, as a web page that needs no network."""

    def content() -> str:
        drawn = figure() if callable(figure) else figure
        return str(drawn.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False}))

    st.download_button(
        label,
        content,
        file_name=f"{file_stem(name)}.html",
        mime="text/html",
        icon=":material/download:",
        key=f"{key}-html",
        on_click="ignore",
        help="A web page with the interactive chart, readable without a network. "
        "The camera in the chart's corner saves a PNG.",
    )


def table_download(
    table: pd.DataFrame | Callable[[], pd.DataFrame], name: str, key: str, label: str = "Table", index: bool = False
) -> None:
    """Draw a button that saves a table, or what makes it at the click, as CSV."""
    st.download_button(
        label,
        lambda: csv_of(table() if callable(table) else table, index),
        file_name=f"{file_stem(name)}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"{key}-csv",
        on_click="ignore",
        help="Comma-separated values (CSV)",
    )


def csv_of(table: pd.DataFrame, index: bool = False) -> bytes:
    """Return a table as CSV, UTF-8 with a byte order mark; no cell of it runs as a formula in a spreadsheet."""
    safe = table.reset_index() if index else table
    safe = safe.astype(object).map(lambda cell: guard(cell) if isinstance(cell, str) else cell)
    safe.columns = ["" if index and place == 0 else guard(str(name)) for place, name in enumerate(safe.columns)]
    return safe.to_csv(index=False).encode("utf-8-sig", "replace")


def file_stem(name: str) -> str:
    """Return a file name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80] or "odits"
