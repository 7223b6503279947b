"""Where the shipped models fail, with pictures: drawn scenes whose words they miss, the largest letters first.

The scenes are those that `odits render` holds out. A word is missed where it is written in a scene and not among the
model's ten most probable of the scenes' vocabulary. With --write the model cards show the pictures.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._report.paper import write_section  # noqa: E402
from benchmarks.reporting import parser, report  # noqa: E402
from odits.core.files import write_atomically  # noqa: E402
from odits.core.progress import open_reporter  # noqa: E402
from odits.data import BoxedWord, ImageRecord, Vocabulary, read_dataset  # noqa: E402
from odits.data.predictions import WordModel  # noqa: E402
from odits.models.model_ref import EMBEDDED, STREET  # noqa: E402
from odits.models.registry import load  # noqa: E402

CARDS = {STREET: "odits-street", EMBEDDED: "odits-signs"}
"""The folder in assets/ of each shipped model."""
PICTURES = Path("docs") / "failures"
TOP = 10
HEIGHT = 160  # pixels of a picture on a card
AROUND = 1.0  # heights of the letters that are shown on every side


@dataclass(frozen=True)
class Miss:
    """A written word that is not among a model's most probable.

    Attributes:
        record: the scene.
        word: the word with its box.
        rank: of the word among the vocabulary, from 1 on.
        first: what the model finds most probable, and how probable, in 0..1.
    """

    record: ImageRecord
    word: BoxedWord
    rank: int
    first: tuple[str, float]

    @property
    def height(self) -> int:
        """Pixels of the word's box from top to bottom."""
        return int(self.word.box[3] - self.word.box[1])

    @property
    def answer(self) -> str:
        """What the model says instead."""
        word, probability = self.first
        return f"rank {self.rank:,}; first {word}, {100 * probability:.0f} %"


def main() -> None:
    """Look for the words that each model misses, and show a few."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--scenes", type=Path, required=True, help="folder that `odits render` made")
    arguments.add_argument("--shown", type=int, default=4, help="pictures for each model")
    arguments.add_argument("--write", action="store_true", help="put them into the model cards and docs/failures")
    options = arguments.parse_args()
    dataset = read_dataset(options.scenes)
    records, vocabulary = dataset.split("eval"), dataset.vocabulary()
    document: dict[str, Any] = {"scenes": len(records), "words": len(vocabulary)}
    with open_reporter() as progress:
        for reference, folder in CARDS.items():
            phase = progress.phase(f"{reference}: scenes", len(records))
            model, misses, written = load(reference), [], 0
            for done, record in enumerate(records, 1):
                written += len(record.boxed)
                misses += missed(model, record, vocabulary)
                phase(done, len(records))
            document[reference] = {"written": written, "missed": len(misses), "by_height": by_height(records, misses)}
            shown = chosen(misses, options.shown)
            document[reference]["shown"] = [caption(miss) for miss in shown]
            if options.write:
                write_card(ROOT, folder, shown, document[reference], len(records))
    report(document, options.json)


def missed(model: WordModel, record: ImageRecord, vocabulary: Vocabulary) -> list[Miss]:
    """Return the words of a scene that the model misses."""
    probabilities = model.probabilities([record.open()], vocabulary)[0]
    order = np.argsort(-probabilities, kind="stable")
    ranks = np.empty(len(order), int)
    ranks[order] = np.arange(1, len(order) + 1)
    first = vocabulary.words[order[0]], float(probabilities[order[0]])
    found = []
    for word in record.boxed:
        place = vocabulary.find(word.word)
        if place is not None and ranks[place] > TOP:
            found.append(Miss(record, word, int(ranks[place]), first))
    return found


def by_height(records: Sequence[ImageRecord], misses: Sequence[Miss]) -> dict[str, str]:
    """Say how many of the words of some heights are missed."""
    limits = (0, 12, 20, 32, 64, 10_000)
    heights = np.array([word.box[3] - word.box[1] for record in records for word in record.boxed])
    lost = np.array([miss.height for miss in misses])
    said = {}
    for low, high in pairwise(limits):
        count = int(((heights >= low) & (heights < high)).sum())
        name = f"under {high}" if not low else f"{low} and more" if high == limits[-1] else f"{low} to {high - 1}"
        if count:
            said[name] = f"{int(((lost >= low) & (lost < high)).sum())} of {count}"
    return said


def chosen(misses: Sequence[Miss], count: int) -> list[Miss]:
    """Choose those with the largest letters, one of a scene."""
    found: dict[str, Miss] = {}
    for miss in sorted(misses, key=lambda miss: (-miss.height, miss.record.name, miss.word.word)):
        found.setdefault(miss.record.name, miss)
    return list(found.values())[:count]


def caption(miss: Miss) -> str:
    """Say what is written and what the model says instead."""
    return f"{miss.word.word} ({miss.height} pixels): {miss.answer}"


def cut(miss: Miss) -> Image.Image:
    """Cut the word with what is around it out of its scene."""
    image = miss.record.open().convert("RGB")
    x0, y0, x1, y1 = miss.word.box
    around = AROUND * miss.height
    box = max(0, x0 - around), max(0, y0 - around), min(image.width, x1 + around), min(image.height, y1 + around)
    left, top, right, bottom = (round(side) for side in box)
    found = image.crop((left, top, right, bottom))
    return found.resize((max(1, round(found.width * HEIGHT / found.height)), HEIGHT), Image.Resampling.LANCZOS)


def write_card(root: Path, folder: str, shown: Sequence[Miss], figures: dict[str, Any], scenes: int) -> None:
    """Put a model's failures into its card, and their pictures into docs/failures of the same checkout."""
    (root / PICTURES).mkdir(parents=True, exist_ok=True)
    heights = ", ".join(f"{name}: {said}" for name, said in figures["by_height"].items())
    lines = [
        f"Of {figures['written']} words that are written in {scenes} drawn scenes, nothing of which was trained on, "
        f"{figures['missed']} are not among the first ten of the scenes' words; by the height of their boxes in "
        f"pixels: {heights}. The missed ones with the largest boxes (`python benchmarks/failures.py`):",
        "",
        "| picture | written | what it says |",
        "|---|---|---|",
    ]
    for number, miss in enumerate(shown, 1):
        name = f"{folder}-{number}.jpg"
        stream = io.BytesIO()
        cut(miss).save(stream, "JPEG", quality=85)
        write_atomically(root / PICTURES / name, stream.getvalue())
        alt = f"A drawn sign with the word {miss.word.word}"
        lines.append(
            f"| ![{alt}](../../{PICTURES.as_posix()}/{name}) | {miss.word.word}, {miss.height} pixels | {miss.answer} |"
        )
    write_section(root / "assets" / folder / "README.md", "failures", "\n".join(lines))


if __name__ == "__main__":
    main()
