"""Marks against a plain dictionary: whatever is done in whatever order, the file holds what the dictionary does."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from odits.core.errors import OditsError
from odits.data.annotation_files import annotators
from odits.data.annotation_imports import NEWER
from odits.data.annotation_tables import marks_csv
from odits.data.annotations import change_marks, history, put_marks, read_marks, redo, remove_mark, set_mark, undo
from odits.data.mark_files import import_file
from odits.data.marks import MAX_NOTE, NOTHING_SHOWN, VERDICTS, Change, Entry, ImageWord, Mark, Shown, fold_name

NAMES = st.sampled_from(["Anna", "anna", "Ben B.", "Zoë", "李"])
TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12)
NOTES = st.one_of(st.just(""), TEXTS, st.just("n" * MAX_NOTE), st.sampled_from(["=1+1", "'x", '"a,b"\r\n', " "]))
TIMES = st.integers(0, 10**6).map(
    lambda s: (datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=s)).isoformat(timespec="microseconds")
)
SHARES = st.one_of(st.none(), st.floats(0, 1))
SIDES = st.floats(0.5, 5000)
MARKS = st.builds(
    Mark,
    st.sampled_from(VERDICTS),
    NOTES.map(str.strip),
    TIMES,
    st.builds(Shown, TEXTS, TEXTS, TEXTS, SHARES, st.just("1.2")),
    st.booleans(),
    st.one_of(st.none(), st.tuples(SIDES, SIDES, SIDES, SIDES)),
    st.just(()),
)

SESSION = "the session"
Step = list[tuple[ImageWord, Mark | None, Mark | None]]
"""What was changed together: words with their marks before and after."""


@dataclass
class Steps:
    """What a session did and took back, and the ids of batches that were applied."""

    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)
    sent: set[int] = field(default_factory=set)
    taken: int = 0


def content(mark: Mark | None) -> Mark | None:
    """Return a mark without its time: undo and redo are changes too, and have times of their own."""
    return mark and mark._replace(time="")


def joined(step: Step) -> dict[ImageWord, tuple[Mark | None, Mark | None]]:
    """Return each word's mark before the first change of a step and after the last."""
    found: dict[ImageWord, tuple[Mark | None, Mark | None]] = {}
    for word, before, after in step:
        found[word] = (found[word][0] if word in found else before, after)
    return found


