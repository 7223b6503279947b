"""Stored evaluations: read again only where one came, went or changed; found, named, ordered, and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from odits.core.errors import OditsError
from odits.data import Dataset, ImageRecord, Vocabulary
from odits.evaluation.results import (
    EVALUATIONS,
    StoredEvaluation,
    evaluate_and_store,
    evaluation_stamps,
    stored_evaluations,
    track_evaluation,
)
from odits.models.registry import ModelRef
from odits.models.registry import load as load_model
from pages._shared.datasets import SPLIT_NAMES, current_dataset, demo_dataset
from pages._shared.jobs import Job, Task
from pages._shared.layout import count_of
from pages._shared.word_models import load_quietly, word_models


def stored_now() -> list[StoredEvaluation]:
    """Return all stored evaluations, newest first."""
    return _stored(str(EVALUATIONS.folder), evaluation_stamps())


@st.cache_resource(max_entries=1, show_spinner=False)
def _stored(home: str, stamps: tuple[tuple[str, int], ...]) -> list[StoredEvaluation]:
    return stored_evaluations()


def find_evaluation(
    reference: str, data: str, records: Sequence[ImageRecord], vocabulary: Vocabulary
) -> StoredEvaluation | None:
    """Return the newest evaluation of a checkpoint on these images and words; None where there is none."""
    ref = next((ref for ref in word_models() if ref.reference == reference), None)
    names = tuple(record.name for record in records)
    for stored in stored_now():
        same = ref.describes(stored.checkpoint) if ref and ref.digest else stored.reference == reference
        unreadable = {problem.image for problem in stored.problems}
        same &= stored.data == data and stored.vocabulary.digest == vocabulary.digest
        read = tuple(name for name in names if name not in unreadable)
        if same and unreadable <= set(names) and stored.images == read:
            return stored
    return None


def others(evaluation: StoredEvaluation) -> dict[str, StoredEvaluation]:
    """Return evaluations of other checkpoints on the same images and words, by key, newest first."""
    return {
        other.key: other
        for other in stored_now()
        if other.question == evaluation.question
        and other.checkpoint != evaluation.checkpoint
        and other.images == evaluation.images
    }


def groups() -> dict[str, list[StoredEvaluation]]:
    """Return the evaluations on the same images and words, the latest first; of one checkpoint only the newest."""
    found: dict[str, list[StoredEvaluation]] = {}
    for stored in stored_now():
        group = found.setdefault(stored.question, [])
        if all(other.checkpoint != stored.checkpoint for other in group):
            group.append(stored)
    return {question: in_order(group) for question, group in found.items()}


def dataset_of(evaluation: StoredEvaluation) -> Dataset | None:
    """Return the data set with the evaluation's images; None where it is not open."""
    for dataset in (current_dataset(), demo_dataset()):
        if dataset is not None and dataset.name == evaluation.data:
            names = {record.name for record in dataset.records}
            if all(image in names for image in evaluation.images):
                return dataset
    return None


def disagreement_of(one: StoredEvaluation, other: StoredEvaluation) -> np.ndarray:
    """Return how differently two models describe each image, 0..1 (m,)."""
    return _disagreement(one.key, other.key, one, other)


@st.cache_data(max_entries=32, show_spinner="Comparing the two models …")
def _disagreement(key: str, other_key: str, _one: StoredEvaluation, _other: StoredEvaluation) -> np.ndarray:
    from odits.metrics.probabilities import disagreement

    return disagreement(_one.probabilities(), _other.probabilities())


def title_of(evaluation: StoredEvaluation) -> str:
    """Return an evaluated model as users tell it from others."""
    return f"{evaluation.model} ({evaluation.checkpoint[:8]})"


def group_title(group: Sequence[StoredEvaluation]) -> str:
    """Return what a group was evaluated on: which images, and over how many words."""
    first = group[0]
    what = f"{len(first.images):,} {SPLIT_NAMES.get(first.split, first.split).removeprefix('all ')}"
    return f"{first.data}: {what}, {len(first.vocabulary):,} words ({count_of(len(group), 'checkpoint')})"


def model_name(name: str) -> str:
    """Return a model's name without "(embedded)", which says where the file lies and not what it is."""
    return name.replace(" (embedded)", "")


def _distinct(names: Mapping[str, str], digests: Mapping[str, str]) -> dict[str, str]:
    """Add the digest to names that occur more than once."""
    often = Counter(names.values())
    return {key: name if often[name] == 1 else f"{name} · {digests[key][:8]}" for key, name in names.items()}


def local_names(found: Sequence[ModelRef]) -> dict[str, str]:
    """Return the name of each local checkpoint by its reference; equal ones are told apart by their digest."""
    names = {ref.reference: model_name(ref.name) for ref in found}
    return _distinct(names, {ref.reference: ref.digest for ref in found})


def evaluation_names(found: Sequence[StoredEvaluation]) -> dict[str, str]:
    """Return the name of each evaluated checkpoint by the evaluation's key; equal ones are told apart likewise."""
    names = {stored.key: model_name(stored.model) for stored in found}
    return _distinct(names, {stored.key: stored.checkpoint for stored in found})


def epoch(metadata: Mapping[str, str]) -> int:
    """Return the epoch of a fine-tuned checkpoint; 0 for another one."""
    value = metadata.get("epoch", "")
    return int(value) if value.isdecimal() else 0


def in_order(found: Sequence[StoredEvaluation]) -> list[StoredEvaluation]:
    """Sort evaluations: unmodified models first, then each line of fine-tuning by epoch."""
    return sorted(
        found,
        key=lambda stored: (
            bool(stored.metadata.get("parent_digest")),
            model_name(stored.model).rpartition(" (+")[0],
            stored.metadata.get("train", ""),
            stored.metadata.get("loss", ""),
            epoch(stored.metadata),
            stored.checkpoint,
        ),
    )


def evaluation_task(
    key: str,
    references: Sequence[str],
    names: Mapping[str, str],
    images: tuple[Dataset, str],
    vocabulary: Vocabulary,
    note: str,
) -> Task:
    """Return the task that evaluates checkpoints one after the other and stores each result as soon as it is there.

    Args:
        key: of the job.
        references: of the checkpoints; their weights are on this machine.
        names: of the checkpoints, by reference.
        images: a data set and its split.
        vocabulary: the words that a model chooses from.
        note: beside the button.
    """
    dataset, split = images
    count = count_of(len(dataset.split(split)), "image")

    def work(job: Job) -> None:
        remarks: list[str] = []
        for number, reference in enumerate(references, 1):
            which = f" ({number} of {len(references)})" if len(references) > 1 else ""
            title = f"Evaluating {names.get(reference, reference)}{which}"
            job.begin(f"{title}: loading the model")
            # several would not all stay in memory
            model = load_quietly(reference) if len(references) == 1 else load_model(reference)

            def progress(done: int, of: int, title: str = title) -> None:
                job.report(done, of)
                job.title = f"{title}: {done:,} of {of:,} images"

            job.begin(title)
            stored = evaluate_and_store(model, reference, dataset, split, vocabulary, progress)
            try:
                track_evaluation(stored, dataset, new_run=False)
            except OditsError as error:
                remarks.append(str(error))
        if remarks:
            job.message = f"The results are stored, but their run does not have them: {remarks[0]}"

    return Task(
        key=key,
        button=f"Evaluate {count}",
        title=f"Evaluating on {count}",
        run=work,
        note=note,
        done="Evaluated.",
        stopped="Stopped. The images that are done are stored: the button goes on from there.",
    )
