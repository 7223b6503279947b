"""Kept evaluations that can be compared: those of the same images and words."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from odits.data import Dataset
from odits.evaluation.results import KeptEvaluation
from pages._checkpoints.names import in_order
from pages._shared import state
from pages._shared.kept import kept_now
from pages._shared.pictures import dataset_or_none, demo_dataset

SPLITS = {"train": "training images", "eval": "evaluation images", "all": "images"}


def groups() -> dict[str, list[KeptEvaluation]]:
    """The evaluations of each question, the question asked last first; of one checkpoint only the newest."""
    found: dict[str, list[KeptEvaluation]] = {}
    for kept in kept_now():
        group = found.setdefault(kept.question, [])
        if all(other.checkpoint != kept.checkpoint for other in group):
            group.append(kept)
    return {question: in_order(group) for question, group in found.items()}


def title_of(group: Sequence[KeptEvaluation]) -> str:
    """What was asked: which images, and over how many words."""
    kept = group[0]
    number = f"{len(group)} checkpoint{'' if len(group) == 1 else 's'}"
    what = f"{len(kept.images):,} {SPLITS.get(kept.split, kept.split)}"
    return f"{kept.data}: {what}, {len(kept.vocabulary):,} words ({number})"


def choose_group(found: dict[str, list[KeptEvaluation]]) -> list[KeptEvaluation]:
    """The evaluations of the question chosen; the box shows only where there are several."""
    if len(found) == 1:
        question = next(iter(found))
        state.put("question", question)
    else:
        question = state.choose("Evaluated on", list(found), "question", lambda key: title_of(found[key]))
    return found[question]


def dataset_of(kept: KeptEvaluation) -> Dataset | None:
    """The data set with the evaluation's images; None where it is not here any more."""
    for dataset in (dataset_or_none(), demo_dataset()):
        if dataset is not None and dataset.name == kept.data:
            names = {record.name for record in dataset.records}
            if all(image in names for image in kept.images):
                return dataset
    return None


def nothing_yet() -> None:
    """What to do where nothing was evaluated."""
    st.info(
        "Nothing has been evaluated yet. Choose checkpoints and images under *Compare* and press the button: the "
        "results are kept and compared there.",
        icon=":material/query_stats:",
    )
