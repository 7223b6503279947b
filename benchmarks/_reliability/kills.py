"""SIGKILL: nothing acknowledged is lost, nothing is unreadable, the next start goes on.

Marks and results are written by forked processes that acknowledge each one; commands run as people start them
(`benchmarks/kills.py`), and so does the app's page Browse, whose answer is the acknowledgement.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count as count_from
from itertools import islice
from pathlib import Path
from typing import Any, cast

from benchmarks import kills as commands
from benchmarks._reliability.children import Acknowledge, Child, fork
from benchmarks._reliability.part import Part, PartProgress, Tally
from benchmarks._reliability.spread import Unit, spread
from benchmarks.reporting import own_home
from odits.core.errors import OditsError
from odits.core.files import leftovers
from odits.core.store import JSON, Store, make_key
from odits.data.annotation_files import annotation_file
from odits.data.annotations import change_marks, put_marks, read_marks, redo, remove_mark, set_mark, undo
from odits.data.marks import JUDGEMENTS, VERDICTS, ImageWord, Mark
from odits.data.marks import Change as MarkChange

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "assets" / "demo"
QUICK = {"marks": 60, "results": 40, "app": 2, "commands": 2}
FULL = {"marks": 520, "results": 300, "app": 60, "commands": 120}
COMMANDS = ("render", "search", "objects", "precompute", "evaluate")
QUICK_COMMANDS = ("render",)
UNIT_ROUNDS, APP_ROUNDS = 20, 10
"""Rounds that follow one another in one process: those of an annotator, in multiples of four, or of one app's marks."""
LONGEST_S = 0.2
"""The latest moment at which a writer of marks or results is killed."""
Marks = dict[ImageWord, tuple[str, str]]


def run(quick: bool, seed: int, progress: PartProgress) -> Part:
    """Kill writers of marks and results, the app while a person marks, and commands."""
    rounds = QUICK if quick else FULL
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="odits-kills-") as name:
        spread(list(units(quick, seed, Path(name))), tally, progress)
    counts = ", ".join(f"{count} {name}" for name, count in rounds.items())
    return tally.to_part("kills", f"kills while writing: {counts}")