class Marking(RuleBasedStateMachine):
    """What annotators do, in any order; `model` is a dictionary of what has to be there."""

    words = Bundle("words")

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, dict[ImageWord, Mark]] = {}
        self.spelling: dict[str, str] = {}
        self.steps: dict[str, Steps] = {}
        self.seen: dict[str, list[Entry]] = {}
        self.folder = tempfile.TemporaryDirectory()
        self.before = os.environ["ODITS_HOME"]
        os.environ["ODITS_HOME"] = self.folder.name

    def teardown(self) -> None:
        os.environ["ODITS_HOME"] = self.before
        self.folder.cleanup()

    @initialize(target=words)
    def first(self) -> ImageWord:
        return ImageWord("svt", "a.jpg", "hotel")

    @rule(target=words, data=TEXTS, image=TEXTS, word=TEXTS)
    def another(self, data: str, image: str, word: str) -> ImageWord:
        return ImageWord(data, image, word)

    def marks_of(self, name: str) -> dict[ImageWord, Mark]:
        """Return what an annotator's file has to hold; names that differ in case are one annotator's."""
        self.spelling.setdefault(fold_name(name), name)
        return self.model.setdefault(fold_name(name), {})

    def steps_of(self, name: str) -> Steps:
        """Return what the session of an annotator can take back."""
        return self.steps.setdefault(fold_name(name), Steps())

    @rule(name=NAMES, word=words, verdict=st.sampled_from(VERDICTS), note=NOTES)
    def mark(self, name: str, word: ImageWord, verdict: str, note: str) -> None:
        self.marks_of(name)[word] = set_mark(name, word, verdict, note)

    @rule(name=NAMES, word=words)
    def take_back(self, name: str, word: ImageWord) -> None:
        remove_mark(name, word)
        self.marks_of(name).pop(word, None)

    @rule(name=NAMES, words=st.lists(words, min_size=1, max_size=4), data=st.data(), key=st.integers(0, 4))
    def send_a_batch(self, name: str, words: list[ImageWord], data: st.DataObject, key: int) -> None:
        """Send changes of the session under an id that may have been used: then nothing changes."""
        changes = [Change(word, data.draw(st.sampled_from([*VERDICTS, None])), data.draw(NOTES)) for word in words]
        here, steps = self.marks_of(name), self.steps_of(name)
        done = change_marks(name, changes, f"batch {key}", SESSION)
        assert done.repeated == (key in steps.sent)
        if not done.repeated:
            steps.sent.add(key)
            step: Step = []
            for change in changes:
                before = here.get(change.about)
                if change.verdict is not None:
                    note = (change.note or "").strip()
                    kept = before or Mark("right")
                    here[change.about] = kept._replace(verdict=change.verdict, note=note, shown=NOTHING_SHOWN)
                elif before is not None:
                    del here[change.about]
                else:
                    continue
                step.append((change.about, before, here.get(change.about)))
            if step:
                steps.done.append(step)
                steps.undone.clear()
        self.settle(name)

    @rule(name=NAMES, again=st.booleans())
    def step_back_or_forth(self, name: str, again: bool) -> None:
        """Undo, or redo: words that were changed otherwise since are left alone."""
        if fold_name(name) not in self.model:
            assert undo(name, SESSION) is None and redo(name, SESSION) is None
            return
        here, steps = self.marks_of(name), self.steps_of(name)
        source, target = (steps.undone, steps.done) if again else (steps.done, steps.undone)
        steps.taken += 1
        found = (redo if again else undo)(name, SESSION, f"step {steps.taken}")
        assert (found is None) == (not source)
        if found is None:
            return
        step: Step = []
        for word, (before, after) in joined(source.pop()).items():
            if content(here.get(word)) != content(after):
                assert word in found.kept
                continue
            step.append((word, here.get(word), before))
            if before is None:
                here.pop(word, None)
            else:
                here[word] = before
        target.append(step)
        self.settle(name)

    def settle(self, name: str) -> None:
        """Check what is there but for the times, which are those of the changes, and take these over."""
        found, here = read_marks(name), self.marks_of(name)
        assert {word: content(mark) for word, mark in found.items()} == {
            word: content(mark) for word, mark in here.items()
        }
        here.update(found)

    @rule(name=NAMES)
    def look_into_the_history(self, name: str) -> None:
        """The history ends with what is there, and nothing was ever taken out of it."""
        entries = history(name)
        assert [entry.sequence for entry in entries] == sorted({entry.sequence for entry in entries})
        last = {entry.about: entry.mark for entry in entries}
        assert {word: mark for word, mark in last.items() if mark.verdict} == read_marks(name)
        seen = self.seen.setdefault(fold_name(name), [])
        assert entries[: len(seen)] == seen
        self.seen[fold_name(name)] = entries

    @rule(name=NAMES, word=words, mark=MARKS, newer=st.booleans())
    def put(self, name: str, word: ImageWord, mark: Mark, newer: bool) -> None:
        put_marks(name, [(word, mark)], only_newer=newer)
        here = self.marks_of(name)
        if word not in here or mark.time > here[word].time or not newer:
            here[word] = mark

    @rule(name=NAMES, word=words, verdict=st.sampled_from(["", "maybe", "RIGHT"]))
    def mark_wrongly(self, name: str, word: ImageWord, verdict: str) -> None:
        with pytest.raises(OditsError):
            set_mark(name, word, verdict)

    @rule(name=NAMES, words=st.lists(words, min_size=1, max_size=4, unique=True), mark=MARKS)
    def take_over_a_file(self, name: str, words: list[ImageWord], mark: Mark) -> None:
        assert import_file(marks_csv(name, [(word, mark) for word in words]), "x.csv", NEWER).read == len(words)
        here = self.marks_of(name)
        here.update({word: mark for word in words if word not in here or mark.time > here[word].time})

    @rule(name=NAMES)
    def send_to_another_machine_and_back(self, name: str) -> None:
        if marks := read_marks(name):
            assert import_file(marks_csv(name, marks.items()), "x.csv", NEWER).new == 0

    @invariant()
    def the_files_hold_what_the_dictionary_does(self) -> None:
        assert sorted(annotators()) == sorted(self.spelling.values())
        for name, marks in self.model.items():
            assert read_marks(name) == marks


Marking.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestMarking = pytest.mark.slow(Marking.TestCase)
