"""The page "Browse" without a browser: what it shows, sorts, filters and keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from odits.data import Dataset, Vocabulary, read_dataset
from odits.data.annotations import read_marks, set_mark
from odits.evaluation.results import StoredEvaluation, evaluate_and_store
from odits.metrics.probabilities import disagreement
from odits.models.registry import parse
from pages._browse.filters import Filter, ImageFacts, filter_images
from pages._browse.review import Review, act
from pages._shared.keyboard import fresh

REPOSITORY = Path(__file__).parents[2]


class Dice:
    """A word model that throws dice: quick, and different for every seed."""

    def __init__(self, checkpoint: str, seed: int) -> None:
        self.name, self.checkpoint, self._random = f"Dice {seed}", checkpoint, np.random.default_rng(seed)

    def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary) -> np.ndarray:
        return self._random.dirichlet(np.full(len(vocabulary), 0.1), len(images)).astype(np.float32)


@pytest.fixture
def demo() -> Dataset:
    return read_dataset(REPOSITORY / "assets" / "demo")


@pytest.fixture
def stored(demo: Dataset, home: Path) -> StoredEvaluation:
    """An evaluation under the digest of the embedded checkpoint, so that the page takes it for that one's."""
    model = Dice(parse("embedded").digest, 1)
    return evaluate_and_store(model, "embedded", demo, "all", demo.vocabulary())


def browse(**address: str) -> AppTest:
    app = AppTest.from_file(str(REPOSITORY / "pages" / "browse.py"), default_timeout=120)
    for name, value in {"images": "demo", "vocabulary": "demo", "model": "embedded", **address}.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def cards(app: AppTest) -> list[str]:
    """Names of the images in the gallery, in its order."""
    return [button.label.replace("\\", "") for button in app.button if str(button.key).startswith("open-")]


def texts(app: AppTest) -> str:
    """All that the page says in boxes and captions."""
    kinds = (app.info, app.error, app.success, app.caption, app.markdown)
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")


def html_of(app: AppTest) -> list[str]:
    return [block.proto.body for block in app.get("html")]


def press(app: AppTest, key: str) -> None:
    next(button for button in app.button if button.key == key).click().run()
    assert not app.exception


def top_of(stored: StoredEvaluation, name: str) -> list[str]:
    places, _ = stored.top(10)
    return [stored.vocabulary.words[place] for place in places[stored.images.index(name)]]


def test_without_an_evaluation_the_page_says_what_to_do(home: Path) -> None:
    app = browse()
    assert cards(app) == []
    assert "has not been evaluated on these 6 images with the 38 words" in texts(app)
    assert [button.label for button in app.button if str(button.key).startswith("start-browse")] == [
        "Evaluate 6 images"
    ]
    assert not app.error


def test_own_images_and_an_images_own_lexicon_are_told(stored: StoredEvaluation) -> None:
    assert "Browse looks through a data set" in texts(browse(images="upload"))
    assert "Choose one vocabulary for all images" in texts(browse(vocabulary="lexicon"))


def test_the_gallery_shows_every_image_with_its_words_and_marks(stored: StoredEvaluation, demo: Dataset) -> None:
    app = browse()
    assert cards(app) == [record.name for record in demo.records]
    assert not app.error
    shown = html_of(app)
    for record in demo.records:
        body = next(text for text in shown if all(f"{word}" in text for word in top_of(stored, record.name)))
        inside = set(top_of(stored, record.name)) & set(record.lexicon)
        assert body.count('class="lexicon"') == body.count("(in the neighbourhood)") == body.count("◆") == len(inside)


@pytest.mark.parametrize(
    ("sort", "score"),
    [("right", "rank precision_at_10"), ("ranking", "rank average_precision"), ("weight", "confidence precision")],
)
@pytest.mark.parametrize("order", ["high", "low"])
def test_sorting_by_how_right_the_model_was(stored: StoredEvaluation, sort: str, score: str, order: str) -> None:
    shown = cards(browse(sort=sort, order=order))
    values = [stored.per_image[score][stored.images.index(name)] for name in shown]
    assert len(values) == 6
    assert values == sorted(values, reverse=order == "high")


