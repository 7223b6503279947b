"""A report on the compared checkpoints, made by a job and saved as one HTML file or PDF."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import streamlit as st

from odits.core.files import sha256_of
from odits.data import Dataset
from odits.evaluation.results import StoredEvaluation
from pages._shared import jobs, state
from pages._shared.evaluations import dataset_of
from pages._shared.layout import code, file_stem

FORMS = {"html": "HTML", "pdf": "PDF"}
MIME = {"html": "text/html", "pdf": "application/pdf"}


def offer_report(found: Sequence[StoredEvaluation]) -> None:
    """Draw what makes a report on evaluations of the same images and words, and then saves it."""
    dataset = dataset_of(found[0])
    if dataset is None:
        return
    with st.expander("A report", icon=":material/description:"):
        form = state.choose_part("Format", FORMS, "report-form")
        names = list(found[0].images)
        pictures = st.multiselect(
            "Pictures", names, key="report-pictures", placeholder="Those that make most of the difference"
        )
        command = command_of(found, dataset, pictures, form)
        key = f"report-{sha256_of(' '.join((command, *(one.key for one in found))))[:12]}"

        def work(job: jobs.Job) -> bytes:
            from odits import __version__
            from odits.figures.report import make_report
            from odits.figures.report_files import report_html, report_pdf

            job.report(0, 2)
            made = make_report(found, dataset, command, pictures, __version__)
            job.report(1, 2)
            return report_html(made) if form == "html" else report_pdf(made)

        made = jobs.result_of(key)
        task = jobs.Task(
            key=key,
            button=f"Make the {FORMS[form]} file",
            title="Making the report",
            run=work,
            note="Pictures, tables, figures, settings and digests in one file.",
            icon=":material/description:",
            primary=False,
            for_all=True,
        )
        jobs.offer(task, needed=made is None)
        if made is not None:
            st.download_button(
                f"Save the report as {FORMS[form]}",
                made,
                f"{file_stem('report-' + found[0].data)}.{form}",
                MIME[form],
                icon=":material/download:",
                key="report-save",
                on_click="ignore",
            )
        st.caption(f"The command that makes the same: {code(command)}")


def command_of(found: Sequence[StoredEvaluation], dataset: Dataset, pictures: Sequence[str], form: str) -> str:
    """Return the command that makes a report again; words that are none of the data set's are a file of one's own."""
    first = found[0]
    arguments = ["odits", "report", *(one.reference for one in found)]
    arguments += ["--data", str(dataset.root), "--split", first.split, "--out", f"report.{form}"]
    if first.vocabulary.digest != dataset.vocabulary().digest:
        arguments += ["--vocabulary", "words.txt"]
    arguments += [part for name in pictures for part in ("--picture", name)]
    return shlex.join(arguments)
