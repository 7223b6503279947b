"""What annotators' verdicts are good for: precision and recall of a checkpoint, limits by word, one more data set.

A checkpoint says a word of a picture where it finds it present with a probability from a limit on. Lexicons name some
words of a picture and leave out others; marks say of each word that somebody judged whether it is right.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from odits.core.errors import OditsError
from odits.core.files import write_atomically
from odits.data import Dataset
from odits.data.csv_tables import write_table
from odits.data.images import ImageError
from odits.data.marks import ImageWord
from odits.data.vocabulary import clean_word, fold_word, split_words
from odits.evaluation.limits import Limits
from odits.evaluation.results import StoredEvaluation
from odits.metrics.inter_annotator import Interval, bootstrap

FOLDS = 5
LEAST = 5
"""A word has a limit of its own from this many verdicts of each kind on."""

Verdicts = Mapping[ImageWord, str]
"""The one verdict of each word, as `odits.data.adjudication.resolve` gives it."""


class JudgedWords(NamedTuple):
    """Words of pictures that are right or wrong, with what a checkpoint says of them; n of them.

    Attributes:
        images: the place of each word's picture among those with a judged word, int64 (n,).
        words: the words, folded.
        probabilities: that each is present, float64 (n,); 0 where the vocabulary does not have it.
        right: bool (n,).
        unjudged: probabilities of words of the same pictures on which there is no verdict, float64.
        problems: a sentence about marks that could not be used.
    """

    images: np.ndarray
    words: tuple[str, ...]
    probabilities: np.ndarray
    right: np.ndarray
    unjudged: np.ndarray
    problems: tuple[str, ...]


class Rate(NamedTuple):
    """A share in 0..1 with its interval over pictures; None where it is undefined."""

    value: float | None
    interval: Interval | None


class AgainstMarks(NamedTuple):
    """A checkpoint against marks.

    Attributes:
        images: pictures with a judged word.
        judged: words that are right or wrong.
        right: how many of them are right, typed ones too.
        unjudged: words that the checkpoint says and nobody judged.
        precision: the share of the judged words it says that are right.
        recall: the share of the right words that it says.
        f1: the harmonic mean of both.
    """

    images: int
    judged: int
    right: int
    unjudged: int
    precision: Rate
    recall: Rate
    f1: Rate

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        rates = {name: getattr(self, name)._asdict() for name in ("precision", "recall", "f1")}
        return {**self._asdict(), **rates}


class Recalibrated(NamedTuple):
    """Limits from marks.

    Attributes:
        limits: from all of them.
        corrected_before: verdicts that have to be corrected with the limit as it was.
        corrected_after: the same with limits from the other pictures: no verdict chooses the limit it is counted by.
    """

    limits: Limits
    corrected_before: int
    corrected_after: int


def presence(row: np.ndarray) -> np.ndarray:
    """Return the probability that each word is present, from a row of shares float (n,) of one picture.

    Where shares leave room for "none of these", a word's odds are its share over that room (word spotting is calibrated
    so); several words may be certain at once. Where they leave none, the share itself is all that is known.

    Example:
        >>> presence(np.array([0.45, 0.45])).round(3).tolist(), presence(np.array([0.75, 0.25])).tolist()
        ([0.818, 0.818], [0.75, 0.25])
    """
    shares = np.asarray(row, np.float64)
    none = 1 - shares.sum()
    return shares if none < 1e-4 and shares.max(initial=0) < 1 - 1e-4 else shares / (shares + max(none, 1e-7))


def judged_words(evaluation: StoredEvaluation, verdicts: Verdicts) -> JudgedWords:
    """Put verdicts and a checkpoint's probabilities together; "unsure" and "skipped" say nothing.

    Spellings that differ in case or accents are one word, which is right where one of them is.

    Args:
        evaluation: of the checkpoint.
        verdicts: of words of the same data set.

    Raises:
        OditsError: there is no verdict on a picture of the evaluation.
    """
    rows = {name: number for number, name in enumerate(evaluation.images)}
    by_image: dict[str, dict[str, bool]] = {}
    gone = set()
    for about, verdict in verdicts.items():
        if about.data != evaluation.data or verdict not in ("right", "wrong"):
            continue
        if about.image not in rows:
            gone.add(about.image)
            continue
        words = by_image.setdefault(about.image, {})
        word = fold_word(clean_word(about.word))
        words[word] = words.get(word, False) or verdict == "right"
    if not by_image:
        raise OditsError(f"There is no verdict, right or wrong, on a picture of {evaluation.data} that was evaluated.")
    table, vocabulary = evaluation.probabilities(), evaluation.vocabulary
    images: list[int] = []
    folded: list[str] = []
    probabilities: list[float] = []
    right: list[bool] = []
    unjudged: list[np.ndarray] = []
    for number, (name, judged) in enumerate(sorted(by_image.items())):
        present = presence(np.asarray(table[rows[name]]))
        others = np.ones(len(vocabulary), bool)
        for word, is_right in judged.items():
            place = vocabulary.find(word)
            images.append(number)
            folded.append(word)
            probabilities.append(0.0 if place is None else float(present[place]))
            right.append(is_right)
            if place is not None:
                others[place] = False
        unjudged.append(present[others & (present > 0)])
    problems = (f"{len(gone)} pictures with marks are not in the evaluation: {sorted(gone)[0]} …",) if gone else ()
    return JudgedWords(
        np.array(images),
        tuple(folded),
        np.array(probabilities),
        np.array(right),
        np.concatenate(unjudged),
        problems,
    )


def against_marks(judged: JudgedWords, limits: Limits, resamples: int = 2000, seed: int = 0) -> AgainstMarks:
    """Compute precision, recall and F1 of what a checkpoint says, with bootstrap intervals over pictures.

    Args:
        judged: words, with verdicts.
        limits: from which probability on a word is said.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    said = judged.probabilities >= limits.of_folded(judged.words)
    parts = np.stack([said & judged.right, said & ~judged.right, ~said & judged.right], axis=1).astype(np.float64)

    def rate(statistic: Any) -> Rate:
        value = float(statistic(parts.sum(0, keepdims=True))[0])
        interval = bootstrap(parts, judged.images, statistic, resamples, seed, 0.95)
        return Rate(None if np.isnan(value) else value, interval)

    return AgainstMarks(
        int(judged.images.max()) + 1,
        len(judged.words),
        int(judged.right.sum()),
        int((judged.unjudged >= limits.general).sum()),
        rate(lambda sums: _share(sums[:, 0], sums[:, 0] + sums[:, 1])),
        rate(lambda sums: _share(sums[:, 0], sums[:, 0] + sums[:, 2])),
        rate(lambda sums: _share(2 * sums[:, 0], 2 * sums[:, 0] + sums[:, 1] + sums[:, 2])),
    )


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


