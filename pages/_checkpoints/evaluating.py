"""Starting evaluations: which checkpoints, which images, which words."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from odits.core.errors import OditsError
from odits.data import Dataset, Vocabulary
from odits.data.predictions import WordModel
from odits.evaluation.results import evaluate_and_keep, track_evaluation
from odits.models.registry import EMBEDDED, CheckpointInfo
from pages._checkpoints.names import epoch, local_names
from pages._shared import jobs, several, state
from pages._shared.pictures import dataset_or_none, demo_dataset
from pages._shared.word_models import checkpoints, load

EVALUATE = "evaluate"
STOPPED = "Stopped. The images that are done are kept: evaluate the same again to go on from there."
WORDS = {"all": "All words of the data set", "split": "The words of these images", "file": "A text file of words"}


def form() -> None:
    """What to evaluate, and the button that starts it."""
    found = checkpoints()
    names = local_names(found)
    collection = choose_images()
    if collection is None:
        st.info(
            "There are no images to evaluate on: see the page *Data* for how to get SVT.", icon=":material/database:"
        )
        return
    dataset, split = collection
    with st.container(horizontal=True, vertical_alignment="bottom", key="evaluate-row"):
        vocabulary = choose_words(dataset, split)
        references = several.choose(
            "Checkpoints",
            [info.reference for info in in_turn(found)],
            "evaluate",
            lambda reference: names.get(reference, reference),
            [EMBEDDED] if EMBEDDED in names else [],
            help="What you bring here from a store, and what you fine-tune, can be chosen here.",
        )
    count = len(dataset.split(split))
    with st.container(horizontal=True, vertical_alignment="center", key="evaluate-start"):
        pressed = st.button(
            f"Evaluate on {count:,} image{'' if count == 1 else 's'}",
            type="primary",
            icon=":material/play_circle:",
            key="evaluate-button",
            disabled=not references or vocabulary is None or jobs.running(EVALUATE),
        )
        st.caption("It goes on beside the page. You can stop it at any time and go on later.")
    if pressed and vocabulary is not None:
        start(references, names, dataset, split, vocabulary)
        st.rerun()


def in_turn(found: Sequence[CheckpointInfo]) -> list[CheckpointInfo]:
    """Checkpoints as they are offered: unmodified ones first, then each line of fine-tuning by epoch."""
    return sorted(found, key=lambda info: (info.reference != EMBEDDED, str(info.path.parent), epoch(info.metadata)))


def choose_images() -> tuple[Dataset, str] | None:
    """The data set and the split to evaluate on; None where there are no images at all."""
    dataset, demo = dataset_or_none(), demo_dataset()
    titles: dict[str, str] = {}
    if dataset is not None:
        parts = {"eval": "evaluation images", "train": "training images"}
        titles |= {split: f"{dataset.name}, {parts[split]}" for split in ("eval", "train") if split in dataset.splits}
        titles["all"] = f"{dataset.name}, all images"
    if demo is not None:
        titles["demo"] = "Demo images"
    if not titles:
        return None
    chosen = state.choose("Images", list(titles), "on", lambda key: titles.get(key, key))
    if chosen == "demo" and demo is not None:
        return demo, "eval"
    return (dataset, chosen) if dataset is not None else None


def choose_words(dataset: Dataset, split: str) -> Vocabulary | None:
    """The vocabulary to evaluate over; None until a file was added."""
    kind = state.choose("Words", list(WORDS), "over", WORDS.__getitem__, help="The words a model chooses from.")
    if kind != "file":
        return _vocabulary(str(dataset.root), len(dataset.records), "all" if kind == "all" else split, dataset)
    file = st.file_uploader("One word a line, or separated by commas", ["txt", "csv"], key="evaluate-words")
    if file is None:
        return None
    try:
        return Vocabulary.from_text(file.getvalue().decode("utf-8-sig"), file.name)
    except UnicodeDecodeError as error:
        raise OditsError(f"{file.name} is not a text file in UTF-8.") from error


@st.cache_resource(max_entries=6, show_spinner=False)
def _vocabulary(root: str, images: int, split: str, _dataset: Dataset) -> Vocabulary:
    return _dataset.vocabulary(split)


def start(
    references: Sequence[str], names: dict[str, str], dataset: Dataset, split: str, vocabulary: Vocabulary
) -> None:
    """Evaluates the checkpoints one after the other, beside the page; each result is kept as soon as it is there."""
    models: dict[str, WordModel] = {}
    if len(references) == 1:  # several would not all stay in memory: they are loaded in their turn
        with st.spinner("Getting the model ready …"):
            models[references[0]] = load(references[0])

    def work(job: jobs.Job) -> None:
        # deferred: it brings torch in, which the page must not wait for
        from odits.models.clip.loading import load_word_model

        remarks: list[str] = []
        for number, reference in enumerate(references, 1):
            which = f" ({number} of {len(references)})" if len(references) > 1 else ""
            title = f"Evaluating {names.get(reference, reference)}{which}"
            job.begin(title)
            model = models.get(reference) or load_word_model(reference)

            def advance(done: int, of: int, title: str = title) -> None:
                job.report(done, of)
                job.title = f"{title}: {done:,} of {of:,} images"

            kept = evaluate_and_keep(model, reference, dataset, split, vocabulary, advance)
            try:
                track_evaluation(kept, dataset, new_run=False)
            except OditsError as error:
                remarks.append(str(error))
        if remarks:
            job.message = f"The results are kept, but their run does not have them: {remarks[0]}"

    jobs.start(EVALUATE, "Evaluating", work)
