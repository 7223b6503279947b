"""All word models at hand with the same figures, and one sentence each on when to choose it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from odits.core.errors import OditsError
from odits.core.percent import percent
from odits.core.text import literal
from odits.evaluation.model_figures import ModelFigures, model_figures
from odits.evaluation.results import StoredEvaluation
from odits.models.registry import DEFAULT_MODEL, VITSTR, ModelRef, parse
from pages._shared import state
from pages._shared.evaluations import local_names, stored_now
from pages._shared.layout import code, count_of, escape_markdown, table_download
from pages._shared.word_models import word_models

COMMAND = "python benchmarks/models.py --scenes DIR --write"
MODEL, WHEN = "model", "when to choose it"
PRECISION, AVERAGE, SURE = "SVT: precision@10", "average precision", "confidence precision"
IN_TOP, ERROR = "drawn: words in the top ten", "drawn: calibration error"
_HELP = {
    PRECISION: "Of the ten most probable words, the share that is true of the place. More is better.",
    AVERAGE: "The area under precision over recall, over all words. More is better.",
    SURE: "Of the words that the model is sure of, the share that is true of the place. More is better.",
    IN_TOP: "Of the words on the signs, the share that is among the ten most probable. More is better.",
    ERROR: "How far the probabilities beside words are from how often the words are there. Less is better.",
}
_SVT = {PRECISION: "precision@10", AVERAGE: "average precision", SURE: "confidence precision"}
_SCENES = {IN_TOP: "in the top ten", ERROR: "calibration error"}
_EVALUATED = {
    "precision@10": ("rank", "precision_at_10"),
    "average precision": ("rank", "average_precision"),
    "confidence precision": ("confidence", "precision"),
}


@dataclass(frozen=True)
class Row:
    """What is known about a model.

    Attributes:
        ref: the model.
        name: as users tell it from others.
        when: one sentence on when to choose it.
        svt: its figures on SVT's evaluation images, by the names of `ModelFigures.svt`.
        scenes: on drawn scenes, by the names of `ModelFigures.scenes`.
        remark: where the figures are from, or why there are none.
    """

    ref: ModelRef
    name: str
    when: str
    svt: Mapping[str, float] = field(default_factory=dict)
    scenes: Mapping[str, float] = field(default_factory=dict)
    remark: str = ""


def view() -> None:
    """Draw this part of the page."""
    figures = model_figures()
    found = [*word_models(), *_downloaded()]
    names = local_names(found)
    rows = [row_of(ref, names[ref.reference], figures, stored_now()) for ref in found]
    shown = _choose(rows)
    with st.container(horizontal=True, vertical_alignment="center", key="models-below"):
        if st.button("Open Words with it", type="primary", icon=":material/text_fields:", key="models-open"):
            state.act("model", shown.ref.reference)
            st.switch_page("pages/words.py")
        table_download(csv_table(rows), "models", "models")
        st.caption(f"**{escape_markdown(shown.name)}** is {code(shown.ref.reference)} everywhere. {shown.remark}")
    st.markdown("\n".join(f"- **{escape_markdown(row.name)}**: {escape_markdown(row.when)}" for row in rows))
    if not figures:
        st.info(f"No figures are here: `{COMMAND}` measures the models and stores them.", icon=":material/info:")


def _choose(rows: Sequence[Row]) -> Row:
    """Ask for a model in the table: the one clicked, at first the one that the other pages use."""
    references = [row.ref.reference for row in rows]
    asked = state.get("model", DEFAULT_MODEL)
    place = references.index(asked) if asked in references else 0
    event = st.dataframe(
        table_of(rows).drop(columns=WHEN),  # cells cut sentences: they stand below
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [place]}},
        key="models-table",
        placeholder="–",
        alt=literal("The word models at hand with what was measured of them: " + "; ".join(map(_spoken, rows))),
        column_config={
            MODEL: st.column_config.TextColumn(pinned=True),
            **{name: st.column_config.NumberColumn(format="%.3f", help=text) for name, text in _HELP.items()},
        },
    )
    chosen = event["selection"]["rows"]
    return rows[chosen[0] if chosen and chosen[0] < len(rows) else place]


def _spoken(row: Row) -> str:
    """Say a row's figures, for those who do not see the table."""
    said = [f"{name} {row.svt[name]:.3f} on SVT" for name in _SVT.values() if name in row.svt]
    said += [f"{name} {row.scenes[name]:.3f} on drawn scenes" for name in _SCENES.values() if name in row.scenes]
    return f"{row.name}: {', '.join(said) or 'not measured'}"


