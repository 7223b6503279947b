"""Filters over what was found: sliders, a search for the counts closest to a distribution, and what both change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from odits.counting.statistics import DISTRIBUTIONS, MIN_SIZE
from odits.counting.tuning import NOTE, AnyFilters, Setting, Tunable, search, try_filters
from odits.models.segmentation.parameters import SamParameters
from pages._counts.statistics import TITLES
from pages._shared import jobs, state
from pages._shared.layout import table_download


class Slider(NamedTuple):
    """A filter as the user moves it: its title, ends, step, and what it does."""

    title: str
    low: float
    high: float
    step: float
    help: str


_SAM = {item: SamParameters.__dataclass_fields__[item].metadata["help"] for item in SamParameters.__dataclass_fields__}
SLIDERS = {
    "least_confidence": Slider("Least confidence", 0.0, 1.0, 0.05, "Objects that are less sure are not counted."),
    "least_area": Slider(
        "Smallest object, % of the image", 0.0, 5.0, 0.05, "Objects that cover less of the image are not counted."
    ),
    "pred_iou_thresh": Slider("Least predicted quality", 0.8, 1.0, 0.01, _SAM["pred_iou_thresh"]),
    "stability_score_thresh": Slider("Least stability", 0.85, 1.0, 0.01, _SAM["stability_score_thresh"]),
    "box_nms_thresh": Slider("Overlap that counts as double", 0.1, 1.0, 0.05, _SAM["box_nms_thresh"]),
    "min_mask_region_area": Slider("Smallest hole or island, pixels", 0, 1000, 10, _SAM["min_mask_region_area"]),
}
_VERSION = "odits-filter-version"


def link_names(filters: AnyFilters, start: AnyFilters) -> list[str]:
    """The names that a link needs to reopen the filters."""
    return [_name(name) for name, value in filters._asdict().items() if value != getattr(start, name)]


def choose_filters(start: AnyFilters) -> AnyFilters:
    """The filters as the sliders stand; they begin where nothing changes."""
    version = f"-{st.session_state.get(_VERSION, 0)}"
    values: dict[str, Any] = {}
    for name, least in start._asdict().items():
        slider = SLIDERS[name]
        kind = type(least)
        low, high = kind(min(slider.low, least)), kind(slider.high)
        value = min(max(_kept(name, kind, least), low), high)
        values[name] = st.slider(
            slider.title,
            low,
            high,
            step=kind(slider.step),
            help=slider.help,
            **state.bind(_name(name), value, version),
        )
    return type(start)(**values)


def use(filters: AnyFilters) -> None:
    """Called by buttons: the sliders stand at these filters."""
    st.session_state[_VERSION] = st.session_state.get(_VERSION, 0) + 1
    for name, value in filters._asdict().items():
        state.act(_name(name), value)


def offer_search(tunable: Tunable, key: str, distribution: str, filters: AnyFilters) -> None:
    """The button that searches, its progress, and what was found: as it is, now, and the best."""
    name = f"tuning-{key}-{distribution}-{len(tunable.images)}"
    title = TITLES[distribution].lower()
    kept = _found().get(name)
    with st.container(horizontal=True, key="tuning-buttons"):
        if len(tunable.images) >= MIN_SIZE and kept is None and not jobs.running(name):
            st.button(
                f"Search {len(tunable.settings)} settings",
                icon=":material/search:",
                key="search-filters",
                on_click=_start,
                args=(name, tunable, distribution),
                help=f"Finds the filters whose counts are closest to a {title} distribution (least A²).",
            )
        if kept is not None:
            st.button("Use the best", icon=":material/check:", key="use-best", on_click=use, args=(kept[0].filters,))
        if filters != tunable.start:
            st.button("Back to all", icon=":material/undo:", key="use-start", on_click=use, args=(tunable.start,))
    jobs.show(name, "Stopped. Nothing was changed.")


def show_found(tunable: Tunable, key: str, distribution: str, filters: AnyFilters) -> None:
    """A table of the filters as they were, as they stand, and the best that were found."""
    kept = _found().get(f"tuning-{key}-{distribution}-{len(tunable.images)}")
    rows = [("as found", try_filters(tunable.images, tunable.start, distribution))]
    if filters != tunable.start:
        rows.append(("sliders", try_filters(tunable.images, filters, distribution)))
    if kept is not None:
        rows += [(f"best {place}", item) for place, item in enumerate(kept[:5], start=1)]
    if len(rows) == 1:
        return
    table = pd.DataFrame([_row(what, item) for what, item in rows])
    st.subheader(f"Filters, by how close the counts are to {DISTRIBUTIONS[distribution].title}", anchor=False)
    st.dataframe(table, hide_index=True, key="tuning-table")
    table_download(table, "filters", "filters", "Filters")
    st.caption(NOTE)


def _row(what: str, item: Setting) -> dict[str, object]:
    names = {SLIDERS[name].title: value for name, value in item.filters._asdict().items()}
    mean = sum(item.counts) / len(item.counts)
    test = item.test
    tested = {"A²": round(test.statistic, 3), "p-value": test.p_text} if test else {"A²": None, "p-value": item.reason}
    return {"filters": what, **tested, "mean objects": round(mean, 1), **names}


def _start(name: str, tunable: Tunable, distribution: str) -> None:
    def work(job: jobs.Job) -> None:
        _found()[name] = search(tunable, distribution, job.report)

    jobs.start(name, f"Trying {len(tunable.settings)} settings", work)


@st.cache_resource(show_spinner=False)
def _found() -> dict[str, Sequence[Setting]]:
    """Searches that have ended, by what was searched."""
    return {}


def _name(name: str) -> str:
    return f"filter-{name}"


def _kept(name: str, kind: type, default: Any) -> Any:
    try:
        return kind(float(state.get(_name(name), default)))
    except (TypeError, ValueError, OverflowError):
        return default
