"""What the page "Search" shows, without a browser."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from odits.data import read_dataset
from odits.models.registry import load
from odits.search.embeddings import ClipEmbedder
from odits.search.likeness import embed_records
from pages._search.results import CROP, place_of
from tests.pages.running import opened_by_hand
from tests.training import tiny

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


def test_a_picture_finds_what_looks_like_it_to_the_model_one_chooses(home: Path, tmp_path: Path) -> None:
    clip = tiny.write_weights(tmp_path / "weights.safetensors")
    address = {"searched": "demo", "like": "cafe.jpg", "like-model": clip}
    page = opened(**address)
    assert not page.exception
    assert "Look at 6 images" in [button.label for button in page.button]
    demo = read_dataset(REPOSITORY / "assets" / "demo")
    embed_records(demo.records, embedder=ClipEmbedder(load(clip, "cpu", kind="clip")))
    st.cache_resource.clear()  # as another server, or this one a while later
    page = opened(**address)
    assert any(tiny.ARCHITECTURE in caption.value and "most alike first" in caption.value for caption in page.caption)
    assert "Look at 6 images" not in [button.label for button in page.button]
    shown = [one.proto.imgs[0].caption for one in page.get("imgs") or page.get("image")]
    assert len(shown) == 5 and not any("cafe" in caption for caption in shown)
    closest = [float(caption.rpartition("·")[2]) for caption in shown]
    assert closest == sorted(closest, reverse=True)
    page = opened(searched="demo", like="cafe.jpg")  # another model has its own look
    assert "Look at 6 images" in [button.label for button in page.button]
