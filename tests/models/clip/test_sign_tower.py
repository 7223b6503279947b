"""The image tower reads crops and scenes with one set of weights."""

import pytest
import torch

from odits.models.clip.sign_tower import SignTower


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


def test_the_gate_averages_the_windows(tower: SignTower) -> None:
    scene = torch.randn(1, 3, 96, 192)
    with torch.inference_mode():
        windows = tower.windows(scene)[0]
        assert windows.shape == (tower.windows_per_scene, 32, 192)
        expected = tower.gate_logits(windows).softmax(0) @ tower.pool(tower.read(windows))
        assert torch.allclose(tower(scene)[0], expected, atol=1e-5)


def test_a_window_is_read_as_its_crop(tower: SignTower) -> None:
    """What is cut out of a scene goes through the same weights as a crop, with nothing of its surroundings."""
    scene = torch.randn(1, 3, 64, 256)
    box = torch.tensor([[[64.0, 16.0, 192.0, 48.0]]])
    tower.locator.find = lambda image, count: box  # type: ignore[method-assign]
    with torch.inference_mode():
        window = tower.windows(scene)[0]
        crop = tower.windows(scene[:, :, 16:48, 64:192].contiguous())[0]
    del tower.locator.find
    assert window.shape == crop.shape
    correlation = torch.corrcoef(torch.stack([window.flatten(), crop.flatten()]))[0, 1]
    assert correlation > 0.5  # the cut interpolates white noise; a real picture is closer


def test_gradients_reach_every_weight_that_reads(tower: SignTower) -> None:
    tower(torch.randn(1, 3, 64, 160)).square().sum().backward()
    missing = [name for name, weight in tower.named_parameters() if weight.grad is None]
    assert all(name.startswith("locator.") for name in missing)
    assert any(weight.grad is not None for weight in tower.trunk.parameters())
