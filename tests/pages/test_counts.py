"""The page "Object counts" without a browser: filters move the counts, links keep them, and SAM's are replayed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from scipy import stats
from streamlit.testing.v1 import AppTest

from odits.core.pool import Item, Workers
from odits.models.segmentation.batch import ObjectsRequest, precompute
from odits.models.segmentation.parameters import SamParameters
from pages._counts.tuning import SLIDERS
from tests.models.segmentation.small_sam import write_small_sam
from tests.pages.running import REPOSITORY, open_page, opened_by_hand, run

pytestmark = pytest.mark.slow

DEMO = [Item(path.name, path) for path in sorted((REPOSITORY / "assets" / "demo").glob("*.jpg"))]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """What the page remembers of the store belongs to one test's store."""
    st.cache_data.clear()
    st.cache_resource.clear()
    yield


def counts(**address: str) -> AppTest:
    return opened_by_hand(open_page("counts", **{"images": "demo", **address}))


def metric(app: AppTest, label: str) -> float:
    return float(next(item.value for item in app.metric if item.label == label))


def button(app: AppTest, start: str) -> object:
    return next(item for item in app.button if item.label.startswith(start))


def test_counting_goes_on_beside_the_page() -> None:
    app = counts()
    assert not app.metric
    button(app, "Count objects in 6 images").click()  # type: ignore[attr-defined]
    run(app)
    for _ in range(240):
        if app.metric and metric(app, "Images") == 6:
            break
        time.sleep(0.5)
        run(app)
    assert metric(app, "Images") == 6
    assert any("at least 8 images" in item.value for item in app.info)


@pytest.mark.slow
def test_filters_move_the_counts_and_the_link_keeps_them() -> None:
    precompute(DEMO, ObjectsRequest("embedded"), Workers(2))
    app = counts()
    every = metric(app, "Mean")
    assert not any(item.delta for item in app.metric)
    app.slider[0].set_value(0.5)
    run(app)
    fewer = metric(app, "Mean")
    assert 0 < fewer < every
    assert app.query_params["filter-least_confidence"] == "0.5"
    moved = next(item.delta for item in app.metric if item.label == "Mean")
    assert float(moved) == pytest.approx(fewer - every, abs=0.011)
    again = counts(**{"filter-least_confidence": "0.5"})
    assert metric(again, "Mean") == fewer
    button(again, "Back to all").click()  # type: ignore[attr-defined]
    assert metric(run(again), "Mean") == every
    nonsense = counts(**{"filter-least_confidence": "many", "filter-least_area": "-3", "distribution": "cauchy"})
    assert metric(nonsense, "Mean") == every


def test_sams_filters_are_replayed_over_masks_that_are_collected_once(tmp_path: Path) -> None:
    weights = write_small_sam(tmp_path)
    parameters = SamParameters(points_per_side=3, pred_iou_thresh=0.3, stability_score_thresh=0.0, box_nms_thresh=1.0)
    wanted = ObjectsRequest(f"sam:{weights}", parameters)
    precompute(DEMO, wanted, Workers(2))
    address = {
        "segmenter": "sam:file",
        "weights": str(weights),
        "sam-points_per_side": "3",
        "sam-pred_iou_thresh": "0.3",
        "sam-stability_score_thresh": "0.0",
        "sam-box_nms_thresh": "1.0",
    }
    app = counts(**address)
    every = metric(app, "Mean")
    assert not app.slider
    button(app, "Collect SAM's masks").click()  # type: ignore[attr-defined]
    run(app)
    for _ in range(240):
        if app.slider:
            break
        time.sleep(0.5)
        run(app)
    assert [item.label for item in app.slider] == [
        SLIDERS[name].title
        for name in ("pred_iou_thresh", "stability_score_thresh", "box_nms_thresh", "min_mask_region_area")
    ]
    assert metric(app, "Mean") == every > 1, "where nothing is moved, replaying gives SAM's own counts"
    app.slider[2].set_value(0.1)
    assert metric(run(app), "Mean") < every


def test_statistics_are_computed_once_for_the_same_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ["file,words,split"]
    for number in range(10):
        with Image.open(DEMO[number % len(DEMO)].source) as whole:
            whole.crop((40 * number, 0, 40 * number + 220, 200 + 12 * number)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,BAR,train")
    (tmp_path / "lexicons.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.setenv("ODITS_DATA", str(tmp_path))
    items = [Item(f"{number}.png", tmp_path / f"{number}.png") for number in range(10)]
    precompute(items, ObjectsRequest("embedded"), Workers(2))
    computed: list[str] = []

    def counting(values: np.ndarray, distribution: str, **settings: Any) -> Any:
        computed.append(distribution)
        return anderson(values, distribution, **settings)

    anderson = stats.anderson
    monkeypatch.setattr(stats, "anderson", counting)
    app = counts(images="train")
    first = len(computed)
    assert 1 <= first <= 5, "each distribution once"
    for distribution in ("expon", "gumbel_r"):
        next(box for box in app.selectbox if box.label == "Compare with").set_value(distribution)
        run(app)
    before = metric(app, "Mean")
    app.slider[0].set_value(0.05)
    assert metric(run(app), "Mean") == before, "no object is as doubtful"
    assert len(computed) == first, "a slider that changes no count computes nothing"
    app.slider[0].set_value(0.6)
    run(app)
    moved = len(computed)
    assert moved > first
    app.slider[0].set_value(0.0)
    run(app)
    app.slider[0].set_value(0.6)
    run(app)
    assert len(computed) == moved, "counts that were tested already are not tested again"
