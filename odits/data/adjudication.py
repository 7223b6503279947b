"""Where annotators differ somebody decides: disputes, decisions, and the one verdict a word has in the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from odits.data.annotation_files import annotators
from odits.data.annotations import read_marks
from odits.data.marks import ADJUDICATION, JUDGEMENTS, Change, ImageWord, Mark

CONSENSUS, DECISION, SINGLE = "consensus", "decision", "single"
"""Where a verdict is from: two or more agree, somebody decided between them, or one person judged the word."""

MarksByAnnotator = Mapping[str, Mapping[ImageWord, Mark]]


class Dispute(NamedTuple):
    """A word that annotators judge differently.

    Attributes:
        about: the word.
        marks: of each annotator who judged it.
        decision: the newest decision on it, and who decided; None where there is none.
    """

    about: ImageWord
    marks: dict[str, Mark]
    decision: tuple[str, Mark] | None


class Resolution(NamedTuple):
    """The verdict that a word has in the end.

    Attributes:
        mark: with the verdict, and what is known of the word: whether it was typed, and where it stands.
        source: "consensus", "decision" or "single".
        people: who gave it.
    """

    mark: Mark
    source: str
    people: tuple[str, ...]


class Resolved(NamedTuple):
    """The verdicts of all words, and the words that wait for a decision."""

    verdicts: dict[ImageWord, Resolution]
    open: list[Dispute]


def read_everybody(
    data: str | None = None,
) -> tuple[dict[str, dict[ImageWord, Mark]], dict[str, dict[ImageWord, Mark]]]:
    """Read the marks of all annotators here, and their decisions between others, by annotator.

    Args:
        data: only those in this data set.

    Raises:
        OditsError: a file can't be read.
    """
    names = annotators()
    marks = {name: read_marks(name, data) for name in names}
    decisions = {name: read_marks(name, data, role=ADJUDICATION) for name in names}
    return {name: found for name, found in marks.items() if found}, {
        name: one for name, one in decisions.items() if one
    }


def disputes(marks: MarksByAnnotator, decisions: MarksByAnnotator) -> list[Dispute]:
    """List the words that annotators judge differently, by picture and word; "skipped" is no judgement.

    Args:
        marks: of each annotator.
        decisions: of each who decided between others.
    """
    newest = _newest(decisions)
    return [
        Dispute(about, given, newest.get(about))
        for about, given in _judged(marks).items()
        if len({mark.verdict for mark in given.values()}) > 1
    ]


def decide(dispute: Dispute, verdict: str | None, note: str = "") -> Change:
    """Return the change that decides a dispute; without a verdict it takes one's decision back.

    Args:
        dispute: that is decided.
        verdict: what the word is.
        note: why.
    """
    parties = tuple(sorted(dispute.marks))
    added = all(mark.added for mark in dispute.marks.values())
    box = next((mark.box for mark in dispute.marks.values() if mark.box is not None), None)
    return Change(dispute.about, verdict, note, added=added, box=box, parties=parties)


def resolve(marks: MarksByAnnotator, decisions: MarksByAnnotator) -> Resolved:
    """Give each judged word one verdict: what all agree on, else what somebody decided; the others are open.

    Where annotators came to agree after a decision, what they agree on counts.

    Args:
        marks: of each annotator.
        decisions: of each who decided between others.
    """
    newest = _newest(decisions)
    verdicts: dict[ImageWord, Resolution] = {}
    undecided: list[Dispute] = []
    for about, given in _judged(marks).items():
        people = tuple(given)
        found = list(given.values())
        if len({mark.verdict for mark in found}) == 1:
            source = CONSENSUS if len(found) > 1 else SINGLE
            verdicts[about] = Resolution(_joined(max(found, key=lambda mark: mark.time), found), source, people)
        elif about in newest:
            person, decision = newest[about]
            verdicts[about] = Resolution(_joined(decision, found), DECISION, (person,))
        else:
            undecided.append(Dispute(about, given, None))
    return Resolved(verdicts, undecided)


def _judged(marks: MarksByAnnotator) -> dict[ImageWord, dict[str, Mark]]:
    """Return each judged word's marks by annotator, in the words' order."""
    found: dict[ImageWord, dict[str, Mark]] = {}
    for name, given in marks.items():
        for about, mark in given.items():
            if mark.verdict in JUDGEMENTS:
                found.setdefault(about, {})[name] = mark
    return {about: found[about] for about in sorted(found)}


def _newest(decisions: MarksByAnnotator) -> dict[ImageWord, tuple[str, Mark]]:
    """Return the newest decision on each word and who made it; one that was skipped decides nothing."""
    found: dict[ImageWord, tuple[str, Mark]] = {}
    for name, given in decisions.items():
        for about, mark in given.items():
            if mark.verdict in JUDGEMENTS and (about not in found or mark.time > found[about][1].time):
                found[about] = name, mark
    return found


def _joined(mark: Mark, given: list[Mark]) -> Mark:
    """Return the mark with the box of another where it has none, and typed where nobody was shown the word."""
    box = mark.box or next((one.box for one in given if one.box is not None), None)
    return mark._replace(box=box, added=all(one.added for one in given))
