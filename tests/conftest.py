"""Shared fixtures: the SVT data set where it is at hand, and a cache folder of the test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from odits.data import find_data_folder


@pytest.fixture(scope="session")
def svt() -> Path:
    """The folder with train.xml, test.xml and img/; skips where the data set is absent."""
    folder = find_data_folder(None)
    if folder is None or not (folder / "test.xml").exists():
        pytest.skip("SVT is not here: set ODITS_DATA to the folder with train.xml, test.xml and img/")
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ODITS_HOME of one test: nothing is read from or left in the user's cache."""
    folder = tmp_path_factory.mktemp("odits-home")
    monkeypatch.setenv("ODITS_HOME", str(folder))
    return folder


def pytest_configure() -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
