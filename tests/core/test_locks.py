"""Locks that go with their process, and what nobody holds."""

from __future__ import annotations

import math
import os
import threading
import time
from pathlib import Path

import pytest

from odits.core.errors import BusyError, StoreError
from odits.core.locks import PROBE_S, UNSURE_S, hold_new, is_held, locked, remove_unheld, try_lock


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / "work.lock"
    with locked(lock, "busy"):
        assert is_held(lock) and not remove_unheld(lock) and lock.exists()
        with pytest.raises(BusyError, match="busy"), locked(lock, "busy", wait_s=0.05):
            pytest.fail("two hold it")
    assert not lock.exists() and not is_held(lock)


def test_a_lock_that_is_only_asked_about_is_not_busy(tmp_path: Path) -> None:
    lock = tmp_path / "work.lock"
    lock.touch()
    descriptor = os.open(lock, os.O_RDONLY)
    assert try_lock(descriptor)  # as `is_held` does for a moment
    timer = threading.Timer(PROBE_S / 4, os.close, [descriptor])
    timer.start()
    with locked(lock, "busy"):
        pass
    timer.join()


def test_waiting_ends_when_the_holder_does(tmp_path: Path) -> None:
    lock, order = tmp_path / "work.lock", []

    def second() -> None:
        with locked(lock, "busy", wait_s=math.inf):
            order.append("second")

    with locked(lock, "busy"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_many_that_take_turns_never_hold_it_together(tmp_path: Path) -> None:
    lock, inside, most = tmp_path / "work.lock", [], []

    def work() -> None:
        for _ in range(20):
            with locked(lock, "busy", wait_s=60):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 120 and not lock.exists()


def test_a_left_lock_file_is_taken_and_removed(tmp_path: Path) -> None:
    lock = tmp_path / "work.lock"
    lock.touch()
    assert not is_held(lock)
    with locked(lock, "busy"):
        pass
    lock.touch()
    assert remove_unheld(lock) and not lock.exists()
    assert not remove_unheld(lock), "there is none"


def test_new_files_and_folders_are_held(tmp_path: Path) -> None:
    file, folder = tmp_path / "file.tmp", tmp_path / "folder.tmp"
    file.touch()
    (folder / "inside").mkdir(parents=True)
    for path in (file, folder):
        descriptor = hold_new(path)
        assert descriptor is not None
        assert is_held(path) and not remove_unheld(path)
        os.close(descriptor)
        assert remove_unheld(path) and not path.exists()
        assert hold_new(path) is None, "it was removed before it could be held"


def test_without_locks_age_decides_what_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odits.core.locks.fcntl", None)  # as on Windows
    file = tmp_path / "file.tmp"
    file.touch()
    with locked(tmp_path / "work.lock", "busy"), locked(tmp_path / "work.lock", "busy"):
        pass
    assert not remove_unheld(file)
    long_ago = time.time() - UNSURE_S - 1
    os.utime(file, (long_ago, long_ago))
    assert remove_unheld(file)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="can't be written"), locked(tmp_path / "file" / "x.lock", "busy"):
        pytest.fail("locked")
