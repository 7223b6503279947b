"""The locator learns where words stand, and finds large ones on a smaller copy of the scene."""

from pathlib import Path

import pytest
import torch
from torchvision.ops import box_iou

from odits.models.clip.embedded import normalise
from odits.models.clip.loading import load_clip
from odits.models.clip.sign_tower import WordLocator, locator_loss
from odits.training.pretraining import RenderedScenes, train_locator
from odits.training.rendering import SignRenderer, usable_fonts
from odits.training.run import Listener, RunOptions
from odits.training.settings import LocatorSettings
from tests.training.test_pretrain import WORDS
from tests.training.test_rendering import MATPLOTLIB_FONTS


@pytest.mark.slow
@pytest.mark.slow
def test_it_learns_and_resumes(tmp_path: Path) -> None:
    renderer = SignRenderer(usable_fonts([MATPLOTLIB_FONTS]), WORDS)
    config = LocatorSettings(steps=24, batch=2, workers=0, every=6, warmup=4)
    lines: list[dict[str, float]] = []
    options = RunOptions(listener=Listener(epoch=lines.append))
    locator = train_locator(renderer, tmp_path, config, options)
    assert lines[-1]["step"] == 24
    assert lines[-1]["boxes"] < lines[0]["boxes"]
    again = train_locator(renderer, tmp_path, config, options)
    assert len(lines) == 4  # nothing was left to do
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in locator.state_dict().items())


def test_a_scene_without_words_has_a_loss() -> None:
    torch.manual_seed(0)
    cells, boxes = locator_loss(WordLocator(), torch.randn(1, 3, 64, 64), [torch.empty(0, 4)])
    assert torch.isfinite(cells)
    assert float(boxes.detach()) == 0


def test_boxes_stay_inside_and_are_as_many_as_asked() -> None:
    torch.manual_seed(0)
    boxes = WordLocator().eval().find(torch.randn(2, 3, 96, 160), 24)
    assert boxes.shape == (2, 24, 4)
    assert (boxes >= 0).all()
    assert (boxes <= torch.tensor([160.0, 96.0, 160.0, 96.0])).all()


@pytest.mark.slow
def test_the_shipped_locator_finds_rendered_words() -> None:
    """On scenes it never saw, faint and crossed-out words among them, it meets three of five words of legible size."""
    renderer = SignRenderer(usable_fonts([MATPLOTLIB_FONTS]), WORDS)
    images, boxes = RenderedScenes(renderer, LocatorSettings(seed=12345))[0]
    locator = load_clip("embedded", "cpu").model.visual.trunk.locator
    met = []
    for image, words in zip(normalise(images), boxes, strict=True):
        legible = words[(words[:, 3] - words[:, 1]) > 12]
        if len(legible):
            met += box_iou(legible, locator.find(image[None], 24)[0]).max(dim=1).values.gt(0.5).tolist()
    assert sum(met) / len(met) > 0.6
