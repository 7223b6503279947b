"""Comparison of ODITS with CLIP and with controls that are given less, on the same images, with intervals."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from odits.core.device import cores
from odits.core.errors import OditsError
from odits.core.files import cache_home, write_atomically
from odits.core.pool import Item, Workers, collect, map_images, per_item
from odits.core.pool import Task as ImageTask
from odits.core.progress import Phase, Progress, Reporter, no_progress
from odits.core.store import Entries, make_key
from odits.data import Dataset, open_image, read_dataset
from odits.data.images import image_digest
from odits.data.predictions import WordModel
from odits.evaluation.settings import VARIANTS, ComparisonRequest
from odits.metrics import probabilities as metrics
from odits.metrics.paired import holm, paired_bootstrap
from odits.metrics.scoring import Lexicons, average_metrics, mean_of, score_images
from odits.models.model_ref import with_layout
from odits.training.run import Listener, RunOptions
from odits.training.settings import FinetuneSettings, OditsSettings

FINETUNED_EPOCHS = 5
TRIALS = Entries("trials")
"""Trainings of comparisons, each a folder with checkpoints and tables of probabilities float32 (m, n)."""

BASE, SHARPENED, FINETUNED = "CLIP", "CLIP, sharpness chosen likewise", "CLIP fine-tuned"
"""Rows of CLIP: the one that the others are compared with, and what the names of two more begin with."""


def compare(dataset: Dataset, request: ComparisonRequest, report: Reporter) -> dict[str, Any]:
    """Compute every metric of rows without an image, of CLIP, of ODITS, and of what is left without its parts.

    Args:
        dataset: trained on and compared on; images that can't be read are left out.
        request: what is compared.
        report: shows each phase.

    Returns:
        What `odits compare --json` prints: "rows" with "name", metric groups, "seeds", "spread" and "ci", and
        "problems", "image" (its name) and "problem" (a sentence) of each that was left out.

    Raises:
        OditsError: the split has no images, or a model can't be had or trained.
    """
    from odits.models.registry import load

    readable, problems = readable_dataset(dataset, report.phase("checking images"))
    clip = load(request.checkpoint, request.device, kind="clip")
    rows = compared_rows(readable, request, clip, report, tuple(problems))
    base = next(row for row in rows if row.name == BASE)
    return {
        "data": dataset.name,
        "split": request.split,
        "images": len(readable.split(request.split)),
        "words": len(readable.vocabulary()),
        "clip": clip.name,
        "checkpoint": clip.checkpoint,
        "rows": corrected([row.document(base) for row in rows]),
        "problems": [{"image": name, "problem": why} for name, why in problems.items()],
    }


def compared_rows(
    dataset: Dataset, request: ComparisonRequest, clip: WordModel, report: Reporter, left_out: tuple[str, ...] = ()
) -> list[Row]:
    """Return the rows of a comparison with the metrics of each image.

    Args:
        dataset: trained on and compared on; all its images can be read.
        request: what is compared.
        clip: the model that it names.
        report: shows each phase.
        left_out: names of images that lie in the data set's folder and can't be read.

    Raises:
        OditsError: the split has no images, or a model can't be had or trained.
    """
    from odits.models.registry import SPOTTING, load

    split = request.split
    lexicons = Lexicons(dataset.split(split), dataset.vocabulary())
    rows = [make_row(name, [table], lexicons) for name, table in baseline_tables(dataset, split).items()]
    tables = {name: evaluated_table(clip, dataset, name, report) for name in dict.fromkeys((split, "train"))}
    sharp, factor = _sharpened_clip(tables, dataset, split)
    rows.append(make_row(BASE, [tables[split]], lexicons))
    rows.append(make_row(f"{SHARPENED} ({factor:g} ×)", [sharp], lexicons))
    finetuned = request.finetuned or str(_finetuned(request, dataset, report))
    better = load(finetuned, request.device, kind="clip")
    rows.append(make_row(FINETUNED, [evaluated_table(better, dataset, split, report)], lexicons))
    trials = [
        Trial.of(request, name, dataset.root, seed, left_out)
        for seed in range(request.seeds)
        for name in request.variants
    ]
    if request.workers > 1:
        share_inputs(trials, dataset, request.workers, report)
    predicted = run_trials(trials, request.workers, report)
    for name in request.variants:
        own = [table for table, trial in zip(predicted, trials, strict=True) if trial.row == name]
        rows.append(make_row(name, own, lexicons))
    spotting = load(SPOTTING, kind="spotting")
    rows.append(make_row("Word spotting", [evaluated_table(spotting, dataset, split, report)], lexicons))
    return rows


def readable_dataset(dataset: Dataset, progress: Progress = no_progress) -> tuple[Dataset, dict[str, str]]:
    """Leave out the images that can't be read, and say for each by its name why."""
    items = [Item(record.name, record.source) for record in dataset.records]
    function = per_item(lambda item: open_image(item.source, item.name).size)
    done = collect(map_images(ImageTask("", here=function), items, progress=progress))
    problems = {items[place].name: why for place, why in done.problems.items()}
    return dataset.without(problems), problems


