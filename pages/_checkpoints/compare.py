"""Evaluated checkpoints beside each other, beside what sees no image, and beside the thesis's Table 2.6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from odits.data import Dataset, Vocabulary
from odits.evaluation.published import TABLE_2_6_IMAGES, TABLE_2_6_WORDS
from odits.evaluation.results import StoredEvaluation, remove_evaluation
from odits.figures.evaluations import comparison_figure
from odits.models.registry import DEFAULT_MODEL, ModelRef
from pages._checkpoints import differences, report, rows
from pages._shared import jobs, state
from pages._shared.datasets import collection_titles, current_dataset, split_of
from pages._shared.evaluations import epoch, evaluation_names, evaluation_task, group_title, groups, local_names
from pages._shared.figures import figure_menu
from pages._shared.layout import chart, escape_markdown, guarded, table_download
from pages._shared.vocabularies import split_vocabulary
from pages._shared.word_models import need_weights, word_models

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from odits.figures.static import Theme

EVALUATE = "evaluate"
WORDS = {"all": "All words of the data set", "split": "The words of these images", "file": "A text file of words"}
NUMBER = st.column_config.NumberColumn(format="%.4f")


def view() -> None:
    """Draw this part of the page."""
    with (
        st.expander(
            "Evaluate checkpoints", expanded=not groups() or jobs.active(EVALUATE), icon=":material/play_circle:"
        ),
        guarded(),
    ):
        form()
    found = groups()
    if found:
        compare(choose_group(found))
    state.publish(
        "tab", "question", "compared", "family", "published", "published-anyway", "on", "over", *differences.LINK
    )
    if not found and not jobs.running(EVALUATE):
        st.caption("Nothing has been evaluated yet: results are stored and appear here.")


def form() -> None:
    """Ask what to evaluate, and offer to do it."""
    dataset = current_dataset()
    titles = collection_titles(dataset)
    if not titles:
        st.info("There are no images to evaluate on: open a data set on the left.", icon=":material/database:")
        return
    found = in_turn(word_models())
    names = local_names(found)
    images = split_of(state.choose("Images", list(titles), "on", lambda key: titles.get(key, key)), dataset)
    if images is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="evaluate-row"):
        vocabulary = choose_words(*images)
        references = state.choose_several(
            "Checkpoints",
            [ref.reference for ref in found],
            "evaluate",
            lambda reference: names.get(reference, reference),
            [DEFAULT_MODEL],
            help="Checkpoints that you pull from a store or fine-tune can be chosen here.",
        )
    for reference in references:
        need_weights(reference)
    note = "It goes on while you look at other pages. You can stop at any time and go on later."
    words = vocabulary if vocabulary is not None else Vocabulary.from_words(["-"], "none")
    task = evaluation_task(EVALUATE, references, names, images, words, note)
    jobs.offer(task, disabled=not references or vocabulary is None)


def in_turn(found: Sequence[ModelRef]) -> list[ModelRef]:
    """Sort checkpoints as they are offered: unmodified ones first, then each line of fine-tuning by epoch."""
    return sorted(found, key=lambda ref: (bool(ref.header.get("parent_digest")), str(ref.path), epoch(ref.header)))


def choose_words(dataset: Dataset, split: str) -> Vocabulary | None:
    """Ask for the vocabulary to evaluate over; None until a file was added. Raises OditsError."""
    kind = state.choose("Words", list(WORDS), "over", WORDS.__getitem__, help="The words a model chooses from.")
    if kind != "file":
        return split_vocabulary(dataset, "all" if kind == "all" else split)
    file = st.file_uploader("One word a line, or separated by commas", ["txt", "csv"], key="evaluate-words")
    return Vocabulary.from_bytes(file.getvalue(), file.name) if file is not None else None


def choose_group(found: Mapping[str, list[StoredEvaluation]]) -> list[StoredEvaluation]:
    """Ask which evaluations to look at, those of the same images and words; the box shows only where there are several.

    Args:
        found: the evaluations by what they were made on.
    """
    if len(found) == 1:
        question = next(iter(found))
        state.put("question", question)
    else:
        question = state.choose("Evaluated on", list(found), "question", lambda key: group_title(found[key]))
    return found[question]


def compare(group: list[StoredEvaluation]) -> None:
    """Show the best checkpoint, table and figure of evaluations on the same images and words."""
    names = evaluation_names(group)
    chosen = state.choose_several("Compared", list(names), "compared", lambda key: names.get(key, key), list(names))
    found = [evaluation for evaluation in group if evaluation.key in chosen]
    if not found:
        st.info("Choose at least one checkpoint to compare.", icon=":material/ads_click:")
        return
    jobs.show_problems(list(dict.fromkeys(problem.problem for one in found for problem in one.problems)))
    choice = rows.choose(found, names)
    reason = escape_markdown(choice.reason)
    if choice.best is not None:
        st.success(f"**Best checkpoint: {escape_markdown(choice.best.name)}.** {reason}", icon=":material/star:")
    else:
        st.info(f"**No best checkpoint yet.** {reason}", icon=":material/star_half:")
    best = choice.best.key if choice.best is not None else None
    as_published = (len(found[0].images), len(found[0].vocabulary)) == (TABLE_2_6_IMAGES, TABLE_2_6_WORDS)
    family, published = choose_metrics(as_published)
    shown = rows.rows_of(found, names, best, family, published)
    st.caption(family.says)
    if published and not as_published and family is rows.FAMILIES["confidence"]:
        st.caption(
            f":material/warning: The published rows were measured on SVT's {TABLE_2_6_IMAGES} evaluation images over "
            f"{TABLE_2_6_WORDS:,} words; the others here on {len(found[0].images):,} images over "
            f"{len(found[0].vocabulary):,} words."
        )
    table = rows.table_of(shown, family)
    figure = comparison_figure(shown, list(family.metrics))
    st.dataframe(
        table,
        hide_index=True,
        key="comparison-table",
        height=38 + 35 * len(table),
        column_config=dict.fromkeys(family.metrics, NUMBER),
    )
    with st.container(horizontal=True, key="comparison-downloads"):
        figure_menu(
            "comparison",
            f"comparison-{family.title.lower()}",
            figure,
            lambda theme: _paper(shown, list(family.metrics), theme),
            table,
            names.values(),
        )
        table_download(rows.everything(found, names, best, published), "comparison-all", "all", "All metrics")
    chart(figure, "comparison", f"{', '.join(family.metrics)} of {len(shown)} models")
    with guarded():
        differences.view(found, names, family)
    with guarded():
        report.offer_report(found)
    stored_results(group, names)


def _paper(shown: Sequence[rows.Row], metrics: Sequence[str], theme: Theme) -> Figure:
    """Draw the comparison on paper."""
    from odits.figures.static_models import comparison_figure as draw

    return draw(shown, metrics, theme)


def choose_metrics(as_published: bool) -> tuple[rows.Family, bool]:
    """Ask which metrics are shown, and whether the published rows are.

    Args:
        as_published: whether the evaluations are on the images and words of the published ones.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="family-row"):
        family = state.choose_part("Metrics", {name: one.title for name, one in rows.FAMILIES.items()}, "family")
        # two answers are remembered: beside figures that can be compared the rows show unless they are put away
        name = "published" if as_published else "published-anyway"
        published = state.is_on(name, as_published)
        if family == "confidence":
            published = st.toggle("With the published Table 2.6", **state.bind(name, published))
    return rows.FAMILIES[family], published


def stored_results(group: list[StoredEvaluation], names: dict[str, str]) -> None:
    """Show when each result was made with a button to remove it."""
    with st.expander("Stored results"):
        for evaluation in group:
            with st.container(horizontal=True, vertical_alignment="center"):
                made = evaluation.created[:16].replace("T", " ")
                st.caption(f"{escape_markdown(f'{names[evaluation.key]}, {made} UTC')}", width="stretch")
                st.button(
                    "Remove",
                    key=f"remove-{evaluation.key}",
                    icon=":material/delete:",
                    type="tertiary",
                    on_click=remove_evaluation,
                    args=(evaluation.key,),
                )
