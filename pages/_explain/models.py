"""Which ODITS checkpoint the page Explain uses, and the offer to train one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from odits.data import Dataset
from odits.models import registry
from odits.models.reference import STREET
from odits.models.registry import EMBEDDED, ModelRef, available
from pages._shared import jobs, state
from pages._shared.layout import count_of, escape_markdown
from pages._shared.loaded import loaded
from pages._shared.segmenters import load as load_segmenter
from pages._shared.word_models import load as load_clip

if TYPE_CHECKING:
    from odits.models.fusion.model import OditsModel

UNTRAINED = "untrained"


def odits_checkpoints() -> list[ModelRef]:
    """List the trained ODITS checkpoints on this machine, newest first."""
    found = [ref for ref in available("odits") if ref.header.get("epoch") != "0"]
    return sorted(found, key=lambda ref: -ref.weights.stat().st_mtime)


def choose_odits() -> str:
    """Ask for an ODITS checkpoint; return its reference, or "untrained"."""
    found = odits_checkpoints()
    titles = {ref.reference: _title(ref) for ref in found} | {UNTRAINED: "Before training (predicts as CLIP)"}
    return state.choose("ODITS checkpoint", list(titles), "odits", lambda key: titles.get(key, key))


def _title(ref: ModelRef) -> str:
    reads = ", reads signs too" if ref.header.get("reads") == "True" else ""
    left_out = ref.header.get("without", "")
    without = f", without {left_out.replace('_', ' ').replace(',', ', ')}" if left_out else ""
    return f"{ref.digest[:8]} · {ref.name.replace(' (embedded)', '')}{reads}{without}"


def load(reference: str) -> OditsModel:
    """Load the model, once.

    Raises:
        OditsError: the checkpoint can't be used, or its segmenter's weights are not here.
    """
    if reference == UNTRAINED:
        return _untrained()
    model: OditsModel = loaded(registry.parse(reference, "odits"))
    return model


@st.cache_resource(show_spinner=False)
def _untrained() -> OditsModel:
    from odits.models.clip.model import ClipModel
    from odits.models.fusion.inputs import InputEncoder, ObjectEncoder
    from odits.models.fusion.model import untrained

    clip = load_clip(EMBEDDED)
    if not isinstance(clip, ClipModel):  # for the type checker: this reference has no other model
        raise TypeError(type(clip))
    return untrained(InputEncoder(ObjectEncoder(clip, load_segmenter(EMBEDDED, None))))


def offer_training(dataset: Dataset | None) -> None:
    """Offer to train ODITS on the data set's training images; say what is needed where there are none."""
    needed = all(ref.reference == STREET for ref in odits_checkpoints())
    if dataset is None or not dataset.split("train"):
        if needed:
            st.info(
                "Of ODITS only the one that comes with the explorer is here, and there are no training images "
                "to train one of your own on: open a data set on the left.",
                icon=":material/school:",
            )
        return
    count = count_of(len(dataset.split("train")), "image")
    reads = bool(st.session_state.get("explain-reads", False))
    task = jobs.Task(
        key="train-odits",
        button=f"Train ODITS on {count}",
        title="Encoding the training images",
        run=lambda job: _train(job, dataset, reads),
        note=f"{escape_markdown(dataset.name)}. A few minutes; you can stop at any time and go on later.",
        done="ODITS is trained: choose it on the left.",
        icon=":material/school:",
    )
    jobs.offer(task, needed=needed)
    if needed and not jobs.running(task.key):
        st.toggle("Read signs too", key="explain-reads", help="Lines that the spotter reads count as objects. Slower.")


def _train(job: jobs.Job, dataset: Dataset, reads: bool) -> None:
    from odits.core.progress import Phase
    from odits.training.odits import make_input_encoder, origin_of, run_folder, train_odits
    from odits.training.run import Listener, RunOptions
    from odits.training.settings import OditsSettings

    def phase(name: str) -> Phase:
        job.begin(name.capitalize())
        return Phase(name, changed=lambda phase: job.report(phase.done, phase.of))

    settings = OditsSettings()
    input_encoder = make_input_encoder(EMBEDDED, EMBEDDED, read=reads)
    folder = run_folder(input_encoder, dataset, settings)
    origin = origin_of(EMBEDDED, EMBEDDED, input_encoder)
    options = RunOptions(listener=Listener(phase=phase))
    state = train_odits(input_encoder, dataset, folder, settings, origin, options)
    job.problems = [problem["problem"] for problem in state.problems]
