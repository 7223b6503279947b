"""Evaluations against the first of them: rows, shares of images, parts of images, and where a difference turns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.data import BoxedWord, Dataset, ImageRecord
from odits.evaluation.differences import DEFAULT_METRIC, METRICS, differences, shares_of
from odits.evaluation.results import StoredEvaluation, evaluate_and_store
from odits.evaluation.slices import SLICINGS, reversals, sign_height, slice_difference
from odits.metrics.paired import paired_bootstrap
from odits.metrics.scoring import mean_of
from tests.evaluation.test_results import ByColour, write_data


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_data(tmp_path)


@pytest.fixture
def base(dataset: Dataset) -> StoredEvaluation:
    return evaluate_and_store(ByColour("Signs", 20), "Signs", dataset, "eval", dataset.vocabulary())


def with_change(base: StoredEvaluation, change: list[float], metric: str = DEFAULT_METRIC) -> StoredEvaluation:
    """An evaluation whose metric differs by so much on each image."""
    values = base.per_image | {metric: base.per_image[metric] + np.array(change)}
    return replace(base, model="Other", checkpoint="other", per_image=values)


def test_every_metric_is_there(base: StoredEvaluation) -> None:
    assert set(METRICS) == set(base.per_image)


def test_rows_are_differences_to_the_first(dataset: Dataset, base: StoredEvaluation) -> None:
    others = [
        evaluate_and_store(ByColour("Signs", scale), f"{scale}", dataset, "eval", dataset.vocabulary())
        for scale in (30, 200)
    ]
    found = differences(base, others)
    assert [(one.row, one.metric) for one in found[:2]] == [(0, METRICS[0]), (1, METRICS[0])]
    for one in found:
        if one.metric == "uniformity":  # of lexicons of one word
            assert one.change is None and np.isnan(one.corrected)
            continue
        assert one.change is not None
        before, after = (mean_of(each.per_image[one.metric]) for each in (base, others[one.row]))
        assert before is not None and after is not None
        assert one.change.difference == pytest.approx(after - before)
        assert one.change.images == 9, "the image without a lexicon has no metric"
        assert one.corrected >= one.change.p
    assert differences(base, []) == []


def test_only_the_same_images_and_words_are_compared(dataset: Dataset, base: StoredEvaluation) -> None:
    other = evaluate_and_store(ByColour("Signs", 30), "x", dataset, "train", dataset.vocabulary())
    with pytest.raises(OditsError, match="other images or words"):
        differences(base, [other])
    with pytest.raises(OditsError, match="no metric"):
        shares_of(base, base, "rank luck")


def test_shares_come_largest_first_and_add_up(base: StoredEvaluation) -> None:
    change = [0.1, -0.4, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0.2, 0.5]
    found = shares_of(base, with_change(base, change), DEFAULT_METRIC)
    assert [one.image for one in found[:4]] == [base.images[place] for place in (1, 3, 8, 0)]
    assert [round(one.share, 6) for one in found[:4]] == [0.4, 0.3, 0.2, 0.1]
    assert found[-1].running == pytest.approx(1) and len(found) == 9
    assert sum(one.change for one in found) / 9 == pytest.approx(0.2 / 9)


def records_of(base: StoredEvaluation, words: list[int], splits: list[str]) -> list[ImageRecord]:
    return [
        ImageRecord(name, b"", split, tuple(f"W{n}" for n in range(count)))
        for name, count, split in zip(base.images, words, splits, strict=True)
    ]


def test_a_difference_that_turns_in_a_part_is_told(base: StoredEvaluation) -> None:
    # eight images fall a little, one rises a lot: the total rises, most parts fall
    change = [-0.1, -0.12, -0.1, -0.11, -0.1, -0.1, -0.12, -0.1, 3.0, 0.0]
    other = with_change(base, change)
    records = records_of(base, [2, 2, 3, 3, 5, 5, 8, 8, 20, 0], ["train"] * 4 + ["eval"] * 6)
    total = paired_bootstrap(np.array(change[:9])[None])[0]
    parts = slice_difference(base, other, DEFAULT_METRIC, "words", records)
    assert parts[0].title == "2 to 3 words" and parts[-1].title == "no lexicon"
    assert sum(part.images for part in parts) == 10
    warnings = reversals(total, parts)
    assert any("2 to 3 words" in one and "beyond chance" in one for one in warnings)
    assert "Simpson" in warnings[-1]
    by_source = slice_difference(base, other, DEFAULT_METRIC, "source", records)
    assert {part.title: part.images for part in by_source} == {"training lexicons": 4, "test lexicons": 6}
    (only,) = reversals(total, by_source)
    assert only.startswith("training lexicons")


def test_a_difference_that_is_the_same_everywhere_has_no_warning(base: StoredEvaluation) -> None:
    other = with_change(base, [0.1] * 10)
    records = records_of(base, [2, 2, 3, 3, 5, 5, 8, 8, 20, 0], ["eval"] * 10)
    total = paired_bootstrap(np.full((1, 9), 0.1))[0]
    for by in SLICINGS:
        parts = slice_difference(base, other, DEFAULT_METRIC, by, records)
        assert reversals(total, parts) == []
        means = [part.after - part.before for part in parts if part.change is not None]
        np.testing.assert_allclose(means, 0.1)
    with pytest.raises(OditsError, match="can't be cut"):
        slice_difference(base, other, DEFAULT_METRIC, "luck", records)


def test_parts_weighted_by_their_images_are_the_total(base: StoredEvaluation) -> None:
    change = list(np.random.default_rng(1).normal(size=10))
    other = with_change(base, change)
    records = records_of(base, [1, 9, 4, 2, 7, 3, 8, 5, 6, 0], ["eval"] * 10)
    parts = [part.change for part in slice_difference(base, other, DEFAULT_METRIC, "words", records)]
    total = sum(part.difference * part.images for part in parts if part is not None)
    assert total == pytest.approx(sum(change[:9]))


def test_the_size_of_signs_is_in_percent_of_the_picture(tmp_path: Path) -> None:
    Image.new("RGB", (50, 200)).save(tmp_path / "a.png")
    boxes = tuple(BoxedWord("W", (0, 0, 10, height)) for height in (10, 20, 60))
    assert sign_height(ImageRecord("a", tmp_path / "a.png", boxed=boxes)) == pytest.approx(10)
    assert sign_height(ImageRecord("b", tmp_path / "absent.png", boxed=boxes)) == 0
    assert sign_height(ImageRecord("c", tmp_path / "a.png")) == 0
