"""Shared fixtures: the SVT data set where it is at hand, and a cache folder of the test's own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from odits.data import find_data_folder
from tests.installing import Installed, install_wheel

SHARED_SVT = Path(__file__).resolve().parents[2] / "shared" / "svt1"
"""Where the tests, and only they, look for SVT when ODITS_DATA names nothing."""


@pytest.fixture(scope="session")
def svt() -> Path:
    """The folder with train.xml, test.xml and img/; skips where the data set is absent."""
    folder = find_data_folder()
    if folder is None or not (folder / "test.xml").exists():
        pytest.skip(f"SVT is not here: name its folder in ODITS_DATA, or put it at {SHARED_SVT}")
    return folder


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with the project's wheel in it."""
    return install_wheel(tmp_path_factory.mktemp("installed"))


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ODITS_HOME of one test: nothing is read from or left in the user's cache."""
    folder = tmp_path_factory.mktemp("odits-home")
    monkeypatch.setenv("ODITS_HOME", str(folder))
    return folder


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell that starts tests in the background lets them ignore Ctrl-C, and all that they start; some press it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure() -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if "PYTEST_XDIST_WORKER" in os.environ:  # processes side by side: each with its own core, not all with all
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    if SHARED_SVT.is_dir():
        os.environ.setdefault("ODITS_DATA", str(SHARED_SVT))
