"""Which ODITS checkpoint speaks on the page Explain, and how one comes to be."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from odits.core.files import cache_home
from odits.data import Dataset
from odits.models.fusion.inputs import ObjectEncoder
from odits.models.fusion.model import OditsModel, load_odits, untrained
from odits.models.registry import EMBEDDED, CheckpointInfo
from pages._shared import jobs, state
from pages._shared.layout import plain
from pages._shared.segmenters import load as load_segmenter
from pages._shared.word_models import checkpoints
from pages._shared.word_models import load as load_clip

UNTRAINED = "untrained"
_JOB = "train-odits"
_ASKED = "odits-explain-train"


def odits_checkpoints() -> list[CheckpointInfo]:
    """Trained ODITS checkpoints on this machine, newest first."""
    found = [
        info for info in checkpoints() if info.metadata.get("kind") == "odits" and info.metadata.get("epoch") != "0"
    ]
    return sorted(found, key=lambda info: -info.path.stat().st_mtime)


def choose_odits() -> str:
    """The reference of the ODITS checkpoint that is to speak, or "untrained"."""
    found = odits_checkpoints()
    titles = {info.reference: _title(info) for info in found} | {UNTRAINED: "Before training (says what CLIP says)"}
    return state.choose("ODITS checkpoint", list(titles), "odits", lambda key: titles.get(key, key))


def _title(info: CheckpointInfo) -> str:
    reads = ", reads signs too" if info.metadata.get("reads") == "True" else ""
    left_out = info.metadata.get("without", "")
    without = f", without {left_out.replace('_', ' ').replace(',', ', ')}" if left_out else ""
    return f"{info.name.replace(' (embedded)', '')}{reads}{without} ({info.digest[:8]})"


def load(reference: str) -> OditsModel:
    """The model, loaded once and kept.

    Raises:
        OditsError: the checkpoint can't be used, or its segmenter's weights are not here.
    """
    if reference == UNTRAINED:
        return _untrained()
    digest = next((info.digest for info in odits_checkpoints() if info.reference == reference), "")
    return _load(reference, digest)


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(reference: str, digest: str) -> OditsModel:
    return load_odits(Path(reference).expanduser())


@st.cache_resource(show_spinner=False)
def _untrained() -> OditsModel:
    from odits.models.clip.model import ClipModel
    from odits.models.fusion.inputs import OditsEyes

    clip = load_clip(EMBEDDED)
    if not isinstance(clip, ClipModel):  # for the type checker: this reference has no other model
        raise TypeError(type(clip))
    return untrained(OditsEyes(ObjectEncoder(clip, load_segmenter(EMBEDDED, None))))


def offer_training(dataset: Dataset | None) -> None:
    """A button that trains ODITS on the data set's training images, with progress and a way to stop."""
    if dataset is None or not dataset.split("train"):
        st.info(
            "No trained ODITS is on this machine, and no training images to train one on: the page *Data* says how "
            "to get SVT. Until then this page shows ODITS before training, which says what CLIP says.",
            icon=":material/school:",
        )
        return
    if st.session_state.pop(_ASKED, None) is not None:
        reads = st.session_state.get("explain-reads", False)
        jobs.start(_JOB, "Looking at the training images", lambda job: _train(job, dataset, bool(reads)))
    jobs.show(
        _JOB, "Stopped. The button goes on from the last finished epoch.", "ODITS is trained: choose it on the left."
    )
    if jobs.running(_JOB):
        return
    with st.container(horizontal=True, vertical_alignment="center", key="offer-training"):
        st.button(
            f"Train ODITS on {len(dataset.split('train')):,} images",
            type="primary",
            icon=":material/school:",
            key="train",
            on_click=lambda: st.session_state.__setitem__(_ASKED, True),
        )
        st.toggle("Read signs too", key="explain-reads", help="Lines that the spotter reads count as objects. Slower.")
        st.caption(f"{plain(dataset.name)}. A few minutes; you can stop at any time and go on later.")


def _train(job: jobs.Job, dataset: Dataset, reads: bool) -> None:
    from odits.training.finetune import Listener
    from odits.training.odits_config import OditsTraining
    from odits.training.odits_runs import make_eyes, origin_of, run_folder
    from odits.training.train_odits import train_odits

    config = OditsTraining()
    eyes = make_eyes(EMBEDDED, EMBEDDED, read=reads)

    def epoch(line: dict[str, float]) -> None:
        if line["epoch"] == 1 or job.title.startswith("Looking"):
            job.begin("Training")
        job.report(int(line["epoch"]), config.epochs)

    folder = run_folder(cache_home() / "checkpoints", eyes, dataset, config)
    train_odits(
        eyes,
        dataset,
        folder,
        config,
        origin_of(EMBEDDED, EMBEDDED, eyes),
        listener=Listener(epoch=epoch, prepared=job.report),
    )
