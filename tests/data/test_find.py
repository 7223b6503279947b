from __future__ import annotations

from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.data import find_data_folder, read_dataset


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A parent whose svt1/ holds a train.xml; ODITS_DATA is not set."""
    monkeypatch.delenv("ODITS_DATA", raising=False)
    (tmp_path / "svt1").mkdir()
    (tmp_path / "svt1" / "train.xml").write_text("<tagset/>")
    return tmp_path


def test_the_folder_or_its_parent_may_be_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_data_folder(folder / "svt1") == find_data_folder(folder) == folder / "svt1"
    for named in (folder, folder / "svt1"):
        monkeypatch.setenv("ODITS_DATA", str(named))
        assert find_data_folder(None) == folder / "svt1"


def test_what_is_named_goes_before_the_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "lexicons.csv").write_text("file,words\n")
    monkeypatch.setenv("ODITS_DATA", str(folder))
    assert find_data_folder(other) == other


def test_a_wrong_name_is_not_passed_over_in_silence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OditsError, match="holds no data set"):
        find_data_folder(folder / "nowhere")
    monkeypatch.setenv("ODITS_DATA", str(folder / "nowhere"))
    with pytest.raises(OditsError, match="named by ODITS_DATA"):
        find_data_folder(None)


def test_data_svt1_below_the_working_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder / "data" / "svt1"
    place.mkdir(parents=True)
    (place / "test.xml").write_text("<tagset/>")
    monkeypatch.chdir(folder)
    assert find_data_folder(None) == place.resolve()


def test_a_folder_without_data_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OditsError, match="holds no data set"):
        read_dataset(tmp_path)
