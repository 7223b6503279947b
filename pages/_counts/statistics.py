"""What the counts show: their summary, histogram, and which distribution they may come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from odits.core.errors import OditsError
from odits.counting.published import DISTRIBUTION, compare_with_thesis
from odits.counting.quantiles import quantiles
from odits.counting.statistics import DISTRIBUTIONS, SUMMARY, AndersonDarling, describe_counts, stored_tests
from odits.figures.counts import object_counts_figure, quantile_figure
from odits.models.segmentation.batch import ObjectsRequest
from odits.models.segmentation.parameters import changed_against
from pages._shared import state
from pages._shared.figures import figure_menu
from pages._shared.layout import bullets, chart, escape_markdown, panes, table_download
from pages._shared.segmenters import identity_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from odits.figures.static import Theme

LINK = ("distribution", "scale")
_SCALES = {"frequency": "frequency", "density": "density"}


def show_summary(counts: Sequence[int], before: Sequence[int]) -> None:
    """Show the numbers of the counts, each with how far the filters moved it."""
    now, then = describe_counts(counts), describe_counts(before)
    with st.container(horizontal=True, key="numbers"):
        st.metric("Images", f"{len(counts):,}")
        for name, (title, form) in SUMMARY.items():
            value, old = float(getattr(now, name)), float(getattr(then, name))
            moved = f"{value - old:+{form}}" if tuple(counts) != tuple(before) and value == value else None
            shown = "none" if value != value else f"{value:{form}}"
            st.metric(title, shown, moved, delta_color="off")


def show_histogram(names: Sequence[str], counts: Sequence[int]) -> None:
    """Show the histogram, and downloads of it and of the counts."""
    scale = state.choose_part("Scale", _SCALES, "scale")
    figure = object_counts_figure(counts, scale == "density")
    mean = sum(counts) / len(counts)
    chart(figure, "counts-chart", f"Histogram of the objects in {len(counts)} images, on average {mean:.1f}")
    table = pd.DataFrame({"image": list(names), "objects": list(counts)})
    with st.container(horizontal=True, key="downloads"):
        figure_menu(
            "counts", "object-counts", figure, lambda theme: _paper_counts(counts, theme, scale == "density"), table
        )


def _paper_counts(counts: Sequence[int], theme: Theme, density: bool) -> Figure:
    from odits.figures.static_counts import counts_figure

    return counts_figure(counts, theme, density)


def _paper_quantiles(counts: Sequence[int], distribution: str, theme: Theme) -> Figure:
    from odits.figures.static_counts import quantile_figure as draw

    return draw(counts, distribution, theme)


def choose_distribution() -> str:
    """Ask for the distribution that the counts are compared with."""
    return state.choose("Compare with", list(DISTRIBUTIONS), "distribution", lambda name: DISTRIBUTIONS[name].name)


def show_tests(counts: Sequence[int], chosen: str) -> None:
    """Show the test of the chosen distribution with its Q-Q plot, and all tests at every significance level."""
    tests, reason = tests_of(tuple(counts))
    if reason:
        st.info(escape_markdown(reason), icon=":material/info:")
        return
    with panes("tests") as row:
        with row.container(key="pane-quantiles"):
            st.markdown(escape_markdown(tests[chosen].sentence))
            try:
                figure = _quantile_figure(tuple(counts), chosen)
            except OditsError as error:
                st.info(escape_markdown(str(error)), icon=":material/info:")
            else:
                title = DISTRIBUTIONS[chosen].name.lower()
                chart(figure, "quantiles-chart", f"Counts against the quantiles of a {title} distribution")
                found = quantiles(counts, chosen)
                table = pd.DataFrame({"expected": found.expected, "observed": found.observed})
                figure_menu(
                    "quantiles",
                    f"quantiles-{chosen}",
                    figure,
                    lambda theme: _paper_quantiles(counts, chosen, theme),
                    table,
                )
        with row.container(key="pane-tests"):
            st.dataframe(
                pd.DataFrame([_verdict_row(name, test) for name, test in tests.items()]),
                hide_index=True,
                key="verdicts",
                column_config={"A²": st.column_config.NumberColumn(format="%.3f")},
            )
            table = pd.DataFrame([line for name, test in tests.items() for line in _levels(name, test)])
            with st.expander("Every significance level"):
                st.dataframe(table, hide_index=True, key="anderson-table", height=330)
            table_download(table, "anderson-darling", "anderson", "Tests")


def show_thesis(counts: Sequence[int], request: ObjectsRequest) -> None:
    """Show the thesis's test beside that of these counts, and what explains the difference. Raises OditsError."""
    tests, reason = tests_of(tuple(counts))
    if reason:
        st.caption(escape_markdown(reason))
        return
    parameters = request.parameters
    as_published = (
        parameters is not None and request.reference.startswith("sam") and not changed_against(parameters, "thesis")
    )
    name = identity_of(request.reference, parameters).name
    rows, sentences = compare_with_thesis(tests[DISTRIBUTION], len(counts), name, as_published)
    table = pd.DataFrame([{"Value": row.what, "Thesis": row.thesis, "Here": row.ours} for row in rows])
    st.dataframe(table, hide_index=True, key="thesis-table")
    st.markdown(bullets(sentences))
    table_download(table, "object-counts-thesis", "thesis", "Table")


@st.cache_data(max_entries=256, show_spinner="Testing the distributions …")
def tests_of(counts: tuple[int, ...]) -> tuple[dict[str, AndersonDarling], str]:
    """Return the tests of counts against all distributions, or a sentence why there are none: once for each counts."""
    return stored_tests(counts)


@st.cache_resource(max_entries=32, show_spinner=False)
def _quantile_figure(counts: tuple[int, ...], distribution: str) -> go.Figure:
    return quantile_figure(counts, distribution)


def _verdict_row(name: str, test: AndersonDarling) -> dict[str, object]:
    return {
        "distribution": DISTRIBUTIONS[name].name,
        "A²": test.statistic,
        "at 5 %": "rejected" if test.rejected else "not rejected",
        "p-value": test.p_text,
    }


def _levels(name: str, test: AndersonDarling) -> list[dict[str, object]]:
    return [
        {
            "distribution": DISTRIBUTIONS[name].name,
            "statistic A²": test.statistic,
            "significance level": f"{level:g} %",
            "critical value": critical,
            "rejected": test.statistic > critical,
            "p-value": test.p_text,
        }
        for level, critical in zip(test.significance_levels, test.critical_values, strict=True)
    ]
