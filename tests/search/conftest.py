"""The demo images, read once for all tests of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from odits.core.pool import Workers
from odits.data.records import collection_of_folder
from odits.search.index import Index, build_index

DEMO = Path(__file__).parents[2] / "assets" / "demo"


@pytest.fixture(scope="session")
def read_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ODITS_HOME with the demo images' readings and their index."""
    home = tmp_path_factory.mktemp("read-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ODITS_HOME", str(home))
        build_index(collection_of_folder(DEMO))
    return home


@pytest.fixture
def home(read_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ODITS_HOME of one test, with the demo images' readings, but no index."""
    folder = tmp_path / "home"
    shutil.copytree(read_home / "cache" / "readings", folder / "cache" / "readings")
    monkeypatch.setenv("ODITS_HOME", str(folder))
    return folder


@pytest.fixture
def demo_index(home: Path) -> Index:
    """The index of the demo images."""
    return build_index(collection_of_folder(DEMO), Workers(1))
