"""What annotators say about words of pictures: verdicts, with what was on screen, and the changes that make them.

The unit is a verdict per data set, picture and word; which model showed the word is kept with it, and is not part of
what is judged.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import NamedTuple

from odits.core.errors import OditsError

JUDGEMENTS = ("right", "wrong", "unsure")
"""The verdicts that say something about a word."""
SKIPPED = "skipped"
VERDICTS = (*JUDGEMENTS, SKIPPED)
ANNOTATION, ADJUDICATION = "annotation", "adjudication"
"""Roles of a mark: one's own verdict, and a decision between others. One person may give both for the same word."""
MAX_NAME = 60
MAX_NOTE = 1000
MAX_FIELD = 4000
"""The most characters of a name of a data set, a picture, a model, or of a word."""
MAX_BATCH = 100
"""The most characters of the id of a batch or of a session."""

Box = tuple[float, float, float, float]
"""Where a word stands: left, top, width and height in pixels of the upright picture."""


@dataclass(frozen=True, order=True)
class ImageWord:
    """A word of a picture: what a mark judges.

    Attributes:
        data: the data set's name.
        image: the image's name within it.
        word: the word.
    """

    data: str
    image: str
    word: str


class Shown(NamedTuple):
    """What was on screen when a mark was given; all of it may be unknown.

    Attributes:
        model: the model's name as shown to users; empty in blind mode.
        checkpoint: hexadecimal digest of its weights.
        vocabulary: hexadecimal digest of the vocabulary that the model chose from.
        probability: that the model gave the word, in 0..1; None where none was shown.
        version: of this program.
    """

    model: str = ""
    checkpoint: str = ""
    vocabulary: str = ""
    probability: float | None = None
    version: str = ""


NOTHING_SHOWN = Shown()


class Mark(NamedTuple):
    """An annotator's judgement of a word.

    Attributes:
        verdict: one of `VERDICTS`.
        note: free text, may be empty.
        time: when it was given, UTC, ISO 8601.
        shown: what was on screen.
        added: whether the annotator typed the word: no model proposed it.
        box: where the word stands in the picture, if that is known.
        parties: of a decision, the annotators between whom it decides.
    """

    verdict: str
    note: str = ""
    time: str = ""
    shown: Shown = NOTHING_SHOWN
    added: bool = False
    box: Box | None = None
    parties: tuple[str, ...] = ()

    @property
    def role(self) -> str:
        """Whether it is somebody's own verdict, "annotation", or decides between others, "adjudication"."""
        return role_of(self.parties)


def role_of(parties: tuple[str, ...]) -> str:
    """Return the role of a mark by the annotators between whom it decides."""
    return ADJUDICATION if parties else ANNOTATION


@dataclass(frozen=True)
class Change:
    """One change of an annotator's marks.

    Attributes:
        about: the word.
        verdict: the new one; None removes the mark.
        note: the new one; None keeps the one that is there.
        shown: what was on screen.
        added: whether the annotator typed the word; None keeps what is there.
        box: where the word stands; None keeps what is there.
        parties: of a decision, the annotators between whom it decides; also where a decision is removed.
    """

    about: ImageWord
    verdict: str | None
    note: str | None = None
    shown: Shown = NOTHING_SHOWN
    added: bool | None = None
    box: Box | None = None
    parties: tuple[str, ...] = ()

    @property
    def role(self) -> str:
        """Which of a person's two marks of the word is changed: "annotation" or "adjudication"."""
        return role_of(self.parties)

    def mark(self, here: Mark | None, time: str) -> Mark:
        """Return the mark after the change; without a verdict where it removes the mark.

        Args:
            here: the mark that is there.
            time: now; a clock that was set back makes no mark older than the one before.
        """
        before = here if here is not None else Mark("")
        time = max(time, before.time)
        if self.verdict is None:
            return Mark("", (self.note or "").strip(), time, self.shown, parties=self.parties)
        return Mark(
            self.verdict,
            before.note if self.note is None else self.note.strip(),
            time,
            self.shown,
            before.added if self.added is None else self.added,
            before.box if self.box is None else self.box,
            self.parties,
        )


