"""ODITS's prediction for an image with 50 objects against encoding the 51 pictures alone, and how its layers scale.

Both run in turn on the same pictures, with the vocabulary's embeddings at hand. Weights of the added layers are random:
time does not depend on their values.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._engines import settle
from benchmarks.reporting import add_data, parser, report
from benchmarks.vocabulary import vocabulary_words
from odits.data import Vocabulary, open_image
from odits.models.clip.embedded import create_untrained
from odits.models.clip.model import ClipModel
from odits.models.fusion.inputs import InputEncoder, ObjectEmbeddings, ObjectEncoder, OditsInput, collate
from odits.models.fusion.model import OditsModel, untrained
from odits.models.prepacked import plainly
from odits.models.registry import load

DEMO = Path(__file__).parents[1] / "assets" / "demo"
OBJECTS = 50


def main() -> None:
    """Run both in turn for two CLIP models and report median ratios."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--rounds", type=int, default=9)
    options = arguments.parse_args()
    torch.manual_seed(0)
    vocabulary = Vocabulary.from_words(vocabulary_words(options.data), "benchmark")
    image = open_image(next(iter(sorted(DEMO.glob("*.jpg")))))
    crops = pieces(image)
    figures: dict[str, float | int | str] = {"vocabulary": len(vocabulary), "objects": OBJECTS}
    for name, clip in (("embedded", load("embedded", kind="clip")), ("vit_b_32", random_vit())):
        model = untrained(InputEncoder(ObjectEncoder(clip, load("embedded", kind="segmenter"))))
        engine = settle(clip, image)
        model.predict_input(encode(clip, image, crops), vocabulary)
        whole, bare = [], []
        for _ in range(options.rounds):
            start = time.perf_counter()
            model.predict_input(encode(clip, image, crops), vocabulary)
            middle = time.perf_counter()
            with plainly():
                encode(clip, image, crops)
            whole.append(middle - start)
            bare.append(time.perf_counter() - middle)
        figures |= {
            f"{name}_encoding_seconds": float(np.median(bare)),
            f"{name}_ratio": float(np.median(np.array(whole) / np.array(bare))),
            f"{name}_engine": engine,
        }
        if name == "embedded":
            figures |= scaling(model, encode(clip, image, crops))
    report(figures, options.json)


def pieces(image: Image.Image, count: int = OBJECTS) -> list[Image.Image]:
    """Cut crops of boxes of several sizes."""
    rng = np.random.default_rng(0)
    corners = rng.random((count, 2)) * 0.7
    sizes = 0.05 + 0.25 * rng.random((count, 2))
    scale = np.array([image.width, image.height])
    boxes = np.concatenate([corners * scale, np.minimum(corners + sizes, 1) * scale], 1).astype(int)
    return [image.crop(tuple(box)) for box in boxes.tolist()]


def encode(clip: ClipModel, image: Image.Image, crops: list[Image.Image]) -> OditsInput:
    """Encode the whole image and its crops."""
    whole, objects = clip.encode_images([image]).numpy()[0], clip.encode_images(crops, "crop").numpy()
    count = len(crops)
    return OditsInput(
        ObjectEmbeddings(
            whole,
            objects,
            np.ones(count, np.float32),
            np.zeros((count, 4, 2), np.float32),
            np.arange(count),
            np.array(["region"] * count),
            np.ones(count, np.float32),
        )
    )


def random_vit() -> ClipModel:
    """Make ViT-B/32's architecture with random weights."""
    network = create_untrained("ViT-B-32").eval()
    preprocess = open_clip.image_transform(network.visual.image_size, is_train=False)
    return ClipModel(network, open_clip.get_tokenizer("ViT-B-32"), preprocess, "random weights", "random-0")


def scaling(model: OditsModel, one: OditsInput) -> dict[str, float]:
    """Measure the seconds of the layers alone for growing vocabularies, and fit the exponent of their growth."""
    width = len(one.embeddings.image)
    network = model.network
    sizes = (4_000, 16_000, 64_000)
    seconds = []
    for size in sizes:
        text = torch.nn.functional.normalize(torch.randn(size, width), dim=-1)
        batch, times = collate([one]), []
        with torch.inference_mode():
            for _ in range(4):
                start = time.perf_counter()
                network(batch, text)
                times.append(time.perf_counter() - start)
        seconds.append(min(times[1:]))
    exponent = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    return {
        **{f"layers_seconds_{size}": value for size, value in zip(sizes, seconds, strict=True)},
        "growth_exponent": float(exponent),
    }


if __name__ == "__main__":
    main()
