"""The pointing game: does the object that carries a word lie where the word is written?

For each boxed word that ODITS has in its top ten over the default vocabulary (where more words are boxed, among as many
as there are), the object with the largest contribution to the word's logit is compared with the word's box. Beside it:
an object drawn at random (the expectation, not a draw), and on a few images the part of the picture whose covering
takes most from the same word (occlusion, as Grad-CAM's heat maps are used, for models without gradients to the pixels).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, own_home, parser, report
from odits.core.progress import Progress, no_progress, open_reporter
from odits.data import ImageRecord, find_data_folder, read_dataset
from odits.data.vocabulary import Vocabulary, bare_word
from odits.evaluation.pointing import Hit, Target, find_targets, hit, hit_by_chance, point_by_occlusion
from odits.models.fusion.explanation import Explainer
from odits.models.fusion.model import OditsModel
from odits.models.model_ref import STREET
from odits.models.reading.read_words import PictureVocabularies
from odits.models.registry import load

_FEW = 10
WAYS = ("carrying", "random", "carrying_where_occluded", "occluded")


class Played(NamedTuple):
    """What came of the game on some images: boxed words (distinct in their image), and hits by way of pointing."""

    words: int
    hits: dict[str, list[Hit]]


def main() -> None:
    """Play on drawn scenes and on SVT, and report the shares."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--scenes", type=Path, help="folder that `odits render` made; its held-out scenes are taken")
    arguments.add_argument("--checkpoint", default=STREET, help="an ODITS checkpoint; default: street")
    arguments.add_argument("--images", type=int, default=0, help="only so many images of each")
    arguments.add_argument("--occluded", type=int, default=_FEW, help=f"images with occlusion; default: {_FEW} of each")
    options = arguments.parse_args()
    model = load(options.checkpoint, kind="odits")
    folders = {"scenes": options.scenes, "svt": find_data_folder(options.data)}
    figures: dict[str, Any] = {"model": model.name, "checkpoint": model.checkpoint}
    for name, folder in folders.items():
        if folder is None:
            continue
        records = read_dataset(folder).split("eval")[: options.images or None]
        with open_reporter() as progress:
            played = play(model, records, options.occluded, progress.phase(name, len(records)))
        figures |= summary(name, records, played)
    report(figures, options.json)


def play(
    model: OditsModel, records: Sequence[ImageRecord], with_occlusion: int, progress: Progress = no_progress
) -> Played:
    """Play on images.

    Args:
        model: ODITS.
        records: images with boxed words.
        with_occlusion: on how many of them, evenly spread, parts are covered too: each is read two dozen times.
        progress: called with (images done, images in all).
    """
    vocabularies = PictureVocabularies(model)
    spread = set(np.linspace(0, len(records) - 1, min(with_occlusion, len(records))).round().astype(int).tolist())
    words = 0
    hits: dict[str, list[Hit]] = {name: [] for name in WAYS}
    for number, record in enumerate(records):
        words += len({bare_word(one.word) for one in record.boxed})
        image = record.open()
        vocabulary = vocabularies.of(image)
        one = model.input_encoder.encode(image, vocabulary)
        order = np.argsort(-model.predict_input(one, vocabulary).scores, kind="stable").tolist()
        targets = find_targets(order, record.boxed, vocabulary)
        explainer = Explainer(model, one, vocabulary)
        if targets and explainer.groups:
            boxes = [(*group.corners.min(0).tolist(), *group.corners.max(0).tolist()) for group in explainer.groups]
            carrying = explainer.contributions([target.word for target in targets]).argmax(0).tolist()
            found = [hit(boxes[place], target) for place, target in zip(carrying, targets, strict=True)]
            hits["carrying"] += found
            hits["random"] += [hit_by_chance(boxes, target) for target in targets]
            if number in spread:
                hits["carrying_where_occluded"] += found
                hits["occluded"] += occlusion(model, image, vocabulary, targets)
        progress(number + 1, len(records))
    return Played(words, hits)


def occlusion(model: OditsModel, image: Image.Image, vocabulary: Vocabulary, targets: Sequence[Target]) -> list[Hit]:
    """Return how the part fits without which each word loses most."""
    words = [target.word for target in targets]

    def logits(covered: Image.Image) -> np.ndarray:
        one = model.input_encoder.encode(covered, vocabulary)
        return model.forward([one], vocabulary).logits[0].numpy()[words]

    with own_home():  # covered pictures are looked at once
        parts = point_by_occlusion(image, logits)
    return [hit(part, target) for part, target in zip(parts, targets, strict=True)]


def summary(name: str, records: Sequence[ImageRecord], played: Played) -> dict[str, Any]:
    """Return the figures of one data set, each share over the words in the top ten."""
    found: dict[str, Any] = {
        f"{name}_images": len(records),
        f"{name}_boxed_words": sum(len(record.boxed) for record in records),
        f"{name}_distinct_words": played.words,
        f"{name}_in_top_ten": len(played.hits["carrying"]),
    }
    for way, hits in played.hits.items():
        if hits:
            means = Hit(*np.mean(hits, axis=0).tolist())
            found |= {f"{name}_{way}_{measure}": value for measure, value in means._asdict().items()}
            if way == "occluded":
                found[f"{name}_occluded_words"] = len(hits)
    return found


if __name__ == "__main__":
    main()
