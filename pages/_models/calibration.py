"""Whether the probabilities of the default model are what they say: its reliability diagram."""

from __future__ import annotations

import streamlit as st

from odits.evaluation.model_figures import model_figures
from odits.figures.calibration import reliability_figure, reliability_text
from odits.models.registry import DEFAULT_MODEL, parse
from pages._shared.figures import panels_menu
from pages._shared.layout import chart, escape_markdown

TITLES = {
    "scenes": "drawn scenes",
    "svt": "SVT, all words",
    "svt lexicon": "SVT, words of the image's lexicon",
}


def view() -> None:
    """Draw this part of the page; nothing where nobody measured these weights."""
    figures = model_figures().get(DEFAULT_MODEL)
    if figures is None or not figures.reliability:
        return
    if not parse(DEFAULT_MODEL).describes(figures.checkpoint):
        return  # of other weights
    st.subheader("Is 80 % right in 80 % of the cases?", anchor=False)
    st.caption(
        f"Of the words that {escape_markdown(figures.name)} shows with a probability, the share that is there. Dots on "
        "the line are as they should be; below it the model is too sure. SVT boxes only words of each image's lexicon, "
        "so that words that stand there and were not boxed count as absent."
    )
    series = {TITLES.get(name, name): found for name, found in figures.reliability.items()}
    figure = reliability_figure(series)
    chart(figure, "reliability", reliability_text(series))
    panels_menu("reliability", "reliability", figure)
