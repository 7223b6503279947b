"""Masks for clicks and boxes, against segment-anything's own predictor, with a real SAM that is only small."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from segment_anything import SamPredictor
from segment_anything.modeling import Sam

from odits.core.errors import OditsError
from odits.models.segmentation.sam import PromptedImage
from tests.models.segmentation.small_sam import build_sam

SIZE = (170, 110)


@pytest.fixture(scope="module")
def sam() -> Sam:
    torch.manual_seed(3)
    return build_sam(256, heads=8, global_layers=(1,)).eval()


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE[::-1], 3), np.uint8)
    pixels[30:80, 40:110] = (180, 30, 30)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("points", "negative_points", "box"),
    [
        ([(75.0, 50.0)], [], None),
        ([(75.0, 50.0), (60.5, 40.0)], [(5.0, 5.0)], None),
        ([], [], (40.0, 30.0, 110.0, 80.0)),
        ([(75.0, 50.0)], [], (40.0, 30.0, 110.0, 80.0)),
    ],
)
def test_the_library_gives_the_same(
    sam: Sam,
    picture: Image.Image,
    points: list[tuple[float, float]],
    negative_points: list[tuple[float, float]],
    box: tuple[float, float, float, float] | None,
) -> None:
    found = PromptedImage(sam, picture).predict(points, negative_points, box)
    predictor = SamPredictor(sam)
    predictor.set_image(np.asarray(picture))
    masks, quality, _ = predictor.predict(
        np.array([*points, *negative_points]) if points else None,
        np.array([1] * len(points) + [0] * len(negative_points)) if points else None,
        None if box is None else np.array(box),
    )
    order = np.argsort(-quality, kind="stable")
    assert found.masks.shape == (3, *SIZE[::-1])
    assert np.allclose(found.scores, quality[order], atol=1e-4)
    assert (found.masks != masks[order]).mean() < 1e-3
    assert (np.diff(found.scores) <= 0).all()


def test_a_second_prompt_does_not_encode_the_image_again(
    sam: Sam, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = PromptedImage(sam, picture)
    seen: list[int] = []
    hook = sam.image_encoder.patch_embed.register_forward_hook(lambda *_: seen.append(1))
    try:
        first, second = image.predict([(75, 50)]), image.predict([(20, 20)])
        PromptedImage(sam, picture)
    finally:
        hook.remove()
    assert len(seen) == 1  # by the one that was made in the end
    assert not np.array_equal(first.masks, second.masks)


def test_one_mask_without_multimask(sam: Sam, picture: Image.Image) -> None:
    found = PromptedImage(sam, picture).predict(box=(40, 30, 110, 80), multimask=False)
    assert found.masks.shape[0] == len(found.scores) == 1


def test_a_candidate_becomes_an_object(sam: Sam, picture: Image.Image) -> None:
    found = PromptedImage(sam, picture).predict([(75, 50)])
    index = int(found.masks.any(axis=(1, 2)).argmax())
    detection = found.detection(index)
    assert len(detection) == int(found.masks[index].any())
    if len(detection):
        assert np.array_equal(detection.mask[0], found.masks[index])


def test_wrong_prompts_are_one_sentence(sam: Sam, picture: Image.Image) -> None:
    image = PromptedImage(sam, picture)
    with pytest.raises(OditsError, match="Click"):
        image.predict()
    with pytest.raises(OditsError, match="outside"):
        image.predict([(171, 5)])
    with pytest.raises(OditsError, match="no area"):
        image.predict(box=(50, 20, 50, 60))