def evaluated_table(model: WordModel, dataset: Dataset, split: str, report: Reporter) -> np.ndarray:
    """Return a model's table (m, n), stored as any evaluation is."""
    from odits.evaluation.results import evaluate_and_store

    progress = report.phase(f"evaluating {model.name} on {split} images")
    stored = evaluate_and_store(model, model.name, dataset, split, dataset.vocabulary(), progress)
    return np.asarray(stored.probabilities())


def _sharpened_clip(tables: Mapping[str, np.ndarray], dataset: Dataset, split: str) -> tuple[np.ndarray, float]:
    """Return CLIP's probabilities (m, n) made sharper by ODITS's rule, and by how much."""
    logits = {name: np.log(np.maximum(table, np.finfo(np.float32).tiny)) for name, table in tables.items()}
    train = Lexicons(dataset.split("train"), dataset.vocabulary()).relevant(slice(None))
    return sharpened(logits[split], logits["train"], train)


def _finetuned(request: ComparisonRequest, dataset: Dataset, report: Reporter) -> Path:
    """Fine-tune the CLIP model for a few epochs at the settings of Table 2.5, once; return the checkpoint."""
    from odits.models.registry import load
    from odits.training.data import data_digest, usable_records
    from odits.training.finetune import finetune
    from odits.training.saving import inherited_metadata

    settings = FinetuneSettings(epochs=FINETUNED_EPOCHS)
    clip = load(request.checkpoint, request.device, kind="clip")
    digest = data_digest(usable_records(dataset, "train"))
    file = f"epoch-{FINETUNED_EPOCHS:03d}.safetensors"
    former = cache_home() / "comparisons" / f"finetuned-{settings.digest('auto', clip.checkpoint, digest)}" / file
    if former.is_file():  # of versions before 0.2
        return former
    key = make_key(finetuned=settings.identity(), epochs=settings.epochs, clip=clip.checkpoint, data=digest)
    origin = {"parent": request.checkpoint, **inherited_metadata(request.checkpoint), "name": clip.name}
    listener = Listener(phase=lambda name: report.phase(f"fine-tuning CLIP: {name}"))
    finetune(clip, dataset, TRIALS.path(key), settings, origin, RunOptions(listener=listener, wait_s=math.inf))
    return TRIALS.path(key) / file


# Trainings


@dataclass(frozen=True)
class Trial:
    """One training of one row, and its predictions for a split.

    Attributes:
        row: a name of `VARIANTS`.
        checkpoint: reference of CLIP.
        segmenter: reference of the segmenter.
        view: how CLIP is shown an object.
        data: the data set's folder.
        split: which images are predicted.
        seed: of the training.
        base: its settings where the row doesn't differ.
        left_out: names of images that can't be read.
        device: "auto", "cpu", "cuda" or "mps".
    """

    row: str
    checkpoint: str
    segmenter: str
    view: str
    data: Path
    split: str
    seed: int
    base: OditsSettings = field(default_factory=OditsSettings)
    left_out: tuple[str, ...] = ()
    device: str = "auto"

    @classmethod
    def of(cls, request: ComparisonRequest, row: str, data: Path, seed: int, left_out: tuple[str, ...]) -> Trial:
        """Return the training of a row that a comparison asks for."""
        return cls(
            row,
            request.checkpoint,
            with_layout(request.segmenter, VARIANTS[row].get("layout", "")),
            request.view,
            data,
            request.split,
            seed,
            left_out=left_out,
            device=request.device,
        )

    @property
    def settings(self) -> OditsSettings:
        """Settings of its training."""
        changed = {name: value for name, value in VARIANTS[self.row].items() if name not in ("read", "layout")}
        return replace(self.base, seed=self.seed, **changed)

    @property
    def inputs(self) -> tuple[str, str, str, bool, str]:
        """What its inputs are made by, as `make_input_encoder` takes it."""
        return self.checkpoint, self.segmenter, self.view, self.reads, self.device

    @property
    def reads(self) -> bool:
        """Whether lines that the spotter reads are objects too."""
        return bool(VARIANTS[self.row].get("read"))


