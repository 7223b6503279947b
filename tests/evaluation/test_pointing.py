"""The pointing game on boxes and pictures of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from odits.data import BoxedWord, Vocabulary
from odits.evaluation.pointing import Target, find_targets, hit, hit_by_chance, occluded, point_by_occlusion

WORDS = Vocabulary(tuple(f"WORD{number}" for number in range(30)), "thirty words")
SIGN = Target(0, ((10, 10, 30, 20),))


def test_words_of_the_top_are_targets_once() -> None:
    boxed = [BoxedWord("Word3", (0, 0, 5, 5)), BoxedWord("WORD9", (5, 0, 9, 9)), BoxedWord("word3", (9, 9, 12, 12))]
    order = [9, 3, *(place for place in range(30) if place not in (3, 9))]
    assert find_targets(order, boxed, WORDS) == [
        Target(3, ((0, 0, 5, 5), (9, 9, 12, 12))),
        Target(9, ((5, 0, 9, 9),)),
    ]
    assert [target.word for target in find_targets(order[::-1], boxed, WORDS)] == []
    many = [BoxedWord(word, (0, 0, 1, 1)) for word in WORDS.words[:15]]
    assert len(find_targets(list(range(30)), many, WORDS)) == 15, "as many places as there are words"


def test_overlapping_is_less_than_pointing() -> None:
    assert hit((10, 10, 30, 20), SIGN) == (1, 1, 1)
    assert hit((0, 0, 12, 12), SIGN)[:2] == (1, 0), "a corner in common, its middle outside"
    assert hit((30, 10, 50, 20), SIGN) == (0, 0, 0), "they touch"
    assert hit((0, 0, 400, 400), SIGN)[:2] == (1, 0), "what covers everything does not point"
    either = Target(0, ((10, 10, 30, 20), (100, 0, 120, 10)))
    assert hit((100, 0, 120, 10), either).iou == 1


def test_chance_is_the_mean_over_all_objects() -> None:
    assert hit_by_chance([(10, 10, 30, 20), (50, 50, 60, 60)], SIGN) == (0.5, 0.5, 0.5)
    assert hit_by_chance([], SIGN) == (0, 0, 0)


def test_every_pixel_is_covered_once() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (35, 50, 3), np.uint8))
    parts = list(occluded(image, 6, 4))
    seen = np.zeros((35, 50), int)
    for (x0, y0, x1, y1), covered in parts:
        seen[y0:y1, x0:x1] += 1
        changed = (np.asarray(covered) != np.asarray(image)).any(-1)
        assert changed[y0:y1, x0:x1].mean() > 0.9
        changed[y0:y1, x0:x1] = False
        assert not changed.any()
    assert len(parts) == 24 and (seen == 1).all()


def test_occlusion_finds_what_the_model_looks_at() -> None:
    image = Image.new("RGB", (60, 40))
    image.paste((255, 0, 0), (2, 2, 8, 8))
    image.paste((0, 255, 0), (52, 32, 58, 38))

    def logits(covered: Image.Image) -> np.ndarray:
        pixels = np.asarray(covered, float)
        return np.array([(pixels[..., 0] > 200).sum(), (pixels[..., 1] > 200).sum()])

    red, green = point_by_occlusion(image, logits, 6, 4)
    assert red == (0, 0, 10, 10) and green == (50, 30, 60, 40)


@pytest.mark.parametrize("size", [(1, 1), (3, 200)])
def test_small_pictures_are_covered_too(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (9, 9, 9))
    assert len(point_by_occlusion(image, lambda covered: np.zeros(2))) == 2
