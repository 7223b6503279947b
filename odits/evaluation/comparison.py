"""ODITS against CLIP and against controls that see less, on the same images: who is better, and whether by chance."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from odits.core.errors import OditsError
from odits.core.files import cache_home, write_atomically
from odits.data import Dataset, read_dataset
from odits.evaluation.evaluate import Lexicons, mean_of, score_images
from odits.metrics import probabilities as metrics
from odits.training.odits_config import OditsTraining

ALONE = ("object_attention", "weighted_text", "feature_enhancer", "evidence", "recall")

VARIANTS: dict[str, dict[str, Any]] = {
    "CLIP + learned prior": {"without": ALONE, "objects": "image"},
    "ODITS": {},
    "ODITS without object attention": {"without": ("object_attention",)},
    "ODITS without feature enhancer": {"without": ("feature_enhancer",)},
    "ODITS without similarity-weighted text": {"without": ("weighted_text",)},
    "ODITS without the objects' own words": {"without": ("evidence",)},
    "ODITS without recalled lexicons": {"without": ("recall",)},
    "ODITS, whole image as only object": {"objects": "image"},
    "ODITS, another image's objects": {"objects": "shuffled"},
    "ODITS, signs read by the spotter too": {"read": True},
}
"""Trained rows, and how their training differs from the defaults."""

RESAMPLES = 10_000


@dataclass(frozen=True)
class Trial:
    """One training of one row, and its predictions for a split.

    Attributes:
        row: a name of `VARIANTS`.
        checkpoint, segmenter, view: references of CLIP, of the segmenter, and how objects are shown.
        data: the data set's folder.
    """

    row: str
    checkpoint: str
    segmenter: str
    view: str
    data: Path
    split: str
    seed: int
    base: OditsTraining = field(default_factory=OditsTraining)

    @property
    def config(self) -> OditsTraining:
        """Settings of its training."""
        changed = {name: value for name, value in VARIANTS[self.row].items() if name != "read"}
        return replace(self.base, seed=self.seed, **changed)


def run_trials(trials: Sequence[Trial], workers: int, advance: Callable[[int, int], None]) -> list[np.ndarray]:
    """Probabilities float32 (m, n) of each trial; those of an earlier comparison are read, not computed.

    Args:
        workers: processes; each takes its share of the processor's cores.
        advance: called with (done, of); may raise to cancel, what was finished is kept.

    Raises:
        OditsError: a training failed.
    """
    if workers < 2:
        tables = []
        for done, trial in enumerate(trials):
            advance(done, len(trials))
            tables.append(run_trial(trial))
        advance(len(trials), len(trials))
        return tables
    from multiprocessing import get_context

    with ProcessPoolExecutor(workers, get_context("spawn"), _share_cores, (workers,)) as pool:
        futures = {pool.submit(run_trial, trial): place for place, trial in enumerate(trials)}
        found: dict[int, np.ndarray] = {}
        try:
            advance(0, len(trials))
            for future in as_completed(futures):
                found[futures[future]] = future.result()
                advance(len(found), len(trials))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [found[place] for place in range(len(trials))]


def _share_cores(workers: int) -> None:
    import os

    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


def run_trial(trial: Trial) -> np.ndarray:
    """Probabilities float32 (m, n) of one trial: trained where its table is not there yet.

    The checkpoint of the trial stays beside the table for the rows "ODITS" and "... read ...", which people look at.
    """
    from odits.models.registry import load
    from odits.training.odits_runs import make_input_encoder, origin_of, run_folder
    from odits.training.train_odits import choose_objects, train_odits

    dataset = read_dataset(trial.data)
    read = bool(VARIANTS[trial.row].get("read"))
    input_encoder = make_input_encoder(trial.checkpoint, trial.segmenter, trial.view, read)
    folder = run_folder(cache_home() / "comparisons", input_encoder, dataset, trial.config)
    file = folder / f"{trial.split}.npy"
    kept = _read_table(file)
    if kept is not None:
        return kept
    state = train_odits(
        input_encoder, dataset, folder, trial.config, origin_of(trial.checkpoint, trial.segmenter, input_encoder)
    )
    model = load(folder / state.checkpoints[-1]["file"], kind="odits")
    vocabulary = dataset.vocabulary()
    seen = [input_encoder.encode(record.path, vocabulary) for record in dataset.split(trial.split)]
    inputs = choose_objects(seen, trial.config.objects, trial.seed)
    table = model.input_probabilities(inputs, vocabulary)
    stream = io.BytesIO()
    np.save(stream, table)
    write_atomically(file, stream.getvalue())
    for left in ("state.pt", "initial.safetensors", *(() if trial.row == "ODITS" or read else ("best.safetensors",))):
        (folder / left).unlink(missing_ok=True)
    return table


def _read_table(file: Path) -> np.ndarray | None:
    try:
        table = np.load(file, allow_pickle=False)
        return table if table.ndim == 2 else None
    except (OSError, ValueError, EOFError):
        return None


def forget_trials() -> None:
    """Removes what earlier comparisons trained."""
    shutil.rmtree(cache_home() / "comparisons", ignore_errors=True)


@dataclass(frozen=True, eq=False)
class Row:
    """One model's results.

    Attributes:
        name: as shown to users.
        groups: metric groups averaged over images and seeds, as in `odits evaluate --json`.
        per_image: every metric (m,) of each image, averaged over seeds, as `odits.evaluation.evaluate.score_images`
        names them.
        seeds: how many trainings these are the mean of.
        spread: standard deviation over the seeds of each metric's mean; empty with one seed.
    """

    name: str
    groups: dict[str, Any]
    per_image: dict[str, np.ndarray]
    seeds: int
    spread: dict[str, float]


def make_row(name: str, tables: Sequence[np.ndarray], lexicons: Lexicons) -> Row:
    """A row from the tables of probabilities (m, n) of one or more seeds."""
    scored = [score_images(table, lexicons) for table in tables]
    per_image = {key: np.mean([values[key] for values, _ in scored], axis=0) for key in scored[0][0]}
    means = {key: mean_of(value) for key, value in per_image.items()}
    groups: dict[str, Any] = {
        "confidence": {key: means[f"confidence {key}"] for key in metrics.CONFIDENCE},
        "threshold": {key: means[f"threshold {key}"] for key in metrics.CONFIDENCE},
        "uniformity": means["uniformity"],
        "rank": {key: means[f"rank {key}"] for key in metrics.RANK},
    }
    groups["threshold"]["words_without_roc"] = scored[0][1]
    spread: dict[str, float] = {}
    if len(scored) > 1:
        for key in per_image:
            one = [mean_of(values[key]) for values, _ in scored]
            spread[key] = float(np.std([value for value in one if value is not None], ddof=1))
    return Row(name, groups, per_image, len(tables), spread)


def differences(row: Row, base: Row, seed: int = 0, level: float = 0.95) -> dict[str, dict[str, float]]:
    """For each metric the mean difference of two rows over images, and its confidence interval.

    Paired bootstrap over images (Efron and Tibshirani 1993): images are drawn again with replacement 10,000 times, each
    with its metric under both models; the interval holds the middle `level` of the means. It says what other images
    would have given, not what other trainings would: that is the rows' spread over seeds.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for key, values in row.per_image.items():
        change = values - base.per_image[key]
        change = change[~np.isnan(change)]
        if not len(change):
            continue
        # how often each image was drawn is all that a mean needs
        drawn = rng.multinomial(len(change), np.full(len(change), 1 / len(change)), RESAMPLES)
        low, high = np.quantile(drawn @ change / len(change), [(1 - level) / 2, (1 + level) / 2])
        found[key] = {"difference": float(change.mean()), "low": float(low), "high": float(high)}
    return found


