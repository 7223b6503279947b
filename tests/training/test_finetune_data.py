"""What is trained on, and where a model is cut in two."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from odits.core.errors import OditsError
from odits.data import ImageRecord, read_dataset
from odits.models.clip.embedded import new_model
from odits.training.clip_parts import choose_part, encode_chunks, trained_parameters
from odits.training.data import LexiconPairs, data_digest, usable_records
from odits.training.machine import MachineLoad
from odits.training.saving import inherited_metadata, save_model
from tests.training import tiny

LEXICONS = [("BAR", "CAFE", "BAR"), ("Cafe", "INN"), ("ZOO",), ("BAR", "ZOO", "INN", "PUB"), ("PUB",)]


@pytest.fixture(scope="module")
def records() -> list[ImageRecord]:
    return [ImageRecord(f"{i}.png", Path(f"{i}.png"), "train", words) for i, words in enumerate(LEXICONS)]


@pytest.fixture(scope="module")
def small() -> Any:
    """The tiny model in evaluation mode."""
    tiny.register()
    torch.manual_seed(0)
    return open_clip.create_model(tiny.ARCHITECTURE).eval()


def test_pairs_are_drawn_from_lexicons(records: list[ImageRecord]) -> None:
    pairs = LexiconPairs(records, batch=2, draws=3, seed=4)
    batches = list(pairs.epoch(1))
    assert [len(batch) for batch in batches] == [2, 2, 1] * 3
    for start in range(0, 9, 3):
        assert sorted(np.concatenate([batch.images for batch in batches[start : start + 3]])) == [0, 1, 2, 3, 4]
    drawn = [word for batch in batches for image, word in zip(batch.images, batch.words, strict=True) if image == 3]
    assert len(set(drawn)) == 3  # three draws of four words: none comes twice
    again = list(pairs.epoch(1))
    assert [batch.words for batch in again] == [batch.words for batch in batches]
    assert [batch.words for batch in pairs.epoch(2)] != [batch.words for batch in batches]


def test_a_word_is_true_of_every_image_whose_lexicon_has_it(records: list[ImageRecord]) -> None:
    for batch in LexiconPairs(records, batch=5, draws=4, seed=0).epoch(1):
        for i, image in enumerate(batch.images):
            known = {word.lower() for word in LEXICONS[image]}
            assert [word.lower() in known for word in batch.words] == batch.true[i].tolist()
        assert batch.true.diagonal().all()


def test_the_digest_sees_words_and_pixels(tmp_path: Path) -> None:
    folder = tiny.write_data(tmp_path / "data")
    before = usable_records(read_dataset(folder), "train")
    assert len(before) == len(tiny.LEXICONS)
    assert data_digest(before) != data_digest(before[1:])
    digest = data_digest(before)
    (folder / "0.png").write_bytes((folder / "1.png").read_bytes())
    assert data_digest(before) != digest
    (folder / "lexicons.csv").write_text("file,words,split\n0.png,BAR,train\n1.png,,train\n")
    with pytest.raises(OditsError, match="fewer than two train images"):
        usable_records(read_dataset(folder), "train")


@pytest.mark.parametrize("name", ["full", "head", "text"])
def test_the_two_halves_are_the_whole(small: Any, name: str) -> None:
    part, pixels = choose_part(small, name), torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(part.encode(part.prepare(pixels)), small.encode_image(pixels), atol=1e-6)
    assert small.visual.proj is not None


@pytest.mark.parametrize("name", ["reader", "head", "text", "full"])
def test_the_two_halves_are_the_whole_of_the_embedded_model(name: str) -> None:
    torch.manual_seed(0)
    model = new_model().eval()
    part, pixels = choose_part(model, name), torch.randn(2, 3, 64, 160)
    with torch.no_grad():
        assert torch.allclose(part.encode(part.prepare(pixels)), model.encode_image(pixels), atol=1e-5)
    assert choose_part(model).name == "reader"
    trained = trained_parameters(model, part)
    changed = {".".join(key.split(".")[:3]) for key in trained if key.startswith("visual")}
    assert ("visual.trunk.trunk" in changed) == (name == "full")
    assert ("visual.trunk.reader" in changed) == (name in ("full", "reader"))
    assert ("visual.head.proj" in changed) == (name != "text")
    assert "visual.trunk.locator" not in changed
    if name == "text":  # nothing on the image side is left to learn
        return
    part.encode(part.prepare(pixels).detach()).square().sum().backward()
    assert {key for key, weight in trained.items() if weight.grad is not None} >= {
        key for key in trained if key.startswith("visual")
    }


def test_chunks_change_memory_and_nothing_else(small: Any) -> None:
    part, pixels = choose_part(small, "full"), torch.randn(5, 3, 32, 32)
    gradients = []
    for chunk in (2, 5):
        small.zero_grad()
        encode_chunks(part, pixels, chunk).square().sum().backward()
        gradients.append(small.visual.conv1.weight.grad.clone())
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-4)


def test_files_are_the_same_bytes_each_time(small: Any, tmp_path: Path) -> None:
    """The library alone writes metadata in an order that changes from call to call."""
    many = {f"key {i}": str(i) for i in range(20)}
    for name in ("a", "b"):
        save_model(small, tmp_path / name, {"architecture": tiny.ARCHITECTURE, **many})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_activation_goes_with_the_weights() -> None:
    assert inherited_metadata("ViT-B-32/openai")["architecture"] == "ViT-B-32-quickgelu"
    assert inherited_metadata("ViT-B-32/laion2b_s34b_b79k")["architecture"] == "ViT-B-32"
    assert '"resize_mode": "squash"' in inherited_metadata("ViT-B-16-SigLIP/webli")["preprocess"]


def test_the_machine_is_watched() -> None:
    with MachineLoad(interval=0.05) as load:
        deadline = time.monotonic() + 30
        found = load.drain()
        while len(found) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
            found += load.drain()
    assert len(found) >= 2
    assert 0 < found[0]["system/system_memory_usage_percentage"] <= 100
    assert found[0]["system/process_memory_megabytes"] > 10
    assert all(0 <= sample["system/cpu_utilization_percentage"] <= 100 for sample in found)
