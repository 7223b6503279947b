"""Annotating without a browser: what a browser sends is read and written once; what it gets; disputes are decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from odits.core.errors import OditsError
from odits.data import Dataset, Vocabulary, read_dataset
from odits.data.annotations import change_marks, history, read_marks
from odits.data.marks import ADJUDICATION, Change, ImageWord
from odits.data.vocabulary import fold_word
from odits.evaluation.annotation_queue import assigned
from odits.evaluation.limits import Limits, keep_limits
from odits.evaluation.results import StoredEvaluation, evaluate_and_store
from odits.models.registry import parse
from pages._browse.annotate import Queue, Settings, Task, answer, card_of, marks_now
from pages._browse.batches import Outcome, save_outbox
from pages._browse.division import read_people
from pages._browse.notebook import MAX_BYTES, read_guidelines
from pages._browse.proposals import listed_words, presence
from tests.pages.running import REPOSITORY, open_page, run

NOTHING = Outcome([], [], [], [])


class Dice:
    """A word model that throws dice."""

    def __init__(self, checkpoint: str) -> None:
        self.name, self.checkpoint, self._random = "Dice", checkpoint, np.random.default_rng(5)

    def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary) -> np.ndarray:
        return self._random.dirichlet(np.full(len(vocabulary), 0.1), len(images)).astype(np.float32)


@pytest.fixture
def demo() -> Dataset:
    return read_dataset(REPOSITORY / "assets" / "demo")


@pytest.fixture
def stored(demo: Dataset, home: Path) -> StoredEvaluation:
    return evaluate_and_store(Dice(parse("embedded").digest), "embedded", demo, "all", demo.vocabulary())


def task_of(stored: StoredEvaluation, demo: Dataset, **settings: Any) -> Task:
    return Task(stored, {one.name: one for one in demo.records}, "Anna", "embedded", Settings(**settings))


def mark(verdict: str = "right", **more: Any) -> dict[str, Any]:
    return {"verdict": verdict, "note": "", "added": False, "box": None, "probability": 0.5, **more}


def batch(identity: str, after: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    shown = {"model": "Dice", "checkpoint": "ab", "vocabulary": "cd", "version": "1"}
    common = {"session": "tab", "data": "demo", "image": "cafe.jpg", "reverts": "", "shown": shown}
    return {"id": identity, "after": dict(after), **common, **more}


def verdicts() -> dict[str, str]:
    return {about.word: one.verdict for about, one in read_marks("Anna").items()}


# What the browser sends.


def test_a_batch_is_written_once_however_often_it_comes(home: Path) -> None:
    sent = batch("one", {"CAFE": mark(box=[1, 2.5, 30, 40], note="clear"), "BAR": mark("wrong")})
    for _ in range(3):
        assert save_outbox("Anna", "demo", [sent]).saved == ["one"]
    assert verdicts() == {"BAR": "wrong", "CAFE": "right"}
    assert len(history("Anna")) == 2
    found = read_marks("Anna")[ImageWord("demo", "cafe.jpg", "CAFE")]
    assert (found.box, found.note, found.shown) == ((1, 2.5, 30, 40), "clear", ("Dice", "ab", "cd", 0.5, "1"))


def test_undo_and_redo_are_batches_too(home: Path) -> None:
    first, second = batch("one", {"CAFE": mark()}), batch("two", {"CAFE": mark("wrong")})
    back = batch("three", {"CAFE": mark()}, reverts="two")
    again = batch("four", {"CAFE": mark("wrong")}, reverts="three")
    assert save_outbox("Anna", "demo", [first, second, back]).saved == ["one", "two", "three"]
    assert verdicts() == {"CAFE": "right"}
    save_outbox("Anna", "demo", [back, again])
    assert verdicts() == {"CAFE": "wrong"}
    save_outbox("Anna", "demo", [batch("five", {"CAFE": None})])
    assert verdicts() == {}


def test_an_undo_of_what_was_marked_again_elsewhere_leaves_it_and_says_so(home: Path) -> None:
    save_outbox("Anna", "demo", [batch("one", {"CAFE": mark()}), batch("other tab", {"CAFE": mark("unsure")})])
    found = save_outbox("Anna", "demo", [batch("two", {"CAFE": None}, reverts="one")])
    assert found.saved == ["two"]
    assert found.remarks == ["Marked again since, and left as it is: CAFE."]
    assert verdicts() == {"CAFE": "unsure"}


@pytest.mark.parametrize(
    "bad",
    [
        {"after": {"CAFE": mark("maybe")}},
        {"after": {"CAFE": mark(box=[1, 2, 3])}},
        {"after": {"CAFE": mark(box=[1, 2, -3, 4])}},
        {"after": {"CAFE": mark(box=[1, 2, "3", 4])}},
        {"after": {"CAFE": mark(probability="high")}},
        {"after": {"CAFE": mark(probability=7)}},
        {"after": {"CAFE": mark(added="yes")}},
        {"after": {"CAFE": mark(note="x" * 2000)}},
        {"after": {"CAFE": "right"}},
        {"after": {"": mark()}},
        {"after": [["CAFE", mark()]]},
        {"after": {str(number): mark() for number in range(501)}},
        {"session": 3},
        {"session": "s" * 200},
        {"image": None},
        {"shown": "Dice"},
        {"reverts": "a batch that nobody knows"},
    ],
)
def test_what_is_no_batch_is_refused_in_a_sentence_and_the_others_are_saved(home: Path, bad: dict[str, Any]) -> None:
    good = batch("good", {"BAR": mark()})
    found = save_outbox("Anna", "demo", [batch("bad", {"CAFE": mark()}) | bad, good])
    assert found.saved == ["good"]
    ((identity, sentence),) = found.refused
    assert identity == "bad"
    assert sentence.endswith(".")
    assert verdicts() == {"BAR": "right"}


@pytest.mark.parametrize(
    "outbox", [None, "x", {}, [3, "x", None, {}, {"id": 4}], [batch("a", {"X": mark()}, data="b")]]
)
def test_what_is_no_outbox_or_of_another_data_set_changes_nothing(home: Path, outbox: Any) -> None:
    assert save_outbox("Anna", "demo", outbox) == NOTHING
    assert read_marks("Anna") == {}


# What the browser gets.


def test_the_browser_gets_what_it_does_not_hold_yet(stored: StoredEvaluation, demo: Dataset) -> None:
    task = task_of(stored, demo)
    queue = Queue("key", ("made for",), stored.images, stored.images[0])
    first = answer(task, queue, marks_now("Anna", "demo"), {}, NOTHING)
    assert list(first["queue"]["names"]) == list(stored.images)
    assert first["queue"]["done"] == "000000"
    assert set(first["cards"]) == set(stored.images[:4])
    assert first["suggestions"]["words"] == stored.vocabulary.words
    card = first["cards"][stored.images[0]]
    assert card["source"].startswith("data:image/jpeg;base64,")
    assert [(one["word"], one["proposed"]) for one in card["words"]] == [
        (word, "right" if probability >= 0.5 else "wrong") for word, probability in task.words(stored.images[0])
    ]
    sent = {"queue": "key", "suggestions": stored.vocabulary.digest, "at": stored.images[1], "echo": "tab/1"}
    then = answer(task, queue, {}, sent | {"held": list(first["cards"])}, NOTHING)
    assert set(then["cards"]) == {stored.images[4]}
    assert "names" not in then["queue"]
    assert "words" not in then["suggestions"]
    assert then["echo"] == "tab/1"
    odd = answer(task, queue, {}, {"queue": "key", "at": "nowhere", "held": [3, None]}, NOTHING)
    assert odd["at"] == stored.images[0]


@pytest.mark.parametrize("mode", ["shuffled", "typed"])
def test_a_blind_annotator_gets_neither_probabilities_nor_proposals(
    stored: StoredEvaluation, demo: Dataset, mode: str
) -> None:
    task = task_of(stored, demo, mode=mode)
    queue = Queue("key", (), stored.images, stored.images[0])
    data = answer(task, queue, {}, {}, NOTHING)
    words = [one for card in data["cards"].values() for one in card["words"]]
    assert {key for one in words for key in one} == {"word", "shown", "outline"}
    assert data["shown"]["version"]
    assert "model" not in data["shown"]


def test_listed_words_reach_down_to_the_limit_and_are_never_none(stored: StoredEvaluation) -> None:
    table = stored.probabilities()
    for row, words in zip(table, listed_words(stored, 0.2), strict=True):
        expected = np.sort(row[row >= 0.2])[::-1] if (row >= 0.2).any() else [row.max()]
        assert [probability for _, probability in words] == pytest.approx(list(expected), abs=1e-6)
    assert all(len(words) == 1 for words in listed_words(stored, 0.9999))


def test_presence_of_a_certain_word_does_not_lessen_another() -> None:
    assert presence(np.array([0.998, 0.001])).round(2).tolist() == [1.0, 0.5]
    assert presence(np.array([0.6, 0.4])).tolist() == [0.6, 0.4]
    assert presence(np.zeros(2)).tolist() == [0, 0]


def test_the_page_in_every_order_and_with_an_empty_filter(stored: StoredEvaluation) -> None:
    address = {"images": "demo", "vocabulary": "demo", "model": "embedded", "annotator": "Anna", "view": "annotate"}
    for order in ("file", "uncertainty", "chance"):
        open_page("browse", **address, queue=order)
    app = open_page("browse", **address, only="unsure")
    assert "No picture passes this filter" in "".join(box.value for box in app.info)
    app = open_page("browse", **address, queue="disagreement")
    assert "Choose another model under “Queue”" in "".join(box.value for box in app.info)


def test_pictures_are_divided_among_people_and_a_share_is_marked_twice(stored: StoredEvaluation, demo: Dataset) -> None:
    address = {"images": "demo", "vocabulary": "demo", "model": "embedded", "view": "annotate", "seed": "3"}
    division = assigned([record.name for record in demo.records], ["Anna", "Ben"], 0.35, 3)
    both = set(division["Anna"]) & set(division["Ben"])
    assert len(both) == 2
    for name in ("Anna", "ben"):
        app = open_page("browse", **address, annotator=name, among="Ben, Anna", twice="0.35")
        assert app.session_state["odits-annotate-queue"].names == tuple(division[name.title()])
        assert "- Ben: 4, 2 of them with somebody else" in texts(app)
        assert "6 pictures, 2 of them (33.3 %) for two people" in texts(app)
        assert "You have 4 of 6 pictures, 2 of them with somebody else." in texts(app)
    app = open_page("browse", **address, annotator="Carla", among="Ben, Anna")
    assert "divided among Ben, Anna: add your name under “Queue”" in texts(app)
    app = open_page("browse", **address, annotator="Carla", among="Carla,, carla ,")
    assert len(app.session_state["odits-annotate-queue"].names) == 6


def test_who_marks_is_read_from_text() -> None:
    assert read_people(" Anna , ben,, BEN, Zoë") == ["Anna", "ben", "Zoë"]
    assert read_people("") == []
    for bad in (",".join(f"p{number}" for number in range(21)), "x" * 100, "a\x00b"):
        with pytest.raises(OditsError):
            read_people(bad)


def test_verdicts_are_proposed_by_limits_that_were_fitted_to_marks(stored: StoredEvaluation, demo: Dataset) -> None:
    address = {"images": "demo", "vocabulary": "demo", "model": "embedded", "annotator": "Anna", "view": "annotate"}
    assert "“Right” from 50.0 % on, the usual limit." in texts(open_page("browse", **address))
    assert "“Right” from 30.0 % on, as set here." in texts(open_page("browse", **address, limit="0.3"))
    name = stored.images[0]
    first, probability = task_of(stored, demo).words(name)[0]
    keep_limits(Limits(0.9, {fold_word(first): probability / 2}), stored)
    sentence = "“Right” from 90.0 % on, 1 word with a limit of its own, fitted to marks (kept on this machine)."
    assert sentence in texts(open_page("browse", **address))
    limits = Limits(0.9, {fold_word(first): probability / 2})
    task = task_of(stored, demo, limits=limits)
    judged = {one["word"]: one["proposed"] for one in card_of(task, name)["words"]}
    assert judged == {word: "right" if share >= limits.of(word) else "wrong" for word, share in task.words(name)}
    assert judged[first] == "right"
    app = open_page("browse", **address, limits="one", limit="0.3")
    assert "“Right” from 30.0 % on, as set here." in texts(app)
    assert "fitted to marks (" not in texts(open_page("browse", **address, mode="shuffled")), "nobody is led"


def test_guidelines_of_the_owner(tmp_path: Path) -> None:
    assert read_guidelines(tmp_path) == ""
    (tmp_path / "GUIDELINES.md").write_text("# Mark what **you** can read" + " " * MAX_BYTES, "utf-8")
    assert read_guidelines(tmp_path).startswith("# Mark what **you** can read")
    assert len(read_guidelines(tmp_path)) == MAX_BYTES


# Two annotators, and a third who decides.


def judge(name: str, given: Mapping[str, str]) -> None:
    change_marks(name, [Change(ImageWord("demo", "cafe.jpg", word), verdict) for word, verdict in given.items()])


def texts(app: AppTest) -> str:
    kinds = (app.info, app.error, app.success, app.caption, app.markdown, app.subheader)
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")


def test_a_third_person_decides_where_two_differ(stored: StoredEvaluation) -> None:
    address = {
        "images": "demo",
        "vocabulary": "demo",
        "model": "embedded",
        "annotator": "Carla",
        "part": "adjudication",
    }
    assert "No two annotators differ" in texts(open_page("browse", **address))
    judge("Anna", {"CAFE": "right", "BAR": "right", "INN": "wrong"})
    judge("Ben", {"CAFE": "right", "BAR": "wrong", "INN": "unsure"})
    app = open_page("browse", **address)
    assert "BAR" in texts(app)
    assert "Anna: right" in texts(app).replace("**", "")
    next(button for button in app.button if button.key == "decide-wrong").click()
    run(app)
    assert "INN" in texts(app)
    next(button for button in app.button if button.key == "decide-right").click()
    run(app)
    assert "Every dispute is decided" in texts(app)
    found = read_marks("Carla", role=ADJUDICATION)
    assert {about.word: (one.verdict, one.parties) for about, one in found.items()} == {
        "BAR": ("wrong", ("Anna", "Ben")),
        "INN": ("right", ("Anna", "Ben")),
    }
    assert read_marks("Carla") == {}


def test_coefficients_of_several_annotators(stored: StoredEvaluation) -> None:
    for name, other in (("Anna", "right"), ("Ben", "wrong"), ("Carla", "right")):
        judge(name, {"CAFE": "right", "BAR": other, "INN": "wrong"})
    app = open_page("browse", images="demo", vocabulary="demo", model="embedded", part="agreement")
    table = next(frame.value for frame in app.dataframe if "coefficient" in frame.value)
    assert table["coefficient"].tolist() == ["Krippendorff's alpha", "Fleiss' kappa", *["Cohen's kappa"] * 3]
    assert "3 words judged by two or more, 2 of them alike" in texts(app)
