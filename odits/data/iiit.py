"""IIIT 5K-Word (Mishra et al., 2012), cropped words; and IIIT Scene Text Retrieval (2013), scenes by words they show.

IIIT5K: traindata.mat and testdata.mat with the fields ImgName and GroundTruth (their lexicons of 50 and 1,000 words are
distractors, not words of the image), or train_label.txt and test_label.txt with `train/1009_2.png You`.
IIIT-STR: data.mat has a row a query, the word and the names of the images in imgDatabase/ that show it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from odits.core.errors import OditsError
from odits.data.matlab import read_matlab
from odits.data.reading import Reader, Reading, images_below, read_text
from odits.data.records import Dataset, ImageRecord
from odits.data.vocabulary import clean_word

_SPLITS = {"train": "train", "test": "eval"}
_READ = ("ImgName", "GroundTruth")
_FIELDS = frozenset(_READ)
_SCENES = "imgDatabase"
_WHOLE = "An image is a cropped word: its box is the whole image, its lexicon the word."
_QUERIES = "Only the words of the queries are known, and where they stand is not."


def _fits_words(folder: Path) -> bool:
    """Whether there are the archive's tables, or MMOCR's: PaddleOCR's lists of the same name have tabs."""
    if any((folder / f"{split}data.mat").is_file() for split in _SPLITS):
        return True
    return any(_is_list(folder / f"{split}_label.txt") for split in _SPLITS)


def _is_list(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"\t" not in file.read(4096)
    except OSError:
        return False


def _read_words(folder: Path) -> Dataset:
    """Read cropped words; a file that can't be read is a warning, and the other split goes on."""
    reading = Reading(folder)
    records = []
    for split in _SPLITS:
        try:
            pairs = list(_words(folder, split))
        except OditsError as error:
            reading.warn(f"{error} The split {_SPLITS[split]} is empty.")
            continue
        for number, (named, word) in enumerate(pairs, 1):
            place = f"{split}, word {number}"
            image = reading.find_image(named, place)
            if image is not None:
                records.append(reading.cropped_record(image, _SPLITS[split], word, place))
    return reading.dataset(IIIT5K.name, records, IIIT5K.name, _WHOLE)


def _words(folder: Path, split: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each image of a split, and its word."""
    table, labels = folder / f"{split}data.mat", folder / f"{split}_label.txt"
    if table.is_file():
        found = read_matlab(table, f"{split}data", fields=_FIELDS)
        for row in found.rows():
            named = dict(zip(found.fields, row, strict=False))
            name, word = ("".join(named[field].texts()) if field in named else "" for field in _READ)
            yield name, word
    elif labels.is_file():
        for line in read_text(labels).splitlines():
            name, _, word = line.strip().partition(" ")
            if name:
                yield name.rstrip(","), word.strip().strip('"')


def _fits_scenes(folder: Path) -> bool:
    return (folder / "data.mat").is_file() and (folder / _SCENES).is_dir()


def _read_scenes(folder: Path) -> Dataset:
    """Read scenes; the lexicon of an image is the queries whose answer it is."""
    reading = Reading(folder)
    queries: dict[str, list[str]] = {}
    for row in read_matlab(folder / "data.mat", "data").rows():
        texts = [cell.texts() for cell in row[:2]]
        if len(texts) < 2 or not texts[0]:
            reading.warn("data.mat: a query is no word and names of images; left out.", "query")
            continue
        word, names = clean_word(texts[0][0]), texts[1]
        for name in names:
            if word:
                queries.setdefault(name, []).append(word)
    records = []
    known = set()
    for path in images_below(folder / _SCENES):
        name = path.relative_to(folder / _SCENES).as_posix()
        image = reading.open_image(path, name, _SCENES)
        known.add(name)
        if image is not None:
            records.append(ImageRecord(name, path, "eval", tuple(queries.get(name, ()))))
    for name in queries.keys() - known:
        reading.warn(f"data.mat: there is no image {name[:200]} in {_SCENES}.", "image")
    without = sum(not record.lexicon for record in records)
    return reading.dataset(IIIT_STR.name, records, IIIT_STR.name, f"{_QUERIES} {without:,} images answer no query.")


IIIT5K: Reader = Reader("IIIT 5K-Word", "traindata.mat or train_label.txt, and train/", _fits_words, _read_words)
IIIT_STR: Reader = Reader("IIIT Scene Text Retrieval", "data.mat and imgDatabase/", _fits_scenes, _read_scenes)
