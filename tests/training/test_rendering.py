"""Rendered signs: deterministic, legible, and never the same twice."""

from pathlib import Path

import numpy as np
import pytest

from odits.core.errors import OditsError
from odits.training.rendering import FONT_FOLDERS, SignRenderer, read_words, usable_fonts
from odits.training.scenes import SCENE_HEIGHT, SCENE_WIDTH, draw_scene

MATPLOTLIB_FONTS = (
    Path(__import__("matplotlib").get_data_path()) / "fonts" / "ttf"
)  # always there, also on bare machines


@pytest.fixture(scope="module")
def renderer() -> SignRenderer:
    return SignRenderer(usable_fonts([MATPLOTLIB_FONTS]), ["open", "daily", "pizza", "sale"])


def test_fonts_without_latin_letters_are_left_out() -> None:
    names = {path.name for path in usable_fonts([MATPLOTLIB_FONTS])}
    assert "DejaVuSans.ttf" in names
    assert "STIXNonUni.ttf" not in names
    assert usable_fonts(["/no/such/folder"]) == []
    assert len(FONT_FOLDERS) > 1


@pytest.mark.parametrize("kind", ["plain", "crop", "misframed"])
def test_the_same_seed_draws_the_same(renderer: SignRenderer, kind: str) -> None:
    def draw(seed: int) -> np.ndarray:
        return getattr(renderer, kind)("hotel", np.random.default_rng(seed))

    assert draw(1).shape == (32, 128, 3)
    assert draw(1).dtype == np.uint8
    assert np.array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))


def test_words_leave_ink(renderer: SignRenderer) -> None:
    """Most crops of a word have contrast; a crop of nothing but ground would not."""
    rng = np.random.default_rng(0)
    spread = [renderer.plain("restaurant", rng).std() for _ in range(20)]
    assert min(spread) > 15


def test_scenes_know_where_their_words_are(renderer: SignRenderer) -> None:
    scenes = [draw_scene(renderer, np.random.default_rng(seed)) for seed in range(12)]
    again = draw_scene(renderer, np.random.default_rng(3))
    assert np.array_equal(again.image, scenes[3].image)
    assert np.array_equal(again.boxes, scenes[3].boxes)
    boxes = np.concatenate([scene.boxes for scene in scenes])
    assert len(boxes) > 12
    assert (boxes[:, :2] > -1).all()
    assert (boxes[:, 2] < SCENE_WIDTH + 1).all()
    assert (boxes[:, 3] < SCENE_HEIGHT + 1).all()
    inside, outside = [], []
    for scene in scenes:  # ink has edges: more of them inside the boxes than elsewhere
        grey = scene.image.mean(2)
        edges = np.abs(np.diff(grey, axis=1))
        mask = np.zeros(edges.shape, bool)
        for x0, y0, x1, y1 in scene.boxes.astype(int):
            mask[y0:y1, x0:x1] = True
        if mask.any():
            inside.append(edges[mask].mean())
            outside.append(edges[~mask].mean())
    assert np.mean(inside) > 2 * np.mean(outside)


def test_read_words(tmp_path: Path) -> None:
    alphabet = "abcdefghij"
    file = tmp_path / "words.txt"
    file.write_text(
        "\n".join(f"{a}{b}{c}" for a in alphabet for b in alphabet for c in alphabet) + "\nABC\nx\nno-way\n"
    )
    assert len(read_words([file])) == 1000
    file.write_text("too few")
    with pytest.raises(OditsError, match="at least 1000"):
        read_words([file])
