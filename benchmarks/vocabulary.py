"""Text embeddings of the SVT vocabulary at short contexts, against open_clip's `encode_text` at context 77.

ViT-B/32's architecture with random weights: time and exactness do not depend on the weights' values. Both ways run in
turn on the same words. The words are SVT's where the data set is at hand, else made up with the same number of letters.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import open_clip
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, parser, report
from odits.data import find_data_folder, read_dataset
from odits.models.clip.text import encode_vocabulary
from odits.models.prepacked import plainly, prepack


def vocabulary_words(data: Path | None) -> list[str]:
    """Return SVT's 5363 words, or as many made-up ones."""
    folder = find_data_folder(data)
    if folder is not None:
        return list(read_dataset(folder).vocabulary().words)
    rng = np.random.default_rng(0)
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    return ["".join(rng.choice(letters, rng.integers(2, 13))) for _ in range(5363)]


def main() -> None:
    """Run both ways in turn and report the ratio of their times and the largest difference."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--words", type=int, default=1024, help="how many words each round encodes")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument(
        "--reference-words", type=int, help="how many of them open_clip encodes, its seconds scaled up; default all"
    )
    options = arguments.parse_args()
    torch.manual_seed(0)
    model = prepack(open_clip.create_model("ViT-B-32").eval())
    tokenize = open_clip.get_tokenizer("ViT-B-32")
    words = vocabulary_words(options.data)
    chosen = [words[i] for i in np.random.default_rng(0).permutation(len(words))[: options.words]]
    reference = chosen[: options.reference_words]  # each word costs open_clip the same: all have context 77
    ratios, seconds = [], []
    difference = 0.0
    for _ in range(options.rounds):
        start = time.perf_counter()
        short = encode_vocabulary(model, tokenize, chosen)
        middle = time.perf_counter()
        with torch.inference_mode(), plainly():
            batches = [tokenize(reference[i : i + 256]) for i in range(0, len(reference), 256)]
            full = torch.cat([model.encode_text(batch, normalize=True) for batch in batches])
        end = time.perf_counter()
        whole = (end - middle) * len(chosen) / len(reference)
        seconds.append((middle - start, whole))
        ratios.append(whole / (middle - start))
        difference = max(difference, float((short[: len(full)] - full).abs().max()))
    figures = {
        "words": len(chosen),
        "reference_words": len(reference),
        "rounds": options.rounds,
        "short_context_seconds": float(np.median([pair[0] for pair in seconds])),
        "encode_text_seconds": float(np.median([pair[1] for pair in seconds])),
        "ratio": float(np.median(ratios)),
        "max_difference": difference,
    }
    report(figures, options.json)


if __name__ == "__main__":
    main()