class Entry(NamedTuple):
    """One change as the history keeps it.

    Attributes:
        sequence: its place in the history of the annotator, which no clock can upset.
        batch: the id of the changes that were made together.
        session: that it was made in; may be empty.
        reverts: the batch that it took back; empty where it is no undo or redo.
        about: the word.
        role: "annotation" or "adjudication".
        old: the verdict before; None where there was none.
        mark: the mark after it; where `removed` its verdict is empty, its time and `shown` are those of the removal.
    """

    sequence: int
    batch: str
    session: str
    reverts: str
    about: ImageWord
    role: str
    old: str | None
    mark: Mark

    @property
    def removed(self) -> bool:
        """Whether the mark was taken away."""
        return not self.mark.verdict


class Changed(NamedTuple):
    """What came of a batch of changes.

    Attributes:
        batch: its id.
        entries: what it changed.
        repeated: whether the batch had been applied before: nothing was changed this time.
        kept: words that an undo left alone, since they were changed again after the batch.
    """

    batch: str
    entries: tuple[Entry, ...]
    repeated: bool = False
    kept: tuple[ImageWord, ...] = ()


KEY_COLUMNS = tuple(one.name for one in fields(ImageWord))
"""The columns that say which word is judged, in the order in which files and tables have them."""

MARK_COLUMNS = (
    *("verdict", "note", "time", "model", "checkpoint", "vocabulary", "probability", "version", "added", "box"),
    "parties",
)
"""The columns of a mark; every value is text."""


def clean_name(name: str) -> str:
    """Normalise an annotator's name: composed (NFC), runs of space made one.

    Raises:
        OditsError: it is empty, longer than 60 characters, or has characters that can't be printed.
    """
    cleaned = " ".join(unicodedata.normalize("NFC", name).split())
    if not cleaned:
        raise OditsError("An annotator needs a name.")
    if len(cleaned) > MAX_NAME:
        raise OditsError(f"An annotator's name may have at most {MAX_NAME} characters.")
    if not cleaned.isprintable():
        raise OditsError("An annotator's name may only have characters that can be printed.")
    return cleaned


def fold_name(name: str) -> str:
    """Return what tells annotators apart: names that differ only in case are one annotator's.

    Raises:
        OditsError: it is no name.

    Example:
        >>> fold_name("  José  K") == fold_name("JOSÉ k")
        True
    """
    return unicodedata.normalize("NFC", clean_name(name).casefold())


def now() -> str:
    """Return the present time, UTC, to the microsecond: "2026-01-31T12:00:00.000000+00:00"."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


# Checks.


def check_mark(mark: Mark) -> None:
    """Refuse a mark that has an unknown verdict, a note too long, or something impossible on screen.

    Raises:
        OditsError: what is wrong with it.
    """
    if mark.verdict not in VERDICTS:
        raise OditsError(f"There is no verdict {mark.verdict[:40]!r}: choose {_listed(VERDICTS)}.")
    if len(mark.note) > MAX_NOTE:
        raise OditsError(f"A note may have at most {MAX_NOTE:,} characters.")
    check_shown(mark.shown)
    if mark.box is not None and not _is_box(mark.box):
        raise OditsError("A box needs a left and top edge of 0 or more, and a width and height above 0, in pixels.")
    for name in mark.parties:
        clean_name(name)


def check_shown(shown: Shown) -> None:
    """Refuse what can't have been on screen. Raises OditsError."""
    if shown.probability is not None and not 0 <= shown.probability <= 1:
        raise OditsError("A probability lies between 0 and 1.")
    if max(map(len, (shown.model, shown.checkpoint, shown.vocabulary, shown.version))) > MAX_FIELD:
        raise OditsError(f"The name of a model may have at most {MAX_FIELD:,} characters.")