def table_of(rows: Sequence[Row]) -> pd.DataFrame:
    """Tabulate models, a row each; columns that no model has a figure for are left out."""
    columns: dict[str, list[object]] = {
        MODEL: [row.name for row in rows],
        WHEN: [row.when for row in rows],
        **{title: [row.svt.get(name) for row in rows] for title, name in _SVT.items()},
        **{title: [row.scenes.get(name) for row in rows] for title, name in _SCENES.items()},
    }
    measured = {name: values for name, values in columns.items() if any(value is not None for value in values)}
    return pd.DataFrame(measured)


def csv_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Tabulate models for a file: the reference, and where the figures are from, too."""
    table = table_of(rows)
    table.insert(1, "reference", [row.ref.reference for row in rows])
    table["figures"] = [row.remark for row in rows]
    return table


def row_of(
    ref: ModelRef, name: str, figures: Mapping[str, ModelFigures], evaluations: Sequence[StoredEvaluation]
) -> Row:
    """Put together what is known about a model.

    Args:
        ref: the model.
        name: as users tell it from others.
        figures: of the models that come with the project, by reference.
        evaluations: of checkpoints, on this machine.

    Returns:
        Its row. Figures of other weights than its file's are left out; a checkpoint of one's own has those of the
        newest evaluation on the images and words on which the others were measured.
    """
    found = figures.get(ref.reference)
    when = found.when if found and found.when else when_to_choose(ref)
    if found and not (ref.digest and not ref.describes(found.checkpoint)):
        return Row(ref, name, when, found.svt, found.scenes, _measured_on(found))
    if found:
        return Row(ref, name, when, remark="Its weights are not those that were measured.")
    same = next((one for one in figures.values() if one.svt), None)
    stored = next((one for one in evaluations if same and _is_comparable(one, same) and _is_of(one, ref)), None)
    if stored is None:
        return Row(ref, name, when, remark="Not measured yet: *Checkpoints*, *Compare* evaluates it on SVT.")
    svt = {name: float(stored.groups[group][key]) for name, (group, key) in _EVALUATED.items()}
    return Row(ref, name, when, svt, remark=f"Evaluated on this machine on {count_of(len(stored.images), 'image')}.")


def _measured_on(figures: ModelFigures) -> str:
    svt, scenes = figures.svt, figures.scenes
    said = []
    if svt:
        said.append(f"SVT's {svt['images']:.0f} evaluation images over {svt['words']:,.0f} words")
    if scenes:
        said.append(f"{scenes['images']:.0f} drawn scenes with {scenes['written words']:,.0f} words on their signs")
        said[-1] += f", {percent(scenes['in the top ten'])} of them among the first ten"
    return f"Measured on {' and '.join(said)}." if said else ""


def _is_comparable(evaluation: StoredEvaluation, figures: ModelFigures) -> bool:
    """Whether an evaluation asked what the figures tell: SVT's evaluation images, over all of its words."""
    size = len(evaluation.images) + len(evaluation.problems), len(evaluation.vocabulary)
    return evaluation.split == "eval" and size == (figures.svt.get("images"), figures.svt.get("words"))


def _is_of(evaluation: StoredEvaluation, ref: ModelRef) -> bool:
    return ref.describes(evaluation.checkpoint) if ref.digest else evaluation.reference == ref.reference


def when_to_choose(ref: ModelRef) -> str:
    """Say when to choose a model that the project does not measure."""
    if ref.reference == VITSTR:
        return "Choose it to compare recognisers: it reads the same lines with ViTSTR."
    if ref.note:
        return ref.note
    if ref.kind == "odits":
        return (
            "Choose it on the data set whose lexicons it was trained on: it adds words of the neighbourhood that no "
            "sign in the picture carries."
        )
    if ref.kind == "clip" and ref.header.get("parent_digest"):
        return "Choose it on pictures like those that it was fine-tuned on."
    if ref.kind == "clip":
        return "Choose it for pictures as a whole, where no word needs to be written."
    return ""


def _downloaded() -> list[ModelRef]:
    """Return the CLIP models in the hub's cache, as far as somebody got some."""
    with st.spinner("Looking for downloaded models …"):
        return [ref for reference in cached_models() for ref in _parsed(reference)]


@st.cache_data(ttl=600, show_spinner=False)
def cached_models() -> list[str]:
    """List the references of the CLIP models in the hub's cache."""
    from odits.models.clip.hub import cached_references  # deferred: open_clip, seconds

    return cached_references()


def _parsed(reference: str) -> list[ModelRef]:
    try:
        return [parse(reference, "clip")]
    except OditsError:  # it is damaged, and said so where it is asked for
        return []
