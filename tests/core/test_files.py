from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.core.files import (
    CHUNK,
    cache_home,
    clear_interrupted,
    clear_leftovers,
    copy_with_progress,
    expand_home,
    move_into_place,
    replacing,
    replacing_folder,
    safe_name,
    temporary_folder,
    write_atomically,
)

REPOSITORY = Path(__file__).parents[2]


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


def test_a_copy_says_how_far_it_is(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"x" * (CHUNK + 5))
    seen: list[tuple[int, int]] = []
    copy_with_progress(source, target, lambda *numbers: seen.append(numbers))
    assert target.read_bytes() == source.read_bytes()
    assert seen == [(0, CHUNK + 5), (CHUNK, CHUNK + 5), (CHUNK + 5, CHUNK + 5)]


def test_names_that_are_good_on_every_disk() -> None:
    assert safe_name("runs:/1/best model") == "runs-1-best-model"
    assert safe_name("x" * 100) == "x" * 80
    assert safe_name("../..") == safe_name("") == "checkpoint"


def test_folders_are_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"
    with replacing_folder(target) as temporary:
        (temporary / "inside").mkdir()
        (temporary / "inside" / "file").write_bytes(b"all of it")
        assert not target.exists()
    assert (target / "inside" / "file").read_bytes() == b"all of it"
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "other"):
        _ = 1 / 0
    with pytest.raises(OditsError, match="can't be written"), replacing_folder(tmp_path / "deep" / "folder"):
        pass  # something is there already
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "file", "folder", "inside"]


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folders")
def test_what_is_moved_is_synced_with_the_folders_that_list_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, fsync = set(), os.fsync

    def noted(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    ready, target = tmp_path / "ready", tmp_path / "new" / "deep" / "target"
    (ready / "inside").mkdir(parents=True)
    (ready / "inside" / "file").write_bytes(b"all of it")
    move_into_place(ready, target)
    moved = [target, target / "inside", target / "inside" / "file"]
    assert {path.stat().st_ino for path in [*moved, tmp_path, tmp_path / "new", tmp_path / "new" / "deep"]} == synced


def test_the_home_of_an_unknown_user_is_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert expand_home("~") == Path.home() and expand_home("~nobody-here/x") == Path("~nobody-here/x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ODITS_HOME", "~nobody-here")
    assert cache_home() == tmp_path / "~nobody-here"


def test_temporary_folders_go_and_need_no_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with temporary_folder("mine") as folder:
        assert folder.is_relative_to(home) and folder.name.startswith(".mine.") and list(folder.iterdir()) == []
        (folder / "file").touch()
        assert clear_leftovers(folder.parent, 0.0) == [], "its process lives"
    assert not folder.exists()
    (tmp_path / "file").touch()
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "file"))
    with temporary_folder("mine") as folder:
        (folder / "file").touch()
    assert not folder.exists()


def test_cache_home_is_odits_home_or_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "mine"))
    assert cache_home() == tmp_path / "mine"
    assert not cache_home().exists()
    monkeypatch.delenv("ODITS_HOME")
    assert cache_home().is_absolute() and "odits" in cache_home().parts


def test_without_a_home_that_the_system_knows_the_cache_is_a_temporary_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> None:
        raise KeyError("no such user")

    for name in ("ODITS_HOME", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert cache_home() == Path(tempfile.gettempdir(), f"odits-{os.getuid()}")


FULL = """
import resource, signal, sys
from pathlib import Path
from odits.core.files import cache_home, temporary_folder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
with temporary_folder("mine") as folder:
    print(folder.is_relative_to(cache_home()), folder.is_dir())
print(list((cache_home() / "cache" / "work").iterdir()))
"""


def test_temporary_folders_are_elsewhere_where_the_disk_has_no_room() -> None:
    done = subprocess.run([sys.executable, "-c", FULL], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["False True", "[]"], done.stderr


def test_only_what_this_program_left_in_a_folder_of_the_users_goes(tmp_path: Path) -> None:
    ours, theirs = tmp_path / ".words.csv.0123456789ab.tmp", [tmp_path / ".notes.2024.tmp", tmp_path / "words.csv.tmp"]
    for path in (ours, *theirs):
        path.write_bytes(b"x")
    with replacing(tmp_path / "words.csv") as held:
        clear_interrupted(tmp_path)
        assert held.exists() and not ours.exists()
    assert all(path.exists() for path in theirs)
