"""Starting an evaluation from the page that needs it, with progress, and stopping it; what is done stays."""

from __future__ import annotations

import streamlit as st

from odits.data import Dataset, Vocabulary
from odits.evaluation.results import evaluate_and_keep
from pages._shared import jobs
from pages._shared.layout import plain
from pages._shared.word_models import load

_ASKED = "odits-browse-evaluate"


def offer_evaluation(reference: str, dataset: Dataset, split: str, vocabulary: Vocabulary) -> None:
    """A button that evaluates a model on a split and keeps the result; while it runs, its progress and a Stop button.

    Raises:
        OditsError: the model can't be had.
    """
    key = f"browse-{reference}-{dataset.root}-{split}-{vocabulary.digest}"
    count = len(dataset.split(split))
    images = f"{count:,} {'image' if count == 1 else 'images'}"
    if st.session_state.pop(_ASKED, None) == key:
        with st.spinner("Getting the model ready …", show_time=True):
            model = load(reference)

        def work(job: jobs.Job) -> None:
            evaluate_and_keep(model, reference, dataset, split, vocabulary, job.report)

        jobs.start(key, f"Reading {images} with {model.name}", work)
    jobs.show(key, "Stopped. What was read stays, and the button goes on from there.")
    if jobs.running(key):
        return
    with st.container(horizontal=True, vertical_alignment="center", key="offer-evaluation"):
        st.button(
            f"Evaluate {images}",
            type="primary",
            icon=":material/play_circle:",
            key="evaluate",
            on_click=_ask,
            args=(key,),
        )
        st.caption(f"{plain(dataset.name)}. You can stop at any time and go on later.")


def _ask(key: str) -> None:
    st.session_state[_ASKED] = key
