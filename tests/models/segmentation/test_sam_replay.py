"""Filters replayed over stored candidates equal SAM run anew with them; the search finds what it says."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.modeling import Sam

from odits.core.errors import OditsError
from odits.counting.tuning import Tunable, search, try_filters, tunable_candidates
from odits.models.segmentation.candidates import LOOSE_QUALITY, LOOSE_STABILITY
from odits.models.segmentation.parameters import SamParameters
from odits.models.segmentation.sam_replay import Filters, MaskCandidates, collect, replay
from tests.models.segmentation.test_sam_decoder import LOOSE, cancel_at, scene, small_sam

BASE: dict[str, Any] = LOOSE | {"pred_iou_thresh": 0.8, "stability_score_thresh": 0.2}
CROPS = BASE | {"points_per_side": 4, "crop_n_layers": 1, "crop_nms_thresh": 0.6}


@pytest.fixture(scope="module")
def sam() -> Sam:
    return small_sam()


@pytest.fixture(scope="module", params=[BASE, CROPS], ids=["whole", "crops"])
def candidates(request: pytest.FixtureRequest, sam: Sam) -> tuple[dict[str, Any], MaskCandidates]:
    return request.param, collect(sam, scene(200, 144), request.param)


@pytest.mark.parametrize(
    "filters",
    [
        Filters(0.8, 0.2, 0.7, 0),
        Filters(0.88, 0.35, 0.7, 0),
        Filters(0.85, 0.2, 0.3, 0),
        Filters(0.85, 0.3, 0.9, 40),
        Filters(0.8, 0.2, 1.0, 300),
        Filters(0.9, 0.4, 0.7, 10),
    ],
)
def test_replaying_equals_running_anew(
    sam: Sam, candidates: tuple[dict[str, Any], MaskCandidates], filters: Filters
) -> None:
    arguments, stored = candidates
    expected = SamAutomaticMaskGenerator(sam, **arguments | filters._asdict()).generate(scene(200, 144))
    found = replay(stored, filters)
    assert len(found) == len(expected)
    for mask, index, item in zip(found.masks(), found.indices, expected, strict=True):
        assert np.array_equal(mask, item["segmentation"])
        assert stored.quality[index] == pytest.approx(item["predicted_iou"], abs=1e-5)
    assert expected


def test_filters_that_nothing_passes(candidates: tuple[dict[str, Any], MaskCandidates]) -> None:
    assert replay(candidates[1], Filters(1.5, 0.3, 0.7, 10)).masks() == []


def test_looser_filters_are_one_sentence(candidates: tuple[dict[str, Any], MaskCandidates]) -> None:
    with pytest.raises(OditsError, match=r"pred_iou_thresh cannot be tried below 0\.8"):
        replay(candidates[1], Filters(0.7, 0.5))
    with pytest.raises(OditsError, match=r"stability_score_thresh cannot be tried below 0\.2"):
        replay(candidates[1], Filters(0.9, 0.1))


def test_candidates_survive_a_file(candidates: tuple[dict[str, Any], MaskCandidates]) -> None:
    again = MaskCandidates.from_bytes(candidates[1].to_bytes())
    filters = Filters(0.85, 0.3, 0.9, 40)
    assert replay(again, filters).indices == replay(candidates[1], filters).indices
    assert all(np.array_equal(again.mask(index), candidates[1].mask(index)) for index in range(len(again.quality)))
    with pytest.raises((ValueError, KeyError)):
        MaskCandidates.from_bytes(b"not an archive")


def test_collecting_can_be_cancelled(sam: Sam) -> None:
    with pytest.raises(InterruptedError):
        collect(sam, scene(200, 144), BASE, cancel_at(40))


@pytest.fixture(scope="module")
def images(sam: Sam) -> list[MaskCandidates]:
    sizes = itertools.product((96, 150, 220), (80, 130, 180))
    return [collect(sam, scene(*size), BASE | {"points_per_side": 3}) for size in sizes]


def test_the_search_puts_the_most_normal_counts_first(images: list[MaskCandidates]) -> None:
    values = itertools.product((0.8, 0.86, 0.9), (0.2, 0.35, 0.6), (0.4, 0.8), (0, 20))
    filters = [Filters(*item) for item in values]
    seen: list[tuple[int, int]] = []
    found = search(Tunable(images, Filters(), filters), progress=lambda done, of: seen.append((done, of)))
    assert sorted(item.filters for item in found) == sorted(filters) and seen[-1] == (36, 36)
    tested = [item.test.statistic for item in found if item.test is not None]
    assert len(tested) > 5 and tested == sorted(tested)
    assert all(item.test is not None for item in found[: len(tested)])
    assert found[0] == try_filters(images, found[0].filters)
    assert len(found[0].counts) == 9 and len({item.counts for item in found}) > 5


def test_counts_that_cannot_be_tested_say_why(images: list[MaskCandidates]) -> None:
    strict = try_filters(images, Filters(9.0, 0.9))
    assert strict.test is None and strict.counts == (0,) * 9
    assert strict.reason == "All images have 0 objects, so there is no distribution to test."
    with pytest.raises(OditsError, match="at least 8 images"):
        search(tunable_candidates(images[:7], SamParameters()))


def test_the_default_grid_has_hundreds_of_settings() -> None:
    settings = tunable_candidates([], SamParameters()).settings
    assert len(set(settings)) == 280
    assert all(LOOSE_QUALITY <= one.pred_iou_thresh < 1 for one in settings)
    assert all(LOOSE_STABILITY <= one.stability_score_thresh < 1 for one in settings)
