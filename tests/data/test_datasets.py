"""Which folder is the data set, and which reader it gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.data.datasets import find_data_folder, read_dataset
from odits.data.records import collection_of_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A parent whose svt1/ holds a train.xml; ODITS_DATA is not set."""
    monkeypatch.delenv("ODITS_DATA", raising=False)
    (tmp_path / "svt1").mkdir()
    (tmp_path / "svt1" / "train.xml").write_text("<tagset/>")
    return tmp_path


def test_the_folder_or_its_parent_may_be_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_data_folder(folder / "svt1") == find_data_folder(folder) == folder / "svt1"
    for named in (folder, folder / "svt1", f" {folder} "):
        monkeypatch.setenv("ODITS_DATA", str(named))
        assert find_data_folder() == folder / "svt1"


def test_what_is_named_goes_before_the_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "lexicons.csv").write_text("file,words\n")
    monkeypatch.setenv("ODITS_DATA", str(folder))
    assert find_data_folder(other) == other


def test_a_folder_goes_before_the_one_inside_it(folder: Path) -> None:
    (folder / "test.xml").write_text("<tagset/>")
    assert find_data_folder(folder) == folder


def test_a_wrong_name_is_not_passed_over_in_silence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODITS_DATA", str(folder))
    with pytest.raises(
        OditsError, match=r"nowhere holds no data set: neither train\.xml, test\.xml nor lexicons\.csv is"
    ):
        find_data_folder(folder / "nowhere")
    monkeypatch.setenv("ODITS_DATA", str(folder / "nowhere"))
    with pytest.raises(OditsError, match=r"nowhere \(named by ODITS_DATA\) holds no data set"):
        find_data_folder()
    monkeypatch.setenv("ODITS_DATA", "~/nowhere")
    monkeypatch.setenv("HOME", str(folder))
    with pytest.raises(OditsError, match=f"^{folder}/nowhere "):
        find_data_folder()


def test_data_svt1_below_the_working_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder / "data" / "svt1"
    place.mkdir(parents=True)
    (place / "test.xml").write_text("<tagset/>")
    monkeypatch.chdir(folder)
    assert find_data_folder() == place.resolve()
    assert find_data_folder(folder) == folder / "svt1"


def test_a_data_set_that_nothing_names_is_not_searched_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither beside the repository nor beside the working folder."""
    (folder / "shared").mkdir()
    (folder / "svt1").rename(folder / "shared" / "svt1")
    (folder / "work").mkdir()
    for place in (folder / "work", folder / "shared", ROOT):
        monkeypatch.chdir(place)
        if not (place / "data" / "svt1").exists():
            assert find_data_folder() is None
    monkeypatch.setenv("ODITS_DATA", "  ")
    monkeypatch.chdir(folder / "work")
    assert find_data_folder() is None


def test_the_reader_follows_the_files(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "lexicons.csv").write_text("file,words\na.png,BAR\n")
    assert read_dataset(tmp_path).name == tmp_path.name
    (tmp_path / "test.xml").write_text("<t><image><imageName>a.png</imageName><lex>INN</lex></image></t>")
    found = read_dataset(tmp_path)
    assert found.name == tmp_path.name and found.records[0].lexicon == ("INN",)


def test_a_data_set_in_its_layout_is_not_taken_for_svt(tmp_path: Path) -> None:
    for name in ("00_07.jpg", "mine.jpg"):
        Image.new("RGB", (9, 9)).save(tmp_path / name)
        lines = f"<t><image><imageName>img/{name}</imageName><lex>INN</lex></image></t>"
        (tmp_path / "img").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "img" / name)
        (tmp_path / "test.xml").write_text(lines)
        assert read_dataset(tmp_path).name == ("SVT" if name[0] == "0" else tmp_path.name)


def test_a_folder_without_data_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OditsError, match=r"holds no data set: neither train\.xml"):
        read_dataset(tmp_path)


def test_a_name_that_no_disk_has_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for named in ("x" * 5000, "~nobody-here/data"):
        monkeypatch.setenv("ODITS_DATA", named)
        with pytest.raises(OditsError, match="holds no data set"):
            find_data_folder()
        with pytest.raises(OditsError, match="There is no folder"):
            collection_of_folder(Path(named))
