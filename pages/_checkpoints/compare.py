"""Evaluated checkpoints beside each other, beside what sees no image, and beside the thesis's Table 2.6."""

from __future__ import annotations

import streamlit as st

from odits.evaluation.published import TABLE_2_6_IMAGES, TABLE_2_6_WORDS
from odits.evaluation.results import KeptEvaluation, forget
from odits.figures.evaluations import comparison_figure
from pages._checkpoints import evaluating, rows
from pages._checkpoints.groups import choose_group, groups
from pages._checkpoints.names import evaluation_names
from pages._shared import jobs, several, state
from pages._shared.layout import chart, chart_download, guarded, plain, table_download

NUMBER = st.column_config.NumberColumn(format="%.4f")


def view() -> None:
    """The whole part of the page."""
    found = groups()
    jobs.show(evaluating.EVALUATE, evaluating.STOPPED, "Evaluated: the result is kept and stands below.")
    with st.expander("Evaluate checkpoints", expanded=not found, icon=":material/play_circle:"), guarded():
        evaluating.form()
    if found:
        group = choose_group(found)
        compare(group)
    state.publish("tab", "question", "compared", "family", "thesis", "thesis-anyway", "on", "over")
    if not found and not jobs.running(evaluating.EVALUATE):
        st.caption("Nothing has been evaluated yet: results appear here and are kept.")


def compare(group: list[KeptEvaluation]) -> None:
    """Best checkpoint, table and figure of one question."""
    names = evaluation_names(group)
    chosen = several.choose("Compared", list(names), "compared", lambda key: names.get(key, key), list(names))
    found = [kept for kept in group if kept.key in chosen]
    if not found:
        st.info("Choose at least one checkpoint to compare.", icon=":material/ads_click:")
        return
    choice = rows.choose(found, names)
    if choice.best is not None:
        st.success(f"**Best checkpoint: {plain(choice.best.name)}.** {plain(choice.reason)}", icon=":material/star:")
    else:
        st.info(f"**No best checkpoint yet.** {plain(choice.reason)}", icon=":material/star_half:")
    best = choice.best.key if choice.best is not None else None
    asked_the_same = (len(found[0].images), len(found[0].vocabulary)) == (TABLE_2_6_IMAGES, TABLE_2_6_WORDS)
    family, thesis = choose_metrics(asked_the_same)
    shown = rows.rows_of(found, names, best, family, thesis)
    st.caption(family.says)
    if thesis and not asked_the_same and family is rows.FAMILIES["confidence"]:
        st.caption(
            f":material/warning: The thesis's rows were measured on SVT's {TABLE_2_6_IMAGES} evaluation images over "
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
        table_download(table, f"comparison-{family.title.lower()}", "comparison", "Table")
        table_download(rows.everything(found, names, best, thesis), "comparison-all", "all", "All metrics")
    chart(figure, "comparison", f"{', '.join(family.metrics)} of {len(shown)} models")
    chart_download(figure, f"comparison-{family.title.lower()}", "comparison-chart")
    kept_results(group, names)


def choose_metrics(asked_the_same: bool) -> tuple[rows.Family, bool]:
    """Which metrics are shown, and whether the thesis's rows are."""
    asked = state.get("family") if state.get("family") in rows.FAMILIES else "confidence"
    with st.container(horizontal=True, vertical_alignment="center", key="family-row"):
        family = st.segmented_control(
            "Metrics",
            list(rows.FAMILIES),
            format_func=lambda name: rows.FAMILIES[name].title,
            required=True,
            label_visibility="collapsed",
            **state.bind("family", asked),
        )
        # two answers are remembered: beside figures that can be compared the rows show unless they are put away
        name = "thesis" if asked_the_same else "thesis-anyway"
        thesis = asked_the_same if state.get(name) is None else str(state.get(name)) == "True"
        if family == "confidence":
            thesis = st.toggle("With the thesis's Table 2.6", **state.bind(name, thesis))
    return rows.FAMILIES[family or "confidence"], thesis


def kept_results(group: list[KeptEvaluation], names: dict[str, str]) -> None:
    """When each result was made, and removing one."""
    with st.expander("The kept results"):
        for kept in group:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.caption(f"{plain(names[kept.key])}, {kept.created[:16].replace('T', ' ')} UTC", width="stretch")
                st.button(
                    "Remove", key=f"forget-{kept.key}", icon=":material/delete:", type="tertiary",
                    on_click=forget, args=(kept.key,),
                )  # fmt: skip