# Limits.


def recalibrate(judged: JudgedWords, before: Limits | None = None, least: int = LEAST) -> Recalibrated:
    """Choose the limits with which the fewest verdicts have to be corrected.

    One limit for all words; a word with enough verdicts of each kind has its own. How many corrections remain is
    counted by cross-validation over pictures.

    Args:
        judged: words, with verdicts.
        before: the limits that were in use; default: 0.5.
        least: verdicts of each kind that a word needs for a limit of its own.
    """
    before = before or Limits()
    folds = judged.images % FOLDS
    after = 0
    for fold in range(FOLDS):
        held = folds == fold
        limits = _best_limits(judged, ~held, before.general, least)
        after += _corrections(judged, limits, held)
    whole = np.ones(len(judged.words), bool)
    return Recalibrated(_best_limits(judged, whole, before.general, least), _corrections(judged, before, whole), after)


def best_limit(probabilities: np.ndarray, right: np.ndarray, usual: float) -> float:
    """Return the limit with the fewest right words below it and wrong ones from it on.

    Limits lie halfway between neighbouring probabilities; of equally good ones the nearest to the usual one is taken,
    and the usual one itself where it is as good.

    Args:
        probabilities: float64 (n,).
        right: bool (n,).
        usual: limit.

    Example:
        >>> best_limit(np.array([0.1, 0.2, 0.4, 0.8]), np.array([False, False, True, True]), 0.5).__round__(2)
        0.3
    """
    values = np.concatenate([[0.0], np.unique(probabilities), [1.0]])
    candidates = np.unique(np.clip([*(values[:-1] + values[1:]) / 2, usual], 1e-6, 1 - 1e-6))
    order = np.argsort(probabilities, kind="stable")
    rights_below = np.concatenate([[0], np.cumsum(right[order])])
    below = np.searchsorted(probabilities[order], candidates, side="left")
    wrongs_above = (~right).sum() - (below - rights_below[below])
    mistakes = rights_below[below] + wrongs_above
    good = candidates[mistakes == mistakes.min()]
    return float(good[np.abs(good - usual).argmin()])


