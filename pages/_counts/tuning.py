"""Filters over what was found: sliders, a search for the counts closest to a distribution, and what both change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from odits.counting.statistics import DISTRIBUTIONS, MIN_SIZE
from odits.counting.tuning import NOTE, AnyFilters, Setting, Tunable, search
from odits.models.segmentation.parameters import SamParameters
from pages._counts.statistics import tests_of
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
    "least_confidence": Slider(
        "Confidence, at least", 0.0, 1.0, 0.05, "Objects below this confidence are not counted."
    ),
    "least_area": Slider(
        "Smallest object, % of the image", 0.0, 5.0, 0.05, "Objects that cover less of the image are not counted."
    ),
    "pred_iou_thresh": Slider("Predicted quality, at least", 0.8, 1.0, 0.01, _SAM["pred_iou_thresh"]),
    "stability_score_thresh": Slider("Stability, at least", 0.85, 1.0, 0.01, _SAM["stability_score_thresh"]),
    "box_nms_thresh": Slider("NMS threshold (IoU)", 0.1, 1.0, 0.05, _SAM["box_nms_thresh"]),
    "min_mask_region_area": Slider("Smallest hole or island, pixels", 0, 1000, 10, _SAM["min_mask_region_area"]),
}
_VERSION = "odits-filter-version"


def link_names(filters: AnyFilters, start: AnyFilters) -> list[str]:
    """Return the names that a link needs to reopen the filters."""
    return [_name(name) for name, value in filters._asdict().items() if value != getattr(start, name)]


def choose_filters(start: AnyFilters) -> AnyFilters:
    """Ask for the filters; the sliders begin where nothing changes."""
    version = f"-{st.session_state.get(_VERSION, 0)}"
    values: dict[str, Any] = {}
    for name, least in start._asdict().items():
        slider = SLIDERS[name]
        kind = type(least)
        low, high = kind(min(slider.low, least)), kind(slider.high)
        value = min(max(_asked(name, kind, least), low), high)
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
    """Set the sliders to these filters; for buttons."""
    st.session_state[_VERSION] = st.session_state.get(_VERSION, 0) + 1
    for name, value in filters._asdict().items():
        state.act(_name(name), value)


def offer_search(tunable: Tunable, key: str, distribution: str, filters: AnyFilters) -> None:
    """Offer to search the filters whose counts are closest to a distribution, to use the best, and to go back.

    Args:
        tunable: the images with the filters to try.
        key: of the segmenter and the images.
        distribution: a key of `DISTRIBUTIONS`.
        filters: as the sliders stand.
    """
    name = _search_key(key, distribution)
    best: Sequence[Setting] | None = jobs.result_of(name)
    title = DISTRIBUTIONS[distribution].name.lower()
    task = jobs.Task(
        key=name,
        button=f"Search {len(tunable.settings)} settings",
        title=f"Trying {len(tunable.settings)} settings",
        run=lambda job: search(tunable, distribution, job.report),
        stopped="Stopped. Nothing was changed.",
        icon=":material/search:",
        primary=False,
    )
    enough = len(tunable.images) >= MIN_SIZE
    help_text = f"Finds the filters whose counts are closest to a {title} distribution (least A²)."
    jobs.offer(task, needed=enough and best is None, help=help_text)
    with st.container(horizontal=True, key="tuning-buttons"):
        if best is not None:
            st.button("Use the best", icon=":material/check:", key="use-best", on_click=use, args=(best[0].filters,))
        if filters != tunable.start:
            st.button("Back to all", icon=":material/undo:", key="use-start", on_click=use, args=(tunable.start,))


def _search_key(key: str, distribution: str) -> str:
    return f"tuning-{key}-{distribution}"


def show_found(tunable: Tunable, key: str, distribution: str, filters: AnyFilters) -> None:
    """Show a table of the filters as they were, as they stand, and the best that were found."""
    best: Sequence[Setting] | None = jobs.result_of(_search_key(key, distribution))
    rows = [("as found", tunable.start)]
    if filters != tunable.start:
        rows.append(("sliders", filters))
    settings = [(what, _tested(tunable, item, distribution)) for what, item in rows]
    if best is not None:
        settings += [(f"best {place}", item) for place, item in enumerate(best[:5], start=1)]
    if len(settings) == 1:
        return
    table = pd.DataFrame([_row(what, item) for what, item in settings])
    st.subheader(f"Filters, by how close the counts are to {DISTRIBUTIONS[distribution].title}", anchor=False)
    st.dataframe(table, hide_index=True, key="tuning-table")
    table_download(table, "filters", "filters", "Filters")
    st.caption(NOTE)


def _tested(tunable: Tunable, filters: AnyFilters, distribution: str) -> Setting:
    """Count with filters; the test is the one that the page has computed of the same counts."""
    counts = tuple(image.count(filters) for image in tunable.images)
    tests, reason = tests_of(counts)
    return Setting(filters, counts, tests.get(distribution), reason)


def _row(what: str, item: Setting) -> dict[str, object]:
    names = {SLIDERS[name].title: value for name, value in item.filters._asdict().items()}
    mean = sum(item.counts) / len(item.counts)
    test = item.test
    tested = {"A²": round(test.statistic, 3), "p-value": test.p_text} if test else {"A²": None, "p-value": item.reason}
    return {"filters": what, **tested, "mean objects": round(mean, 1), **names}


def _name(name: str) -> str:
    return f"filter-{name}"


def _asked(name: str, kind: type, default: Any) -> Any:
    try:
        return kind(float(state.get(_name(name), default)))
    except (TypeError, ValueError, OverflowError):
        return default
