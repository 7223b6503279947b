"""How an object is best shown to CLIP: boxed words of SVT's training images that one of the objects is read as.

The embedded model and segmenter. For each way: the share of boxed words that are the best word of some object, that are
among the ten best of some object, and that are among the ten best of all objects together; objects, seconds an image.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, needed_data, parser, report
from odits.data import ImageRecord, Vocabulary, open_image
from odits.models.clip.model import ClipModel
from odits.models.fusion.inputs import ObjectEncoder
from odits.models.fusion.settings import OBJECT_VIEWS
from odits.models.registry import load
from odits.objects.codec import stored_objects


def main() -> None:
    """Run all ways over the same images and print the report."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--images", type=int, default=30, help="only so many: the thesis's way takes seconds each")
    options = arguments.parse_args()
    dataset = needed_data(options)
    clip, segmenter = load("embedded", kind="clip"), load("embedded", kind="segmenter")
    records = dataset.split("train")[: options.images]
    for record in records:
        stored_objects(record.path, segmenter)
    ways = [(view, False) for view in OBJECT_VIEWS] + [("crop", True), ("blurred", True)]
    found: dict[str, Any] = {"images": len(records)}
    for view, words in ways:
        name = f"{view}, lines cut into words" if words else view
        found[name] = measure(ObjectEncoder(clip, segmenter, view, words), records, dataset.vocabulary(), clip)
    report(found, options.json)


def measure(
    encoder: ObjectEncoder, records: tuple[ImageRecord, ...], vocabulary: Vocabulary, clip: ClipModel
) -> dict[str, float]:
    """Measure shares in 0..1, objects and seconds an image."""
    text = clip.encode_vocabulary(vocabulary).numpy()
    place = {word: index for index, word in enumerate(vocabulary.words)}
    hits, objects, seconds = [], 0, 0.0
    for record in records:
        image = open_image(record.path)
        detections = stored_objects(record.path, encoder.segmenter)
        start = time.perf_counter()
        embedded = encoder.embed(image, detections)
        seconds += time.perf_counter() - start
        objects += len(embedded)
        boxed = [place[word] for word in {box.word.upper() for box in record.boxed} if word in place]
        cosines = embedded.objects @ text.T if len(embedded) else np.full((1, len(text)), -1.0, np.float32)
        for word in boxed:
            ranks = (cosines > cosines[:, [word]]).sum(1)
            best = cosines.max(0)
            hits.append((ranks.min() < 1, ranks.min() < 10, (best > best[word]).sum() < 10))
    top1, top10, together = np.mean(hits, axis=0)
    return {
        "best_word": float(top1),
        "ten_best": float(top10),
        "ten_best_together": float(together),
        "objects": objects / len(records),
        "seconds": seconds / len(records),
    }


if __name__ == "__main__":
    main()
