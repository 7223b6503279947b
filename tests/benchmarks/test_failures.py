"""Where models fail: which words count as missed, which are shown, and what the model cards say of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.failures import PICTURES, TOP, by_height, caption, chosen, missed, write_card
from odits.data import BoxedWord, ImageRecord, Vocabulary

WORDS = [f"WORD{number}" for number in range(TOP + 3)]


class Ranked:
    """A model that finds earlier words of a vocabulary more probable, whatever it is shown."""

    def probabilities(self, images: list[Image.Image], vocabulary: Vocabulary) -> np.ndarray:
        weights = 0.5 ** np.arange(1, len(vocabulary) + 1)
        return np.tile(weights / weights.sum(), (len(images), 1))


def scene(folder: Path, name: str, *words: BoxedWord) -> ImageRecord:
    Image.new("RGB", (300, 200), "white").save(folder / name)
    return ImageRecord(name, folder / name, boxed=words)


def test_words_after_the_first_ten_are_missed_and_the_largest_of_each_scene_shown(tmp_path: Path) -> None:
    found = BoxedWord(WORDS[TOP - 1], (10, 10, 90, 100))
    small, large = BoxedWord(WORDS[TOP], (0, 0, 50, 15)), BoxedWord(WORDS[TOP + 2], (20, 50, 290, 120))
    unknown = BoxedWord("elsewhere", (0, 0, 300, 200))
    records = [scene(tmp_path, "a.png", found, small, large, unknown), scene(tmp_path, "b.png", found)]
    misses = [miss for record in records for miss in missed(Ranked(), record, Vocabulary.from_words(WORDS, "test"))]  # type: ignore[arg-type]
    assert [(miss.record.name, miss.word.word, miss.rank) for miss in misses] == [
        ("a.png", WORDS[TOP], TOP + 1),
        ("a.png", WORDS[TOP + 2], TOP + 3),
    ]
    assert by_height(records, misses) == {"12 to 19": "1 of 1", "64 and more": "1 of 4"}
    (shown,) = chosen(misses, 4)
    assert shown.word is large and caption(shown) == f"{large.word} (70 pixels): rank 13; first {WORDS[0]}, 50 %"


def test_a_card_shows_what_was_missed(tmp_path: Path) -> None:
    record = scene(tmp_path, "a.png", BoxedWord(WORDS[-1], (20, 50, 290, 120)))
    misses = missed(Ranked(), record, Vocabulary.from_words(WORDS, "test"))  # type: ignore[arg-type]
    card = tmp_path / "assets" / "some-model" / "README.md"
    card.parent.mkdir(parents=True)
    card.write_text("before\n<!-- failures: made by a benchmark's --write -->\nold\n<!-- failures: end -->\nafter\n")
    figures = {"written": 1, "missed": 1, "by_height": by_height([record], misses)}
    write_card(tmp_path, "some-model", misses, figures, 1)
    text = card.read_text("utf-8")
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert f"| {WORDS[-1]}, 70 pixels | rank 13; first {WORDS[0]}, 50 % |" in text
    link = text.split("](")[1].split(")")[0]
    with Image.open(card.parent / link) as picture:
        assert picture.size == (253, 160)  # 300 x 190: a height of the letters around, cut at the edges
    assert (tmp_path / PICTURES / "some-model-1.jpg").is_file()
