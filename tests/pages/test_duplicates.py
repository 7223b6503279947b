"""Near-duplicates on the pages Data and Browse: named, and left out, before anybody marks the same picture twice."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
import streamlit as st
from PIL import Image

from odits.data import Dataset, read_dataset
from odits.evaluation.results import evaluate_and_store
from odits.models.registry import parse
from odits.search.likeness import embed_records
from tests.pages.running import REPOSITORY, open_page
from tests.pages.test_annotating import Dice

pytestmark = pytest.mark.slow
DEMO = REPOSITORY / "assets" / "demo"


@pytest.fixture
def streets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Three pictures, of which two are the same one; the page's data set."""
    folder = tmp_path / "streets"
    folder.mkdir()
    for name in ("cafe", "hotel"):
        shutil.copy(DEMO / f"{name}.jpg", folder)
    with Image.open(DEMO / "cafe.jpg") as image:
        image.resize((512, 384)).save(folder / "again.jpg", quality=60)
    (folder / "lexicons.csv").write_text("file,words\nagain.jpg,CAFE\ncafe.jpg,CAFE\nhotel.jpg,HOTEL\n")
    monkeypatch.setenv("ODITS_DATA", str(folder))
    return read_dataset(folder)


def test_a_picture_that_is_there_twice_is_named(home: Path, streets: Dataset) -> None:
    page = open_page("data", tab="images")
    assert any("marked twice" in caption.value for caption in page.caption)
    next(button for button in page.button if button.label == "Look at 3 images").click().run()
    for _ in range(240):
        if page.warning:
            break
        time.sleep(0.5)
        page.run()
    assert [warning.value for warning in page.warning] == [
        "1 picture is a near-duplicate of another: whoever marks both of a pair marks one picture twice."
    ]
    shown = {image.proto.imgs[0].caption for image in page.get("imgs") or page.get("image")}
    assert not page.exception and len(shown) == 2


def test_the_queue_leaves_all_but_one_out(home: Path, streets: Dataset) -> None:
    evaluate_and_store(Dice(parse("embedded").digest), "embedded", streets, "eval", streets.vocabulary())
    address = {"images": "eval", "vocabulary": "svt", "model": "embedded", "annotator": "Anna"}
    page = open_page("browse", **address, view="annotate", once="True")
    assert page.session_state["odits-annotate-queue"].names == ("again.jpg", "cafe.jpg", "hotel.jpg")
    assert any("all pictures come" in caption.value for caption in page.caption)
    embed_records(streets.records)
    st.cache_resource.clear()  # as another server, or this one a while later
    page = open_page("browse", **address, view="annotate", once="True")
    assert page.session_state["odits-annotate-queue"].names == ("again.jpg", "hotel.jpg")
    assert any("1 near-duplicate left out" in caption.value for caption in page.caption)
    page = open_page("browse", **address)
    (box,) = (box for box in page.expander if box.icon == ":material/filter_none:")
    assert box.label == "1 picture is a near-duplicate of another"