def test_sorting_by_the_disagreement_of_two_checkpoints(stored: StoredEvaluation, demo: Dataset) -> None:
    assert "Choose another model" in texts(browse(sort="disagreement"))
    other = evaluate_and_store(Dice("b" * 64, 2), "other", demo, "all", demo.vocabulary())
    app = browse(sort="disagreement", against=other.key)
    values = disagreement(stored.probabilities(), other.probabilities())
    assert cards(app) == [stored.images[place] for place in np.argsort(-values, kind="stable")]
    shown = "".join(html_of(app))
    assert "Dice 1" in shown
    assert "Dice 2 (bbbbbbbb)" in shown


def test_filtering_by_word_and_by_marks(stored: StoredEvaluation, demo: Dataset) -> None:
    holding = [record.name for record in demo.records if any("BAR" in word for word in record.lexicon)]
    assert 0 < len(holding) < 6
    assert cards(browse(word="bar", place="lexicon")) == holding
    word = top_of(stored, "cafe.jpg")[0]
    assert cards(browse(word=word, place="top")) == [
        name for name in stored.images if any(word in found for found in top_of(stored, name))
    ]
    assert "No image passes this filter" in texts(browse(word="nowhere"))
    review = Review(stored, stored.images, "Anna")
    set_mark("Anna", review.image_word("cafe.jpg", word), "right")
    for found in top_of(stored, "hotel.jpg"):
        set_mark("Anna", review.image_word("hotel.jpg", found), "wrong")
    assert cards(browse(annotator="Anna", marked="some")) == ["cafe.jpg"]
    assert cards(browse(annotator="Anna", marked="done")) == ["hotel.jpg"]
    assert len(cards(browse(annotator="Anna", marked="none"))) == 4
    assert len(cards(browse(annotator="Ben", marked="none"))) == 6


def test_marking_replacing_and_taking_back_a_word(stored: StoredEvaluation) -> None:
    app = browse(annotator="Anna")
    assert "0 of 60 words marked" in str(app.get("progress")[0].proto)
    press(app, "open-2")
    words = top_of(stored, "cafe.jpg")
    press(app, "right-0")
    press(app, "wrong-1")
    press(app, "unsure-1")
    assert verdicts() == {words[0]: "right", words[1]: "unsure"}
    note = next(field for field in app.text_input if field.label.startswith("Note"))
    note.set_value("half hidden").run()
    press(app, "unsure-0")
    press(app, "unsure-0")
    marks = {key.word: mark for key, mark in read_marks("Anna").items()}
    assert {word: (mark.verdict, mark.note) for word, mark in marks.items()} == {words[1]: ("unsure", "half hidden")}
    assert "1 of 60 words marked" in str(app.get("progress")[0].proto)


def verdicts() -> dict[str, str]:
    return {key.word: mark.verdict for key, mark in read_marks("Anna").items()}


def test_without_a_name_nothing_is_marked_and_the_page_says_why(stored: StoredEvaluation) -> None:
    app = browse(view="image", opened="cafe.jpg")
    press(app, "right-0")
    assert "Give your name on the left first" in texts(app)
    bad = browse(annotator="a" * 61)
    assert "at most 60 characters" in texts(bad)


def test_a_damaged_file_of_marks_is_one_sentence_and_the_page_stays(stored: StoredEvaluation, home: Path) -> None:
    from odits.data.annotation_files import annotation_file

    annotation_file("Anna").parent.mkdir(parents=True)
    annotation_file("Anna").write_bytes(b"no database at all" * 99)
    app = browse(annotator="Anna")
    assert len(app.error) == 1
    assert "damaged or no database" in texts(app)


def test_images_keep_their_order_while_one_goes_through_them(stored: StoredEvaluation) -> None:
    """An image that no longer fits the filter once it is marked does not upset next and previous."""
    app = browse(annotator="Anna", marked="none")
    press(app, "open-1")
    press(app, "right-0")
    press(app, "go-next")
    assert "cafe.jpg" in texts(app)
    press(app, "go-previous")
    assert "hotel.jpg" in texts(app)
    press(app, "close")
    assert "hotel.jpg" not in cards(app)


