"""The image tower reads crops and scenes with one set of weights."""

import pytest
import torch

from odits.models.sign_tower import SignTower


@pytest.fixture(scope="module")
def tower() -> SignTower:
    torch.manual_seed(0)
    return SignTower().eval()


def test_a_crop_is_one_window(tower: SignTower) -> None:
    crop = torch.randn(2, 3, 32, 128)
    with torch.inference_mode():
        assert tower.windows(crop).shape == (2, 1, 32, 192)
        assert tower(crop).shape == (2, tower.num_features)


def test_scenes_do_not_mix(tower: SignTower) -> None:
    scenes = torch.randn(2, 3, 128, 256)
    with torch.inference_mode():
        together, alone = tower(scenes), tower(scenes[1:])
    assert together.shape == (2, tower.num_features)
    assert torch.allclose(together[1:], alone, atol=1e-4)


def test_the_best_window_decides(tower: SignTower) -> None:
    """A scene's features are the gate's average of its windows' features, over the best of them."""
    scene = torch.randn(1, 3, 96, 192)
    with torch.inference_mode():
        windows = tower.windows(scene)[0]
        logits, best = tower.gate_logits(windows).topk(min(tower.top_windows, len(windows)))
        expected = logits.softmax(0) @ tower.pool(tower.read(windows[best]))
        assert torch.allclose(tower(scene)[0], expected, atol=1e-5)


def test_gradients_reach_every_weight(tower: SignTower) -> None:
    tower(torch.randn(1, 3, 64, 160)).square().sum().backward()
    missing = [name for name, weight in tower.named_parameters() if weight.grad is None]
    assert missing == []
