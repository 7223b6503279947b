"""Where Annotate shows a word: for ODITS in the object that carries it, as the evaluation left it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from odits.core.files import asset
from odits.data import Dataset, open_image, read_dataset
from odits.evaluation.results import evaluate_and_store
from odits.models.clip.embedded import ARCHITECTURE
from odits.models.fusion.explanation import Explainer
from odits.models.fusion.inputs import EMBEDDINGS, InputEncoder, ObjectEncoder
from odits.models.fusion.model import OditsModel, untrained
from odits.models.registry import load
from odits.training.saving import save_odits
from pages._browse.annotate import Settings, Task, card_of
from pages._browse.places import object_places
from pages._shared.pictures import open_picture


@pytest.fixture
def reference(home: Path) -> str:
    """An ODITS checkpoint whose network drew its weights: objects matter to it, for no good reason."""
    folder = home / "checkpoints" / "run"
    folder.mkdir(parents=True)
    clip = load("embedded", "cpu", kind="clip")
    encoder = InputEncoder(ObjectEncoder(clip, load("embedded", kind="segmenter")))
    network = untrained(encoder).network
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data += 0.5 * torch.randn(parameter.shape, generator=generator)
    header = {"name": "mine", "epoch": "2", "architecture": ARCHITECTURE, "parent_digest": clip.checkpoint}
    save_odits(folder / "odits.safetensors", network, encoder, [["CAFE"]], header)
    return str(folder / "odits.safetensors")


@pytest.fixture
def street(tmp_path: Path) -> Dataset:
    folder = tmp_path / "street"
    folder.mkdir()
    image = open_image(asset("demo") / "cafe.jpg")
    image.thumbnail((420, 420))
    image.save(folder / "cafe.png")
    (folder / "lexicons.csv").write_text("file,words\ncafe.png,CAFE LUNA BAKERY HOTEL\n")
    return read_dataset(folder)


def test_a_word_is_framed_by_the_object_that_carries_it(reference: str, street: Dataset) -> None:
    model = load(reference, "cpu", kind="odits")
    assert isinstance(model, OditsModel)
    words = street.vocabulary()
    opened = open_picture(street.records[0])
    assert object_places(list(words.words), reference, opened, words) == {}, "nothing is computed for it"
    stored = evaluate_and_store(model, reference, street, "eval", words)
    task = Task(stored, {one.name: one for one in street.records}, "Anna", reference, Settings(least=0.01))
    outlines = {word["word"]: word["outline"] for word in card_of(task, "cafe.png")["words"]}
    assert len(outlines) > 1
    explainer = Explainer(model, model.input_encoder.encode(opened.image, words), words)
    assert len(explainer.groups) > 1
    for word, outline in outlines.items():
        place = words.find(word)
        assert place is not None
        contributed = explainer.contributions([place])[:, 0]
        strongest = explainer.groups[int(contributed.argmax())]
        if outline is None:
            assert contributed.max() < 0.1
        else:
            np.testing.assert_allclose(outline, strongest.corners, atol=0.06)
    assert any(outlines.values())
    EMBEDDINGS.clear()
    assert object_places(["CAFE"], "embedded", opened, words) == {}, "CLIP has no objects"
    assert object_places(["CAFE"], reference + "x", opened, words) == {}, "a model that is gone"
