"""Recipes of fine-tuning CLIP at equal cost: ranking metrics, and confidence precision at matched entropy.

Every recipe sees the same images equally often. Its learning rate is the one with the highest average precision on a
part of the training images that it does not learn from; the evaluation images are opened at the end only. Confidence
metrics follow sharpness, so each row is also shown at the temperature that gives it the start's mean entropy: what is
left of a gain then is no gain in sharpness. Rows that were finished are stored, and an interrupted benchmark goes on.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, needed_data, parser, report
from odits.cli.common import print_table
from odits.core.progress import Reporter, no_progress, open_reporter
from odits.core.store import JSON, Entries, Store, make_key
from odits.core.weights import read_tensors
from odits.data import Dataset
from odits.metrics.calibration import mean_entropy, with_entropy
from odits.metrics.paired import LEVEL, RESAMPLES, holm, paired_bootstrap
from odits.metrics.probabilities import confidence_metrics, prior_row, rank_metrics
from odits.metrics.scoring import Lexicons
from odits.models.clip.model import ClipModel, encode_vocabulary
from odits.models.reference import EMBEDDED
from odits.models.registry import load
from odits.training.clip_parts import choose_part
from odits.training.data import data_digest, usable_records
from odits.training.finetune import Validation, average_weights, finetune
from odits.training.run import Listener, RunOptions
from odits.training.saving import inherited_metadata
from odits.training.settings import FinetuneSettings

TRAININGS = Entries("recipe-trainings")
"""Trainings of a seed that is not finished, each a folder."""
ROWS: Store[dict[str, Any]] = Store("recipe-rows", JSON)
"""What came of a recipe and a seed: its learning rate, and each image's metrics."""

HELD_OUT = 0.2
"""Share of the training images that choose the learning rate."""
TEMPLATES = ("{}", "the {}", "{} shop", "a sign: {}")
"""Prompts whose embeddings are averaged; longer ones would not fit into the embedded model's context."""
AVERAGE_PRECISION, PRECISION, MATCHED = "average precision", "confidence precision", "at matched entropy"
METRICS = ("precision@10", AVERAGE_PRECISION, PRECISION, MATCHED)
QUICK = {"epochs": 1, "seeds": 1, "rates": [1e-4], "images": 30}
START, FREQUENT = "no training", "frequent words without an image"


@dataclass(frozen=True)
class Recipe:
    """A way to fine-tune.

    Attributes:
        name: for people.
        settings: of `FinetuneSettings`, where they differ; None: nothing is trained.
        share: of the tuned weights in the average with the start's (WiSE-FT).
        templates: whether words are embedded in `TEMPLATES`.
    """

    name: str
    settings: Mapping[str, Any] | None = field(default_factory=dict)
    share: float = 1.0
    templates: bool = False


RECIPES = (
    Recipe(START, None),
    Recipe("no training, prompt templates", None, templates=True),
    Recipe("plain"),
    Recipe("plain, prompt templates", templates=True),
    Recipe("plain, averaged with the start (WiSE-FT)", share=0.5),
    Recipe("masked", {"loss": "masked"}),
    Recipe("multi-positive", {"loss": "shared"}),
    Recipe("multi-positive, averaged with the start (WiSE-FT)", {"loss": "shared"}, share=0.5),
    Recipe("SigLIP's loss", {"loss": "sigmoid"}),
    Recipe("plain, image tower frozen but for its projection", {"train": "head"}),
    Recipe("plain, image tower frozen", {"train": "text"}),
    Recipe("multi-positive, image tower frozen", {"train": "text", "loss": "shared"}),
    Recipe("plain, LoRA of rank 8", {"lora_rank": 8}),
    Recipe("multi-positive, LoRA of rank 8", {"lora_rank": 8, "loss": "shared"}),
)
QUICK_RECIPES = (START, "plain", "plain, averaged with the start (WiSE-FT)", "multi-positive, image tower frozen")