def share_inputs(trials: Sequence[Trial], dataset: Dataset, workers: int, report: Reporter) -> None:
    """Encode the images of all trials, each image once for those that see the same of it.

    Trials that begin side by side would wait for each other's images instead.

    Args:
        trials: of one split.
        dataset: all its images can be read.
        workers: processes.
        report: shows how far it is; what is encoded stays stored.
    """
    from odits.training.odits import input_task, make_input_encoder

    splits = dict.fromkeys(("train", *(trial.split for trial in trials)))
    records = {record.name: record for split in splits for record in dataset.split(split)}
    progress = report.phase("looking for encoded images", len(records))
    digests = {}
    for name, record in records.items():
        digests[name] = image_digest(record.open())
        progress(len(digests), len(records))
    for inputs in dict.fromkeys(trial.inputs for trial in trials):
        input_encoder = make_input_encoder(*inputs)
        missing = [
            Item(name, record.source) for name, record in records.items() if not input_encoder.is_stored(digests[name])
        ]
        if missing:
            reading = ", and lines read" if input_encoder.spotter else ""
            phase = report.phase(f"objects by {input_encoder.segmenter.name}{reading}")
            collect(map_images(input_task(*inputs, dataset.vocabulary()), missing, Workers(workers), phase))


def run_trials(trials: Sequence[Trial], workers: int, report: Reporter) -> list[np.ndarray]:
    """Return probabilities float32 (m, n) of each trial; those of an earlier comparison are read, not computed.

    Args:
        trials: what is trained.
        workers: processes; each takes its share of the processor's cores.
        report: shows how far it is; what it raises cancels; finished trainings stay stored.

    Raises:
        OditsError: a training failed.
    """
    progress = report.phase("trainings", len(trials))
    progress(0, len(trials))
    if workers < 2:
        tables = []
        for done, trial in enumerate(trials, start=1):
            label = f"{trial.row}, seed {trial.seed}"
            tables.append(run_trial(trial, lambda name, label=label: report.phase(f"{label}: {name}")))  # type: ignore[misc]
            progress(done, len(trials))
        return tables
    from multiprocessing import get_context

    with ProcessPoolExecutor(workers, get_context("spawn"), _share_cores, (workers,)) as pool:
        futures = {pool.submit(run_trial, trial): place for place, trial in enumerate(trials)}
        found: dict[int, np.ndarray] = {}
        try:
            for future in as_completed(futures):
                place = futures[future]
                found[place] = future.result()
                progress.describe(f"{trials[place].row}, seed {trials[place].seed}")
                progress(len(found), len(trials))
        except BrokenProcessPool as error:
            raise OditsError(
                "A training process was killed, perhaps for lack of memory: use fewer --workers."
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [found[place] for place in range(len(trials))]


def _share_cores(workers: int) -> None:
    import torch

    torch.set_num_threads(max(1, cores() // workers))


def run_trial(trial: Trial, phase: Callable[[str], Phase] = Phase) -> np.ndarray:
    """Return probabilities float32 (m, n) of one trial: trained where its table is not there yet.

    The checkpoint stays beside the table for the rows "ODITS" and "... read ...", which people look at.

    Args:
        trial: what is trained.
        phase: takes the name of what begins and returns what shows it.
    """
    from odits.training.odits import make_input_encoder, run_folder
    from odits.training.saving import BEST, INITIAL

    dataset = read_dataset(trial.data).without(trial.left_out)
    input_encoder = make_input_encoder(*trial.inputs)
    former = run_folder(input_encoder, dataset, trial.settings, "comparisons")  # of versions before 0.2
    key = make_key(run=former.name)
    with TRIALS.lock(key, wait_s=math.inf):
        folder = TRIALS.path(key)
        for file in (folder / f"{trial.split}.npy", former / f"{trial.split}.npy"):
            table = _read_table(file)
            if table is not None:
                return table
        table = _train_and_predict(trial, dataset, input_encoder, folder, phase)
        stream = io.BytesIO()
        np.save(stream, table)
        write_atomically(folder / f"{trial.split}.npy", stream.getvalue())
        shown = trial.row == "ODITS" or trial.reads
        for name in ("state.pt", INITIAL, *(() if shown else (BEST,))):
            (folder / name).unlink(missing_ok=True)
    return table


def _train_and_predict(
    trial: Trial, dataset: Dataset, input_encoder: Any, folder: Path, phase: Callable[[str], Phase]
) -> np.ndarray:
    from odits.models.registry import load
    from odits.training.odits import origin_of, train_odits
    from odits.training.odits_data import choose_objects, encode_images

    origin = origin_of(trial.checkpoint, trial.segmenter, input_encoder)
    options = RunOptions(listener=Listener(phase=phase))
    state = train_odits(input_encoder, dataset, folder, trial.settings, origin, options)
    model = load(folder / state.checkpoints[-1]["file"], trial.device, kind="odits")
    vocabulary = dataset.vocabulary()
    encoded = encode_images(input_encoder, dataset.split(trial.split), vocabulary, phase("predicting"))
    inputs = choose_objects(list(encoded.values.values()), trial.settings.objects, trial.seed)
    return model.input_probabilities(inputs, vocabulary)


def _read_table(file: Path) -> np.ndarray | None:
    try:
        table = np.load(file, allow_pickle=False)
        return table if table.ndim == 2 else None
    except (OSError, ValueError, EOFError):
        return None


# Rows


@dataclass(frozen=True, eq=False)
class Row:
    """One model's results.

    Attributes:
        name: as shown to users.
        groups: metric groups averaged over images and seeds, as in `odits evaluate --json`.
        per_image: every metric (m,) of each image, averaged over seeds, as
            `odits.metrics.scoring.score_images` names them.
        seeds: how many trainings these are the mean of.
        spread: standard deviation over the seeds of each metric's mean; empty with one seed.
    """

    name: str
    groups: dict[str, Any]
    per_image: dict[str, np.ndarray]
    seeds: int
    spread: dict[str, float]

    def document(self, base: Row) -> dict[str, Any]:
        """Return what `odits compare --json` says of it, with intervals of its differences to `base`."""
        intervals = {} if self is base else differences(self, base)
        return {"name": self.name, **self.groups, "seeds": self.seeds, "spread": self.spread, "ci": intervals}


def make_row(name: str, tables: Sequence[np.ndarray], lexicons: Lexicons) -> Row:
    """Return the row of one or more seeds.

    Args:
        name: as shown to users.
        tables: probabilities (m, n) by each seed.
        lexicons: of the m images.
    """
    scored = [score_images(table, lexicons) for table in tables]
    per_image = {key: np.mean([values[key] for values, _ in scored], axis=0) for key in scored[0][0]}
    groups = average_metrics(per_image, scored[0][1])
    spread: dict[str, float] = {}
    if len(scored) > 1:
        for key in per_image:
            one = [mean_of(values[key]) for values, _ in scored]
            spread[key] = float(np.std([value for value in one if value is not None], ddof=1))
    return Row(name, groups, per_image, len(tables), spread)


def corrected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add "p_holm" to the intervals of rows, p-values corrected over the rows for each metric; return the rows."""
    for key in {key for row in rows for key in row["ci"]}:
        having = [row["ci"][key] for row in rows if key in row["ci"]]
        for one, p in zip(having, holm(np.array([one["p"] for one in having])).tolist(), strict=True):
            one["p_holm"] = p
    return rows


def differences(row: Row, base: Row, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return each metric's mean difference of two rows over images, its confidence interval and p-value.

    Paired bootstrap over images: what other images would have given, not what other trainings would, which is the rows'
    spread over seeds.

    Args:
        row: one.
        base: the other, on the same images.
        seed: of the drawing.

    Returns:
        "difference", "low", "high" and "p" by the metric's name.
    """
    changes = [values - base.per_image[key] for key, values in row.per_image.items()]
    found = zip(row.per_image, paired_bootstrap(np.array(changes), seed), strict=True)
    return {
        key: {"difference": change.difference, "low": change.low, "high": change.high, "p": change.p}
        for key, change in found
        if change is not None
    }


def sharpened(logits: np.ndarray, train_logits: np.ndarray, train_lexicons: np.ndarray) -> tuple[np.ndarray, float]:
    """Make a model's probabilities as sharp as ODITS's are, by the same rule on training images.

    Without this row one could not tell what a model gained from what its temperature gained.

    Args:
        logits: (m, n).
        train_logits: (k, n) of training images.
        train_lexicons: bool (k, n).

    Returns:
        Probabilities float32 (m, n), and the factor of the logits.
    """
    import torch

    from odits.training.losses import best_sharpness, confidence_f1

    known, true = torch.from_numpy(train_logits), torch.from_numpy(train_lexicons.astype(np.float32))
    factor = best_sharpness(known, true, confidence_f1(known, true))
    return torch.softmax(factor * torch.from_numpy(logits), 1).numpy(), factor


def baseline_tables(dataset: Dataset, split: str) -> Mapping[str, np.ndarray]:
    """Return the two rows that see no image, as tables (m, n).

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
