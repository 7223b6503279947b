"""Two to eight processes at the same marks, results, file, data set and index: they leave what one would."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks._reliability.children import Acknowledge, fork
from benchmarks._reliability.kills import Marks, changes, marks_of
from benchmarks._reliability.part import Part, PartProgress, Tally
from benchmarks.kills import copy_fonts, make_data
from benchmarks.reporting import own_home
from odits.core.files import write_atomically
from odits.core.store import JSON, Store, make_key
from odits.data.annotations import put_marks, read_marks
from odits.data.marks import ImageWord, Mark, now

REPOSITORY = Path(__file__).parents[2]
QUICK, FULL = 40, 200
"""Rounds in all."""
INDEX_EVERY = {True: 40, False: 20}
DATA_EVERY = 10
CHANGES = 12
"""What each process does in a round."""


def run(quick: bool, seed: int, progress: PartProgress) -> Part:
    """Let processes write the same at once, and compare with one that writes alone."""
    rounds, tally = QUICK if quick else FULL, Tally()
    with tempfile.TemporaryDirectory(prefix="odits-several-") as name, own_home():
        folder = Path(name)
        data_set, index = DataSet(folder), Index(folder, 2 if quick else 4)
        for number in range(rounds):
            rng = random.Random(f"{seed}-{number}")
            if number % INDEX_EVERY[quick] == INDEX_EVERY[quick] - 1:
                what: Callable[[int, random.Random], list[str]] = index
            elif number % DATA_EVERY == DATA_EVERY - 1:
                what = data_set
            else:
                what = (write_marks, write_same_marks, compute_results, replace_file)[number % 4]
            count, began = rng.randint(2, 8), time.monotonic()
            problems = what(count, rng)
            tally.count(f"round {number}, {count} processes, seed {seed}", problems, time.monotonic() - began)
            progress(number + 1, rounds)
    return tally.to_part("several", "marks, results, one file, a drawn data set and an index of pictures")


def together(count: int, work: Callable[[int], None]) -> list[str]:
    """Let so many forked processes work at once, each told its number; say which failed."""

    def one(number: int) -> Callable[[Acknowledge], None]:
        return lambda acknowledge: work(number)

    children = [fork(one(number)) for number in range(count)]
    ended = [child.end()[1] for child in children]
    return [f"process {number} ended with status {status}, see above" for number, status in enumerate(ended) if status]


def write_marks(count: int, rng: random.Random) -> list[str]:
    """Let processes change the marks of one annotator, each in a data set of its own."""
    seed = str(rng.random())

    def work(number: int) -> None:
        for change in islice(changes(f"{seed}-{number}", f"set {number}"), CHANGES):
            change.write(seed)

    problems = together(count, work)
    for number in range(count):
        expected: Marks = {}
        for change in islice(changes(f"{seed}-{number}", f"set {number}"), CHANGES):
            expected = change.apply(expected)
        if marks_of(seed, f"set {number}") != expected:
            problems.append(f"the marks in set {number} are not those that were given")
    return problems


def write_same_marks(count: int, rng: random.Random) -> list[str]:
    """Let processes mark the same words, as two windows of one annotator do: each word has the mark of one of them."""
    name = str(rng.random())
    words = [ImageWord("one", f"{place}.jpg", "a") for place in range(CHANGES)]

    def work(number: int) -> None:
        for word in random.Random(f"{name}-{number}").sample(words, len(words)):
            put_marks(name, [(word, Mark("right", str(number), now()))], only_newer=True)

    problems = together(count, work)
    found = read_marks(name)
    if set(found) != set(words) or any(mark.note not in map(str, range(count)) for mark in found.values()):
        problems.append("words have no mark, or one that nobody gave")
    return problems


def compute_results(count: int, rng: random.Random) -> list[str]:
    """Let processes ask for the same results: each is computed once, and the same for all."""
    store, seed = Store("shared-results", JSON), str(rng.random())
    keys = [make_key(seed=seed, number=number) for number in range(CHANGES)]
    computed = store.root.with_name(f"computed-{seed}")

    def compute(key: str) -> str:
        with computed.open("a", encoding="ascii") as file:
            file.write(key + "\n")
        time.sleep(0.002)
        return key * 100

    def work(number: int) -> None:
        for key in random.Random(f"{seed}-{number}").sample(keys, len(keys)):
            assert store.get_or_compute(key, lambda key=key: compute(key)) == key * 100  # type: ignore[misc]

    store.root.mkdir(parents=True, exist_ok=True)
    problems = together(count, work)
    if sorted(computed.read_text("ascii").split()) != sorted(keys):
        problems.append("a result was computed twice")
    if any(store.get(key) != key * 100 for key in keys):
        problems.append("a result is not there")
    return problems


def replace_file(count: int, rng: random.Random) -> list[str]:
    """Let processes replace one file while this one reads it: it is one of theirs, whole, at any time."""
    with own_home():
        file = Path(os.environ["ODITS_HOME"]) / "file"
        contents = {bytes([65 + number]) * rng.randrange(1, 300_000) for number in range(count)}
        ordered = sorted(contents)
        write_atomically(file, ordered[0])

        def work(number: int) -> None:
            for _ in range(CHANGES):
                write_atomically(file, ordered[number % len(ordered)])

        children = [fork(lambda acknowledge, number=number: work(number)) for number in range(count)]  # type: ignore[misc]
        problems = []
        for _ in range(200):
            if file.read_bytes() not in contents:
                problems.append("half a file was there to be read")
                break
        problems += [f"a process ended with status {status}" for _, status in (one.end() for one in children) if status]
        left = [path.name for path in file.parent.iterdir() if path != file]
        return problems + ([f"{left} are left"] if left else [])


class DataSet:
    """Processes that draw the same data set into one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._expected, self._number = folder, dict[str, bytes](), 0
        copy_fonts(folder / "fonts")

    def __call__(self, count: int, rng: random.Random) -> list[str]:
        """Draw it, and compare it with one that was drawn alone."""
        if not self._expected:
            self._draw(self._folder / "alone")
            self._expected = files_of(self._folder / "alone")
        self._number += 1
        out = self._folder / f"drawn-{self._number}"
        problems = together(count, lambda number: self._draw(out))
        found = files_of(out)
        return problems + ([] if found == self._expected else ["the data set is not that of one process"])

    def _draw(self, folder: Path) -> None:
        from odits.training.rendering import SignRenderer, usable_fonts
        from odits.training.sign_texts import SignTexts
        from odits.training.streets import render_dataset

        words = ["hotel", "bank", "cafe", "pizza", "street"]
        render_dataset(SignRenderer(usable_fonts([self._folder / "fonts"]), words), SignTexts(words), folder, (2, 1), 1)


