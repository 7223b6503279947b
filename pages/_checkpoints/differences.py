"""Evaluated checkpoints against one of them: intervals and p-values, the pictures that matter, and parts of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from odits.data import Dataset
from odits.evaluation.differences import Difference, Share, changes_of, shares_of
from odits.evaluation.differences import differences as compare
from odits.evaluation.results import StoredEvaluation
from odits.evaluation.slices import SLICINGS, Slice, reversals, slice_difference
from odits.figures.differences import ForestRow, forest_figure, kind_of
from odits.figures.panels import shortened
from odits.metrics.paired import Change, paired_bootstrap
from pages._checkpoints.rows import Family
from pages._shared import state
from pages._shared.datasets import demo_dataset
from pages._shared.evaluations import dataset_of
from pages._shared.figures import figure_menu
from pages._shared.layout import (
    bullets,
    chart,
    count_of,
    escape_html,
    escape_markdown,
    file_stem,
    panes,
    table_download,
)
from pages._shared.pictures import thumbnail_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from odits.figures.static import Theme

LINK = ("base", "by-metric", "other", "cut", "shares")
PER_PAGE = 8
SIGNED = st.column_config.NumberColumn(format="%+.4f")
PLAIN = st.column_config.NumberColumn(format="%.4f")
_STYLE = """
<style>
.odits-share {display: grid; grid-template-columns: 5rem minmax(0, 1fr); gap: .1rem .8rem; align-items: center}
.odits-share img {width: 5rem; height: 3.6rem; object-fit: cover; border-radius: 4px; grid-row: span 2}
.odits-share b {overflow-wrap: anywhere}
.odits-share span {font-size: .85rem; opacity: .85}
[class*="st-key-share-row"] > div:first-child {flex: 1 1 14rem; min-width: 0}
</style>
"""


def view(found: Sequence[StoredEvaluation], names: Mapping[str, str], family: Family) -> None:
    """Draw the comparison of evaluations of the same images and words with one of them.

    Args:
        found: the evaluations.
        names: of the models, by the evaluations' keys.
        family: which metrics are looked at.
    """
    if len(found) < 2:
        return
    st.subheader("Differences", anchor=False)
    by_key = {one.key: one for one in found}
    base = by_key[state.choose("Compared with", list(by_key), "base", names.__getitem__, width=420)]
    others = [one for one in found if one.key != base.key]
    metrics = {" ".join(path): title for title, path in family.metrics.items()}
    rows = _differences(base.key, tuple(one.key for one in others), tuple(metrics), base, others)
    shown = forest_rows(rows, metrics, [names[one.key] for one in others])
    axis = f"difference to {shortened(names[base.key], 18, 14)}"
    figure = forest_figure(shown, axis)
    says = [f"{row.name}: {row.panel} {kind_of(row)}" for row in shown if row.change is not None]
    chart(figure, "forest", "Differences with their 95 % intervals. " + "; ".join(says[:20]))
    st.caption(
        "Dots are mean differences over the images, lines their 95 % intervals: paired bootstrap, 10,000 draws, the "
        "same for all rows. Better and worse are beyond chance: p-values, two-sided and corrected over the "
        "checkpoints (Holm), below 0.05."
    )
    table = differences_table(shown)
    with st.expander("The numbers"):
        st.dataframe(table, hide_index=True, key="differences-table", column_config=_columns())
    with st.container(horizontal=True, key="differences-downloads"):
        figure_menu(
            "differences", "differences", figure, lambda theme: _paper(shown, axis, theme), table, names.values()
        )
    show_where(base, others, names, metrics)


def _paper(rows: Sequence[ForestRow], axis: str, theme: Theme) -> Figure:
    """Draw a forest plot on paper."""
    from odits.figures.static_models import forest_figure as draw

    return draw(rows, theme, axis)


def _columns() -> dict[str, object]:
    return {**dict.fromkeys(("Difference", "From", "To"), SIGNED), **dict.fromkeys(("p", "p (Holm)"), PLAIN)}


@st.cache_data(max_entries=32, show_spinner="Drawing the images again …")
def _differences(
    base: str,
    others: tuple[str, ...],
    metrics: tuple[str, ...],
    _base: StoredEvaluation,
    _others: Sequence[StoredEvaluation],
) -> list[Difference]:
    return compare(_base, _others, metrics)


def forest_rows(rows: Sequence[Difference], metrics: Mapping[str, str], others: Sequence[str]) -> list[ForestRow]:
    """Return differences as the forest plot takes them, with the titles of the metrics and the names of the models."""
    return [ForestRow(metrics[row.metric], others[row.row], row.change, row.corrected) for row in rows]


def differences_table(rows: Sequence[ForestRow]) -> pd.DataFrame:
    """Tabulate differences, their intervals and p-values."""
    nothing = Change(np.nan, np.nan, np.nan, np.nan, 0)
    return pd.DataFrame(
        [
            {
                "Model": row.name,
                "Metric": row.panel,
                "Difference": change.difference,
                "From": change.low,
                "To": change.high,
                "p": change.p,
                "p (Holm)": row.corrected,
                "Images": change.images,
            }
            for row in rows
            for change in [row.change or nothing]
        ]
    )


def show_where(
    base: StoredEvaluation,
    others: Sequence[StoredEvaluation],
    names: Mapping[str, str],
    metrics: Mapping[str, str],
) -> None:
    """Show which pictures make a difference, and how it is in parts of them."""
    st.subheader("Where the difference comes from", anchor=False)
    by_key = {one.key: one for one in others}
    with st.container(horizontal=True, key="where"):
        metric = state.choose("Metric", list(metrics), "by-metric", metrics.__getitem__, width=260)
        other = by_key[state.choose("Checkpoint", list(by_key), "other", names.__getitem__, width=420)]
    dataset = dataset_of(base)
    with panes("where") as row:
        with row.container(key="pane-pictures"):
            show_pictures(base, other, metric, dataset)
        with row.container(key="pane-slices"):
            if dataset is None:
                st.info(
                    f"Parts need the images: open {escape_markdown(base.data)} on the left.",
                    icon=":material/database:",
                )
            else:
                show_slices(base, other, metric, dataset)


def show_pictures(base: StoredEvaluation, other: StoredEvaluation, metric: str, dataset: Dataset | None) -> None:
    """List the pictures by what each adds to a difference, each with a button that opens the stage."""
    shares = shares_of(base, other, metric)
    st.markdown("**Which pictures make the difference**")
    if not any(one.change for one in shares):
        st.caption("No picture does: the metric is the same on each.")
        return
    half = next((place for place, one in enumerate(shares, 1) if one.running >= 0.5), len(shares))
    up, down = (sum(1 for one in shares if sign * one.change > 0) for sign in (1, -1))
    st.caption(
        f"Half of all change, up and down, is in {count_of(half, 'picture')} of {len(shares):,}; {up:,} rose, "
        f"{down:,} fell. A click shows a picture on the stage."
    )
    pages = -(-len(shares) // PER_PAGE)
    page = state.number("shares", pages)
    state.put("shares", page)
    st.html(_STYLE)
    for one in shares[(page - 1) * PER_PAGE : page * PER_PAGE]:
        show_share(one, (base, other), dataset)
    with st.container(horizontal=True, vertical_alignment="center", key="shares-pager"):
        for title, target in (("Previous", page - 1), ("Next", page + 1)):
            st.button(
                title,
                key=f"shares-{title}",
                disabled=not 1 <= target <= pages,
                on_click=state.act,
                args=("shares", target),
            )
        stem = file_stem(f"pictures-{metric}")
        table_download(lambda: pd.DataFrame([one._asdict() for one in shares]), stem, "shares", "All pictures")


def show_share(one: Share, pair: tuple[StoredEvaluation, StoredEvaluation], dataset: Dataset | None) -> None:
    """Show what a picture adds to a difference; its button opens the stage with both checkpoints."""
    image = thumbnail_html(dataset.find(one.image)) if dataset is not None else "<i></i>"
    with st.container(horizontal=True, vertical_alignment="center", key=f"share-row-{one.place}"):
        st.html(
            f'<div class="odits-share">{image}<b>{escape_html(one.image)}</b>'
            f"<span>{one.before:.4f} → {one.after:.4f}, {one.change:+.4f}, {100 * one.share:.1f} % of all change"
            "</span></div>"
        )
        pressed = st.button(
            "Stage",
            key=f"stage-{one.place}",
            icon=":material/view_column:",
            disabled=dataset is None,
            help=f"Shows {escape_markdown(one.image)} under both checkpoints",
        )
    if pressed and dataset is not None:
        demo = demo_dataset()
        state.act("images", "demo" if demo is not None and dataset.root == demo.root else pair[0].split)
        state.act("image", one.image)
        for name, evaluation in zip(("model", "model2"), pair, strict=True):
            state.act(name, evaluation.reference)
        for name in ("model3", "model4", "list"):
            state.act(name, "")
        st.switch_page("pages/stage.py")


def show_slices(base: StoredEvaluation, other: StoredEvaluation, metric: str, dataset: Dataset) -> None:
    """Show a difference in parts of the pictures, and warn where it turns."""
    by = state.choose("In parts, by", list(SLICINGS), "cut", lambda key: SLICINGS[key].title)
    total, parts = _slices(base.key, other.key, metric, by, (base, other), dataset)
    warnings = reversals(total, parts)
    if warnings:
        st.warning(
            f"In parts of the pictures the difference goes the other way:\n\n{bullets(warnings)}",
            icon=":material/swap_vert:",
        )
    rows = [ForestRow("in parts", f"{part.title} ({part.images:,})", part.change, part.corrected) for part in parts]
    rows.append(ForestRow("in parts", f"all ({len(base.images):,})", total, total.p if total else np.nan))
    figure = forest_figure(rows)
    figure.update_annotations(text="")
    said = "; ".join(f"{row.name} {row.change.difference:+.4f}, {kind_of(row)}" for row in rows if row.change)
    chart(figure, "slices-chart", f"The difference in parts of the pictures: {said}")
    table = slices_table(parts)
    with st.expander("The numbers of the parts"):
        st.dataframe(table, hide_index=True, key="slices-table", column_config=_columns())
    with st.container(horizontal=True, key="slices-downloads"):
        axis = f"difference of {metric}"
        figure_menu("slices", f"parts-{by}", figure, lambda theme: _paper(rows, axis, theme), table)


@st.cache_data(max_entries=64, show_spinner="Cutting the images into parts …")
def _slices(
    base: str,
    other: str,
    metric: str,
    by: str,
    _pair: tuple[StoredEvaluation, StoredEvaluation],
    _dataset: Dataset,
) -> tuple[Change | None, list[Slice]]:
    records = [_dataset.find(name) for name in _pair[0].images]
    total = paired_bootstrap(changes_of(*_pair, metric)[None])[0]
    return total, slice_difference(*_pair, metric, by, records)


def slices_table(parts: Sequence[Slice]) -> pd.DataFrame:
    """Tabulate a difference in parts of the pictures."""
    rows = [ForestRow("", part.title, part.change, part.corrected) for part in parts]
    table = differences_table(rows).drop(columns=["Metric", "Images"]).rename(columns={"Model": "Part"})
    table.insert(1, "Images", [part.images for part in parts])
    table.insert(2, "First", [part.before for part in parts])
    table.insert(3, "Other", [part.after for part in parts])
    return table
