"""What retrieval loses, and why: by hand, and on drawn signs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from odits.data import ImageRecord
from odits.data.records import BoxedWord
from odits.evaluation.retrieval import RetrievalTask, average_precisions, map_interval
from odits.evaluation.retrieval_errors import covered_share, intruder_cause, miss_cause, query_losses
from odits.models.reading.reader import TextLine


def line(text: str, x0: float, y0: float, x1: float, y1: float) -> TextLine:
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    return TextLine(corners, 0.9, text, np.zeros((1, 2), np.float16))


def record(name: str, *boxed: BoxedWord) -> ImageRecord:
    return ImageRecord(name, b"", boxed=boxed)


def test_the_share_of_a_box_that_a_slanted_line_covers() -> None:
    assert covered_share((0, 0, 10, 10), line("", 0, 0, 5, 10).corners) == pytest.approx(0.5)
    diamond = np.array([[5, 0], [10, 5], [5, 10], [0, 5]], np.float32)
    assert covered_share((0, 0, 10, 10), diamond) == pytest.approx(0.5)
    assert covered_share((0, 0, 10, 10), diamond[::-1]) == pytest.approx(0.5)
    assert covered_share((20, 20, 30, 30), diamond) == 0 == covered_share((3, 3, 3, 9), diamond)


def test_why_a_word_is_missed() -> None:
    shows = record("a", BoxedWord("Hotel", (0, 0, 100, 20)))
    assert miss_cause(shows, [line("HOTEI", -5, -2, 105, 22)], "HOTEL") == ("misread", "HOTEI")
    halves = [line("HO", 0, 0, 45, 20), line("TEL", 45, 0, 100, 20), line("BAR", 0, 90, 50, 99)]
    assert miss_cause(shows, halves, "HOTEL") == ("cut", "TEL | HO")
    assert miss_cause(shows, halves[2:], "HOTEL") == ("not detected", "")
    assert miss_cause(record("a"), halves, "HOTEL") == ("not detected", "")


def test_why_a_picture_without_the_word_stands_high() -> None:
    assert intruder_cause(line("Grand hotel", 0, 0, 1, 1), "HOTEL") == ("box missing", "Grand hotel")
    assert intruder_cause(line("HOTELS", 0, 0, 1, 1), "HOTEL") == ("part of a longer word", "HOTELS")
    assert intruder_cause(line("MOTEL", 0, 0, 1, 1), "HOTEL") == ("similar", "MOTEL")
    assert intruder_cause(None, "HOTEL") == ("similar", "")


def test_each_loss_has_its_pictures_the_greatest_first() -> None:
    box = BoxedWord("HOTEL", (0, 0, 100, 20))
    records = (
        record("shown", box),
        record("hidden", box),
        record("unboxed"),
        record("other", BoxedWord("BAR", (0, 0, 9, 9))),
    )
    read = {"shown": [line("HOTEL", 0, 0, 100, 20)], "unboxed": [line("HOTEL", 0, 0, 100, 20)]}
    task = RetrievalTask(records, ("BAR", "HOTEL"), np.array([[False, False, False, True], [True, True, False, False]]))
    scores = np.array([[-1.0, -1, -1, 3], [5, -2, 4, -1]])

    def lines_of(one: ImageRecord) -> Sequence[TextLine]:
        return read.get(one.name, [])

    (loss,) = query_losses(task, scores, lines_of, lambda lines, _: lines[0] if lines else None)
    assert loss.query == "HOTEL" and loss.average_precision == pytest.approx((1 + 2 / 4) / 2)
    assert [(one.image, one.shows, one.rank, one.cause) for one in loss.faults] == [
        ("unboxed", False, 2, "box missing"),
        ("other", False, 3, "similar"),
        ("hidden", True, 4, "not detected"),
    ]


def test_the_interval_of_map_holds_it() -> None:
    precisions = average_precisions(np.array([[3.0, 2, 1], [1, 2, 3]]), np.array([[True, False, False]] * 2))
    assert precisions.tolist() == pytest.approx([1, 1 / 3])
    low, high = map_interval(precisions)
    assert (low, high) == pytest.approx((1 / 3, 1))
    many = np.random.default_rng(0).random(400)
    low, high = map_interval(many)
    assert low < many.mean() < high and high - low == pytest.approx(2 * 1.96 * many.std() / 20, rel=0.1)