def check_word(about: ImageWord) -> None:
    """Refuse a word that has no name, or too long a one. Raises OditsError."""
    for column in KEY_COLUMNS:
        value = getattr(about, column)
        if not value or len(value) > MAX_FIELD or "\0" in value:
            raise OditsError(f"{column} is empty or too long, or has a NUL.")


def check_id(value: str, what: str) -> None:
    """Refuse the id of a batch or a session that is too long or can't be printed. Raises OditsError."""
    if len(value) > MAX_BATCH or not value.isprintable():
        raise OditsError(f"The id of a {what} may have at most {MAX_BATCH} characters that can be printed.")


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _is_box(box: Box) -> bool:
    return len(box) == 4 and all(map(math.isfinite, box)) and min(box[:2]) >= 0 and min(box[2:]) > 0


# Marks as rows of text.


def to_row(mark: Mark) -> tuple[str, ...]:
    """Return a mark as texts, by `MARK_COLUMNS`.

    Example:
        >>> mark = Mark("right", "", "2026-01-01T00:00:00+00:00", Shown("CLIP", probability=0.25), box=(1, 2, 30, 40.5))
        >>> from_row(to_row(mark)) == mark
        True
    """
    shown = mark.shown
    return (
        *(mark.verdict, mark.note, mark.time, shown.model, shown.checkpoint, shown.vocabulary),
        "" if shown.probability is None else repr(float(shown.probability)),
        shown.version,
        "yes" if mark.added else "",
        "" if mark.box is None else " ".join(repr(float(value)) for value in mark.box),
        json.dumps(mark.parties, ensure_ascii=False) if mark.parties else "",
    )


def from_row(row: tuple[str, ...]) -> Mark:
    """Read a mark of texts that `to_row` made.

    Raises:
        OditsError: a probability, a box, or a list of annotators is none.
    """
    verdict, note, time, model, checkpoint, vocabulary, probability, version, added, box, parties = row
    return Mark(
        verdict,
        note,
        time,
        Shown(model, checkpoint, vocabulary, _probability(probability) if probability else None, version),
        bool(added),
        _box(box) if box else None,
        _parties(parties) if parties else (),
    )


def mark_of(values: Mapping[str, str]) -> Mark:
    """Read a mark from outside, by `MARK_COLUMNS`; columns that are missing are empty.

    Raises:
        OditsError: what is wrong with it.
    """
    given = values.get("time", "")
    try:
        time = datetime.fromisoformat(given)
        if time.tzinfo is None:
            raise OditsError(f"{given[:40]!r} is a time without its zone.")
        # a clock that runs ahead must not make a mark win for ever
        time = min(time.astimezone(UTC), datetime.now(UTC))
    except (ValueError, OverflowError) as error:  # the latter: before the year 1 in UTC
        raise OditsError(f"{given[:40]!r} is no time.") from error
    texts = dict(values) | {"time": time.isoformat(timespec="microseconds")}
    mark = from_row(tuple(texts.get(column) or "" for column in MARK_COLUMNS))
    check_mark(mark)
    return mark


def word_of(values: Mapping[str, str]) -> ImageWord:
    """Read from outside which word is judged. Raises OditsError: a name is missing, empty or too long."""
    about = ImageWord(*(values.get(column) or "" for column in KEY_COLUMNS))
    check_word(about)
    return about


def _probability(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise OditsError(f"{text[:40]!r} is no probability.") from error


def _box(text: str) -> Box:
    try:
        left, top, width, height = map(float, text.split())
    except ValueError as error:
        raise OditsError(f"{text[:40]!r} is no box of four numbers.") from error
    return left, top, width, height


def _parties(text: str) -> tuple[str, ...]:
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise OditsError(f"{text[:40]!r} is no list of annotators.")
    return tuple(names)