def main() -> None:
    """Train and measure all recipes, and report them."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--seeds", type=int, default=5, help="trainings of each recipe; each holds out other images")
    arguments.add_argument("--epochs", type=int, default=5)
    arguments.add_argument("--batch", type=int, default=20)
    arguments.add_argument("--rates", type=float, nargs="+", default=[1e-5, 1e-4, 1e-3], help="learning rates to try")
    arguments.add_argument("--images", type=int, default=0, help="only so many images of each split")
    arguments.add_argument("--only", nargs="+", choices=[one.name for one in RECIPES], default=[], metavar="RECIPE")
    arguments.add_argument("--quick", action="store_true", help="one epoch, one seed, one rate, few images and recipes")
    options = arguments.parse_args()
    if options.quick:
        vars(options).update(QUICK)
    dataset = needed_data(options)
    if options.images:
        few = tuple(record for name in ("train", "eval") for record in dataset.split(name)[: options.images])
        dataset = replace(dataset, records=few)
    names = {START, *options.only} if options.only else set(QUICK_RECIPES) if options.quick else None
    recipes = [one for one in RECIPES if names is None or one.name in names]
    with open_reporter() as progress:
        bench = Bench(dataset, options, progress)
        measured: dict[str, list[dict[str, Any]]] = {one.name: [] for one in recipes}
        for seed in range(options.seeds):
            for one in recipes:
                if seed == 0 or one.settings is not None:  # nothing is random where nothing is trained
                    measured[one.name].append(bench.row(one, seed))
            bench.forget()
        frequent = bench.frequent_words()
    document = {
        "images": len(frequent["per_image"][PRECISION]),
        "words": len(dataset.vocabulary()),
        "seeds": options.seeds,
        "epochs": options.epochs,
        "batch": options.batch,
        "rates": options.rates,
        "rows": summarised({FREQUENT: [frequent], **measured}),
    }
    if options.json:
        report(document, as_json=True)
    else:
        print_document(document)


class Bench:
    """Trains recipes and measures them.

    Args:
        dataset: SVT, or a part of it.
        options: of the command.
        progress: shows each training.
    """

    def __init__(self, dataset: Dataset, options: Namespace, progress: Reporter) -> None:
        self._dataset, self._options, self._progress = dataset, options, progress
        self._clip: ClipModel = load(EMBEDDED, "cpu", kind="clip")
        self._start = {name: value.clone() for name, value in self._clip.model.state_dict().items()}
        self._origin = {"parent": EMBEDDED, **inherited_metadata(EMBEDDED), "name": self._clip.name}
        self._data = data_digest(dataset.records)
        self._evaluations: dict[int | None, Validation] = {}
        self._trained: list[str] = []

    def row(self, recipe: Recipe, seed: int) -> dict[str, Any]:
        """Return what comes of a recipe and a seed, from the store where it is there."""
        key = make_key(
            start=self._clip.checkpoint,
            data=self._data,
            settings=None if recipe.settings is None else dict(recipe.settings),
            way=[recipe.share, recipe.templates and list(TEMPLATES)],
            trained=None if recipe.settings is None else self._cost(seed),
        )
        return ROWS.get_or_compute(key, lambda: self._measure(recipe, seed))

    def _cost(self, seed: int) -> list[Any]:
        options = self._options
        return [seed, options.epochs, options.batch, options.rates, HELD_OUT]

    def forget(self) -> None:
        """Remove the trainings: what came of them is stored."""
        while self._trained:
            TRAININGS.remove(self._trained.pop())

    def frequent_words(self) -> dict[str, Any]:
        """Return the row that sees no image: how frequent words are in training lexicons."""
        evaluation = self._validation(None)
        train = Lexicons(self._dataset.split("train"), evaluation.vocabulary)
        row = prior_row(train.document_frequency()).astype(np.float64)
        table = np.tile(row / row.sum(), (len(evaluation.lexicons.sizes), 1))
        return self._scored(table, evaluation)

    def _measure(self, recipe: Recipe, seed: int) -> dict[str, Any]:
        """Choose the learning rate on held-out training images, and score its model on the evaluation images."""
        evaluation = self._validation(None)
        if recipe.settings is None:
            with self._weights(self._start):
                return self._scored(self._table(evaluation, recipe), evaluation)
        held_out = self._validation(seed)
        found: dict[float, tuple[float, dict[str, Tensor]]] = {}
        for rate in self._options.rates:
            weights = average_weights(self._start, self._train(recipe, seed, rate), recipe.share)
            with self._weights(weights):
                table = self._table(held_out, recipe)
            relevant = held_out.lexicons.relevant(slice(None))
            found[rate] = float(np.nanmean(rank_metrics(table, relevant)["average_precision"])), weights
        best = max(found, key=lambda rate: found[rate][0])
        with self._weights(found[best][1]):
            row = self._scored(self._table(evaluation, recipe), evaluation)
        return {**row, "rate": best, "held out": {f"{rate:g}": score for rate, (score, _) in found.items()}}

    def _train(self, recipe: Recipe, seed: int, rate: float) -> dict[str, Tensor]:
        """Return the weights after a training; recipes that differ in what is made of them share it."""
        assert recipe.settings is not None
        epochs = self._options.epochs
        settings = FinetuneSettings(
            epochs=epochs, batch=self._options.batch, learning_rate=rate, seed=seed, named_epochs=(), **recipe.settings
        )
        parts = self._parts(seed)
        digest = data_digest(usable_records(parts, "train"))
        key = make_key(settings=settings.identity(), epochs=epochs, start=self._clip.checkpoint, data=digest)
        folder = TRAININGS.path(key)
        self._trained.append(key)
        last = folder / f"epoch-{epochs:03d}.safetensors"
        if not last.is_file():
            name = f"{recipe.name}, seed {seed}, rate {rate:g}"
            listener = Listener(phase=lambda step: self._progress.phase(f"{name}: {step}"))
            with self._weights(self._start):
                finetune(self._clip, parts, folder, settings, self._origin, RunOptions(listener=listener))
            for path in (*folder.glob("epoch-*"), folder / "state.pt"):
                if path != last:
                    path.unlink(missing_ok=True)
        return read_tensors(last)

    def _parts(self, seed: int) -> Dataset:
        """Return the training images alone, those held out as the evaluation split."""
        train = usable_records(self._dataset, "train")
        order = np.random.default_rng((seed, 0)).permutation(len(train))
        held_out = set(order[: max(2, round(HELD_OUT * len(train)))].tolist())
        records = [replace(one, split="eval") if place in held_out else one for place, one in enumerate(train)]
        return replace(self._dataset, records=tuple(records))

    def _validation(self, seed: int | None) -> Validation:
        """Return what predicts the images that a seed holds out, or the evaluation images."""
        if seed not in self._evaluations:
            # of another seed none is needed again, and each holds hundreds of megabytes
            self._evaluations = {place: one for place, one in self._evaluations.items() if place is None}
            dataset = self._dataset if seed is None else self._parts(seed)
            part = choose_part(self._clip.model)
            self._evaluations[seed] = Validation(self._clip, part, dataset, "eval", no_progress)
        return self._evaluations[seed]

    def _table(self, images: Validation, recipe: Recipe) -> np.ndarray:
        """Return the probabilities float32 (m, n) by the weights as they are now."""
        return images.table(self._prompted(images.vocabulary.words) if recipe.templates else None)

    def _prompted(self, words: Sequence[str]) -> Tensor:
        """Return the normalised mean of each word's embeddings in the templates, (n, d)."""
        clip = self._clip
        found = [
            encode_vocabulary(clip.model, clip.tokenize, [one.format(word) for word in words]) for one in TEMPLATES
        ]
        return F.normalize(torch.stack(found).mean(0), dim=-1)

    @contextmanager
    def _weights(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        """Give the model some weights for a block, and the start's afterwards."""
        self._clip.model.load_state_dict(weights)
        try:
            yield
        finally:
            self._clip.model.load_state_dict(self._start)

    def _scored(self, table: np.ndarray, evaluation: Validation) -> dict[str, Any]:
        """Return entropy, the power that gives it the start's, and each image's metrics."""
        with self._weights(self._start):
            target = mean_entropy(evaluation.table())
        relevant = evaluation.lexicons.relevant(slice(None))
        rank = rank_metrics(table, relevant)
        matched, power = with_entropy(table, target)
        per_image = {
            METRICS[0]: rank["precision_at_10"],
            AVERAGE_PRECISION: rank["average_precision"],
            PRECISION: confidence_metrics(table, relevant)["precision"],
            MATCHED: confidence_metrics(matched, relevant)["precision"],
        }
        values = {name: [None if np.isnan(one) else one for one in found.tolist()] for name, found in per_image.items()}
        return {"entropy": mean_entropy(table), "power": power, "per_image": values}


def summarised(measured: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Average rows over seeds.

    Returns:
        Of each row its means over images and seeds, the half width of their 95 % interval over seeds (Student's t;
        None with one seed), and the difference to `START` with its interval over images and p-value (Holm).
    """
    tables = {
        name: np.array([[row["per_image"][metric] for metric in METRICS] for row in rows], float)
        for name, rows in measured.items()
    }
    changes = np.concatenate([table.mean(0) - tables[START].mean(0) for table in tables.values()])
    found = paired_bootstrap(changes, resamples=RESAMPLES)
    others = [place for place, name in enumerate(tables) if name != START]
    p = np.full((len(tables), len(METRICS)), np.nan)
    for place in others:
        p[place] = [one.p for one in found[place * len(METRICS) : (place + 1) * len(METRICS)] if one is not None]
    p = np.stack([holm(column) for column in p.T], axis=1)
    document = []
    for place, (name, rows) in enumerate(measured.items()):
        by_seed = np.nanmean(tables[name], axis=2)
        metrics: dict[str, Any] = {}
        for column, metric in enumerate(METRICS):
            change = found[place * len(METRICS) + column]
            metrics[metric] = {"mean": float(by_seed[:, column].mean()), "half": half_width(by_seed[:, column])}
            if name != START and change is not None:
                metrics[metric] |= {"difference": change.difference, "low": change.low, "high": change.high}
                metrics[metric]["p_holm"] = float(p[place, column])
        entropy = np.array([row["entropy"] for row in rows])
        document.append(
            {
                "name": name,
                "seeds": len(rows),
                "rates": [row.get("rate") for row in rows],
                "entropy": float(entropy.mean()),
                **metrics,
            }
        )
    return document


def half_width(values: Sequence[float] | np.ndarray) -> float | None:
    """Return half of the 95 % interval of a mean over seeds, by Student's t; None with one."""
    if len(values) < 2:
        return None
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1))
    return quantile * float(np.std(values, ddof=1)) / len(values) ** 0.5


def print_document(document: Mapping[str, Any]) -> None:
    """Print it as a table; LoRA has no row, as the project has none."""
    report({name: value for name, value in document.items() if name != "rows"}, as_json=False)

    def cell(found: Mapping[str, Any]) -> str:
        return f"{found['mean']:.4f}" + ("" if found["half"] is None else f" ± {found['half']:.4f}")

    lines = []
    for row in document["rows"]:
        change = row[MATCHED]
        told = (
            "{difference:+.3f} ({low:+.3f} to {high:+.3f}), p {p_holm:.2g}".format(**change) if "low" in change else ""
        )
        lines.append((row["name"], *(cell(row[metric]) for metric in METRICS), f"{row['entropy']:.2f}", told))
    print_table(("recipe", *METRICS, "entropy", "difference at matched entropy"), lines)


if __name__ == "__main__":
    main()
