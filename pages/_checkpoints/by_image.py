"""The same image under several checkpoints; the images on which they disagree most come first."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from itertools import combinations
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st

from odits.core.errors import OditsError
from odits.data import Dataset
from odits.evaluation.results import StoredEvaluation
from pages._checkpoints.compare import choose_group
from pages._shared import state
from pages._shared.datasets import demo_dataset
from pages._shared.evaluations import dataset_of, disagreement_of, evaluation_names, groups
from pages._shared.layout import escape_html, table_download
from pages._shared.pictures import thumbnail_html
from pages._shared.words import STYLE, legend, word_list

PER_PAGE = 10
TOP = 10
ORDERS = {"disagree": "Most disagreement first", "agree": "Most agreement first", "name": "By name"}
_STYLE = """
<style>
.odits-row {display: grid; gap: .4rem 1.2rem; border-top: 1px solid rgba(128, 140, 152, .3); padding: .8rem 0;
  grid-template-columns: 12rem repeat(auto-fit, minmax(13rem, 1fr)); align-items: start}
.odits-row figure {margin: 0}
.odits-row img {width: 100%; max-height: 10rem; object-fit: contain; object-position: left; border-radius: 4px}
.odits-row figcaption, .odits-row h4 {font-size: .85rem; margin: 0; padding: 0; font-weight: 600;
  overflow-wrap: anywhere}
.odits-row figcaption span {font-weight: 400; opacity: .8; display: block}
.odits-row a {color: inherit}
@media (max-width: 900px) {.odits-row {grid-template-columns: 1fr}}
</style>
"""


def view() -> None:
    """Draw this part of the page."""
    found = groups()
    if not found:
        state.publish("tab")
        st.info(
            "Nothing has been evaluated yet. Choose checkpoints and images under *Compare* and evaluate them: the "
            "results are stored and compared there.",
            icon=":material/query_stats:",
        )
        return
    group = choose_group(found)
    names = evaluation_names(group)
    chosen = state.choose_several("Checkpoints", list(names), "side", lambda key: names.get(key, key), _default(group))
    shown = [evaluation for evaluation in group if evaluation.key in chosen]
    if len(shown) < 2:
        state.publish("tab", "question", "side")
        st.info(
            "Choose two or more evaluated checkpoints."
            if len(group) > 1
            else "Only one checkpoint has been evaluated on these images. Evaluate another one under *Compare*.",
            icon=":material/compare:",
        )
        return
    dataset = dataset_of(shown[0])
    if dataset is None:
        raise OditsError(f"The images of {shown[0].data} are not here: open that data set on the left.")
    values = disagreement(shown)
    order = choose_order(values, shown[0].images)
    show_pages(order, values, shown, names, dataset)


def _default(group: Sequence[StoredEvaluation]) -> list[str]:
    """Return what is chosen at first: the unmodified model and the last of the fine-tuned ones."""
    return [group[0].key, group[-1].key] if len(group) > 1 else [evaluation.key for evaluation in group]


def disagreement(shown: Sequence[StoredEvaluation]) -> np.ndarray:
    """Return how differently the checkpoints describe each image, 0..1 (m,): the average over all pairs."""
    return np.mean([disagreement_of(one, other) for one, other in combinations(shown, 2)], axis=0)


def choose_order(values: np.ndarray, images: Sequence[str]) -> list[int]:
    """Ask for the order of the images, and return their indices in it."""
    by = state.choose("Order", list(ORDERS), "order", ORDERS.__getitem__, width=280)
    if by == "name":
        return sorted(range(len(images)), key=images.__getitem__)
    return np.argsort(values if by == "agree" else -values, kind="stable").tolist()


def show_pages(
    order: Sequence[int],
    values: np.ndarray,
    shown: Sequence[StoredEvaluation],
    names: Mapping[str, str],
    dataset: Dataset,
) -> None:
    """Show one page of rows, and how to get to the others."""
    pages = -(-len(order) // PER_PAGE)
    page = state.number("page", pages)
    state.put("page", page)
    state.publish("tab", "question", "side", "order", "page")
    shown_here = order[(page - 1) * PER_PAGE : page * PER_PAGE]
    with st.container(horizontal=True, vertical_alignment="center", key="by-image-head"):
        pager(page, pages, "top")
        st.caption(
            f"{(page - 1) * PER_PAGE + 1:,} to {(page - 1) * PER_PAGE + len(shown_here):,} of {len(order):,} images. "
            f"{legend()}. Disagreement goes from 0 (the same "
            "probabilities) to 1 (no word in common).",
            width="stretch",
        )
        table_download(all_rows(order, values, shown, names), "disagreement", "disagreement", "All images")
    tops = [evaluation.top(TOP) for evaluation in shown]
    rows = [row_of(place, float(values[place]), shown, tops, names, dataset) for place in shown_here]
    st.html(STYLE + _STYLE + "".join(rows))
    pager(page, pages, "bottom")


def pager(page: int, pages: int, key: str) -> None:
    """Draw buttons to the previous and the next page."""
    if pages == 1:
        return
    with st.container(horizontal=True, key=f"pager-{key}", width="content"):
        for title, target in (("Previous", page - 1), ("Next", page + 1)):
            st.button(
                title,
                key=f"by-image-{title}-{key}",
                disabled=not 1 <= target <= pages,
                on_click=state.act,
                args=("page", target),
            )


def row_of(
    place: int,
    value: float,
    shown: Sequence[StoredEvaluation],
    tops: Sequence[tuple[np.ndarray, np.ndarray]],
    names: Mapping[str, str],
    dataset: Dataset,
) -> str:
    """Return one image with each checkpoint's most probable words, as HTML."""
    name = shown[0].images[place]
    record = dataset.find(name)
    boxed = [item.word for item in record.boxed]
    cells = []
    for evaluation, (top, probabilities) in zip(shown, tops, strict=True):
        words = [evaluation.vocabulary.words[index] for index in top[place]]
        listed = word_list(words, probabilities[place].tolist(), record.lexicon, boxed)
        cells.append(f"<div><h4>{escape_html(names[evaluation.key])}</h4>{listed}</div>")
    image = urlencode({"images": _collection(shown[0], dataset), "image": name}, errors="replace")
    link = html.escape(f"/?{image}", quote=True)
    return (
        f'<div class="odits-row"><figure>{thumbnail_html(record)}<figcaption><a href="{link}" target="_self">'
        f"{escape_html(name)}</a><span>disagreement {value:.3f}</span></figcaption></figure>{''.join(cells)}</div>"
    )


def _collection(evaluation: StoredEvaluation, dataset: Dataset) -> str:
    """Return what the page "Words" calls these images."""
    demo = demo_dataset()
    return "demo" if demo is not None and dataset.root == demo.root else evaluation.split


def all_rows(
    order: Sequence[int], values: np.ndarray, shown: Sequence[StoredEvaluation], names: Mapping[str, str]
) -> pd.DataFrame:
    """Tabulate the disagreement on each image and each checkpoint's most probable words."""
    tops = {evaluation.key: evaluation.top(TOP)[0] for evaluation in shown}
    return pd.DataFrame(
        [
            {
                "image": shown[0].images[place],
                "disagreement": float(values[place]),
                **{
                    names[evaluation.key]: " ".join(
                        evaluation.vocabulary.words[index] for index in tops[evaluation.key][place]
                    )
                    for evaluation in shown
                },
            }
            for place in order
        ]
    )
