"""The page Stage and its list, and the differences on the page Checkpoints, without a browser."""

from __future__ import annotations

import pytest

from odits.core.files import asset
from odits.data import read_dataset
from odits.evaluation.results import evaluate_and_store
from pages._shared.parameters import sort_address
from tests.evaluation.test_results import ByColour
from tests.pages.running import open_page, run


def test_an_address_of_the_stage_is_of_closed_types() -> None:
    found = sort_address({"list": "a.jpg\nb.jpg", "large": "True", "beneath": "no", "model4": "/etc/passwd"})
    assert found.shown == {"list": "a.jpg\nb.jpg", "large": "True"}
    assert list(found.waiting) == ["model4"], "it waits until somebody opens it"
    assert found.left_out == ["beneath"]


@pytest.mark.slow
def test_a_list_of_pictures_is_a_link() -> None:
    app = open_page("stage", images="demo", model="embedded", model2="spotting", model3="", list="cafe.jpg\nbakery.jpg")
    assert {app.caption[index].value for index in range(len(app.caption))} >= {"1 of 2"}
    assert next(box for box in app.selectbox if box.label == "Image").value == "cafe.jpg", "in the list's order"
    next(button for button in app.button if button.key == "next").click()
    run(app)
    assert app.query_params["image"] == "bakery.jpg"
    next(button for button in app.button if button.key == "stage-keep").click()
    run(app)
    assert app.query_params["list"] == "cafe.jpg"
    next(button for button in app.button if button.key == "stage-empty").click()
    run(app)
    assert "list" not in app.query_params
    assert any(caption.value.startswith("A list of chosen pictures is a link") for caption in app.caption)


def test_differences_between_evaluated_checkpoints_are_shown() -> None:
    demo = read_dataset(asset("demo"))
    for scale in (20, 60, 300):
        evaluate_and_store(ByColour(f"Model {scale}", scale), f"m{scale}", demo, "all", demo.vocabulary())
    app = open_page("checkpoints", tab="compare", family="rank")
    assert "Differences" in [item.value for item in app.subheader]
    bases = next(box for box in app.selectbox if box.label == "Compared with")
    assert bases.value and len(bases.options) == 3
    table = next(one.value for one in app.dataframe if {"Model", "p (Holm)"} <= set(one.value.columns))
    assert len(table) == 2 * 5 and (table["From"] <= table["Difference"]).all()
    assert (table["p (Holm)"] >= table["p"]).all()
    for by in ("signs", "confidence", "source"):
        next(box for box in app.selectbox if box.label == "In parts, by").set_value(by)
        run(app)
        parts = next(one.value for one in app.dataframe if "Part" in one.value.columns)
        assert parts["Images"].sum() == len(demo.records)
