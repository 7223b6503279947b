"""Every page on a data set that is named by hand, and on one in which two pictures are damaged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.pages.running import REPOSITORY, open_page, run

pytestmark = pytest.mark.slow

GOOD = [f"good_{number}.png" for number in range(9)]
BROKEN = ["cut.jpg", "cut.png"]
WORDS = ["BAR", "BOOKS", "CAFE", "HOTEL"]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    st.cache_data.clear()
    st.cache_resource.clear()
    yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine small pictures that can be opened, and two that were cut off."""
    found = tmp_path_factory.mktemp("pictures")
    with Image.open(REPOSITORY / "assets" / "demo" / "cafe.jpg") as image:
        scene = image.convert("RGB").resize((240, 180))
    for number, name in enumerate(GOOD):
        scene.rotate(number).save(found / name)
    for name in BROKEN:
        scene.save(found / name)
        content = (found / name).read_bytes()
        (found / name).write_bytes(content[: len(content) // 2])
    rows = [f"{name},{' '.join(WORDS)},{'train' if name.endswith('jpg') else 'eval'}" for name in (*GOOD, *BROKEN)]
    (found / "lexicons.csv").write_text("\n".join(["file,words,split", *rows]) + "\n")
    return found


@pytest.fixture
def broken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as the data set of the whole app."""
    monkeypatch.setenv("ODITS_DATA", str(folder))
    return folder


def said(app: AppTest) -> str:
    kinds = (app.info, app.error, app.warning, app.success, app.caption, app.markdown)
    return "\n".join(item.value for kind in kinds for item in kind).replace("\\", "")


def names_both(app: AppTest) -> bool:
    return all(name in said(app) for name in BROKEN)


def press_until(app: AppTest, label: str, there: Callable[[AppTest], bool]) -> AppTest:
    """Press a button that starts long work, and wait for what it makes."""
    next(button for button in app.button if button.label.startswith(label)).click()
    for _ in range(240):
        app.run()
        assert not app.exception
        if there(app):
            return app
        time.sleep(0.5)
    pytest.fail(said(app))


def test_a_folder_typed_by_hand_is_the_data_set_of_every_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ODITS_DATA", raising=False)
    app = open_page("data")
    assert "free for research" in said(app)
    field = next(field for field in app.text_input if field.label == "Folder of the data set")
    field.set_value(str(folder))
    run(app)
    assert f"11 images in {folder}" in said(app) and "free for research" not in said(app)
    assert "folder" not in app.query_params, "an address never names a folder"
    other = AppTest.from_file(str(REPOSITORY / "pages" / "words.py"), default_timeout=180)
    other.session_state["odits-data-folder"] = str(folder)
    other.query_params["model"] = "embedded"
    images = next(box for box in run(other).selectbox if box.label == "Images")
    assert f"{folder.name}, evaluation images" in images.options


def test_a_folder_without_a_data_set_is_one_sentence_and_the_demo_images_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ODITS_DATA", raising=False)
    app = open_page("data")
    next(field for field in app.text_input if field.label == "Folder of the data set").set_value(str(tmp_path))
    app.run()
    assert not app.exception
    assert len(app.error) == 1 and "holds no data set" in said(app) and "demo images" in said(app)


def test_words_and_objects_name_a_picture_that_cannot_be_opened(broken: Path) -> None:
    for page in ("words", "objects"):
        app = AppTest.from_file(str(REPOSITORY / "pages" / f"{page}.py"), default_timeout=180)
        for name, value in {"images": "all", "image": BROKEN[1], "model": "embedded", "vocabulary": "eval"}.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception
        assert len(app.error) == 1 and BROKEN[1] in said(app)
        app.selectbox(key=f"widget-image-{BROKEN[1]}").set_value(GOOD[0])
        run(app)


def test_data_measures_the_others(broken: Path) -> None:
    app = open_page("data", tab="images")
    for _ in range(240):
        if names_both(app):
            break
        time.sleep(0.5)
        run(app)
    assert len(app.dataframe[0].value) == 9


def test_counts_are_of_the_nine(broken: Path) -> None:
    app = press_until(open_page("counts", images="all"), "Count objects in 11 images", names_both)
    assert next(item.value for item in app.metric if item.label == "Images") == "9"
    assert not [button.label for button in app.button if button.label.startswith("Go on")]


def test_search_finds_the_nine(broken: Path) -> None:
    app = press_until(open_page("search", searched="all", query="books"), "Index 11 images", names_both)
    assert not app.error


def test_browse_and_checkpoints_evaluate_the_nine(broken: Path) -> None:
    address = {"images": "all", "vocabulary": "eval", "model": "embedded", "on": "all"}
    app = press_until(open_page("browse", **address), "Evaluate 11 images", names_both)
    opened = [button.label for button in app.button if str(button.key).startswith("open-")]
    assert len(opened) == 9
    compared = open_page("checkpoints", tab="compare")
    assert "ODITS Signs" in said(compared) and names_both(compared)
