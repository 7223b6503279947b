"""What the page "Search" shows, without a browser."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages._search.results import CROP, place_of
from tests.pages.running import opened_by_hand

REPOSITORY = Path(__file__).parents[2]
HEAVY = ("torch", "open_clip", "rapidocr", "onnxruntime", "transformers", "mlflow", "sklearn")


def opened(**query: str) -> AppTest:
    page = AppTest.from_file(str(REPOSITORY / "pages" / "search.py"), default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    return opened_by_hand(page.run())


def test_the_page_needs_no_heavy_library_before_it_reads() -> None:
    modules = "pages._search.results, pages._search.index, odits.search.ranking"
    code = f"import sys, {modules}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_is_indexed_yet() -> None:
    page = opened(searched="demo", query="cafe")
    assert "Nothing is indexed yet" in page.info[0].value
    assert [button.label for button in page.button] == ["Index 6 images"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "Name a folder" in opened(searched="folder").info[0].value
    page = opened(searched="folder", folder=str(tmp_path / "absent"))
    assert "There is no folder" in page.error[0].value
    page = opened(searched="folder", folder=str(tmp_path))
    assert "There are no images" in page.error[0].value


def test_what_can_not_be_looked_for_is_told() -> None:
    page = opened(searched="demo", query="!?")
    assert "Type a word to look for" in page.warning[0].value
    assert not page.exception


def test_a_place_is_cut_with_its_surroundings() -> None:
    image = Image.new("RGB", (200, 100))
    cut = place_of(image, np.array([[150, 40], [260, 40], [260, 60], [150, 60]], np.float32))
    assert cut.width <= CROP[0] and cut.height <= CROP[1] and cut.width > cut.height
    assert min(place_of(image, np.zeros((4, 2), np.float32)).size) >= 1


@pytest.mark.slow
def test_images_are_found_by_a_picture(home: Path) -> None:
    page = opened(searched="demo", like="cafe.jpg")
    next(button for button in page.button if button.label == "Look at 6 images").click().run()
    for _ in range(240):
        if any("cosine" in caption.value for caption in page.caption):
            break
        time.sleep(0.5)
        page.run()
    assert not page.exception and any("cosine" in caption.value for caption in page.caption)
    assert len(page.get("image")) == 5 and page.query_params["like"] == "cafe.jpg"
