"""Evaluation of a split against the bare encoder calls on preprocessed tensors plus decoding once, and its peak memory.

Random weights: time and memory do not depend on the weights' values. Both ways run in turn in one process, on the same
images and words, and nothing is cached from one round to the next. Words are encoded at their short context both times.
Peak memory is that of a process of its own for each size of vocabulary. The images and lexicons are SVT's eval set
where it is at hand, else made up at the same sizes.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._engines import settle
from benchmarks.reporting import add_data, parser, report
from odits.core.tables import BATCH
from odits.data import Dataset, ImageRecord, Vocabulary, find_data_folder, open_image, read_dataset
from odits.evaluation.evaluate import evaluate
from odits.models.clip.embedded import ARCHITECTURE, create_untrained, new_model, tokenizer
from odits.models.clip.model import ClipModel
from odits.models.clip.text import encode_vocabulary
from odits.models.prepacked import plainly

WORDS, LARGE = 5363, 100_000


def made_up_words(count: int) -> list[str]:
    """Make distinct words of 2 to 12 letters."""
    rng = np.random.default_rng(0)
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choice(letters, rng.integers(2, 13)))] = None
    return list(found)


def load_images(data: Path | None, folder: Path, count: int) -> Dataset:
    """Read SVT with `count` of its eval images, or make up as many, written to `folder`."""
    found = find_data_folder(data)
    if found is not None:
        dataset = read_dataset(found)
        return Dataset(dataset.name, found, (*dataset.split("train"), *dataset.split("eval")[:count]))
    rng, words = np.random.default_rng(1), made_up_words(WORDS)
    records = []
    for number in range(count):
        path = folder / f"{number}.jpg"
        Image.fromarray(rng.integers(0, 255, (880, 1280, 3), np.uint8)).save(path)
        records.append(ImageRecord(path.name, path, "eval", tuple(rng.choice(words, 49))))
    return Dataset("made up", folder, tuple(records))


def load_vocabulary(dataset: Dataset, count: int) -> Vocabulary:
    """Return the data set's words, and made-up ones until there are `count`."""
    known = list(dataset.vocabulary().words)
    return Vocabulary(tuple(dict.fromkeys(known + made_up_words(count)))[:count], f"{count} words")


def load_model(architecture: str, checkpoint: str) -> ClipModel:
    """Make a model with random weights of which nothing is cached."""
    torch.manual_seed(0)
    if architecture == ARCHITECTURE:
        model, tokenize = new_model(), tokenizer()
    else:
        model, tokenize = create_untrained(architecture), open_clip.get_tokenizer(architecture)
    settings = open_clip.transform.PreprocessCfg(size=model.visual.image_size)
    preprocess = open_clip.transform.image_transform_v2(settings, is_train=False)
    return ClipModel(model, tokenize, preprocess, architecture, checkpoint)


def bare_seconds(clip: ClipModel, records: tuple[ImageRecord, ...], vocabulary: Vocabulary) -> dict[str, float]:
    """Measure the seconds of decoding, and of the two encoders on what was preprocessed before."""
    seconds = dict.fromkeys(("decode", "encode_images", "encode_words"), 0.0)
    for start in range(0, len(records), BATCH):
        with timed(seconds, "decode"):
            images = [open_image(record.path) for record in records[start : start + BATCH]]
        pixels = torch.stack([clip.transforms["scene"](image) for image in images])
        with timed(seconds, "encode_images"), torch.inference_mode(), plainly():
            clip.model.encode_image(pixels)
    with timed(seconds, "encode_words"), plainly():
        encode_vocabulary(clip.model, clip.tokenize, vocabulary.words)
    return seconds


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the time inside to `seconds[name]`."""
    start = time.perf_counter()
    yield
    seconds[name] += time.perf_counter() - start


def peak_megabytes() -> float:
    """Measure the most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def measure_memory(options: Any, words: int) -> dict[str, float]:
    """Measure the peak memory of a process that evaluates over so many words."""
    command = [sys.executable, __file__, "--child", str(words), "--architecture", options.architecture]
    command += ["--images", str(options.images), *(["--data", str(options.data)] if options.data else [])]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    """Run both ways in turn and report the ratio of their times, then the peak memory."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--architecture", default=ARCHITECTURE, help="of open_clip; default the embedded model's")
    arguments.add_argument("--images", type=int, default=249, help="how many images are evaluated")
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--no-memory", action="store_true", help="leave peak memory out")
    arguments.add_argument("--child", type=int, metavar="WORDS", help="only evaluate once over so many words")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["ODITS_HOME"] = home
        dataset = load_images(options.data, Path(home), options.images)
        records = dataset.split("eval")
        vocabulary = load_vocabulary(dataset, options.child or WORDS)
        if options.child:
            clip = load_model(options.architecture, "child")
            before = peak_megabytes()
            evaluate(lambda images: clip.probabilities(images, vocabulary), dataset, "eval", vocabulary)
            report({"before": before, "peak": peak_megabytes()}, True)
            return
        ratios, parts, totals, engine = [], [], [], ""
        for number in range(options.rounds):
            clip = load_model(options.architecture, f"{number:016d}")
            engine = settle(clip, open_image(records[0].path))
            bare = bare_seconds(clip, records, vocabulary)
            start = time.perf_counter()
            evaluate(lambda images, clip=clip: clip.probabilities(images, vocabulary), dataset, "eval", vocabulary)  # type: ignore[misc]
            totals.append(time.perf_counter() - start)
            parts.append(bare)
            ratios.append(totals[-1] / sum(bare.values()))
    figures: dict[str, Any] = {
        "architecture": options.architecture,
        "images": len(records),
        "words": len(vocabulary),
        "rounds": options.rounds,
        **{f"{name}_seconds": float(np.median([bare[name] for bare in parts])) for name in parts[0]},
        "evaluate_seconds": float(np.median(totals)),
        "ratio": float(np.median(ratios)),
        "engine": engine,
    }
    if not options.no_memory:
        for words in (WORDS, LARGE):
            found = measure_memory(options, words)
            figures[f"megabytes_before_{words}_words"] = found["before"]
            figures[f"peak_megabytes_{words}_words"] = found["peak"]
    report(figures, options.json)


if __name__ == "__main__":
    main()
