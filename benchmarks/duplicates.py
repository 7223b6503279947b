"""Near-duplicates: which changes of a picture are still found, and how many pairs of different pictures pass.

Pictures are saved anew, made smaller, made brighter, and cut; each is compared with what it was made of by the cosine
of EfficientNet-Lite2's embeddings, as `odits dataset --duplicates` does.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, needed_data, parser, report
from odits.data import open_image
from odits.models.classification.eye import PhotoNetwork
from odits.search.likeness import DUPLICATE, SIMILAR

BATCH = 16
LIMITS = tuple(sorted({SIMILAR, 0.88, 0.90, DUPLICATE, 0.94, 0.96}))


def saved_anew(image: Image.Image, quality: int) -> Image.Image:
    """Save a picture as a JPEG, and open that."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def scaled(image: Image.Image, share: float) -> Image.Image:
    """Make a picture smaller."""
    return image.resize((max(1, round(image.width * share)), max(1, round(image.height * share))))


def cut(image: Image.Image, share: float) -> Image.Image:
    """Leave a share of both sides, from the middle."""
    width, height = image.width * share, image.height * share
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return image.crop((round(left), round(top), round(left + width), round(top + height)))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 30": lambda image: saved_anew(image, 30),
    "half the size": lambda image: scaled(image, 0.5),
    "a fifth of the size": lambda image: scaled(image, 0.2),
    "brighter by 40 %": lambda image: ImageEnhance.Brightness(image).enhance(1.4),
    "sides cut to 0.95": lambda image: cut(image, 0.95),
    "sides cut to 0.9": lambda image: cut(image, 0.9),
    "sides cut to 0.8": lambda image: cut(image, 0.8),
    "sides cut to 0.7": lambda image: cut(image, 0.7),
}


def main() -> None:
    """Report, for several limits, the share of changed pictures that are found and the different pairs that pass."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="a fifth of the pictures")
    arguments.add_argument("--changed", type=int, default=50, help="how many pictures are changed")
    add_data(arguments)
    options = arguments.parse_args()
    records = needed_data(options).records
    records = records[::5] if options.quick else records
    embed = PhotoNetwork("cpu").embed
    images = [open_image(record.source) for record in records]
    table = np.concatenate([embed(images[start : start + BATCH]) for start in range(0, len(images), BATCH)])
    chosen = np.random.default_rng(0).permutation(len(images))[: options.changed].tolist()
    pairs = (table @ table.T)[np.triu_indices(len(table), 1)]
    figures: dict[str, int | float] = {"images": len(images), "changed": len(chosen), "pairs": len(pairs)}
    for limit in LIMITS:
        figures[f"different pairs from {limit:.2f} on"] = int((pairs >= limit).sum())
    for name, change in CHANGES.items():
        changed = np.concatenate([embed([change(images[place])]) for place in chosen])
        cosines = (changed * table[chosen]).sum(1)
        figures[f"{name}: least cosine"] = float(cosines.min())
        for limit in LIMITS:
            figures[f"{name}: found from {limit:.2f} on"] = float((cosines >= limit).mean())
    report(figures, options.json)


if __name__ == "__main__":
    main()
