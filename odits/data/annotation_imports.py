"""Marks from elsewhere: taken over, with the words named that are marked otherwise here.

Nothing is overwritten in silence: where a file judges a word otherwise than the same annotator here, nothing of it is
taken over until somebody says which of the two counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from odits.core.errors import OditsError
from odits.data.annotations import put_marks, read_marks
from odits.data.marks import ADJUDICATION, ImageWord, Mark, clean_name

REFUSE, MINE, NEWER, THEIRS = "refuse", "mine", "newer", "theirs"
MODES = {
    REFUSE: "nothing was taken over: say which of the two counts",
    MINE: "those here stay",
    NEWER: "the newer mark counts",
    THEIRS: "the file's marks were taken",
}
"""What becomes of words that are marked otherwise here."""

Marks = Sequence[tuple[ImageWord, Mark]]


class Conflict(NamedTuple):
    """A word of which there is a mark here already, with another verdict.

    Attributes:
        about: the word.
        here: the mark that there is.
        there: the one in a file.
    """

    about: ImageWord
    here: Mark
    there: Mark


class TakenMarks(NamedTuple):
    """What came out of a file.

    Attributes:
        name: the annotator.
        read: marks in the file.
        new: of these, how many were written here.
        conflicts: words that are marked otherwise here.
        mode: what became of them, a key of `MODES`.
        remarks: one sentence for each thing that could not be used.
    """

    name: str
    read: int
    new: int
    conflicts: tuple[Conflict, ...] = ()
    mode: str = REFUSE
    remarks: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether nothing was taken over because of conflicts."""
        return self.mode == REFUSE and bool(self.conflicts)


def conflicts_with(name: str, marks: Iterable[tuple[ImageWord, Mark]]) -> list[Conflict]:
    """List the words to which an annotator's marks here and others of the same role give different verdicts."""
    here = _here(name)
    last = {(about, mark.role): mark for about, mark in marks}
    return [
        Conflict(about, here[about, role], mark)
        for (about, role), mark in sorted(last.items(), key=lambda pair: pair[0])
        if (about, role) in here and here[about, role].verdict != mark.verdict
    ]


def take_over(name: str, marks: Marks, mode: str = REFUSE, remarks: Sequence[str] = ()) -> TakenMarks:
    """Write marks from a file under an annotator's name: all that the mode lets through, or none.

    Args:
        name: the annotator.
        marks: in order of time; of several of one word the last counts, and the others are in the history.
        mode: a key of `MODES`: what becomes of words that are marked otherwise here. Where only more than the verdict
            differs, marks here stay, unless the newer or the file's are to count.
        remarks: that belong to the file.

    Raises:
        OditsError: there is no such mode, or marks can't be written.
    """
    if mode not in MODES:
        raise OditsError(f"There is no {mode[:40]!r} here: choose {', '.join(MODES)}.")
    conflicts = tuple(conflicts_with(name, marks))
    if mode == REFUSE and conflicts:
        return TakenMarks(clean_name(name), len(marks), 0, conflicts, mode, tuple(remarks))
    if mode == THEIRS:  # a note or a place that the file does not have is not lost
        known = _here(name)
        marks = [(about, _filled(mark, known.get((about, mark.role)))) for about, mark in marks]
    fresh: set[tuple[ImageWord, str]] = set()

    def accept(about: ImageWord, here: Mark | None, there: Mark) -> bool:
        key = (about, there.role)
        if here is None:
            fresh.add(key)
            return True
        if mode == NEWER or key in fresh:
            return there.time > here.time
        return mode == THEIRS and (here.verdict, here.note, here.box) != (there.verdict, there.note, there.box)

    return TakenMarks(
        clean_name(name), len(marks), put_marks(name, marks, accept=accept), conflicts, mode, tuple(remarks)
    )


def all_marks(name: str, data: str | None = None) -> list[tuple[ImageWord, Mark]]:
    """Return an annotator's own marks, and then what the annotator decided between others.

    Args:
        name: the annotator.
        data: only those in this data set.

    Raises:
        OditsError: they can't be read.
    """
    return [*read_marks(name, data).items(), *read_marks(name, data, role=ADJUDICATION).items()]


def _filled(there: Mark, here: Mark | None) -> Mark:
    return there if here is None else there._replace(note=there.note or here.note, box=there.box or here.box)


def _here(name: str) -> dict[tuple[ImageWord, str], Mark]:
    return {(about, mark.role): mark for about, mark in all_marks(name)}
