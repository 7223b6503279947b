"""Costs against sizes, on log axes, with the fitted exponent: words, images, objects, lines, with --full sessions.

Networks have random weights where their values do not matter. Every cost is the least of a few repetitions, whatever
else the machine does only adds to it; a search's is the median of its queries.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._report.curves import curve, figure_file, markdown  # noqa: E402
from benchmarks._report.machine import machine  # noqa: E402
from benchmarks.evaluate import load_model, made_up_words  # noqa: E402
from benchmarks.odits import DEMO, encode, pieces  # noqa: E402
from benchmarks.reporting import own_home, parser, report  # noqa: E402
from benchmarks.search import queries_of, read_lines, simulate  # noqa: E402
from odits.core.files import write_atomically  # noqa: E402
from odits.data import Vocabulary, open_image  # noqa: E402
from odits.figures.static import format_of  # noqa: E402
from odits.models.clip.embedded import ARCHITECTURE  # noqa: E402
from odits.models.clip.model import ClipModel  # noqa: E402
from odits.models.clip.text import encode_vocabulary  # noqa: E402
from odits.models.fusion.inputs import InputEncoder, ObjectEncoder  # noqa: E402
from odits.models.fusion.model import OditsModel, untrained  # noqa: E402
from odits.models.reading.ctc import Lexicon  # noqa: E402
from odits.models.reading.rapidocr import Engine  # noqa: E402
from odits.models.reading.reader import TextLine, TextReader  # noqa: E402
from odits.models.reading.spotter import WordSpotter  # noqa: E402
from odits.models.registry import load  # noqa: E402
from odits.search.index import open_index  # noqa: E402
from odits.search.ranking import Searcher  # noqa: E402

OBJECTS = (1, 3, 10, 30, 100, 200)
SIZES: dict[str, dict[str, tuple[int, ...]]] = {
    "words": {"quick": (1_000, 3_000, 10_000), "usual": (1_000, 10_000, 30_000, 100_000), "full": (1_000_000,)},
    "images": {
        "quick": (100, 300, 1_000, 2_000),
        "usual": (100, 300, 1_000, 3_000, 10_000),
        "full": (100_000, 1_000_000),
    },
    "objects": {"quick": OBJECTS[:4], "usual": OBJECTS},
    "layers": {"quick": OBJECTS, "usual": OBJECTS},
    "lines": {"quick": (1, 5, 25), "usual": (1, 2, 5, 10, 20, 50)},
    "sessions": {"full": (1, 5, 10, 20, 40)},
}
"""By cost: with --quick, without, and what --full adds."""
SESSION_S = 60.0
"""Seconds for which each number of sessions is driven."""


def main() -> None:
    """Measure each cost, report, and draw."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="small sizes: a few minutes")
    arguments.add_argument("--full", action="store_true", help="a million words and images too, and sessions: hours")
    arguments.add_argument("--only", nargs="+", choices=list(COSTS), default=list(COSTS), metavar="COST")
    arguments.add_argument("--figure", type=Path, metavar="FILE", help="draw them into this .svg, .pdf or .png")
    options = arguments.parse_args()
    rows = []
    with own_home():
        for name in options.only:
            chosen = SIZES[name]
            sizes = chosen.get("usual", ()) + (chosen.get("full", ()) if options.full else ())
            sizes = chosen.get("quick", ()) if options.quick else sizes
            if len(sizes) > 1:
                sys.stderr.write(f"{name}: {', '.join(f'{size:,}' for size in sizes)}\n")
                rows += COSTS[name](sizes)
    document = {"quick": options.quick, "machine": machine(), "rows": rows}
    if options.figure:
        write_atomically(options.figure, figure_file(document, format_of(options.figure)))
    if options.json:
        report(document, as_json=True)
    else:
        sys.stdout.write(markdown(document) + "\n")


def least(times: int, work: Callable[..., object], *arguments: Any) -> float:
    """Return the seconds of the fastest of a few repetitions of a call."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work(*arguments)
        found.append(time.perf_counter() - start)
    return min(found)


def words_cost(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Measure encoding of vocabularies by the embedded model's text tower."""
    clip = load_model(ARCHITECTURE, "growth")
    words = made_up_words(max(sizes))
    encode_vocabulary(clip.model, clip.tokenize, words[:100])
    costs = [
        least(2 if size <= 10_000 else 1, encode_vocabulary, clip.model, clip.tokenize, words[:size]) for size in sizes
    ]
    return [curve("encoding words", "words", "s", sizes, costs)]


