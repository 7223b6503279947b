"""What the page Explain shows: two models side by side, the picture, the object-text matrix, what ODITS has."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from odits.data import ImageRecord
from odits.figures.explanation import (
    contribution_bars,
    contributions_figure,
    matrix_figure,
)
from odits.figures.object_drawings import values_drawing
from pages._explain.answers import Answer, changes
from pages._explain.charts import STYLE, contributions_html, matrix_html
from pages._shared import serving, state
from pages._shared.bars import show_words_chart
from pages._shared.canvas import show_canvas
from pages._shared.carriers import contributions
from pages._shared.figures import figure_menu
from pages._shared.layout import escape_markdown, file_stem, panes, table_download
from pages._shared.pictures import Opened, short_name
from pages._shared.word_charts import TOP, words_menu
from pages._shared.word_models import show_caption

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

    from odits.figures.static import Theme
    from odits.models.fusion.model import OditsModel

SHOWN = 12
HIGHEST = 560
"""Pixels of the picture's height at most."""
VIEWS = {"contribution": "What the word loses without an object", "attention": "Attention of the image token"}


def show_words(answer: Answer, picture: ImageRecord) -> None:
    """Show the ten words of ODITS beside those of what it is compared with."""
    with panes("two-models") as row:
        st.html(STYLE)
        for key, prediction, title in (
            ("clip", answer.other, f"{answer.other_name[0].upper()}{answer.other_name[1:]}, from the whole picture"),
            ("odits", answer.odits, "ODITS, from the picture and its objects"),
        ):
            with row.container(key=f"pane-{key}"):
                st.caption(title)
                show_caption(prediction)
                show_words_chart(prediction, picture)
                words_menu(f"explain-{key}", file_stem(f"words-{picture.name}-{prediction.model}"), prediction, picture)


def show_changes(answer: Answer, picture: ImageRecord, contributed: np.ndarray) -> None:
    """Say which words rose, and because of which object."""
    table, before = changes(answer, contributed), f"rank by {answer.other_name}"
    risen = table[(table[before] > TOP) & (table["adds to the logit"] > 0)]
    if len(risen):
        best = risen.iloc[0]
        st.markdown(
            f"**{escape_markdown(str(best['word']))}** rose from rank {best[before]:,} to "
            f"{best['rank by ODITS']}, most of all because of object {escape_markdown(str(best['carried by']))}."
        )
    elif not (table[before] > TOP).any():
        st.markdown("Both have the same ten words.")
    _show_changes_table(table, picture)


@serving.fragment
def _show_changes_table(table: pd.DataFrame, picture: ImageRecord) -> None:
    """Show what changed as a table, once somebody unfolds it: tables take the browser long."""
    box = st.expander("What changed, word by word", key="changes-box", on_change="rerun")
    if not box.open:
        return
    with box:
        st.dataframe(
            table,
            hide_index=True,
            key="changes",
            column_config={"adds to the logit": st.column_config.NumberColumn(format="%.2f")},
        )
        table_download(table, file_stem(f"changes-{picture.name}"), "changes")


def choose_word(answer: Answer, picture: ImageRecord) -> str:
    """Ask for the word to explain: one that either model predicts, or one of the picture's own."""
    words = [item.word for item in answer.odits.top(TOP)] + [item.word for item in answer.other.top(TOP)]
    known = set(answer.odits.vocabulary.words)
    words += [word for word in (*picture.visible, *picture.lexicon) if word in known]
    return state.choose("Word", list(dict.fromkeys(words)), "word")


def choose_view() -> str:
    """Ask what the colours over the picture stand for."""
    return state.choose("Colour", list(VIEWS), "view", VIEWS.__getitem__)


