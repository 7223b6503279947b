"""The word model that reads, on drawn scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.data import ImageRecord, Vocabulary, read_dataset
from odits.data.records import BoxedWord
from odits.evaluation.reading_tasks import match_words, spot_lexicon
from odits.evaluation.retrieval import (
    RetrievalTask,
    mean_average_precision,
    readable_part,
    retrieval_task,
    spotting_scores,
)
from odits.models.reading.ctc import Lexicon
from odits.models.reading.reader import TextLine
from odits.models.reading.result_files import read_results
from odits.models.reading.spotter import ResultSpotter, WordSpotter, find_words, odds_shares, overlap_of, shared_area

DEMO = Path(__file__).parents[3] / "assets" / "demo"
WORDS = ["PHARMACY", "FLOWERS", "Bakery", "corner", "HOTEL", "FLOW", "BREADS"]


@pytest.mark.slow
def test_the_words_that_are_there_are_the_most_probable(scene: Image.Image) -> None:
    prediction = WordSpotter().predict(scene, Vocabulary.from_words(WORDS, "some"))
    assert {item.word for item in prediction.top(3)} == {"FLOWERS", "Bakery", "corner"}
    assert prediction.probabilities.dtype == np.float32
    assert 0.9 < prediction.probabilities.sum() < 1


@pytest.mark.slow
def test_none_of_the_words_has_its_share(scene: Image.Image) -> None:
    absent = WordSpotter().predict(scene, Vocabulary.from_words(["PHARMACY", "HOTEL"], "absent"))
    assert absent.probabilities.sum() < 0.05
    blank = WordSpotter().predict(Image.new("RGB", (64, 64)), Vocabulary.from_words(["A"], "one"))
    assert blank.probabilities.tolist() == [0]


def test_shares_are_the_odds_with_none_of_them() -> None:
    np.testing.assert_allclose(odds_shares(np.log([3.0, 1.0])), [3 / 5, 1 / 5], rtol=1e-6)
    np.testing.assert_allclose(odds_shares(np.array([900.0, -900.0])), [1, 0])
    np.testing.assert_allclose(odds_shares(np.array([-900.0])), [0])


def test_each_place_shows_one_word(lines: list[TextLine]) -> None:
    spotter = WordSpotter()
    found = find_words(spotter.score_lines(lines, Lexicon(WORDS)), WORDS)
    assert sorted(one.word for one in found) == ["Bakery", "FLOWERS", "corner"]
    flowers = next(one for one in found if one.word == "FLOWERS")
    assert overlap_of(flowers.box, (677, 298, 974, 359)) > 0.7
    assert [one.probability for one in found] == sorted((one.probability for one in found), reverse=True)


def test_boxes_overlap_as_they_should() -> None:
    assert overlap_of((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert shared_area((0, 0, 4, 4), (1, 1, 2, 2)) == 1
    assert shared_area((0, 0, 1, 1), (2, 2, 3, 3)) == 0 == overlap_of((0, 0, 0, 0), (0, 0, 0, 0))


def test_found_words_are_matched_once_each(lines: list[TextLine]) -> None:
    spotter = WordSpotter()
    found = find_words(spotter.score_lines(lines, Lexicon(WORDS)), WORDS)
    boxed = [
        BoxedWord("FLOWERS", (677, 298, 974, 359)),
        BoxedWord("FLOWERS", (680, 300, 970, 360)),
        BoxedWord("CORNER", (500, 500, 520, 520)),
    ]
    matching = match_words(found, boxed)
    assert [pair.word for pair, _ in matching.found] == ["FLOWERS"]
    assert [box.word for box in matching.missed] == ["FLOWERS", "CORNER"]
    assert sorted(one.word for one in matching.false) == ["Bakery", "corner"]


@pytest.mark.slow
def test_retrieval_ranks_the_image_that_shows_the_word(svt: Path) -> None:
    records = read_dataset(svt).split("train")[:2]
    task = retrieval_task(records)
    scores, problems = spotting_scores(WordSpotter(), task)
    assert problems == {}
    assert scores.shape == task.relevant.shape == (len(task.queries), 2)
    assert mean_average_precision(scores, task.relevant) > 0.8
    assert task.relevant.any(1).all()


def test_what_another_spotter_wrote_is_judged_in_the_same_way() -> None:
    record = read_dataset(DEMO).split("eval")[0]
    written = [{"image_id": record.name, "polys": [[0, 0], [90, 0], [90, 9]], "rec": record.lexicon[0], "score": 0.9}]
    other = ResultSpotter("other", read_results(json.dumps(written).encode()))
    assert [one.word for one in spot_lexicon(other, other.lines_of(record), record, 0.5)] == [record.lexicon[0].upper()]
    assert other.lines_of(read_dataset(DEMO).split("eval")[1]) == []


def test_average_precision_by_hand() -> None:
    relevant = np.array([[True, False, True, False]])
    assert mean_average_precision(np.array([[4.0, 3, 2, 1]]), relevant) == pytest.approx((1 + 2 / 3) / 2)
    assert mean_average_precision(np.zeros((1, 4)), relevant) == pytest.approx(0.5)


def test_retrieval_needs_boxed_words_or_lexicons() -> None:
    records = read_dataset(DEMO).split("eval")
    with pytest.raises(OditsError, match="boxed words"):
        retrieval_task(records)
    task = retrieval_task(records, by_lexicon=True)
    assert {query for query, shown in zip(task.queries, task.relevant[:, 0], strict=True) if shown} == {
        word.upper() for word in records[0].lexicon
    }


def test_images_that_cannot_be_read_are_left_out_with_the_words_that_only_they_show() -> None:
    relevant = np.array([[True, False, False], [False, True, False], [False, True, True]])
    records = tuple(ImageRecord(name, b"") for name in "abc")
    part, rows, columns = readable_part(RetrievalTask(records, ("A", "B", "C"), relevant), [1])
    assert [record.name for record in part.records] == ["a", "c"] and part.queries == ("A", "C")
    assert part.relevant.tolist() == [[True, False], [False, True]]
    assert rows.tolist() == [0, 2] and columns.tolist() == [0, 2]