def units(quick: bool, seed: int, folder: Path) -> Iterator[Unit]:
    """Yield what can be killed side by side; what takes longest comes first."""
    rounds = QUICK if quick else FULL
    chosen = QUICK_COMMANDS if quick else COMMANDS
    for name in chosen:
        yield partial(kill_command, name, rounds["commands"] // len(chosen), seed, folder / name)
    for start in range(0, rounds["app"], APP_ROUNDS):
        yield partial(kill_app, range(start, min(start + APP_ROUNDS, rounds["app"])), seed)
    for start in range(0, rounds["results"], UNIT_ROUNDS):
        yield partial(kill_writers, "results", range(start, min(start + UNIT_ROUNDS, rounds["results"])), seed)
    for start in range(0, rounds["marks"], UNIT_ROUNDS):
        yield partial(kill_writers, "marks", range(start, min(start + UNIT_ROUNDS, rounds["marks"])), seed)


def kill_command(name: str, rounds: int, seed: int, folder: Path, tally: Tally) -> None:
    """Kill a command, and look at what the next start makes of it."""
    add_command(tally, name, commands.kill_all(folder, (name,), rounds, random.Random(seed))[name], seed)


def add_command(tally: Tally, name: str, found: commands.Tally, seed: int) -> None:
    """Add what came of the kills of a command, and how to see again what was wrong."""
    tally.tried += found.rounds
    tally.lost += found.different + found.repeated + found.left
    tally.crashed += found.failed
    if found.wrong:
        again = f"python benchmarks/kills.py --commands {name} --rounds {found.rounds} --seed {seed}"
        tally.notes.append(f"{name}: {found.wrong} wrong, killed at {found.moments} s; {again}")


def kill_writers(what: str, numbers: range, seed: int, tally: Tally) -> None:
    """Kill writers of marks or of results."""
    with own_home():
        for number in numbers:
            if what == "marks":
                kill_marking(f"{seed}-marks-{number}", number, tally)
            else:
                kill_storing(f"{seed}-results-{number}", tally)


# Marks.


@dataclass(frozen=True)
class Change:
    """What a writer does to an annotator's marks in one step: marks of words, in a batch or not, or taking one back."""

    marks: tuple[tuple[ImageWord, Mark], ...]
    undone: ImageWord | None = None
    batch: str = ""
    session: str = ""

    def write(self, name: str) -> None:
        """Do it, in the way that the app and the command line do."""
        if self.undone is not None:
            remove_mark(name, self.undone)
        elif self.batch:
            sent = [MarkChange(word, mark.verdict, mark.note) for word, mark in self.marks]
            for _ in range(2):  # as a browser does that got no answer
                change_marks(name, sent, self.batch, self.session)
            undo(name, self.session)  # and what is there then is what was there before
            redo(name, self.session)
        elif len(self.marks) == 1:
            ((word, mark),) = self.marks
            set_mark(name, word, mark.verdict, mark.note)
        else:
            put_marks(name, self.marks)

    def apply(self, marks: Marks) -> Marks:
        """Return the marks after it."""
        after = marks | {word: (mark.verdict, mark.note) for word, mark in self.marks}
        return {word: mark for word, mark in after.items() if word != self.undone}


def changes(seed: str, data: str) -> Iterator[Change]:
    """Yield changes without end: the same for the same seed."""
    rng = random.Random(seed)

    def word() -> ImageWord:
        return ImageWord(data, f"{rng.randrange(20)}.jpg", f"word {rng.randrange(20)}")

    def mark() -> Mark:
        return Mark(rng.choice(VERDICTS), "n" * rng.choice((0, 0, 5, 900)), "2026-01-01T00:00:00")

    while True:
        kind = rng.random()
        if kind < 0.2:
            yield Change((), word())
        else:
            marks = tuple((word(), mark()) for _ in range(1 if kind < 0.6 else rng.randint(2, 60)))
            yield Change(marks, batch=f"{data} {rng.random()}" if kind < 0.8 else "", session=data)


def start_marking(name: str, seed: str, data: str) -> Child:
    """Fork a process that changes marks and acknowledges each change."""

    def work(acknowledge: Acknowledge) -> None:
        for change in changes(seed, data):
            change.write(name)
            acknowledge()

    return fork(work)


def marks_of(name: str, data: str) -> Marks:
    """Read an annotator's marks in one data set."""
    return {word: (mark.verdict, mark.note) for word, mark in read_marks(name, data).items()}


def kill_marking(seed: str, number: int, tally: Tally) -> None:
    """Kill a writer of marks, in every third round of two that write at once, and look at what is there then.

    One in four rounds begins a file; the others go on with it.
    """
    rng = random.Random(seed)
    name = f"Annotator {number // 4}"
    sets = ("one", "two") if number % 3 == 0 else ("one",)
    before = {data: marks_of(name, data) for data in sets}
    children = {data: start_marking(name, f"{seed}-{data}", data) for data in sets}
    if number % 4:  # begun long before: it is killed at work, not at its start
        for child in children.values():
            child.wait_for_work(10)
    time.sleep(rng.uniform(0, LONGEST_S))
    for child in children.values():
        child.kill()
        time.sleep(rng.choice((0.0, 0.02)))
    problems = []
    counts = {data: child.end() for data, child in children.items()}
    began = time.monotonic()
    for data, (count, status) in counts.items():
        if status != -signal.SIGKILL:
            tally.crashed += 1
            problems.append(f"the writer ended with status {status}, see above (seed {seed})")
        problems += [f"{problem} (seed {seed})" for problem in missing_marks(name, data, seed, before[data], count)]
    tally.count("marks", problems, time.monotonic() - began)


def missing_marks(name: str, data: str, seed: str, before: Marks, count: int) -> list[str]:
    """Say what is wrong with an annotator's marks: all acknowledged changes have to be there, and at most one more."""
    expected = before
    done = list(islice(changes(f"{seed}-{data}", data), count + 1))
    for change in done[:count]:
        expected = change.apply(expected)
    try:
        found = marks_of(name, data)
        if found not in (expected, done[count].apply(expected)):
            return [f"after {count} acknowledged changes {len(found)} marks are there, not {len(expected)}"]
        path = annotation_file(name)
        if path.exists() and path.stat().st_size:
            with closing(sqlite3.connect(path)) as connection:
                (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
            if sound != "ok":
                return [f"the file is not sound: {sound}"]
        set_mark(name, ImageWord("next", "start", "a"), "right")
    except (OditsError, sqlite3.Error) as error:
        return [f"the next start fails: {error}"]
    return []


# Results.


def key_of(seed: str, number: int) -> str:
    """Return the key of a writer's result."""
    return make_key(seed=seed, number=number)


def value_of(seed: str, number: int) -> str:
    """Return a writer's result, of ten bytes to 800 kB."""
    rng = random.Random(f"{seed}-{number}")
    return rng.randbytes(rng.choice((10, 10_000, 400_000))).hex()


def kill_storing(seed: str, tally: Tally) -> None:
    """Kill a writer of results, and read all that it acknowledged."""
    store = Store("killed-results", JSON)

    def work(acknowledge: Acknowledge) -> None:
        for number in count_from(0):
            value = value_of(seed, number)
            if number % 2:
                store.get_or_compute(key_of(seed, number), lambda value=value: value)  # type: ignore[misc]
            else:
                store.put(key_of(seed, number), value)
            acknowledge()

    child = fork(work)
    child.wait_for_work(10)
    time.sleep(random.Random(seed).uniform(0, LONGEST_S))
    child.kill()
    count, status = child.end()
    began = time.monotonic()
    problems = missing_results(store, seed, count)
    if status != -signal.SIGKILL:
        tally.crashed += 1
        problems.append(f"the writer ended with status {status}, see above")
    tally.count("results", [f"{problem} (seed {seed})" for problem in problems], time.monotonic() - began)


def missing_results(store: Store[str], seed: str, count: int) -> list[str]:
    """Say what is wrong with a store after a kill: all acknowledged results have to be there, and none damaged."""
    problems = []
    if wrong := [number for number in range(count) if store.get(key_of(seed, number)) != value_of(seed, number)]:
        problems.append(f"acknowledged results {wrong} are not there")
    if any(store.get(key) is None for key in store.all_keys()):
        problems.append("a result is there that can't be read")
    if store.get_or_compute(key_of(seed, count), lambda: value_of(seed, count)) != value_of(seed, count):
        problems.append("the next start reads something else")
    for path in leftovers(store.root, deep=True):
        os.utime(path, (0, 0))
    Store("killed-results", JSON).clear()
    if leftovers(store.root, deep=True):
        problems.append("something temporary is left")
    for key in store.all_keys():
        store.remove(key)
    return problems


# The app.

APP_NAME = "Anna"
APP = """
import os, random, sys
from streamlit.testing.v1 import AppTest

app = AppTest.from_file("pages/browse.py", default_timeout=120)
address = {"images": "demo", "vocabulary": "demo", "model": "embedded", "annotator": "Anna"}
for name, value in {**address, "view": "image", "opened": "cafe.jpg"}.items():
    app.query_params[name] = value
app.run()
assert not app.exception, app.exception
rng = random.Random(sys.argv[1])
while True:
    word, verdict = rng.randrange(5), rng.choice(("right", "wrong", "unsure"))
    app.button(key=f"{verdict}-{word}").click().run()
    assert not app.exception and not app.error, (app.exception, app.error)
    sys.stdout.write(f"{verdict} {word}\\n")
    sys.stdout.flush()
"""


def kill_app(numbers: range, seed: int, tally: Tally) -> None:
    """Kill the page Browse while a person marks words, and look for the marks that it showed."""
    with own_home():
        words = store_evaluation()
        marks: dict[str, str] = {}
        for number in numbers:
            presses = presses_before_kill(f"{seed}-app-{number}")
            began = time.monotonic()
            expected = marks
            for verdict, word in presses:
                expected = press(expected, verdict, words[word])
            possible = [expected, *(press(expected, v, w) for v in JUDGEMENTS for w in words[:5])]
            marks = {word.word: mark.verdict for word, mark in read_marks(APP_NAME).items()}
            problems = [] if marks in possible else [f"{marks} is there, not {expected} (round {number}, seed {seed})"]
            if not presses:
                tally.crashed += 1
                problems.append(f"nothing was marked before the kill (round {number}, seed {seed})")
            tally.count("app", problems, time.monotonic() - began)


def presses_before_kill(seed: str) -> list[tuple[str, int]]:
    """Start the page, let words be marked, and kill it; return verdict and word of each press that it showed."""
    process = subprocess.Popen(
        [sys.executable, "-c", APP, seed], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(random.Random(seed).uniform(0, 2))
    process.kill()
    lines = [first, *process.stdout.read().splitlines(keepends=True)]
    process.wait()
    whole = [line.split() for line in lines if line.endswith("\n")]
    return [(verdict, int(word)) for verdict, word in whole]


def press(marks: dict[str, str], verdict: str, word: str) -> dict[str, str]:
    """Return the marks after a press of a button, which takes back a mark that says the same."""
    rest = {other: mark for other, mark in marks.items() if other != word}
    return rest if marks.get(word) == verdict else rest | {word: verdict}


def store_evaluation() -> list[str]:
    """Store an evaluation of the demo images by a model that throws dice; return the first words of cafe.jpg."""
    import numpy as np
    from PIL import Image

    from odits.data import Vocabulary, read_dataset
    from odits.evaluation.results import evaluate_and_store
    from odits.models.registry import parse

    class Dice:
        name, checkpoint = "Dice", parse("embedded").digest

        def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary, **_: object) -> np.ndarray:
            return np.random.default_rng(1).dirichlet(np.full(len(vocabulary), 0.1), len(images)).astype(np.float32)

    demo = read_dataset(DEMO)
    stored = evaluate_and_store(cast(Any, Dice()), "embedded", demo, "all", demo.vocabulary())
    places, _ = stored.top(10)
    return [stored.vocabulary.words[place] for place in places[stored.images.index("cafe.jpg")]]