def show_picture(model: OditsModel, answer: Answer, picture: ImageRecord, opened: Opened, word: str, view: str) -> None:
    """Show the picture with its objects coloured by what they do for the word, and the strongest as bars."""
    index = answer.odits.vocabulary.words.index(word)
    contributed = contributions(opened, model, (index,), answer.carriers)[:, 0]
    diverging = view == "contribution"
    values = contributed if diverging else answer.carriers.explainer.attention(answer.odits.attention)
    title = f"adds to “{word}” (logit)" if diverging else "share of the attention"
    labels = answer.carriers.labels

    drawing = values_drawing(answer.carriers.outlines, labels, values, title, diverging)
    name = short_name(picture.name)

    def interactive() -> go.Figure:
        return contributions_figure(opened.image, answer.carriers.outlines, labels, values, title, diverging)

    def paper(theme: Theme) -> Figure:
        from odits.figures.static_pictures import picture_figure

        return picture_figure(opened.image, drawing, theme, title=name)

    def table() -> pd.DataFrame:
        attention = answer.carriers.explainer.attention(answer.odits.attention)
        return pd.DataFrame({"object": labels, "contribution": contributed, "attention": attention})

    stem = file_stem(f"explain-{picture.name}-{word}-{view}")
    with panes("explained") as row:
        with row.container(key="pane-overlay"):
            alt = f"{len(values)} objects coloured by {VIEWS[view].lower()}"
            show_canvas(f"explain-picture-{opened.digest[:12]}", opened, drawing, alt, HIGHEST)
            figure_menu("explain-picture", stem, interactive, paper, table, [name, *drawing.texts()])
        with row.container(key="pane-bars"):
            strongest = [
                int(i) for i in np.argsort(-np.abs(contributed), kind="stable")[:SHOWN] if abs(contributed[i]) > 1e-4
            ]
            if strongest:
                st.markdown(f"**{escape_markdown(word)}** without each object")
                names = [labels[i] for i in strongest]
                label = f"Contributions to {word} of " + ", ".join(names)
                st.html(contributions_html(names, contributed[strongest], label))
                _bars_menu(names, contributed[strongest], word, picture)
            elif len(contributed):
                st.info(
                    "No object matters for this word here: without any of them it is as likely.", icon=":material/info:"
                )


def _bars_menu(names: list[str], values: np.ndarray, word: str, picture: ImageRecord) -> None:
    """Draw the menu that saves the bars of what a word loses without each object."""
    title = f"{word} without each object"

    def paper(theme: Theme) -> Figure:
        from odits.figures.static_explanation import bars_figure

        return bars_figure(names, values, theme, title)

    table = pd.DataFrame({"object": names, "contribution": values})
    stem = file_stem(f"contributions-{picture.name}-{word}")
    figure_menu("explain-bars", stem, lambda: contribution_bars(names, values), paper, table, [title, *names])


def show_matrix(answer: Answer, picture: ImageRecord, opened: Opened) -> None:
    """Show the object-text matrix of the surest objects, for the words that either model predicts."""
    words = list(dict.fromkeys(item.word for one in (answer.odits, answer.other) for item in one.top(TOP)))
    columns = [answer.odits.vocabulary.words.index(word) for word in words]
    rows = np.argsort(-answer.carriers.matrix[:, columns].max(1, initial=0), kind="stable")[:SHOWN]
    if not len(rows):
        return
    part = answer.carriers.matrix[rows][:, columns]
    crops = [_crop(opened, answer.carriers.explainer.groups[i].corners) for i in rows]
    labels = [answer.carriers.labels[i] for i in rows]
    st.html(
        matrix_html(part, labels, words, crops, f"Object-text matrix of {len(rows)} objects and {len(words)} words")
    )
    st.caption(
        "Each row is one object: its probabilities over the vocabulary, in per cent. Shown are the words that either "
        "model predicts, and the objects that are most sure of one of them."
    )

    def paper(theme: Theme) -> Figure:
        from odits.figures import static_explanation

        return static_explanation.matrix_figure(part, labels, words, theme)

    def table() -> pd.DataFrame:
        found = pd.DataFrame(part, columns=words)
        found.insert(0, "object", labels)
        return found

    stem = file_stem(f"matrix-{picture.name}")
    draw = partial(matrix_figure, part, labels, words, crops)
    figure_menu("explain-matrix", stem, draw, paper, table, [*labels, *words])


def _crop(opened: Opened, corners: np.ndarray) -> Image.Image:
    """Cut the box around an object out of the picture; at least a pixel."""
    width, height = opened.image.size
    left, top = (int(np.clip(low, 0, size - 1)) for low, size in zip(corners.min(0), (width, height), strict=True))
    right, bottom = (int(np.ceil(high)) for high in corners.max(0))
    return opened.image.crop((left, top, max(left + 1, min(right, width)), max(top + 1, min(bottom, height))))


@serving.fragment
def show_capabilities(model: OditsModel) -> None:
    """Show what ODITS has and CLIP has not (Table 3.4 of the thesis), as the loaded model really is; folded away."""
    from odits.models.fusion.explanation import capabilities

    box = st.expander(
        "What ODITS has and CLIP has not", icon=":material/checklist:", key="capabilities-box", on_change="rerun"
    )
    if not box.open:
        return
    table = pd.DataFrame(
        [
            {"part": one.name, "CLIP": _tick(one.clip), "ODITS": _tick(one.odits), "here": one.here}
            for one in capabilities(model)
        ]
    )
    with box:
        st.dataframe(table, hide_index=True, key="capabilities", height=35 * (len(table) + 1) + 3)
        st.caption("Table 3.4 of the thesis, filled in from the checkpoint in use.")
        table_download(table, "odits-and-clip", "capabilities")


def _tick(present: bool) -> str:
    return "✓" if present else "–"