def images_cost(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Measure searches in simulated indexes with 8 lines an image, the bytes of these, and building them."""
    words, real = made_up_words(5_000), read_lines(None, 6)
    medians, megabytes, building = [], [], []
    for size in sizes:
        start = time.perf_counter()
        simulate(size, 8, words, real, f"growth-{size}")
        building.append(time.perf_counter() - start)
        index = open_index(f"growth-{size}")
        if index is None:
            raise SystemExit("the simulated index can't be read back")
        searcher, times = Searcher(index), []
        for group in queries_of(index, 60).values():
            searcher.rank(group[0])
            times += [least(2, searcher.rank, query) for query in group]
        medians.append(float(np.median(times)) * 1e3)
        megabytes.append(sum(file.stat().st_size for file in index.folder.glob("*.npy")) / 2**20)
    return [
        curve("a search", "images", "ms", sizes, medians),
        curve("simulating an index", "images", "s", sizes, building),
        curve("bytes of an index", "images", "MB", sizes, megabytes),
    ]


def odits_inputs() -> tuple[OditsModel, ClipModel, Image.Image, Vocabulary]:
    """Make ODITS on the embedded model, untrained, that model, a picture, and a thousand words."""
    clip = load("embedded", kind="clip")
    model = untrained(InputEncoder(ObjectEncoder(clip, load("embedded", kind="segmenter"))))
    return model, clip, open_image(min(DEMO.glob("*.jpg"))), Vocabulary(tuple(made_up_words(1_000)), "growth")


def objects_cost(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Measure ODITS's prediction with the encoding of so many objects."""
    model, clip, image, vocabulary = odits_inputs()
    crops = pieces(image, max(sizes))

    def predict(size: int) -> None:
        model.predict_input(encode(clip, image, crops[:size]), vocabulary)

    predict(1)
    costs = [least(2, predict, size) for size in sizes]
    return [curve("ODITS with encoding", "objects", "s", sizes, costs)]


def layers_cost(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Measure ODITS's own layers over a thousand words, objects encoded before."""
    model, clip, image, vocabulary = odits_inputs()
    tiny = [crop.resize((32, 32)) for crop in pieces(image, max(sizes))]
    costs = []
    for size in sizes:
        one = encode(clip, image, tiny[:size])
        model.predict_input(one, vocabulary)
        costs.append(1e3 * least(9, model.predict_input, one, vocabulary))
    why = "Attention is among all pairs of objects: its part grows with their square."
    return [curve("ODITS's layers alone", "objects", "ms", sizes, costs, why)]


def picture_of(lines: int, words: list[str]) -> Image.Image:
    """Draw a picture of 1280 × 960 with so many lines of two words, at most 60."""
    image, font = Image.new("RGB", (1280, 960), "white"), ImageFont.load_default(26)
    draw = ImageDraw.Draw(image)
    for number in range(lines):
        text = f"{words[2 * number]} {words[2 * number + 1]}"
        draw.text((40 + 640 * (number % 2), 20 + 31 * (number // 2)), text, fill="black", font=font)
    return image


def lines_cost(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Measure reading a drawn picture of so many lines, and scoring a thousand words in them."""
    reader, spotter, words = TextReader(), WordSpotter(), made_up_words(1_200)
    engine, lexicon = Engine(detector=reader.detector), Lexicon(words[:1_000])

    def read(pixels: np.ndarray) -> list[TextLine]:
        return reader.recognise(engine, pixels, list(reader.detect(engine, pixels)))

    def score(lines: list[TextLine]) -> None:
        spotter.score_lines(lines, lexicon).best()

    reading, scoring, found = [], [], []
    for size in sizes:
        pixels = np.ascontiguousarray(np.asarray(picture_of(size, words))[..., ::-1])
        recognised = read(pixels)
        found.append(len(recognised))
        score(recognised)
        reading.append(least(2, read, pixels))
        scoring.append(1e3 * least(5, score, recognised))
    sys.stderr.write(f"lines found: {json.dumps(found)}\n")
    return [
        curve("reading a picture", "lines", "s", sizes, reading),
        curve("scoring its lines", "lines", "ms", sizes, scoring),
    ]


def sessions_cost(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Measure the 95th percentile of the explorer's answers for so many sessions at once."""
    from benchmarks._reliability.kills import store_evaluation
    from benchmarks._reliability.sessions import drive, raise_file_limit, server, warm

    raise_file_limit()
    store_evaluation()
    costs = []
    with server(ROOT / "app.py", ROOT) as (address, _):
        warm(address, "embedded")
        for number, size in enumerate(sizes):
            found = asyncio.run(drive(address, size, SESSION_S, number, "embedded"))
            costs.append(1e3 * found.percentile(0.95))
    why = "Once the processor is busy all the time, whoever asks waits for those before."
    return [curve("an answer, 95th percentile", "sessions", "ms", sizes, costs, why)]


COSTS: dict[str, Callable[[tuple[int, ...]], list[dict[str, Any]]]] = {
    "words": words_cost,
    "images": images_cost,
    "objects": objects_cost,
    "layers": layers_cost,
    "lines": lines_cost,
    "sessions": sessions_cost,
}


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
