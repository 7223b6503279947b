"""The harness of faults notices what it is there to notice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from benchmarks._reliability.faults import Place, Tally, Trial, Writing
from benchmarks._reliability.kills import changes, marks_of, missing_marks, missing_results
from benchmarks._reliability.memory import growth, write_pictures
from benchmarks._reliability.part import Kept, Part, document, joined, table
from benchmarks._reliability.runner import Ended, Runner
from odits.core.store import JSON, Store, make_key
from odits.data import read_dataset
from odits.data.annotations import remove_mark

REPOSITORY = Path(__file__).parents[2]


def test_a_part_holds_where_something_was_tried_and_nothing_violated() -> None:
    assert Part("kills", 10).held
    assert not Part("kills", 0).held
    for violation in ({"lost": 1}, {"let_in": 1}, {"crashed": 1}):
        assert not Part("kills", 10, **violation).held
    parts = [Part("kills", 1000, worst_seconds=1.25), Part("links", 9, let_in=2, notes=("seed 4",))]
    assert table(parts).splitlines()[1].split() == ["kills", "1,000", "0", "0", "0", "1.2", "-", "held"]
    assert "VIOLATED" in table(parts) and table(parts).endswith("links: seed 4\n")
    found = document(parts, True, 3, {"kills": 2.0, "links": 1.0})
    assert not found["held"] and [part["held"] for part in found["parts"]] == [True, False]
    assert not document([], True, 0, {})["held"]


def test_a_run_that_was_cut_off_goes_on_with_the_parts_that_are_missing_or_were_violated(tmp_path: Path) -> None:
    file = tmp_path / "full.json"
    kept = Kept(file, quick=False, seed=0)
    assert kept.part("kills") is None
    part = Part("kills", 1000, worst_seconds=1.25, notes=("a note",))
    kept.keep("kills", part, 60.0)
    kept.keep("links", Part("links", 9, let_in=2), 5.0)
    again = Kept(file, quick=False, seed=0)
    assert again.part("kills") == (part, 60.0)
    assert again.part("links") is None and again.part("faults") is None
    assert Kept(file, quick=True, seed=0).part("kills") is None
    assert Kept(file, quick=False, seed=1).part("kills") is None
    Kept(None, quick=False, seed=0).keep("kills", part, 60.0)


def test_a_kept_part_is_reported_by_the_name_it_has(tmp_path: Path) -> None:
    file = tmp_path / "quick.json"
    Kept(file, quick=True, seed=0).keep("pictures", Part("damaged pictures", 10), 60.0)
    command = ["benchmarks/reliability.py", "--quick", "--only", "pictures", "--resume", str(file), "--json"]
    ended = subprocess.run([sys.executable, *command], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    (part,) = json.loads(ended.stdout)["parts"]
    assert (part["name"], part["tried"], part["seconds"]) == ("damaged pictures", 10, 60.0)


def test_the_slices_of_a_part_are_one_part() -> None:
    slices = [
        Part("pictures", 10, worst_seconds=1.0, notes=("damaged pictures",)),
        Part("pictures", 20, crashed=1, worst_bytes=7, notes=("damaged pictures", "seed 1, mutant 3")),
    ]
    notes = ("damaged pictures", "seed 1, mutant 3")
    assert joined(slices) == Part("pictures", 30, crashed=1, worst_seconds=1.0, worst_bytes=7, notes=notes)
    assert joined(slices[:1]) == slices[0]


def test_a_lost_mark_is_noticed() -> None:
    for change in islice(changes("seed-data", "data"), 30):
        change.write("Anna")
    assert missing_marks("Anna", "data", "seed", {}, 30) == []
    assert missing_marks("Anna", "data", "seed", {}, 29) == []  # the last one was not acknowledged
    remove_mark("Anna", next(iter(marks_of("Anna", "data"))))
    assert len(missing_marks("Anna", "data", "seed", {}, 30)) == 1


def test_a_lost_result_is_noticed() -> None:
    store: Store[str] = Store("killed-results", JSON)
    assert missing_results(store, "seed", 0) == []
    store.put(make_key(seed="seed", number=0), "something else")
    assert missing_results(store, "seed", 1) == ["acknowledged results [0] are not there"]


class Careless(Runner):
    """A command that writes in place: where the disk fails, half of the new version is there."""

    def __init__(self, says: str) -> None:
        self.says = says

    def run(self, arguments: object, **environment: str) -> Ended:
        file = Path(str(arguments).partition("'")[2].partition("'")[0])
        if counted := environment.get("ODITS_FAULT_COUNT"):
            Path(counted).write_bytes(b"...")
        if "ODITS_FAULT_AFTER" in environment and not counted:
            file.write_bytes(b"half")
            return Ended(1, "", self.says)
        file.write_bytes(b"half and half")
        return Ended(0, "", "")


@pytest.mark.parametrize(("says", "crashed"), [("odits: the disk is full.", 0), ("", 1), ("Traceback\nOSError", 1)])
def test_half_a_file_and_a_missing_sentence_are_noticed(says: str, crashed: int, tmp_path: Path) -> None:
    tally = Tally()
    writing = Writing("careless", lambda data, place: [str(place.out / "file")], old="file")
    tester = Trial(writing, tmp_path, tmp_path / "place", Careless(says), tally)
    tester.one_fault("disk full", random.Random(0))
    assert (tally.tried, tally.lost, tally.crashed) == (1, 1, crashed)
    assert Place(tmp_path / "place").out.is_dir()


@pytest.mark.slow
def test_the_command_prints_one_document_and_ends_with_its_status() -> None:
    command = [sys.executable, "benchmarks/reliability.py", "--quick", "--only", "hostile", "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=900)
    found = json.loads(done.stdout)
    assert (done.returncode == 0) == found["held"]
    (part,) = found["parts"]
    assert part["name"] == "hostile files" and part["tried"] > 20 and part["held"], part["notes"]


def test_memory_that_fills_up_first_and_stays_then_has_not_grown() -> None:
    rng = random.Random(0)
    stays = [(number, 10**9 + min(number, 100) * 10**6 + rng.randrange(10**5)) for number in range(0, 400, 5)]
    slope, error = growth(stays)
    assert abs(slope) < 3 * error and 1000 * abs(slope) < 1e6
    grows = [(number, size + 10**5 * number) for number, size in stays]
    slope, error = growth(grows)
    assert slope - 2 * error > 0.9e5


def test_the_pictures_of_the_memory_part_are_a_data_set_that_differs_in_each(tmp_path: Path) -> None:
    names = write_pictures(tmp_path, 6, seed=1)
    dataset = read_dataset(tmp_path)
    assert [record.name for record in dataset.split("eval")] == names
    assert len({record.digest for record in dataset.records}) == 6