class Index:
    """Commands that index the same pictures, each in a process of its own."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most, self._expected, self._number = folder, most, dict[str, Any](), 0
        self._data = make_data(folder / "data")
        for path in sorted(self._data.glob("*.jpg"))[2:]:  # two pictures are enough
            path.unlink()

    def __call__(self, count: int, rng: random.Random) -> list[str]:
        """Index them, and compare the index with one that was made alone."""
        if not self._expected:
            self._expected = self._ask(self._folder / "home-alone", 1)[0]
        self._number += 1
        home = self._folder / f"home-{self._number}"
        answers = self._ask(home, min(count, self._most))
        waiting = "being built already"  # a sentence too is an answer
        answers = [answer for answer in answers if waiting not in answer["said"]] or self._ask(home, 1)
        wrong = [str(answer) for answer in answers if answer != self._expected]
        return [f"an index answers otherwise: {wrong[0][:300]}"] if wrong else []

    def _ask(self, home: Path, count: int) -> list[dict[str, Any]]:
        """Start so many searches at once; return their answers and the bytes of the index, or what went wrong."""
        command = [sys.executable, "-m", "odits", "search", "hotel", "--folder", str(self._data), "--workers", "1"]
        processes = [
            subprocess.Popen(
                [*command, "--json"],
                cwd=REPOSITORY,
                env=os.environ | {"ODITS_HOME": str(home), "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(count)
        ]
        answers = []
        for process in processes:
            out, err = process.communicate()
            answer: dict[str, Any] = {"status": process.returncode, "said": err[-300:] if process.returncode else ""}
            with suppress(ValueError):
                answer["results"] = json.loads(out)["results"]
            answers.append(answer)
        arrays = {path.name: path.read_bytes() for path in home.glob("cache/indexes/*/*/*/*/*.npy")}
        return [answer | {"arrays": arrays} for answer in answers]


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
