"""The page "Objects" without a browser: filters, names, what is said where nothing is left, and what is saved."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from odits.figures.static import THEMES
from pages._objects.prompts import Prompt
from tests.models.segmentation.small_hub_sam import write_small_sam2, write_small_sam3
from tests.models.segmentation.small_sam import build_sam
from tests.pages.running import REPOSITORY, open_page, opened_by_hand, run, watch_menus

pytestmark = pytest.mark.slow


def objects(**address: str) -> AppTest:
    page = open_page("objects", **{"images": "demo", "image": "cafe.jpg", "vocabulary": "demo", **address})
    return opened_by_hand(page)


def headline(app: AppTest) -> str:
    return next(item.value for item in app.markdown if "objects**" in item.value)


def texts(app: AppTest) -> str:
    return "\n".join(item.value for kind in (app.info, app.caption, app.warning) for item in kind)


def table(app: AppTest) -> list[int]:
    return app.dataframe[0].value["Object"].tolist() if app.dataframe else []


def test_filters_narrow_the_table_and_keep_the_numbers() -> None:
    app = objects()
    every = table(app)
    assert every == list(range(1, len(every) + 1)) and f"**{len(every)} objects**" in headline(app)
    app = objects(size="0.5-100")
    fewer = table(app)
    assert fewer and len(fewer) < len(every) and set(fewer) < set(every)
    assert f"{len(fewer)} of {len(every)} objects" in headline(app)
    assert (app.dataframe[0].value["Area"] >= 0.5).all()
    app = objects(kinds="text")
    assert set(app.dataframe[0].value["Kind"]) == {"Text"} or set(app.dataframe[0].value["Kind"]) == {"text"}
    app = objects(confident="0.5")
    assert (app.dataframe[0].value["Confidence"] >= 0.5).all() and len(table(app)) < len(every)


def test_nothing_at_this_filter_is_told_from_nothing_found(tmp_path: Path) -> None:
    app = objects(size="50-100", confident="1.0")
    assert "passes the filter" in texts(app) and "Nothing was found" not in texts(app)
    next(button for button in app.button if button.label == "Show all objects").click()
    run(app)
    assert "passes the filter" not in texts(app) and len(table(app)) > 1


def test_the_selected_object_shows_its_words_and_a_hidden_one_does_not() -> None:
    app = objects(object="2")
    assert [item.value for item in app.subheader] == ["Object 2"]
    number = table(objects(size="0.5-100"))
    hidden = next(n for n in table(objects()) if n not in number)
    assert not objects(object=str(hidden), size="0.5-100").subheader


def test_what_is_saved_is_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = watch_menus(monkeypatch, "pages._objects.overlay", "pages._shared.word_charts")
    app = objects(size="0.5-100", object="2")
    shown = table(app)
    figure = saved["overlay"].draw(THEMES["dark"])
    (picture,) = figure.axes
    assert len(picture.patches) == len(shown) and saved["overlay"].table["number"].tolist() == shown
    assert sum(int(text.get_text().split("(")[1][:-1]) for text in figure.legends[0].get_texts()) == len(shown)
    words = saved["object-words"].table["word"].tolist()
    bars = saved["object-words"].draw(THEMES["light"]).axes[0]
    assert [label.get_text().split()[-1] for label in bars.get_yticklabels()] == words and len(words) == 10
    assert "Object 2" in bars.get_title(loc="left")
    app.slider(key="opacity").set_value(1.0)
    app.toggle(key="outline").set_value(False)
    run(app)
    (picture,) = saved["overlay"].draw(THEMES["dark"]).axes
    plain = [patch for patch in picture.patches if patch.get_linewidth() == 0]
    assert len(plain) == len(shown) - 1, "all but the one that is picked"
    objects(look="pair", size="0.5-100")
    assert [len(axes.patches) for axes in saved["overlay"].draw(THEMES["light"]).axes] == [0, len(shown)]


def test_both_views_and_saved_links() -> None:
    app = objects(look="pair", object="1")
    assert {"Original", "With objects"} <= {item.value for item in app.caption}
    assert app.query_params["look"] == "pair"
    assert "With objects" not in texts(objects(look="nonsense", size="9-x", confident="high", kinds="alien"))


def test_names_are_given_on_demand_and_filter() -> None:
    app = objects(namer="clip")
    assert "Name" not in app.dataframe[0].value
    next(button for button in app.button if button.label == "Name the objects").click()
    run(app)
    for _ in range(120):
        if "Name" in app.dataframe[0].value:
            break
        time.sleep(0.5)
        run(app)
    named = app.dataframe[0].value
    assert named["Name"].str.len().gt(0).all() and named["Name score"].between(0, 1).all()
    assert "named by ODITS Signs" in headline(app)
    name = named["Name"].iloc[0]
    app.multiselect(key="filter-names").select(name)
    run(app)
    assert set(app.dataframe[0].value["Name"]) == {name} and app.query_params["names"] == name


def test_imagenet_names_say_what_they_are_of() -> None:
    app = objects()
    next(button for button in app.button if button.label == "Name the objects").click()
    run(app)
    for _ in range(240):
        if "Name is" in app.dataframe[0].value:
            break
        time.sleep(0.5)
        run(app)
    named = app.dataframe[0].value
    assert (named["Name is"] != "").equals(named["Name"] != "")
    assert set(named["Name is"]) <= {"class", "group", "surface", ""}
    assert named["Name score"].notna().equals(named["Name is"].isin(["class", "group"]))
    assert (named["Name"][named["Kind"] == "text"] == "").all() and (named["Kind"] == "text").any()
    assert (named["Name"] != "").any()


def test_missing_grounding_dino_gives_way_to_clip_and_says_so() -> None:
    app = objects(namer="grounding-dino", dino="nobody/no-such-model", image="street.jpg")
    next(button for button in app.button if button.label == "Name the objects").click()
    for _ in range(240):
        run(app)
        if app.warning:
            break
        time.sleep(0.5)
    assert "named the objects instead" in texts(app)


def test_without_sam_a_sentence_says_how_to_get_it() -> None:
    assert "375 MB" in texts(objects(do="one"))


def test_sam_answers_clicks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "small.pth"
    torch.save(build_sam(1024, heads=8).state_dict(), weights)
    app = objects(do="one", segmenter="sam:file", weights=str(weights))
    assert "Click on a thing" in texts(app) and "375 MB" not in texts(app)


LOOSE = {"sam-points_per_side": "2", "sam-pred_iou_thresh": "0.0", "sam-stability_score_thresh": "0.0"}
LOOSE["sam-box_nms_thresh"] = "1.0"


def found(app: AppTest) -> AppTest:
    """The page once the objects are found."""
    for _ in range(240):
        if app.dataframe:
            return app
        time.sleep(0.5)
        run(app)
    raise AssertionError(texts(app))


def test_sam_2_and_3_are_offered_with_their_sizes() -> None:
    app = objects()
    offered = next(one for one in app.selectbox if one.label == "Objects by").options
    assert {"SAM 2.1 tiny (156 MB download)", "SAM 3 (3,440 MB download)", "SAM 2, my own folder"} <= set(offered)
    assert "Give the path" in texts(objects(segmenter="sam2:folder"))
    app = objects(segmenter="sam2:large")
    assert "not on this machine yet" in texts(app)
    assert any("898 MB" in button.label for button in app.button)


def test_sam_2_of_a_folder_finds_objects_and_answers_clicks(tmp_path: Path) -> None:
    folder = write_small_sam2(tmp_path / "small")
    app = found(objects(segmenter="sam2:folder", weights=str(folder), **LOOSE))
    assert "by SAM 2" in headline(app)
    assert not any(one.label.startswith("How masks are stored") for one in app.selectbox)
    app = objects(do="one", segmenter="sam2:folder", weights=str(folder), **LOOSE)
    assert "Click on a thing" in texts(app) and "375 MB" not in texts(app)


def test_sam_3_finds_what_a_text_names(tmp_path: Path) -> None:
    folder = write_small_sam3(tmp_path / "small")
    address = {"segmenter": "sam3:folder", "weights": str(folder), **LOOSE}
    app = found(objects(**address, **{"sam-text": "sign, door", "sam-text_threshold": "0.05"}))
    assert next(one for one in app.text_input if one.label == "Find").value == "sign, door"
    assert "sign, door, named by the text asked for" in headline(app)
    assert set(app.dataframe[0].value["Name"]) == {"sign", "door"}
    assert app.query_params["sam-text"] == "sign, door"
    next(one for one in app.text_input if one.label == "Find").set_value("")
    run(app)
    assert any(one.label.startswith("Points per side") for one in app.number_input)
    found(app)  # work that goes on when the process ends would abort it
    app = objects(do="one", **address)
    assert "Click on a thing" in texts(app)


def test_a_folder_that_is_no_sam_is_one_sentence(tmp_path: Path) -> None:
    app = AppTest.from_file(str(REPOSITORY / "pages" / "objects.py"), default_timeout=180)
    for key, value in {"images": "demo", "image": "cafe.jpg", "segmenter": "sam2:folder", "weights": "/no"}.items():
        app.query_params[key] = value
    opened_by_hand(app.run())
    assert not app.exception and "no segmenter" in "".join(item.value for item in app.error)


def test_a_click_is_read_in_pixels() -> None:
    size = (200, 100)
    assert Prompt.read({"prompt": [0.5, 0.25]}, size) == Prompt(((100.0, 25.0),), None)
    assert Prompt.read({"prompt": [1, 1]}, size) == Prompt(((199, 99),), None)
    assert Prompt.read({"prompt": [0.9, 0.8, 0.1, 0.2]}, size) == Prompt((), (20.0, 20.0, 180.0, 80.0))
    for nonsense in (
        None,
        {},
        {"prompt": "x"},
        {"prompt": [0.1]},
        {"prompt": [2, 0]},
        {"prompt": [0.1, 0.1, 0.1, 0.9]},
    ):
        assert Prompt.read(nonsense, size) is None
