"""Pretraining learns, resumes where it stopped, and writes a checkpoint that describes itself."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from odits.core.errors import OditsError
from odits.core.progress import Phase
from odits.models.registry import read_metadata
from odits.training.pretraining import RenderedBatches, learning_rate, plain_share, pretrain, train_reader
from odits.training.rendering import SignRenderer, usable_fonts
from odits.training.run import Listener, RunOptions
from odits.training.saving import save_model
from odits.training.settings import PretrainSettings, ReaderSettings
from tests.training.test_rendering import MATPLOTLIB_FONTS

WORDS = ["bar", "cafe", "hotel", "pizza", "books", "market", "garden", "motel", "photo", "salon", "bank", "shoes"]
CONFIG = ReaderSettings(steps=4, batch=6, misframed=2, workers=0, warmup=2, plain_steps=4, every=2)


@pytest.fixture(scope="module")
def renderer() -> SignRenderer:
    return SignRenderer(usable_fonts([MATPLOTLIB_FONTS]), WORDS)


def test_batches_depend_on_seed_and_number_alone(renderer: SignRenderer) -> None:
    first, again = (RenderedBatches(renderer, CONFIG)[3] for _ in range(2))
    assert first["words"] == again["words"]
    assert torch.equal(first["images"], again["images"])
    assert len(set(first["words"])) == CONFIG.batch
    assert not set(first["rivals"]) & set(first["words"])
    assert first["images"].shape == (CONFIG.batch + CONFIG.misframed, 32, 128, 3)


@pytest.mark.slow
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(renderer: SignRenderer, tmp_path: Path) -> None:
    whole = train_reader(renderer, tmp_path / "whole", CONFIG).state_dict()

    class StoppedError(Exception):
        pass

    def stop(line: dict[str, float]) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        train_reader(renderer, tmp_path / "cut", CONFIG, RunOptions(listener=Listener(epoch=stop)))
    assert torch.load(tmp_path / "cut" / "state.pt", weights_only=True)["history"][-1]["step"] == 2
    resumed = train_reader(renderer, tmp_path / "cut", CONFIG).state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    seen: list[float] = []
    train_reader(
        renderer,
        tmp_path / "whole",
        CONFIG,
        RunOptions(listener=Listener(epoch=lambda line: seen.append(line["step"]))),
    )
    assert seen == []  # nothing is left to do


def test_schedules() -> None:
    config = ReaderSettings(steps=1000, warmup=100, decay=0.3, plain_steps=500)
    rates = [learning_rate(step, config) for step in range(1001)]
    assert max(rates) == config.learning_rate
    assert rates[0] < rates[50] < rates[99]
    assert rates[1000] == 0
    assert np.all(np.diff(rates[700:]) <= 0)
    assert plain_share(0, config) == 1
    assert plain_share(10**6, config) == 0.05


@pytest.mark.slow
def test_the_checkpoint_says_what_it_is(renderer: SignRenderer, tmp_path: Path) -> None:
    model = train_reader(renderer, tmp_path / "run", dataclasses.replace(CONFIG, steps=1))
    save_model(model, tmp_path / "model.safetensors", {"steps": "1"})
    metadata = read_metadata(tmp_path / "model.safetensors")
    assert metadata["architecture"] == "odits-signs"
    assert metadata["steps"] == "1"


@pytest.mark.slow
def test_reader_and_locator_become_one_model_and_are_gone_on_with(renderer: SignRenderer, tmp_path: Path) -> None:
    """State files of an older version are named and left alone; another seed needs another folder."""
    for name in ("state.pt", "locator.pt"):
        (tmp_path / name).write_bytes(b"of version 0.1")
    said: list[str] = []
    phases: list[str] = []

    def phase(name: str) -> Phase:
        phases.append(name)
        return Phase(name)

    settings = PretrainSettings(steps=1, locator_steps=1, workers=0)
    options = RunOptions(listener=Listener(said.append, phase))
    path = pretrain(renderer, tmp_path, settings, options)
    assert [line.partition(" is of an older version")[0] for line in said] == [
        str(tmp_path / "locator.pt"),
        str(tmp_path / "state.pt"),
    ]
    assert (tmp_path / "state.pt").read_bytes() == b"of version 0.1"
    metadata = read_metadata(path)
    assert (metadata["words"], metadata["steps"]) == (str(len(WORDS)), "1")
    before = path.read_bytes()
    path.unlink()
    assert pretrain(renderer, tmp_path, settings, options).read_bytes() == before
    assert said[2:] == [f"resumed after step 1 of 1: {tmp_path / name}" for name in ("locator", "reader")]
    assert phases == ["training the locator", "training the reader"] * 2
    with pytest.raises(OditsError, match="another seed"):
        pretrain(renderer, tmp_path, dataclasses.replace(settings, seed=1))