def _best_limits(judged: JudgedWords, chosen: np.ndarray, usual: float, least: int) -> Limits:
    """Choose limits by some of the words, bool (n,)."""
    if not chosen.any():
        return Limits(usual)
    general = best_limit(judged.probabilities[chosen], judged.right[chosen], usual)
    places: dict[str, list[int]] = {}
    for place in np.flatnonzero(chosen).tolist():
        places.setdefault(judged.words[place], []).append(place)
    own = {}
    for word, found in places.items():
        rights = judged.right[found]
        if min(rights.sum(), (~rights).sum()) >= least:
            own[word] = best_limit(judged.probabilities[found], rights, general)
    return Limits(general, own)


def _corrections(judged: JudgedWords, limits: Limits, chosen: np.ndarray) -> int:
    said = judged.probabilities >= limits.of_folded(judged.words)
    return int(((said != judged.right) & chosen).sum())


# Marks as a data set.


class MarkedSet(NamedTuple):
    """A data set that was written of marks.

    Attributes:
        images: by split, how many pictures.
        words: how many words all of them have.
        problems: a sentence about each picture that was left out.
    """

    images: dict[str, int]
    words: int
    problems: list[str]


def write_dataset(folder: Path, dataset: Dataset, verdicts: Verdicts, split: str = "keep") -> MarkedSet:
    """Write the pictures with a word marked right as a folder with `lexicons.csv`, which training takes as data.

    Args:
        folder: new or empty.
        dataset: with the pictures.
        verdicts: of their words.
        split: "keep" leaves each picture in its split; "train" or "eval" puts all there.

    Raises:
        OditsError: no word is marked right, the folder holds something, or can't be written.
    """
    if split not in ("keep", "train", "eval"):
        raise OditsError(f"There is no split {split[:40]!r} here: choose keep, train or eval.")
    lexicons: dict[str, list[str]] = {}
    for about, verdict in sorted(verdicts.items()):
        if about.data == dataset.name and verdict == "right":
            lexicons.setdefault(about.image, []).append(about.word)
    if not lexicons:
        raise OditsError(f"No word of a picture of {dataset.name} is marked right.")
    if folder.is_dir() and any(folder.iterdir()):
        raise OditsError(f"{folder} is not empty: name a new folder.")
    known = {record.name: record for record in dataset.split("all")}
    rows: list[tuple[str, str, str]] = []
    problems: list[str] = []
    words_in_all = 0
    for name, words in lexicons.items():
        record = known.get(name)
        if record is None:
            problems.append(f"{name} is marked, but no longer in {dataset.name}; left out.")
            continue
        target = folder / "images" / f"{len(rows):05}-{clean_word(Path(name).name)}"
        try:
            content = record.read()
        except ImageError as error:
            problems.append(f"{error} Left out.")
            continue
        write_atomically(target, content)
        words_in_all += len(words)
        rows.append((target.relative_to(folder).as_posix(), _cell(words), record.split if split == "keep" else split))
    if not rows:
        raise OditsError(f"None of the marked pictures is in {dataset.name} any more.")
    write_atomically(folder / "lexicons.csv", write_table(("file", "words", "split"), rows))
    images = {name: sum(row[2] == name for row in rows) for name in ("train", "eval")}
    return MarkedSet(images, words_in_all, problems)


def _cell(words: Iterable[str]) -> str:
    """Return words as a cell of `lexicons.csv`: as a list where one would be taken apart at a space or a comma."""
    listed = list(words)
    plain = " ".join(listed)
    return plain if split_words(plain) == listed else json.dumps(listed, ensure_ascii=False)