def sharpened(logits: np.ndarray, train_logits: np.ndarray, train_lexicons: np.ndarray) -> tuple[np.ndarray, float]:
    """A model's probabilities (m, n) made as sharp as ODITS's are, by the same rule on training images; the factor.

    Without this row one could not tell what a model gained from what its temperature gained.
    """
    import torch

    from odits.training.sharpening import best_sharpness, confidence_f1

    known, true = torch.from_numpy(train_logits), torch.from_numpy(train_lexicons.astype(np.float32))
    factor = best_sharpness(known, true, confidence_f1(known, true))
    return torch.softmax(factor * torch.from_numpy(logits), 1).numpy(), factor


def baseline_tables(dataset: Dataset, split: str) -> Mapping[str, np.ndarray]:
    """The two rows that see no image, as tables (m, n).

    Raises:
        OditsError: the split has no images.
    """
    records = dataset.split(split)
    if not records:
        raise OditsError(f"{dataset.name} has no {split} images to compare on.")
    vocabulary = dataset.vocabulary()
    prior = metrics.prior_row(Lexicons(dataset.split("train"), vocabulary).document_frequency())
    rows = {"uniform": metrics.uniform_row(len(vocabulary)), "prior": prior}
    return {name: np.broadcast_to(row, (len(records), len(row))) for name, row in rows.items()}
