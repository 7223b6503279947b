"""What the stores hold, and what goes: leftovers, older versions, the old and the least used; never what is held."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.core.inventory import Item, prune, read_size, summarise, take_inventory
from odits.core.store import JSON, Entries, Store, make_key, work_lock

DAY = 86400


def put(kind: str, name: str, version: int = 1, size: int = 100, days: float = 0) -> Path:
    store: Store[str] = Store(kind, JSON, version)
    key = make_key(name=name)
    store.put(key, "x" * (size - 2))
    return aged(store.path(key), days)


def aged(path: Path, days: float) -> Path:
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def left(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"12345")
    return path


def names(items: list[Item]) -> set[str]:
    return {item.path.name for item in items}


def test_nothing_is_there_yet() -> None:
    assert take_inventory() == [] and prune([], True, 0, 0) == []


def test_entries_and_bytes_are_counted_by_kind_and_state(home: Path) -> None:
    for name in "abc":
        put("objects", name)
    put("objects", "a", version=2, size=300)
    tables = Entries("evaluations")
    folder = tables.path(make_key())
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "rows").write_bytes(b"1" * 50)
    left(home / "cache" / "objects" / ".tmp" / ".x.json.0123.tmp")
    left(folder / ".rows.0123.tmp")
    left(home / "cache" / "work" / ".pull.0123.tmp" / "model.safetensors")
    left(home / "objects" / "0123" / "4567.json")
    left(home / "evaluations" / "0123" / "evaluation.json")
    found = summarise(take_inventory())
    assert list(found) == ["evaluations", "objects", "work"]
    objects, evaluations = found["objects"], found["evaluations"]
    assert (objects.current.count, objects.current.bytes) == (1, 300)
    assert (objects.older.count, objects.older.bytes) == (3, 300)
    assert (objects.former.count, objects.former.bytes, objects.left.count, objects.left.bytes) == (1, 5, 1, 5)
    assert (evaluations.current.count, evaluations.current.bytes) == (1, 55)
    assert (evaluations.older.count, evaluations.left.count) == (1, 1)
    assert (found["work"].left.count, found["work"].left.bytes, found["work"].current.count) == (1, 5, 0)
    assert objects.bytes == 610
    assert {item.kind for item in take_inventory(["objects"])} == {"objects"}


def test_pruning_takes_what_was_left_and_what_only_older_versions_read(home: Path) -> None:
    current = put("objects", "a", version=2)
    gone = [
        put("objects", "a"),
        left(home / "cache" / "objects" / ".tmp" / ".x.json.0123.tmp"),
        left(home / "cache" / "objects" / ".locks" / "v1-x.json.lock"),
        left(home / "cache" / "work" / ".pull.0123.tmp" / "model.safetensors"),
        left(home / "cache" / "work" / "pull-x.lock"),
        left(home / "checkpoints" / "run" / ".state.pt.0123.tmp"),
        left(home / "checkpoints" / "run" / "state.pt.part"),
        left(home / "evaluations" / "0123" / "evaluation.json"),
        left(home / "inputs" / "0123.npy"),
        left(home / "objects" / "0123" / ".4567.json.89ab.tmp"),
    ]
    stay = [
        current,
        put("readings", "a", days=400),
        left(home / "objects" / "0123" / "4567.json"),  # still read
        left(home / "comparisons" / "odits-0123" / "best.safetensors"),  # trained
        left(home / "checkpoints" / "run" / "best.safetensors"),
        left(home / "checkpoints" / "run" / "state.pt"),
        left(home / "weights" / "sam_vit_b_01ec64.pth.part"),  # a download goes on with it
        left(home / "weights" / "known-sam.json"),
        left(home / "annotations" / "svt.db"),
        left(home / "mlflow" / "mlflow.db"),
        left(home / "mlflow" / "artifacts" / "0" / ".part.tmp"),
    ]
    removed = prune(take_inventory(), stale=True)
    assert [path for path in gone if path.exists()] == []
    assert [path for path in stay if not path.exists()] == []
    assert len(removed) == len(gone)
    assert prune(take_inventory(), stale=True) == []
    assert prune(take_inventory(["trials"]), stale=True, named=["trials"]) != [], "named, it goes"


def test_what_was_not_used_for_long_goes(home: Path) -> None:
    put("objects", "new")
    put("objects", "old", days=40)
    put("readings", "old", days=40)
    put("trials", "old", days=40)
    aged(left(home / "objects" / "0123" / "4567.json"), 40)
    assert prune(take_inventory(), older_than_s=50 * DAY) == []
    removed = prune(take_inventory(), older_than_s=30 * DAY)
    assert sorted(item.kind for item in removed) == ["objects", "objects", "readings"]
    assert sorted(item.kind for item in take_inventory()) == ["objects", "trials"]


def test_the_least_recently_used_make_room(home: Path) -> None:
    paths = [put("objects", str(days), size=100, days=days) for days in range(1, 6)]
    then = time.time()
    os.utime(paths[4], (then, paths[4].stat().st_mtime))  # written long ago, used just now
    assert prune(take_inventory(), max_bytes=500) == []
    removed = prune(take_inventory(), max_bytes=250)
    assert [item.path for item in removed] == [paths[3], paths[2], paths[1]]
    assert [path for path in paths if path.exists()] == [paths[0], paths[4]]
    assert len(prune(take_inventory(), max_bytes=0)) == 2 and take_inventory() == []


HOLD = """
import sys, time
from odits.core.files import temporary_folder
from odits.core.store import JSON, Entries, Store, make_key
store, tables = Store("objects", JSON), Entries("evaluations")
with store.lock(make_key(name="a")), tables.lock(make_key()), store.writing(make_key(name="b")), temporary_folder():
    print("held", flush=True)
    time.sleep(60)
"""


def test_what_a_running_process_holds_stays_until_it_is_gone(home: Path) -> None:
    kept = put("objects", "a", days=99)
    table = Entries("evaluations").path(make_key())
    left(table / "probabilities.npy")
    other = put("objects", "other", days=99)
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        items = take_inventory()
        assert not [item for item in items if item.state == "left"], "its temporary files are at work"
        assert summarise(items)["objects"].held == summarise(items)["evaluations"].held == 1
        assert [item.path for item in prune(items, True, 0, 0)] == [other]
        assert kept.exists() and table.exists()
    finally:
        holder.kill()
        holder.wait()
    assert len([item for item in take_inventory() if item.state == "left"]) == 4
    prune(take_inventory(), True)
    assert kept.exists() and table.exists()
    assert [item for item in take_inventory() if item.state == "left"] == []
    prune(take_inventory(), True, 0)
    assert take_inventory() == []


def test_locks_of_works_are_no_leftovers_while_they_are_held(home: Path) -> None:
    with work_lock("pull-x", "busy"):
        assert take_inventory() == []


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("12", 12), ("2GB", 2 * 10**9), ("1.5 gib", 3 << 29), (" 500kB ", 500_000)]
)
def test_sizes(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "2 XB", "1e9", "two"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(OditsError, match="is no size"):
        read_size(text)
