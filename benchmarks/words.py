"""One image's top-10 words, warm, against preprocessing and encoder alone, with ViT-B/32's architecture.

Random weights: time does not depend on their values. Both ways run in turn on the same image.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import open_clip
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.report import add_data, parser, report
from benchmarks.vocabulary import vocabulary_words
from odits.data import Vocabulary, open_image
from odits.models.clip.embedded import create_untrained
from odits.models.clip.model import ClipModel

DEMO = Path(__file__).parents[1] / "assets" / "demo"


def main() -> None:
    """Run both in turn and report the median ratio."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--rounds", type=int, default=15)
    options = arguments.parse_args()
    torch.manual_seed(0)
    network = create_untrained("ViT-B-32").eval()
    preprocess = open_clip.image_transform(network.visual.image_size, is_train=False)
    model = ClipModel(network, open_clip.get_tokenizer("ViT-B-32"), preprocess, "random weights", "random-0")
    vocabulary = Vocabulary.from_words(vocabulary_words(options.data), "benchmark")
    image = open_image(next(iter(sorted(DEMO.glob("*.jpg")))))
    model.predict(image, vocabulary)
    whole, bare = [], []
    for _ in range(options.rounds):
        start = time.perf_counter()
        model.predict(image, vocabulary).top(10)
        middle = time.perf_counter()
        with torch.inference_mode():
            network.encode_image(preprocess(image)[None])
        end = time.perf_counter()
        whole.append(middle - start)
        bare.append(end - middle)
    ratios = np.array(whole) / np.array(bare)
    figures = {
        "vocabulary": len(vocabulary),
        "rounds": options.rounds,
        "top10_seconds": float(np.median(whole)),
        "bare_seconds": float(np.median(bare)),
        "ratio": float(np.median(ratios)),
    }
    report(figures, options.json)


if __name__ == "__main__":
    main()
