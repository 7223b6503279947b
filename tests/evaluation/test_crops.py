"""The embedded model reads the boxed words of real street views."""

from pathlib import Path

import pytest
from PIL import Image

from odits.data import Vocabulary, read_dataset
from odits.evaluation.reading_tasks import score_crops, word_crop
from odits.models.clip.loading import load_clip


def test_the_crop_stays_inside_the_image() -> None:
    image = Image.new("RGB", (100, 50))
    assert word_crop(image, (0, 0, 100, 50)).size == (100, 50)
    assert word_crop(image, (20, 10, 60, 30), margin=0.5).size == (60, 40)


@pytest.mark.slow
@pytest.mark.slow
def test_it_reads_svt(svt: Path) -> None:
    found, problems = score_crops(load_clip("embedded", "cpu"), read_dataset(svt), "eval")
    assert problems == {}
    assert found["boxes"] == 647
    assert found["top1_own_lexicon"] >= 0.85
    assert found["top1_all"] > 0.5


def test_it_reads_a_demo_scene() -> None:
    """A word that stands on a sign is among the first of 200 candidates for the whole scene."""
    demo = read_dataset(Path(__file__).parents[2] / "assets" / "demo")
    model = load_clip("embedded", "cpu")
    words = [word for record in demo.records for word in record.lexicon]
    vocabulary = Vocabulary.from_words(words, "demo")
    right = 0
    for record in demo.records:
        with Image.open(record.path) as image:
            top = [item.word for item in model.predict(image.convert("RGB"), vocabulary).top(5)]
        right += bool(set(top) & set(record.lexicon))
    assert right >= len(demo.records) - 1
