"""Marks against a plain dictionary: whatever is done in whatever order, the file holds what the dictionary does."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from odits.core.errors import OditsError
from odits.data.annotation_files import annotators
from odits.data.annotation_imports import NEWER
from odits.data.annotation_tables import marks_csv
from odits.data.annotations import put_marks, read_marks, remove_mark, set_mark
from odits.data.mark_files import import_file
from odits.data.marks import MAX_NOTE, VERDICTS, ImageWord, Mark, fold_name

NAMES = st.sampled_from(["Anna", "anna", "Ben B.", "Zoë", "李"])
TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12)
NOTES = st.one_of(st.just(""), TEXTS, st.just("n" * MAX_NOTE), st.sampled_from(["=1+1", "'x", '"a,b"\r\n', " "]))
TIMES = st.integers(0, 10**6).map(
    lambda s: (datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=s)).isoformat(timespec="microseconds")
)
MARKS = st.builds(Mark, st.sampled_from(VERDICTS), NOTES.map(str.strip), TIMES)


class Marking(RuleBasedStateMachine):
    """What annotators do, in any order; `model` is a dictionary of what has to be there."""

    words = Bundle("words")

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, dict[ImageWord, Mark]] = {}
        self.spelling: dict[str, str] = {}
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

    @rule(name=NAMES, word=words, verdict=st.sampled_from(VERDICTS), note=NOTES)
    def mark(self, name: str, word: ImageWord, verdict: str, note: str) -> None:
        self.marks_of(name)[word] = set_mark(name, word, verdict, note)

    @rule(name=NAMES, word=words)
    def take_back(self, name: str, word: ImageWord) -> None:
        remove_mark(name, word)
        self.marks_of(name).pop(word, None)

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