def test_agreement_in_a_sentence(stored: StoredEvaluation) -> None:
    assert "Nobody has marked a word yet" in texts(browse(part="agreement"))
    review = Review(stored, stored.images, None)
    words = top_of(stored, "cafe.jpg")
    for word in words[:4]:
        set_mark("Anna", review.image_word("cafe.jpg", word), "right")
    assert "Only Anna has marked words so far" in texts(browse(part="agreement"))
    set_mark("Ben", review.image_word("hotel.jpg", words[0]), "right")
    assert "not marked any of the same words" in texts(browse(part="agreement"))
    for word in words[:3]:
        set_mark("Ben", review.image_word("cafe.jpg", word), "right")
    assert "can't be computed" in texts(browse(part="agreement"))
    set_mark("Ben", review.image_word("cafe.jpg", words[3]), "wrong", "not there")
    app = browse(part="agreement", first="Anna", second="Ben")
    assert "both marked 4 words and agree on 3 (75.0 %)" in texts(app)
    table = next(frame.value for frame in app.dataframe if "note of Ben" in frame.value)
    assert table[["word", "Anna", "Ben", "note of Ben"]].values.tolist() == [[words[3], "right", "wrong", "not there"]]


def facts(score: list[float] | None = None) -> ImageFacts:
    top = [["BAR", "INN"], ["CAFE", "BARBER"], ["SPA", "GYM"]]
    lexicons = [["INN"], [], ["BAR"]]
    return ImageFacts(top, lexicons, np.array([0, 1, 2]), None if score is None else np.array(score))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Filter(), [0, 1, 2]),
        (Filter(word="bar"), [0, 1]),
        (Filter(word=" Bar ", place="lexicon"), [2]),
        (Filter(word="bar", place="any"), [0, 1, 2]),
        (Filter(marked="none"), [0]),
        (Filter(marked="some"), [1]),
        (Filter(marked="done"), [2]),
        (Filter(word="bar", marked="done"), []),
    ],
)
def test_filtering(chosen: Filter, expected: list[int]) -> None:
    assert filter_images(facts(), chosen) == expected


@pytest.mark.parametrize(("order", "expected"), [("high", [2, 0, 1]), ("low", [0, 2, 1])])
def test_images_without_a_score_come_last(order: str, expected: list[int]) -> None:
    assert filter_images(facts([0.1, np.nan, 0.7]), Filter("right", order)) == expected


def test_every_press_counts_once_and_in_order() -> None:
    done: dict[str, int] = {}
    assert fresh({"id": "a", "pressed": [[1, "right"], [2, "right"]]}, done) == ["right", "right"]
    assert fresh({"id": "a", "pressed": [[1, "right"], [2, "right"], [3, "next"]]}, done) == ["next"]
    assert fresh({"id": "a", "pressed": [[2, "right"], [3, "next"]]}, done) == []
    assert fresh({"id": "b", "pressed": [[1, "up"]]}, done) == ["up"]


@pytest.mark.parametrize(
    "log", [None, "x", [], {"id": 3}, {"id": "a"}, {"id": "a", "pressed": [1, ["x", "y"], [1], [2, 3], None]}]
)
def test_a_log_that_is_none_does_nothing(log: object) -> None:
    assert fresh(log, {}) == []


def test_an_action_that_leads_nowhere_stays_where_it_is(stored: StoredEvaluation) -> None:
    import streamlit as st

    st.session_state.clear()
    review = Review(stored, stored.images, "Anna")
    for action in ("previous", "up", "up"):
        act(review, action)
    assert review.opened() == stored.images[0]
    for _ in range(12):
        act(review, "down")
    act(review, "unsure")
    act(review, "unsure")
    assert verdicts() == {top_of(stored, stored.images[0])[9]: "unsure"}
    act(review, "none")
    assert verdicts() == {}
    st.session_state.clear()
