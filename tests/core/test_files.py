from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.core.files import cache_home, write_atomically


def test_writes_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "file.bin"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "ours", b"")
    (tmp_path / "theirs").write_bytes(b"")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "theirs")}
    assert len(modes) == 1


def test_a_failure_keeps_the_old_and_is_both_kinds_of_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    for path in (tmp_path / "file" / "below.bin", tmp_path / "folder"):
        for kind in (OditsError, OSError):
            with pytest.raises(kind, match="can't be written"):
                write_atomically(path, b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_cache_home_is_odits_home_or_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "mine"))
    assert cache_home() == tmp_path / "mine"
    assert not cache_home().exists()
    monkeypatch.delenv("ODITS_HOME")
    assert cache_home().is_absolute() and "odits" in cache_home().parts
