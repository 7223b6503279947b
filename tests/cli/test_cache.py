"""`odits cache`, and `odits precompute` twice at once: what is stored is computed once, counted, and can go."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from odits.core.store import JSON, Store, make_key
from odits.models.segmentation.segmenters import load_segmenter
from odits.objects.codec import OBJECTS, result_key
from tests.cli.test_cli import ROOT, refused, run

DEMO = ROOT / "assets" / "demo"


def test_an_empty_house(home: Path) -> None:
    done = run("cache", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "home": str(home),
        "kinds": {},
        "bytes": 0,
        "removed": {"count": 0, "bytes": 0},
    }
    assert not (home / "cache").exists(), "looking leaves nothing"
    assert run("cache", "--prune").returncode == 0


def test_what_is_there_is_shown_and_goes(home: Path) -> None:
    for version in (1, 2):
        store: Store[str] = Store("objects", JSON, version)
        for name in "ab":
            store.put(make_key(name=name), "x" * 998)
    left = home / "cache" / "objects" / ".tmp" / ".x.json.0123.tmp"
    left.write_bytes(b"12345")
    former = home / "objects" / "0123" / "4567.json"
    former.parent.mkdir(parents=True)
    former.write_text("{}")
    shown = run("cache")
    assert shown.returncode == 0 and "objects" in shown.stdout and "4.0 kB" in shown.stdout, shown
    assert "--prune" in shown.stderr and "former place" in shown.stderr
    known = json.loads(run("cache", "--json").stdout)["kinds"]["objects"]
    assert known == {
        "count": 2,
        "bytes": 2000,
        "older_versions": {"count": 2, "bytes": 2000},
        "former_place": {"count": 1, "bytes": 2},
        "leftovers": {"count": 1, "bytes": 5},
        "in_use": 0,
    }
    pruned = json.loads(run("cache", "--prune", "--json").stdout)
    assert pruned["removed"] == {"count": 3, "bytes": 2005}
    assert pruned["kinds"]["objects"]["count"] == pruned["kinds"]["objects"]["former_place"]["count"] + 1 == 2
    assert not left.exists() and former.exists()
    emptied = json.loads(run("cache", "--max-size", "0", "--kind", "objects", "--json").stdout)
    assert emptied["bytes"] == 0 and emptied["removed"]["count"] == 3 and emptied["kinds"] == {}


def test_mistakes_are_one_line(home: Path) -> None:
    assert "is no size" in refused("cache", "--max-size", "big")
    assert "no results of the kind 'nothing'" in refused("cache", "--kind", "nothing")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in sorted(DEMO.glob("*.jpg"))[:4]:
        (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.slow
def test_two_precomputes_at_once_compute_each_image_once(home: Path, pictures: Path) -> None:
    command = [sys.executable, "-m", "odits", "precompute", "--folder", str(pictures), "--workers", "2", "--json"]
    began = time.time()
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    stamps: dict[str, set[int]] = {}
    key = load_segmenter("embedded").key
    entries = {path.name: OBJECTS.path(result_key(path.read_bytes(), key)) for path in pictures.iterdir()}
    while any(process.poll() is None for process in processes):
        for name, entry in entries.items():
            if entry.exists():
                stamps.setdefault(name, set()).add(entry.stat().st_ino)
        time.sleep(0.005)
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    reports = [json.loads(out) for out, _ in said]
    assert sum(report["computed"] for report in reports) == 4, "in both together"
    assert all(report["computed"] + report["kept_from_before"] == 4 for report in reports)
    assert {name: len(found) for name, found in stamps.items()} == dict.fromkeys(entries, 1), "written once each"
    assert all(entry.stat().st_mtime >= began for entry in entries.values())
    counted = json.loads(run("cache", "--json").stdout)["kinds"]["objects"]
    assert counted["count"] == 4 and counted["leftovers"]["count"] == counted["in_use"] == 0
