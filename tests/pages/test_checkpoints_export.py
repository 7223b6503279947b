"""The page Checkpoints over a Neptune 2 export whose data and files lie apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.running import open_page, run
from tests.tracking.conftest import row
from tests.tracking.exports import Export, safetensors_bytes, torch_bytes


@pytest.fixture
def apart(tmp_path: Path) -> Export:
    """A run with checkpoints that have no endings, its data and files in folders that know nothing of each other."""
    made = Export(tmp_path)
    rows = [
        row("sys/name", "string", "clip signs"),
        made.neptune2("SIGN-1", "checkpoints/epoch_3", torch_bytes()),
        made.neptune2("SIGN-1", "checkpoints/best", safetensors_bytes()),
        *(row("train/loss", "float_series", 4.0 - step, step) for step in range(3)),
    ]
    made.write("SIGN-1", rows)
    (made.folder / "data").rename(tmp_path / "tables")
    (made.folder / "files").rename(tmp_path / "uploads")
    return made


def fill(page: AppTest, label: str, value: str) -> None:
    next(one for one in page.text_input if one.label == label).set_value(value)


def test_data_and_files_of_two_folders(home: Path, apart: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    page = open_page("checkpoints", tab="runs", source="neptune-export")
    assert any("~/neptune-export" in one.value for one in page.info)  # says what to do
    fill(page, "Export folder, or its data", str(apart.root / "tables"))
    run(page)
    assert any("is missing" in one.value and "--files" in one.value for one in page.warning)
    fill(page, "Its files, if elsewhere", str(apart.root / "uploads"))
    run(page)
    assert not page.warning
    stored = next(frame.value for frame in page.dataframe if "Here" in frame.value)
    assert sorted(stored["Checkpoint"]) == ["best", "epoch_3"]
    assert str(apart.root / "uploads") in page.query_params["files-neptune-export"]


def test_a_folder_that_is_no_export_is_one_sentence(home: Path, tmp_path: Path) -> None:
    page = open_page("checkpoints", tab="runs", source="neptune-export")
    fill(page, "Export folder, or its data", str(tmp_path))
    page.run()
    assert not page.exception and len(page.error) == 1
