"""ODITS on real images, with the embedded CLIP model and segmenter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.data import Vocabulary, open_image
from odits.data.images import image_digest
from odits.models.clip.loading import load_clip
from odits.models.clip.model import ClipModel
from odits.models.fusion.inputs import InputEncoder, ObjectEncoder
from odits.models.fusion.model import OditsModel, load_odits, untrained
from odits.models.fusion.settings import OBJECT_VIEWS
from odits.models.reading.spotter import WordSpotter
from odits.models.registry import load
from odits.models.segmentation.segmenters import load_segmenter
from odits.training.saving import save_odits

DEMO = Path(__file__).parents[3] / "assets" / "demo"
WORDS = Vocabulary.from_words(
    ["BAKERY", "BOOKS", "CAFE", "HOTEL", "LUNA", "MARKET", "PHARMACY", "THEATER", "BANK", "PIZZA"], "test"
)


@pytest.fixture(scope="module")
def clip() -> ClipModel:
    return load_clip("embedded", "cpu")


def input_encoder_of(clip: ClipModel, view: str = "crop", spotter: WordSpotter | None = None) -> InputEncoder:
    return InputEncoder(ObjectEncoder(clip, load_segmenter("embedded"), view), spotter)


def small(name: str) -> Image.Image:
    image = open_image(DEMO / f"{name}.jpg")
    image.thumbnail((420, 420))
    return image


@pytest.mark.slow
@pytest.mark.parametrize(
    "view", [pytest.param(view, marks=pytest.mark.slow) if view == "masked" else view for view in OBJECT_VIEWS]
)
def test_before_training_it_is_clip_for_every_view(clip: ClipModel, view: str) -> None:
    model = untrained(input_encoder_of(clip, view))
    model.lexicons = [["CAFE", "LUNA"], ["HOTEL"]]
    image = small("cafe")
    if view == "masked":  # one whole picture for each object
        image.thumbnail((200, 200))
    found = model.predict(image, WORDS)
    assert len(found.objects) > 1
    np.testing.assert_allclose(found.probabilities, clip.predict(image, WORDS).probabilities, atol=1e-6)


@pytest.mark.slow
def test_before_training_it_is_clip_on_street_views(clip: ClipModel, svt: Path) -> None:
    model = untrained(input_encoder_of(clip))
    for name in ("00_03", "16_15"):
        image = open_image(svt / "img" / f"{name}.jpg")
        found = model.predict(image, WORDS)
        assert len(found.objects) > 10
        np.testing.assert_allclose(found.probabilities, clip.predict(image, WORDS).probabilities, atol=1e-6)


def changed(model: OditsModel) -> OditsModel:
    """A model whose network is not CLIP's any more, by weights drawn at random."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def test_a_checkpoint_says_the_same_after_loading(clip: ClipModel, tmp_path: Path) -> None:
    lexicons = [["CAFE", "LUNA"], ["HOTEL", "BANK", "CAFE"]]
    model = changed(OditsModel(untrained(input_encoder_of(clip)).network, input_encoder_of(clip), lexicons, "x", "y"))
    origin = {"name": "test", "parent_digest": clip.checkpoint, "epoch": "3"}
    from odits.models.clip.embedded import ARCHITECTURE

    path = tmp_path / "odits.safetensors"
    saved = save_odits(path, model.network, model.input_encoder, lexicons, {**origin, "architecture": ARCHITECTURE})
    first = path.read_bytes()
    save_odits(path, model.network, model.input_encoder, lexicons, {**origin, "architecture": ARCHITECTURE})
    assert path.read_bytes() == first
    loaded = load(str(path), "cpu")
    assert isinstance(loaded, OditsModel)
    assert loaded.lexicons == lexicons and loaded.name == "ODITS on test (+3)" == saved["metadata"]["name"]
    image = small("hotel")
    np.testing.assert_allclose(
        loaded.predict(image, WORDS).probabilities, model.predict(image, WORDS).probabilities, atol=1e-6
    )


def test_what_is_no_odits_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    from odits.models.reference import EMBEDDED_WEIGHTS

    with pytest.raises(OditsError, match="is not an ODITS checkpoint"):
        load_odits(EMBEDDED_WEIGHTS)
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(OditsError, match="damaged"):
        load_odits(tmp_path / "x.safetensors")


@pytest.mark.slow
def test_signs_that_were_read_are_objects_too(clip: ClipModel) -> None:
    image = open_image(DEMO / "cafe.jpg")
    plain = input_encoder_of(clip).encode(image, WORDS)
    both = input_encoder_of(clip, spotter=WordSpotter()).encode(image, WORDS)
    assert both.read is not None
    assert len(both.embeddings) == len(plain.embeddings) + len(both.read)
    assert both.is_read.sum() == len(both.read) and not both.is_read[: len(plain.embeddings)].any()
    model = untrained(input_encoder_of(clip, spotter=WordSpotter()))
    found = model.predict_input(both, WORDS)
    assert found.similarity[both.is_read].max(0)[WORDS.words.index("BOOKS")] > 0.9


def test_embeddings_are_cached_and_a_damaged_file_is_computed_again(clip: ClipModel, home: Path) -> None:
    encoder, image = input_encoder_of(clip).object_encoder, small("market")
    first = encoder.encode(image)
    (file,) = (home / "cache" / "object-embeddings").rglob("*.npz")
    file.write_bytes(b"half")
    again = encoder.encode(image)
    np.testing.assert_array_equal(first.objects, again.objects)
    assert file.stat().st_size > 100
    former = home / "object-embeddings" / sha256_of(encoder.key)[:24] / f"{image_digest(image)[:24]}.npz"
    former.parent.mkdir(parents=True)
    file.rename(former)  # where versions before 0.2 stored it
    stamp = former.stat().st_mtime_ns
    np.testing.assert_array_equal(first.objects, encoder.encode(image).objects)
    assert file.stat().st_mtime_ns == stamp and not former.exists()
    empty = encoder.encode(Image.new("RGB", (64, 48), (90, 90, 90)))
    assert empty.objects.shape[1] == first.objects.shape[1]
