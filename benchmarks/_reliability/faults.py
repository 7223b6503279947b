"""A disk that is full, read-only or broken, at every call of each writing path.

A library that is preloaded (faults.c, compiled here) makes the N-th call that writes below a folder fail, and all after
it or that one alone. Then the command has to end with a sentence and a status that is not 0, with the old version of
what it writes intact; or with status 0 and the right result, where only what it would have remembered could not be
written. Once the disk is well again, the same command has to succeed.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks._reliability.part import Part, PartProgress, Tally
from benchmarks._reliability.runner import Ended, Runner, runner
from benchmarks._reliability.spread import spread
from benchmarks.kills import make_data
from benchmarks.reporting import home_at
from odits.core.errors import OditsError
from odits.data.annotation_tables import marks_csv
from odits.data.annotations import put_marks, read_marks
from odits.data.marks import ImageWord, Mark

ERRORS = {"disk full": errno.ENOSPC, "read-only": errno.EROFS, "EIO": errno.EIO}
QUICK_TRIES, FULL_TRIES = 4, 24
"""Faults of each kind for each writing path, at calls that are drawn at random."""
OLD = b"the old version"
_TIME = re.compile(rb"20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*(\+00:00)?")  # when CVAT's and COCO's files were written


@dataclass(frozen=True)
class Place:
    """Where one try takes place: everything below `root` can fail."""

    root: Path

    @property
    def home(self) -> Path:
        """The ODITS_HOME."""
        return self.root / "home"

    @property
    def out(self) -> Path:
        """The folder that results are written to."""
        return self.root / "out"


def files_of(place: Place) -> Any:
    """Return the bytes of what was written, by names; of temporary files the names alone."""
    found = {}
    for path in sorted(place.out.rglob("*")):
        if path.is_file() and path.name not in ("run.lock", "state.pt", "history.json"):
            found[str(path.relative_to(place.out))] = _TIME.sub(b"", path.read_bytes())
    return found


def index_of(place: Place) -> Any:
    """Return the arrays of the index that is there, as its description names them."""
    found: dict[str, bytes] = {}
    for description in place.home.glob("cache/indexes/*/*/*/index.json"):
        folder = description.parent / json.loads(description.read_bytes())["folder"]
        found |= {path.name: path.read_bytes() for path in folder.glob("*.npy")}
    return found


def marks_of(place: Place) -> Any:
    """Return the marks that are there."""
    with home_at(place.home):
        return {word: (mark.verdict, mark.note) for word, mark in read_marks("Anna").items()}


@dataclass(frozen=True)
class Writing:
    """A way in which something is written.

    Attributes:
        name: of the way.
        arguments: of the command, by the data set and the place.
        result: reads what was written.
        old: the file below `out` that is there before.
        quick: whether it takes no more than a second.
    """

    name: str
    arguments: Callable[[Path, Place], list[str]]
    result: Callable[[Place], Any] = files_of
    old: str = ""
    quick: bool = True


def _export(ending: str) -> Writing:
    return Writing(
        f"dataset --export {ending}",
        lambda data, place: ["dataset", "--data", str(data), "--export", str(place.out / f"boxes{ending}"), "--json"],
        old=f"boxes{ending}",
    )


WRITINGS = (
    Writing("annotations import", lambda data, place: ["annotations", "import", str(data / "marks.csv")], marks_of),
    Writing(
        "annotations export",
        lambda data, place: ["annotations", "export", "Anna", str(place.out / "marks.csv")],
        old="marks.csv",
    ),
    *(_export(ending) for ending in (".csv", ".json", ".xml", ".parquet")),
    Writing(
        "render",
        lambda data, place: [
            *("render", "--out", str(place.out), "--scenes", "2", "--held-out", "1", "--fonts", str(data / "fonts")),
        ],
    ),
    Writing(
        "objects --out --coco",
        lambda data, place: [
            *("objects", str(data / "cafe.jpg"), "--out", str(place.out), "--coco", str(place.out / "coco")),
        ],
        old="coco/labels.json",
        quick=False,
    ),
    Writing(
        "words --export",
        lambda data, place: [
            *("words", str(data / "cafe.jpg"), "--checkpoint", "embedded", "--vocabulary", "hotel, cafe, bank"),
            *("--export", str(place.out / "words.csv")),
        ],
        old="words.csv",
        quick=False,
    ),
    Writing(
        "evaluate --save-probabilities --export",
        lambda data, place: [
            *("evaluate", "--data", str(data), "--checkpoint", "embedded", "--split", "all", "--track", "none"),
            *("--save-probabilities", str(place.out / "all.npz"), "--export", str(place.out / "words.csv")),
        ],
        old="words.csv",
        quick=False,
    ),
    Writing(
        "search",
        lambda data, place: ["search", "hotel", "--folder", str(data / "pictures"), "--workers", "1"],
        index_of,
        quick=False,
    ),
    Writing(
        "finetune",
        lambda data, place: [
            *("finetune", "--data", str(data), "--epochs", "2", "--train", "head", "--track", "none"),
            *("--out", str(place.out)),
        ],
        quick=False,
    ),
)


def run(quick: bool, seed: int, progress: PartProgress) -> Part:
    """Let every writing path fail, at calls drawn by the seed."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or os.name != "posix":
        return Part("faults", 0, crashed=1, notes=("There is no C compiler here: faults can't be made.",))
    writings = [writing for writing in WRITINGS if writing.quick or not quick]
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="odits-faults-") as name:
        folder = Path(name).resolve()
        library = folder / "faults.so"
        source = Path(__file__).with_name("faults.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], check=True)
        data = make_data(folder / "data")
        (data / "marks.csv").write_bytes(marks_csv("Anna", marks().items()))
        (data / "pictures").mkdir()
        shutil.copy(data / "cafe.jpg", data / "pictures")
        # a writing path in one process, or each kind of fault of it in one of its own
        shares = [(writing, kinds) for writing in writings for kinds in ([tuple(ERRORS)] if quick else zip(ERRORS))]
        tries = QUICK_TRIES if quick else FULL_TRIES
        units = [
            partial(fail, writing, dict.fromkeys(kinds, tries), seed, folder / str(place))
            for place, (writing, kinds) in enumerate(shares)
        ]
        spread(units, tally, progress)
    return tally.to_part("faults", f"{len(writings)} writing paths: {', '.join(writing.name for writing in writings)}")


def fail(writing: Writing, tries: Mapping[str, int], seed: int, folder: Path, tally: Tally) -> None:
    """Let one writing path fail, by kinds of fault; `folder` lies beside `faults.so` and the data."""
    imports = IMPORTS if writing.quick else (*IMPORTS, "torch", "open_clip")
    with runner(folder / "said", imports, {"LD_PRELOAD": str(folder.with_name("faults.so"))}) as odits:
        trial = Trial(writing, folder.with_name("data"), folder / "place", odits, tally)
        for kind, count in tries.items():
            for number in range(count):
                trial.one_fault(kind, random.Random(f"{seed}-{writing.name}-{kind}-{number}"))


def marks() -> Mapping[ImageWord, Mark]:
    """Return marks of a CSV file, enough for several pages of the database."""
    return {ImageWord("demo", f"{number}.jpg", "hotel"): Mark("right", "n" * 50, NOW) for number in range(300)}


IMPORTS = ("odits.objects.exports", "odits.training.streets", "odits.data.annotations", "pandas", "pyarrow.parquet")
NOW = "2026-01-01T00:00:00+00:00"


class Trial:
    """Lets one writing path fail."""

    def __init__(self, writing: Writing, data: Path, root: Path, odits: Runner, tally: Tally) -> None:
        self.writing, self.data, self.odits, self.tally = writing, data, odits, tally
        self.place = Place(root)
        self._fresh()
        self.before = writing.result(self.place)
        self._undisturbed(self._start())
        self.after = writing.result(self.place)
        self.calls: dict[str, int] = {}

    def one_fault(self, kind: str, rng: random.Random) -> None:
        """Let one call fail, or all from one on, and look at what is left."""
        if kind not in self.calls:
            self.calls[kind] = self._count(kind)
        if not self.calls[kind]:
            self.tally.tried += 1  # nothing it does can fail in this way
            return
        at, once = rng.randrange(self.calls[kind]), rng.random() < 0.3
        self._fresh()
        began = time.monotonic()
        ended = self._start(kind, at, once)
        self.tally.tried += 1
        self.tally.worst_seconds = max(self.tally.worst_seconds, time.monotonic() - began)
        what = f"{self.writing.name}, {kind} {'at' if once else 'from'} call {at} of {self.calls[kind]}"
        self._judge(what, ended)
        again = self._start()
        if again.status or self._read() != self.after:
            self.tally.lost += 1
            self.tally.notes.append(f"{what}: does not go on: status {again.status}, {last_line(again.err)}")

    def _judge(self, what: str, ended: Ended) -> None:
        said = last_line(ended.err)
        if ended.status < 0 or "Traceback" in ended.err:
            self.tally.crashed += 1
            self.tally.notes.append(f"{what}: status {ended.status}, {said}")
        elif ended.status and not said:
            self.tally.crashed += 1
            self.tally.notes.append(f"{what}: ended without a sentence")
        found = self._read()
        if ended.status == 0 and found != self.after:
            self.tally.lost += 1
            self.tally.notes.append(f"{what}: status 0, but the result is not there")
        elif ended.status and not self._is_whole(found):
            self.tally.lost += 1
            self.tally.notes.append(f"{what}: neither the old nor the new version is there")

    def _is_whole(self, found: Any) -> bool:
        """Whether each file is its old or its new version, and marks are those before or after."""
        if self.writing.result is not files_of or isinstance(found, str):
            return found in (self.before, self.after)
        return all(
            data in (self.before.get(name), self.after.get(name))
            for name, data in found.items()
            if not name.rpartition("/")[2].startswith(".")
        ) and set(self.before) <= set(found)

    def _read(self) -> Any:
        try:
            return self.writing.result(self.place)
        except OditsError as error:
            return str(error)

    def _fresh(self) -> None:
        """Make the place as it is before the command."""
        shutil.rmtree(self.place.root, ignore_errors=True)
        self.place.out.mkdir(parents=True)
        if self.writing.old:
            old = self.place.out / self.writing.old
            old.parent.mkdir(exist_ok=True)
            old.write_bytes(OLD)
        with home_at(self.place.home):
            put_marks("Anna", [(ImageWord("demo", "a.jpg", "old"), Mark("wrong", "old", NOW))])

    def _start(self, kind: str = "", at: int = 0, once: bool = False, **environment: str) -> Ended:
        variables = {"ODITS_HOME": str(self.place.home), **environment}
        if kind:
            variables |= {"ODITS_FAULT_UNDER": str(self.place.root), "ODITS_FAULT_ERROR": str(ERRORS[kind])}
            variables |= {"ODITS_FAULT_AFTER": str(at)} | ({"ODITS_FAULT_ONCE": "1"} if once else {})
        return self.odits.run(self.writing.arguments(self.data, self.place), **variables)

    def _count(self, kind: str) -> int:
        """Return how many calls of the command can fail in this way."""
        self._fresh()
        counted = self.place.root.with_name("calls")
        counted.unlink(missing_ok=True)
        ended = self._start(kind, 10**9, ODITS_FAULT_COUNT=str(counted))
        self._undisturbed(ended)
        return counted.stat().st_size if counted.exists() else 0

    def _undisturbed(self, ended: Ended) -> None:
        if ended.status:
            raise OditsError(f"{self.writing.name} failed undisturbed: {ended.err}")


def last_line(text: str) -> str:
    """Return the last line of what a command said."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
