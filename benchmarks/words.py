"""One image's top-10 words, warm: CLIP against preprocessing and encoder alone, ODITS Street against reading alone.

CLIP has ViT-B/32's architecture and random weights: time does not depend on their values. ODITS Street answers as
`odits words` does, over the words read in the picture and the general list; each picture is new to it and to the reader
(a pixel differs), so that nothing is stored. All ways run in turn on the same images.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._engines import settle
from benchmarks.reporting import add_data, own_home, parser, report
from benchmarks.vocabulary import vocabulary_words
from odits.data import Vocabulary, open_image
from odits.models.clip.embedded import create_untrained
from odits.models.clip.model import ClipModel
from odits.models.fusion.model import OditsModel
from odits.models.model_ref import STREET
from odits.models.prepacked import plainly
from odits.models.reading.read_words import PictureVocabularies
from odits.models.reading.spotter import WordSpotter
from odits.models.registry import load

DEMO = Path(__file__).parents[1] / "assets" / "demo"
STEPS = ("reading", "vocabulary", "inputs", "prediction")
"""Of ODITS Street's answer: lines; words that join the list; places, what they may show, and objects; the network."""


def main() -> None:
    """Run each pair in turn and report the median ratios."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--street-rounds", type=int, default=3, help="times that each demo picture is answered")
    options = arguments.parse_args()
    paths = sorted(DEMO.glob("*.jpg"))
    vocabulary = Vocabulary.from_words(vocabulary_words(options.data), "benchmark")
    figures: dict[str, Any] = {"vocabulary": len(vocabulary), "rounds": options.rounds}
    with own_home():
        figures |= clip_times(open_image(paths[0]), vocabulary, options.rounds)
        if options.street_rounds:
            figures |= street_times([open_image(path) for path in paths], options.street_rounds)
    report(figures, options.json)


def clip_times(image: Image.Image, vocabulary: Vocabulary, rounds: int) -> dict[str, Any]:
    """Measure CLIP's top ten, and preprocessing and encoder alone."""
    torch.manual_seed(0)
    network = create_untrained("ViT-B-32").eval()
    preprocess = open_clip.image_transform(network.visual.image_size, is_train=False)
    model = ClipModel(network, open_clip.get_tokenizer("ViT-B-32"), preprocess, "random weights", "random-0")
    engine = settle(model, image)
    model.predict(image, vocabulary)
    whole, bare = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        model.predict(image, vocabulary).top(10)
        middle = time.perf_counter()
        with torch.inference_mode(), plainly():
            network.encode_image(preprocess(image)[None])
        end = time.perf_counter()
        whole.append(middle - start)
        bare.append(end - middle)
    return {
        "top10_seconds": float(np.median(whole)),
        "bare_seconds": float(np.median(bare)),
        "ratio": float(np.median(np.array(whole) / np.array(bare))),
        "engine": engine,
    }


def street_times(images: Sequence[Image.Image], rounds: int) -> dict[str, float]:
    """Measure ODITS Street's answer and its steps, and reading alone, each on the images as nobody has seen them.

    The ratio is that of the medians over all images and rounds; both ways alternate in who is first.
    """
    model, spotter = load(STREET, kind="odits"), WordSpotter()
    vocabularies = PictureVocabularies(model)
    numbers = iter(range(1_000_000))
    _answer(model, vocabularies, _unseen(images[0], next(numbers)))
    spotter.read(_unseen(images[0], next(numbers)))
    answers, readings = [], []
    for round_ in range(rounds):
        for image in images:
            for reads in (True, False) if round_ % 2 else (False, True):
                fresh = _unseen(image, next(numbers))
                if reads:
                    start = time.perf_counter()
                    spotter.read(fresh)
                    readings.append(time.perf_counter() - start)
                else:
                    answers.append(_answer(model, vocabularies, fresh))
    table = np.array(answers)
    answer, reading = float(np.median(table.sum(1))), float(np.median(readings))
    return {
        "street_answers": len(answers),
        "street_seconds": answer,
        "reading_seconds": reading,
        "street_against_reading": answer / reading,
        "street_against_its_own_reading": float(np.median(table.sum(1) / table[:, 0])),
        **{f"street_{name}_seconds": float(np.median(column)) for name, column in zip(STEPS, table.T, strict=True)},
    }


def _answer(model: OditsModel, vocabularies: PictureVocabularies, image: Image.Image) -> np.ndarray:
    """Answer as `odits words` does, and return the seconds of each step; the reading is stored after the first one."""
    assert model.input_encoder.spotter is not None
    times = [time.perf_counter()]
    model.input_encoder.spotter.read(image)
    times.append(time.perf_counter())
    vocabulary = vocabularies.of(image)
    times.append(time.perf_counter())
    one = model.input_encoder.encode(image, vocabulary)
    times.append(time.perf_counter())
    model.predict_input(one, vocabulary).top(10)
    times.append(time.perf_counter())
    return np.diff(times)


def _unseen(image: Image.Image, number: int) -> Image.Image:
    """Return the image with a pixel in its corner that no other number has."""
    copy = image.copy()
    copy.putpixel((0, 0), (number % 256, number // 256 % 256, 128))
    return copy


if __name__ == "__main__":
    main()
