"""The pages on a data set of others, and what they save for other tools."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from odits.data.annotations import put_marks, read_marks
from odits.data.marks import ImageWord, Mark
from pages._shared.exports import _one_file
from pages._shared.layout import csv_of
from tests.data import layouts
from tests.pages.running import open_page

FORMATS = ["Label Studio", "CVAT", "CSV", "Parquet"]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    st.cache_data.clear()
    st.cache_resource.clear()
    yield


def downloads(app: AppTest) -> list[str]:
    return [element.proto.label for element in app.get("download_button")]


def test_the_data_page_names_the_layout_and_saves_its_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODITS_DATA", str(layouts.icdar_2015(tmp_path / "set")))
    app = open_page("data")
    assert any(caption.value.startswith("Read as ICDAR 2015, from ") for caption in app.caption)
    assert [label for label in downloads(app) if label in FORMATS] == FORMATS
    assert any("lexicon of an image is the words that are boxed in it" in item.value for item in app.markdown)


def test_the_data_page_on_a_parquet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts.parquet(tmp_path)
    monkeypatch.setenv("ODITS_DATA", str(tmp_path / "data/train-00000-of-00001.parquet"))
    app = open_page("data", tab="images")
    assert len(app.dataframe[0].value) == 2


@pytest.mark.slow
def test_the_objects_page_saves_for_other_tools() -> None:
    app = open_page("objects", images="demo")
    every = [label for label in downloads(app) if label in FORMATS]
    figures, masks = every[: -len(FORMATS)], every[-len(FORMATS) :]
    assert (figures, masks) == (["CSV"], FORMATS)


def test_one_file_is_saved_as_it_is_and_several_as_a_zip() -> None:
    assert _one_file("a", {".xml": b"<x/>"}) == b"<x/>"
    with zipfile.ZipFile(io.BytesIO(_one_file("a", {".json": b"[]", ".config.xml": b"<View/>"}))) as archive:
        assert archive.namelist() == ["a.json", "a.config.xml"]


def test_no_table_of_a_page_holds_a_formula() -> None:
    table = pd.DataFrame({"word": ["=1+1", "BAR", None], "score": [-1.5, 2.0, 0.0], "=x": ["@a", "b", "c"]})
    text = csv_of(table).decode("utf-8-sig")
    assert text.splitlines() == ["word,score,'=x", "'=1+1,-1.5,'@a", "BAR,2.0,b", ",0.0,c"]
    counts = pd.DataFrame([[1, 2]], ["-A"], ["x", "y"])
    assert csv_of(counts, index=True).decode("utf-8-sig").splitlines() == [",x,y", "'-A,1,2"]
    assert "'=A" in csv_of(pd.DataFrame({"k": pd.Categorical(["=A"])})).decode("utf-8-sig")


class Uploaded:
    """A file as the uploader hands it over."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = name, content

    def getvalue(self) -> bytes:
        return self.content


def take_in(name: str, content: bytes, annotator: str) -> None:
    """A page that takes in one file and shows what came of it."""
    import streamlit as st

    from pages._browse import agreement
    from pages._shared import state
    from tests.pages.test_exports import Uploaded

    if not st.session_state.get("done"):
        st.session_state["done"] = True
        state.put("annotator", annotator)
        st.session_state["file"] = Uploaded(name, content)
        agreement._take_in("file")
    agreement._import()


def test_marks_of_label_studio_are_taken_in_and_conflicts_shown() -> None:
    about = {"data": "demo", "image": "a.jpg", "model": "M", "checkpoint": "c", "vocabulary": "v"}
    word = ImageWord("demo", "a.jpg", "BAR")
    put_marks("Anna", [(word, Mark("wrong", "", "2026-01-01T00:00:00.000000+00:00"))])
    result = [{"from_name": "right", "value": {"choices": ["BAR", "INN"]}}]
    content = json.dumps([{"data": {"odits": about}, "annotations": [{"completed_by": 1, "result": result}]}]).encode()
    app = AppTest.from_function(take_in, kwargs={"name": "x.json", "content": content, "annotator": "Anna"}).run()
    assert not app.exception
    assert app.success[0].value == "x.json holds 2 marks of Anna; 1 of them are new here."
    assert app.dataframe[0].value.to_dict("records") == [
        {"image": "a.jpg", "word": "BAR", "here": "wrong", "in the file": "right"}
    ]
    assert read_marks("Anna")[word].verdict == "wrong"
    nobody = AppTest.from_function(take_in, kwargs={"name": "x.json", "content": content, "annotator": ""}).run()
    assert "Give your name on the left first" in nobody.error[0].value
