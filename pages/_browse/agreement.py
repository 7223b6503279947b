"""How far annotators agree, and their marks as files."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from odits.core.errors import OditsError
from odits.core.percent import percent
from odits.data.annotation_files import annotation_file, annotators
from odits.data.annotation_imports import MINE, MODES, NEWER, all_marks
from odits.data.annotation_tables import marks_csv
from odits.data.annotations import latest, read_marks
from odits.data.mark_files import import_file
from odits.data.marks import VERDICTS, ImageWord, Mark
from odits.metrics.agreement import Agreement, agreement
from odits.metrics.inter_annotator import Coefficient, InterAnnotator, inter_annotator
from pages._browse.review import open_image
from pages._shared import serving, state
from pages._shared.layout import bullets, complain, count_of, escape_markdown, file_stem, guarded, table_download

MOST, MOST_ROWS = 8, 1000
"""Annotators that are compared at first, and disagreements that are listed."""
_TAKEN, _REFUSED, _ROUND = "odits-marks-taken", "odits-marks-refused", "odits-marks-round"
_REMARKS, _DIFFERING = "odits-marks-remarks", "odits-marks-differing"


def show_agreement() -> None:
    """Show the part of the page where two annotators are compared and marks are saved and added."""
    names = annotators()
    if not names:
        st.info(
            "Nobody has marked a word yet. Give your name on the left and press “Annotate” under “Images”, or add "
            "another annotator's file here.",
            icon=":material/group:",
        )
    elif len(names) == 1:
        st.info(
            f"Only {escape_markdown(names[0])} has marked words so far. A second person marks the same images under "
            "their own name, here or on another machine; then this page says how far the two agree.",
            icon=":material/group:",
        )
    else:
        with guarded():
            _compare_all(names)
        with guarded():
            _compare(names)
    st.subheader("Marks as files", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom", key="mark-files"):
        if names:
            with guarded():
                _export(names)
    if serving.files_may_be_imported():
        _import()


def _compare_all(names: list[str]) -> None:
    """Show the coefficients of all annotators, and what they differ on; a click on a row opens its picture."""
    people = state.choose_several("Annotators", names, "people", default=names[:MOST])
    if len(people) < 2:
        st.info("Choose two annotators or more.", icon=":material/group:")
        return
    with st.spinner("Comparing …", show_time=True):
        stamps = tuple((str(annotation_file(name)), name, latest(name)) for name in people)
        found = _coefficients(stamps)
    if not found.both:
        return
    table = pd.DataFrame([_coefficient_row(one) for one in found.coefficients])
    st.dataframe(table, hide_index=True, key="coefficients")
    st.caption(
        f"{count_of(found.both, 'word')} judged by two or more, {found.same:,} of them alike. Intervals of 95 % by "
        "bootstrap: over pictures with all their words, and over single words (too narrow where words of a picture go "
        "together)."
    )
    table_download(table, "agreement-coefficients", "coefficients", "Coefficients")
    if found.disagreements:
        _differing(found)


@st.cache_data(max_entries=8, show_spinner=False)
def _coefficients(stamps: tuple[tuple[str, str, int], ...]) -> InterAnnotator:
    marks = {name: read_marks(name) for _, name, _ in stamps}
    return inter_annotator({name: {about: mark.verdict for about, mark in one.items()} for name, one in marks.items()})


def _coefficient_row(one: Coefficient) -> dict[str, str]:
    def interval(given: tuple[float, float] | None) -> str:
        return "too few" if given is None else f"{given[0]:.3f} to {given[1]:.3f}"

    return {
        "coefficient": one.name,
        "annotators": ", ".join(one.annotators),
        "words": f"{one.items:,}",
        "value": "undefined" if one.value is None else f"{one.value:.3f}",
        "over pictures": interval(one.by_picture),
        "over words": interval(one.by_word),
    }


def _differing(found: InterAnnotator) -> None:
    shown = found.disagreements[:MOST_ROWS]
    table = pd.DataFrame(
        [
            {"image": one.about.image, "word": one.about.word, **one.verdicts, "data set": one.about.data}
            for one in shown
        ]
    )
    with st.expander(f"Disagreements ({len(found.disagreements):,})"):
        st.caption("Choose a row to open its picture; under “Adjudication” a third person decides.")
        st.dataframe(
            table.fillna(""),
            hide_index=True,
            key="disagreements",
            selection_mode="single-row",
            on_select=lambda: _open_chosen([one.about for one in shown]),
        )
        table_download(table, "disagreements", "disagreements", "Disagreements")


def _open_chosen(words: list[ImageWord]) -> None:
    """Open the picture of the row that was chosen."""
    rows = st.session_state["disagreements"]["selection"]["rows"]
    if rows and rows[0] < len(words):
        open_image(words[rows[0]].image)
        state.act("part", "images")


def _compare(names: list[str]) -> None:
    with st.container(horizontal=True, key="annotators"):
        me = state.get("annotator")
        first = state.choose("Annotator", names, "first", default=me)
        second = state.choose("Compared with", [name for name in names if name != first], "second")
    with st.spinner("Comparing …", show_time=True):
        marks = read_marks(first), read_marks(second)
        one, other = ({key: mark.verdict for key, mark in given.items()} for given in marks)
        found = agreement((first, second), one, other, VERDICTS)
    if found.kappa is None:
        st.info(escape_markdown(found.sentence), icon=":material/info:")
    else:
        with st.container(horizontal=True, key="agreement-numbers"):
            st.metric("Cohen's kappa", f"{found.kappa:.2f}")
            st.metric("Marked by both", f"{found.both:,}")
            st.metric("Same verdict", percent(found.same / found.both))
        st.markdown(escape_markdown(found.sentence))
    if found.both:
        _tables(found, *marks)


def _tables(
    found: Agreement[ImageWord], first_marks: dict[ImageWord, Mark], second_marks: dict[ImageWord, Mark]
) -> None:
    first, second = found.names
    st.caption(
        f"How often each pair of verdicts was given: rows {escape_markdown(first)}, columns {escape_markdown(second)}"
    )
    counts = pd.DataFrame(found.table, [f"{first}: {verdict}" for verdict in VERDICTS], [*VERDICTS])
    st.table(counts.rename(index=escape_markdown))  # its cells are Markdown
    table_download(counts, file_stem(f"agreement-{first}-{second}"), "confusion", "This table", index=True)
    if not found.differing:
        return
    st.subheader("Words on which they differ", anchor=False)
    table = pd.DataFrame(
        {
            "image": [key.image for key, _, _ in found.differing],
            "word": [key.word for key, _, _ in found.differing],
            first: [verdict for _, verdict, _ in found.differing],
            second: [verdict for _, _, verdict in found.differing],
            f"note of {first}": [first_marks[key].note for key, _, _ in found.differing],
            f"note of {second}": [second_marks[key].note for key, _, _ in found.differing],
            "data set": [key.data for key, _, _ in found.differing],
            "model": [first_marks[key].shown.model for key, _, _ in found.differing],
        }
    )
    st.dataframe(table, hide_index=True, key="differing-table")
    table_download(table, file_stem(f"differences-{first}-{second}"), "differing", "Differences")


def _export(names: list[str]) -> None:
    name = state.choose("Marks of", names, "marks-of", default=state.get("annotator"), width=260)
    marks = read_marks(name)
    download_marks(name, f"Save {count_of(len(marks), 'mark')}", "export")


def download_marks(name: str, label: str, key: str) -> None:
    """Draw a button that saves all marks of an annotator as CSV, as they are at the click."""
    st.download_button(
        label,
        lambda: marks_csv(name, all_marks(name)),
        file_name=f"{file_stem(f'marks-{name}')}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"{key}-marks",
        on_click="ignore",
        help="One row per mark (CSV); the explorer on another machine can add it",
    )


def _import() -> None:
    key = f"marks-file-{st.session_state.get(_ROUND, 0)}"
    st.file_uploader(
        "Add marks: the file of an annotator from another machine (CSV, Parquet, COCO), or an export of Label Studio",
        ["csv", "json", "parquet"],
        key=key,
        on_change=_take_in,
        args=(key,),
        help="Marks of Label Studio are stored under your name on the left.",
    )
    if taken := st.session_state.pop(_TAKEN, None):
        st.success(escape_markdown(taken), icon=":material/check_circle:")
    if remarks := st.session_state.pop(_REMARKS, None):
        st.warning(bullets(remarks), icon=":material/warning:")
    if refused := st.session_state.pop(_REFUSED, None):
        complain(refused)
    if differing := st.session_state.pop(_DIFFERING, None):
        stays, conflicts = differing
        st.caption(f"{count_of(len(conflicts), 'word')} marked otherwise here: {stays}.")
        table = pd.DataFrame(
            {
                "image": [one.about.image for one in conflicts],
                "word": [one.about.word for one in conflicts],
                "here": [one.here.verdict for one in conflicts],
                "in the file": [one.there.verdict for one in conflicts],
            }
        )
        st.dataframe(table, hide_index=True, key="import-conflicts")


def _take_in(key: str) -> None:
    file = st.session_state[key]
    if file is None:
        return
    try:
        someone = serving.person()
        me = (someone.name if someone else str(state.get("annotator") or "")).strip()
        if not me and file.name.lower().endswith(".json"):
            raise OditsError("Give your name on the left first: the marks are stored under it.")
        serving.require_part(me, "owner")
        mode = MINE if file.name.lower().endswith(".json") else NEWER
        done = import_file(file.getvalue(), file.name, mode, me or None)
        st.session_state[_REMARKS] = list(done.remarks)
        st.session_state[_TAKEN] = (
            f"{file.name} holds {done.read:,} marks of {done.name}; {done.new:,} of them are new here."
        )
        if done.conflicts:
            st.session_state[_DIFFERING] = (MODES[mode], done.conflicts)
    except OditsError as error:
        st.session_state[_REFUSED] = str(error)
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
