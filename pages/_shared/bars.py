"""Words and their probabilities as bars that the browser draws by itself: a table, every number in it as text.

An interactive chart takes the browser a tenth of a second and more each time; a table is there at once, is read out,
and its words are buttons where one of them can be chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from odits.core.percent import percents
from odits.data import ImageRecord
from odits.data.predictions import WordPrediction
from odits.figures.theme import BLUE
from odits.figures.words import LEXICON, READ, VISIBLE, WordMark, word_mark
from pages._shared.layout import escape_html
from pages._shared.word_charts import TOP, alt_of, axis_of

ROOM = 5
"""Rem of a bar's cell that its number takes."""
CSS = f"""
.odits-chart {{position: relative; overflow-x: auto; font-family: var(--st-font, inherit);
  color: var(--st-text-color, inherit); font-size: .875rem; line-height: 1.35}}
.odits-chart:focus-visible, .odits-chart button:focus-visible {{
  outline: 2px solid var(--st-primary-color, {BLUE}); outline-offset: -2px}}
.odits-chart table {{border-collapse: collapse; margin: 0; width: 100%; border: 0}}
.odits-chart :is(th, td) {{border: 0 !important; padding: .12rem .35rem; font-weight: 400; text-align: left;
  overflow-wrap: anywhere}}
.odits-chart tbody tr:hover {{background: rgba(128, 140, 152, .16)}}
.odits-chart :is(b, u) {{display: inline-block; height: 1rem; vertical-align: middle; min-width: 2px;
  box-sizing: border-box; forced-color-adjust: none; border-radius: 0 3px 3px 0; background: var(--mark);
  border: 1px solid var(--mark)}}
.odits-chart :is(b.striped, u) {{background: repeating-linear-gradient(135deg, var(--mark) 0 3px, transparent 3px 6px)}}
.odits-chart b.dotted {{background: radial-gradient(var(--mark) 34%, transparent 36%) 0 0 / 6px 6px}}
.odits-chart u {{border-radius: 3px 0 0 3px}}
.odits-chart i {{font-style: normal; color: var(--mark)}}
.odits-chart td span {{white-space: nowrap; padding: 0 .35rem; font-variant-numeric: tabular-nums}}
.odits-chart p {{margin: .3rem 0 0; font-size: .82rem; display: flex; flex-wrap: wrap; gap: 0 1rem}}
.odits-bars th {{width: 38%; text-align: right !important}} .odits-bars td {{white-space: nowrap}}
.odits-bars tr.chosen th {{font-weight: 700}}
.odits-chart button {{font: inherit; color: inherit; background: none; border: 0; padding: 0 .2rem; cursor: pointer;
  text-align: right; overflow-wrap: anywhere; border-radius: 3px}}
.odits-chart tr:has(button) {{cursor: pointer}}
.odits-hidden {{position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)}}
"""
STYLE = f"<style>{CSS}</style>"
_SCRIPT = """
export default function (component) {
  const { data, parentElement: root, setTriggerValue } = component;
  root.oditsTell = (row) => setTriggerValue("picked", row);
  const place = root.querySelector(".odits-place");
  if (!root.oditsListens) {
    place.onclick = (event) => {
      const row = event.target.closest("tbody tr");
      if (row) root.oditsTell(row.sectionRowIndex);
    };
    root.oditsListens = true;
  }
  if (root.oditsShown === data.chart) return;
  root.oditsShown = data.chart;
  const focused = [...place.querySelectorAll("button")].indexOf(place.getRootNode().activeElement);
  place.innerHTML = data.chart;
  if (focused >= 0) place.querySelectorAll("button")[focused]?.focus();
}
"""


def show_words_chart(prediction: WordPrediction, picture: ImageRecord, limit: float | None = None) -> None:
    """Show the most probable words as bars.

    Args:
        prediction: of the words.
        picture: whose words are known.
        limit: the probability of the longest bar there may be; charts to be compared share it.
    """
    st.html(STYLE + words_html(prediction, picture, limit))


def choose_word_in_chart(
    key: str, prediction: WordPrediction, picture: ImageRecord, chosen: str, pick: Callable[[str], None]
) -> None:
    """Show the most probable words as bars that are clicked, or chosen by keyboard.

    Args:
        key: tells it from others on the page.
        prediction: of the words.
        picture: whose words are known.
        chosen: the word that is brought out.
        pick: called with the word that was chosen.
    """
    words = [item.word for item in prediction.top(TOP)]

    def picked() -> None:
        row = st.session_state[key].get("picked")
        if isinstance(row, int | float) and 0 <= row < len(words):
            pick(words[int(row)])

    _component()(key=key, data={"chart": words_html(prediction, picture, chosen=chosen)}, on_picked_change=picked)


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    page = '<div class="odits-place"></div>'
    return st.components.v2.component("odits_bars", html=page, css=CSS, js=_SCRIPT)


def words_html(
    prediction: WordPrediction, picture: ImageRecord, limit: float | None = None, chosen: str | None = None
) -> str:
    """Return the most probable words as bars, each with its mark and its probability; with `chosen`, to choose from."""
    top = prediction.top(TOP)
    most = limit or max((item.probability for item in top), default=1.0) or 1.0
    marks = [word_mark(item.word, picture.lexicon, picture.visible, prediction.vocabulary.extra) for item in top]
    shares = percents([item.probability for item in top])
    rows = []
    for rank, (item, mark, share) in enumerate(zip(top, marks, shares, strict=True), 1):
        word, here = escape_html(item.word), item.word == chosen
        if chosen is not None:
            word = f'<button type="button" aria-pressed="{str(here).lower()}">{"▸ " if here else ""}{word}</button>'
        told = f"rank {rank}, probability {item.probability:.7f}" + (f", {mark.title}" if mark.sign else "")
        rows.append(
            f'<tr class="{"chosen" if here else "other"}" style="--mark:{mark.color}" title="{told}">'
            f'<th scope="row">{_sign(mark)}{word}</th><td><b class="{_pattern(mark)}" '
            f'style="{width_of(item.probability / most)}"></b><span>{escape_html(share)}</span></td></tr>'
        )
    known = [mark for mark in (VISIBLE, LEXICON, READ) if mark in marks]
    legend = "".join(f'<span style="--mark:{mark.color}"><i>{mark.sign}</i> {mark.title}</span>' for mark in known)
    return chart_html("odits-bars", rows, alt_of(top), f"<p><span>{axis_of(prediction)}</span>{legend}</p>")


def chart_html(kind: str, rows: Sequence[str], label: str, below: str = "", head: str = "") -> str:
    """Return a table that scrolls by itself where the window is narrow, by keyboard too."""
    return (
        f'<div class="odits-chart {kind}" role="group" tabindex="0" aria-label="{escape_html(label)}">'
        f"<table>{head}<tbody>{''.join(rows)}</tbody></table>{below}</div>"
    )


def width_of(share: float) -> str:
    """Return the style of a bar that is as long as a share of the longest."""
    return f"width:calc((100% - {ROOM}rem) * {min(max(share, 0.0), 1.0):.4f})"


def _pattern(mark: WordMark) -> str:
    return "striped" if mark is LEXICON else "dotted" if mark is READ else "plain"


def _sign(mark: WordMark) -> str:
    if not mark.sign:
        return ""
    return f'<i aria-hidden="true">{mark.sign}</i> <span class="odits-hidden">({mark.title}) </span>'
