"""Milliseconds that a search takes in an index of 100,000 images.

The index is simulated. Readings of real images (SVT's, or the demo ones) are cut into pieces, one for each letter that
was read, with the blanks behind it and all the recogniser's doubts. A simulated line is one to three words of the
vocabulary, common ones more often (Zipf's law), each letter a piece picked at random of those that read it; heights
come from real lines. So no two lines are the same, and letters are as unclear as they are in pictures. Queries are
words of the vocabulary, words that are in no line, parts of words, two words of one image, and misspelt words.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, parser, peak_megabytes, report
from benchmarks.vocabulary import vocabulary_words
from odits.core.files import write_atomically
from odits.data import find_data_folder, open_image, read_dataset
from odits.models.reading.alphabet import BLANK, SPACE, SYMBOLS, fold, spell
from odits.models.reading.reader import TextLine, TextReader, stored_lines
from odits.search.frames import frame_table
from odits.search.index import (
    DESCRIPTION,
    ArrayWriter,
    Index,
    IndexedImage,
    description,
    index_folder,
    open_index,
    remove_index,
)
from odits.search.query import Query, parse_query
from odits.search.ranking import Searcher

DEMO = Path(__file__).parents[1] / "assets" / "demo"
LONGEST = 6  # frames of a piece: what is behind the last letter of a line is cut off
KINDS = {"present": 80, "absent": 40, "part": 30, "two words": 25, "1 wrong": 15, "2 wrong": 10}


def read_lines(data: Path | None, most: int | None = None) -> list[TextLine]:
    """Read the lines of all images that are at hand, or of the first of them."""
    folder = find_data_folder(data)
    paths = [record.path for record in read_dataset(folder).records] if folder else sorted(DEMO.glob("*.jpg"))
    reader = TextReader()
    return [line for path in paths[:most] for line in stored_lines(open_image(path), reader) if len(line.frames)]


def pieces_of(lines: Sequence[TextLine]) -> list[list[np.ndarray]]:
    """Return for each symbol the frames (T, SYMBOLS) of places where it was read."""
    pieces: list[list[np.ndarray]] = [[] for _ in range(SYMBOLS)]
    for line in lines:
        read = line.frames.argmax(1)
        changes = np.flatnonzero((read != BLANK) & (read != np.concatenate([[BLANK], read[:-1]])))
        for start, stop in zip(changes, np.append(changes, len(read))[1:], strict=True):
            pieces[read[start]].append(line.frames[start : min(stop, start + LONGEST)])
    return pieces


def drawer(
    words: Sequence[str], pieces: list[list[np.ndarray]], seed: int
) -> Callable[[], tuple[list[str], np.ndarray]]:
    """Return a function that makes a line: its words, and its frames (T, SYMBOLS)."""
    rng = np.random.default_rng(seed)
    usable = [word for word in words if fold(word) and all(pieces[symbol] for symbol in spell(word))]
    order = rng.permutation(len(usable))
    cumulated = (1 / (np.arange(len(usable)) + 10.0)).cumsum()
    cumulated /= cumulated[-1]
    spelled = [spell(word).tolist() for word in usable]

    def draw() -> tuple[list[str], np.ndarray]:
        count = 1 + int(np.searchsorted([0.7, 0.9], rng.random()))
        chosen = [int(order[place]) for place in np.searchsorted(cumulated, rng.random(count))]
        symbols: list[int] = []
        for number in chosen:
            symbols += ([SPACE] if symbols else []) + spelled[number]
        shares = rng.random(len(symbols))
        parts = [
            pieces[symbol][int(share * len(pieces[symbol]))] for symbol, share in zip(symbols, shares, strict=True)
        ]
        return [usable[number] for number in chosen], np.concatenate(parts)

    return draw


def simulate(images: int, lines: int, words: Sequence[str], real: list[TextLine], key: str) -> list[list[str]]:
    """Return the words of each simulated image; their index is stored under the key."""
    pieces = pieces_of(real)
    if not pieces[SPACE]:
        pieces[SPACE] = [np.full((1, SYMBOLS), np.log(1e-9), np.float16)]
        pieces[SPACE][0][0, SPACE] = 0
    rng = np.random.default_rng(1)
    heights = [line.height for line in real]
    draw = drawer(words, pieces, 2)
    # the size must be known before anything is written: the same lines are drawn again below
    lengths = [len(draw()[1]) for _ in range(images * lines)]
    draw = drawer(words, pieces, 2)
    folder = index_folder(key) / "arrays"
    folder.mkdir(parents=True)
    writer = ArrayWriter(folder, sum(lengths), images * lines)
    shown: list[list[str]] = []
    entries = []
    for number in range(images):
        there: list[str] = []
        for _ in range(lines):
            said, frames = draw()
            there += said
            height = heights[int(rng.random() * len(heights))]
            corners = np.array([[0, 0], [height, 0], [height, height], [0, height]], np.float32)
            line = TextLine(corners, 1.0, " ".join(said), frames)
            writer.add_frames(frame_table(frames), corners, line.certainty, height, line.text)
        shown.append(there)
        of_image = lengths[number * lines : (number + 1) * lines]
        entries.append(IndexedImage(f"{number}.jpg", f"{number}.jpg", "", "", 640, 480, lines, sum(of_image)))
    writer.finish()
    write_atomically(index_folder(key) / DESCRIPTION, description("simulated", "", "arrays", entries))
    return shown


def queries_of(index: Index, count: int) -> dict[str, list[Query]]:
    """Make queries of each kind."""
    rng = np.random.default_rng(3)

    def words(image: int) -> list[str]:
        first, last = index.first_lines[image : image + 2]
        return " ".join(index.text(line) for line in range(first, last)).split()

    def some(least: int) -> str:
        while True:
            there = [word for word in words(int(rng.integers(len(index.images)))) if len(fold(word)) >= least]
            if there:
                return there[int(rng.integers(len(there)))]

    def absent() -> str:
        letters = list(fold(some(4)))
        rng.shuffle(letters)  # the letters of a word: harder than letters that nobody uses
        return "".join(letters)

    def part() -> str:
        word = fold(some(6))
        start = int(rng.integers(len(word) - 3))
        return word[start : start + 4]

    def misspelt(wrong: int, least: int) -> str:
        letters = list(fold(some(least)))
        for place in rng.permutation(len(letters))[:wrong]:
            letters[place] = "qxzjkv"[int(rng.integers(6))]
        return "".join(letters)

    makers: dict[str, Callable[[], Query]] = {
        "present": lambda: parse_query(some(3)),
        "absent": lambda: parse_query(absent()),
        "part": lambda: parse_query(part(), part=True),
        "two words": lambda: parse_query(" ".join(words(int(rng.integers(len(index.images))))[:2])),
        "1 wrong": lambda: parse_query(misspelt(1, 5), tolerance=1),
        "2 wrong": lambda: parse_query(misspelt(2, 7), tolerance=2),
    }
    return {kind: [makers[kind]() for _ in range(max(1, KINDS[kind] * count // 200))] for kind in KINDS}


def main() -> None:
    """Make the index, or take the one that was stored, and ask."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--images", type=int, default=100_000)
    arguments.add_argument("--lines", type=int, default=8, help="lines of each image")
    arguments.add_argument("--queries", type=int, default=200)
    arguments.add_argument("--readings", type=int, help="real images whose letters the lines are made of; default all")
    arguments.add_argument("--keep", action="store_true", help="keep the simulated index for the next time")
    options = arguments.parse_args()
    key = f"simulated-{options.images}-{options.lines}"
    index = open_index(key)
    built: dict[str, float] = {}
    if index is None:
        remove_index(key)
        real = read_lines(options.data, options.readings)
        start = time.perf_counter()
        simulate(options.images, options.lines, vocabulary_words(options.data), real, key)
        built = {"build_seconds": time.perf_counter() - start, "building_peak_mb": peak_megabytes()}
        index = open_index(key)
    if index is None:
        raise SystemExit("the simulated index can't be read back")
    searcher = Searcher(index)
    questions = queries_of(index, options.queries)
    for group in questions.values():
        searcher.rank(group[0])  # brings the index into memory
    seconds: dict[str, list[float]] = {kind: [] for kind in questions}
    busy: list[float] = []
    scored: list[int] = []
    for kind, group in questions.items():
        for query in group:
            wall, processor = time.perf_counter(), time.process_time()
            found = searcher.rank(query)
            seconds[kind].append(time.perf_counter() - wall)
            busy.append(time.process_time() - processor)
            scored.append(found.scored)
    times = np.array([second for kind in seconds.values() for second in kind]) * 1000
    size = sum(file.stat().st_size for file in index.folder.glob("*.npy"))
    figures = {
        "images": len(index.images),
        "lines": len(index.lengths),
        "frames": len(index.table) - 1,
        "queries": len(times),
        "median_ms": float(np.median(times)),
        "percentile_95_ms": float(np.percentile(times, 95)),
        "worst_ms": float(times.max()),
        "processor_median_ms": float(np.median(busy)) * 1000,
        "processor_worst_ms": float(np.max(busy)) * 1000,
        **{f"{kind.replace(' ', '_')}_median_ms": float(np.median(of)) * 1000 for kind, of in seconds.items()},
        **{f"{kind.replace(' ', '_')}_worst_ms": float(np.max(of)) * 1000 for kind, of in seconds.items()},
        "lines_scored_exactly_median": float(np.median(scored)),
        "lines_scored_exactly_most": int(np.max(scored)),
        "index_mb": size / 2**20,
        **built,
        "memory_mb": psutil.Process().memory_info().rss / 2**20,
    }
    if not options.keep:
        remove_index(key)
    report(figures, options.json)


if __name__ == "__main__":
    main()
