"""Marks from elsewhere: taken over, with the words named that are marked otherwise here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from odits.data.annotation_tables import read_marks_csv
from odits.data.annotations import put_marks, read_marks
from odits.data.marks import ImageWord, Mark


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


def conflicts_of(here: Mapping[ImageWord, Mark], marks: Iterable[tuple[ImageWord, Mark]]) -> list[Conflict]:
    """List the words to which an annotator's marks here and those of a file give different verdicts."""
    return [
        Conflict(about, here[about], mark)
        for about, mark in marks
        if about in here and here[about].verdict != mark.verdict
    ]


class ImportedMarks(NamedTuple):
    """What came out of a CSV file: whose marks, how many it holds, and how many of them were new here."""

    name: str
    read: int
    new: int


def import_marks(content: bytes, file: str = "The file") -> ImportedMarks:
    """Take over the marks of a CSV file that `marks_csv` wrote; of two marks of one word the newer stays.

    Args:
        content: of the file.
        file: what messages call it.

    Raises:
        OditsError: it is no such file, a row is wrong (it is named), or marks can't be written; nothing was taken over.
    """
    name, marks = read_marks_csv(content, file)
    return ImportedMarks(name, len(marks), put_marks(name, marks, only_newer=True))


def differing_marks(content: bytes, file: str = "The file") -> list[Conflict]:
    """List the words that a CSV file of marks judges otherwise than the same annotator here; see `import_marks`."""
    name, marks = read_marks_csv(content, file)
    return conflicts_of(read_marks(name), marks)
