"""Fine-tuning of a CLIP model on images and their lexicons (thesis, 2.4.2, Algorithm 1 and Table 2.5)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from odits.core.errors import OditsError
from odits.core.files import cache_home, file_digest
from odits.core.progress import Progress
from odits.data import Dataset
from odits.metrics.scoring import Lexicons, score_table
from odits.models.clip.model import ClipModel
from odits.models.clip.text import encode_tokens, encode_vocabulary
from odits.training.clip_parts import Part, choose_part, encode_chunks, trained_parameters
from odits.training.data import (
    Features,
    LexiconPairs,
    Pairs,
    compute_features,
    data_digest,
    require_two,
    usable_records,
)
from odits.training.losses import LexiconLoss
from odits.training.low_rank import add_low_rank, merge_low_rank
from odits.training.machine import Processes, deterministic, joined_processes
from odits.training.run import RunOptions, RunState, Task, open_run, run_lock, train
from odits.training.saving import save_model
from odits.training.settings import FinetuneSettings

_TOGETHER = 4  # images encoded at a time for metrics


def finetune(
    clip: ClipModel,
    dataset: Dataset,
    folder: Path,
    settings: FinetuneSettings,
    origin: Mapping[str, str],
    options: RunOptions | None = None,
    evaluate: str | None = None,
) -> RunState:
    """Fine-tune a model; the run is taken up where it stopped if `folder` holds its beginning.

    The model stays in evaluation mode, so that batch statistics are those it came with and nothing but the choice of
    pairs is random.

    Args:
        clip: the model to start from; its weights are changed in place.
        dataset: its "train" images are trained on; those that can't be read are left out and named.
        folder: of the run: state.pt, history.json and epoch-NNN.safetensors.
        settings: of the training.
        origin: what every checkpoint says of where it comes from: "architecture", "name" and "parent" at least.
        options: tracker, restart and listener.
        evaluate: a split whose metrics are computed at the start, at named epochs and at the end.

    Returns:
        The run's state after its last epoch.

    Raises:
        OditsError: the data can't be trained on, the folder holds another run or one that is running, or the loss is
            no longer a number.
    """
    options = options or RunOptions()
    with (
        joined_processes(clip.device) as processes,
        deterministic(),
        run_lock(folder, options.wait_s) if processes.first else nullcontext(),
    ):
        return _finetune(clip, dataset, folder, settings, origin, options, evaluate, processes)


def _finetune(
    clip: ClipModel,
    dataset: Dataset,
    folder: Path,
    settings: FinetuneSettings,
    origin: Mapping[str, str],
    options: RunOptions,
    evaluate: str | None,
    processes: Processes,
) -> RunState:
    records = usable_records(dataset, "train")
    part = choose_part(clip.model.eval(), settings.train)
    settings = replace(settings, train=part.name)
    origin = {**origin, "parent_digest": clip.checkpoint, "data": dataset.name, "data_digest": data_digest(records)}
    identity = {**settings.identity(), "parent": clip.checkpoint, "data": origin["data_digest"]}
    state = open_run(folder, identity, options, processes)
    if state.epoch >= settings.epochs:
        return state
    phase = options.listener.phase
    features = compute_features(clip, part, records, phase("preparing images")) if processes.first else None
    processes.wait()
    if features is None:
        features = compute_features(clip, part, records)  # from the store
    state.note_problems(records, features.problems, options.listener)
    records = [records[place] for place in features.usable]
    require_two(records, dataset, "train")
    validation = None
    if evaluate and processes.first:
        validation = Validation(clip, part, dataset, evaluate, phase(f"preparing {evaluate} images"))
    pairs = LexiconPairs(records, settings.batch, settings.draws, settings.seed)
    task = FinetuneTask(
        clip, part, features, pairs, settings, processes, Checkpoints(folder, settings, origin), validation
    )
    noted = {**asdict(settings), **origin, "processes": processes.world}
    try:
        return train(task, state, folder, noted, options, processes)
    finally:
        merge_low_rank(clip.model)


class FinetuneTask(Task[Pairs]):
    """Contrast of images and words, a batch at a time (Algorithm 1)."""

    losses = ("image", "text", "total")

    def __init__(
        self,
        clip: ClipModel,
        part: Part,
        features: Features,
        pairs: LexiconPairs,
        settings: FinetuneSettings,
        processes: Processes,
        checkpoints: Checkpoints,
        validation: Validation | None = None,
    ) -> None:
        self.epochs, self.seed = settings.epochs, settings.seed
        self._model, self._tokenize, self._part = clip.model, clip.tokenize, part
        self._features, self._pairs, self._processes = features, pairs, processes
        self._checkpoints, self._validation = checkpoints, validation
        self._chunk = settings.chunk or part.chunk
        self._loss = LexiconLoss(settings.loss, processes.rank, processes.world)
        self._parameters = trained_parameters(clip.model, part, settings.temperature)
        if settings.lora_rank:
            self._parameters = add_low_rank(clip.model, self._parameters, settings.lora_rank, settings.seed)
        self.tensors = self._parameters
        self.optimizer = make_optimizer(self._parameters, settings)

    def begin(self, state: RunState) -> None:
        """Measure the model before the first epoch."""
        if self._validation:
            state.start = self._validation.scores()

    def batches(self, state: RunState, rng: np.random.Generator) -> Iterator[Pairs]:
        """Return the batches of the epoch that follows, without the first `state.step`."""
        return islice(self._pairs.epoch(state.epoch + 1), state.step, None)

    def position(self, state: RunState) -> tuple[int, int]:
        """Return how many batches are done, and how many the run has."""
        return state.epoch * len(self._pairs) + state.step, self.epochs * len(self._pairs)

    def step(self, batch: Pairs, rng: np.random.Generator) -> tuple[Sequence[float], float]:
        """Learn from a batch, of which this process takes its share."""
        model, device = self._model, self._model.logit_scale.device
        mine = self._processes.share(len(batch))
        count = (mine.stop - mine.start) * self._processes.world
        features = self._features.rows(batch.images[mine]).to(device)
        image = F.normalize(encode_chunks(self._part, features, self._chunk), dim=-1)
        text = F.normalize(encode_tokens(model, self._tokenize(batch.words[mine]).to(device)), dim=-1)
        losses = self._loss(image, text, model.logit_scale.exp(), batch.true[:count, :count].to(device))
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        self._processes.average_gradients(list(self._parameters.values()))
        self.optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))  # as in CLIP's own training
        return [value.item() for value in losses], count

    def close_epoch(self, line: dict[str, float], state: RunState) -> list[dict[str, Any]]:
        """Save a checkpoint where there is a reason to, and measure it where the reason is not just a new low."""
        reasons = self._checkpoints.reasons(int(line["epoch"]), line["total"], state.lowest)
        if self._validation and set(reasons) - {"new low"}:
            line |= self._validation.scores()
        return [self._checkpoints.save(self._model, line, reasons)] if reasons else []


def make_optimizer(parameters: Mapping[str, nn.Parameter], settings: FinetuneSettings) -> torch.optim.Optimizer:
    """Return Adam or AdamW over the parameters."""
    values = list(parameters.values())
    options: dict[str, Any] = {
        "lr": settings.learning_rate,
        "betas": settings.betas,
        "eps": settings.epsilon,
        "weight_decay": settings.weight_decay,
    }
    if settings.optimizer == "adam":
        return torch.optim.Adam(values, **options)
    spared = {"params": [value for value in values if value.ndim < 2], "weight_decay": 0.0}
    return torch.optim.AdamW([{"params": [value for value in values if value.ndim >= 2]}, spared], **options)


class Checkpoints:
    """When a checkpoint is saved, and what it says about itself.

    Args:
        folder: of the run.
        settings: of the training.
        origin: "architecture", "name" (of the parent) and what else a checkpoint says beside how it was trained.
    """

    def __init__(self, folder: Path, settings: FinetuneSettings, origin: Mapping[str, str]) -> None:
        self._folder, self._settings, self._origin = folder, settings, origin

    def reasons(self, epoch: int, loss: float, lowest: float) -> list[str]:
        """Say why the weights after an epoch are saved: "new low" of the loss, "named" epoch, "last" epoch."""
        settings = self._settings
        holding = {"new low": loss < lowest, "named": epoch in settings.named_epochs, "last": epoch == settings.epochs}
        return [reason for reason, holds in holding.items() if holds]

    def save(self, model: Any, line: Mapping[str, float], reasons: list[str]) -> dict[str, Any]:
        """Write a checkpoint. Its metadata hold no time and no run's id: the same training gives the same bytes.

        Args:
            model: with the weights after the epoch.
            line: the epoch's "epoch", "image", "text" and "total".
            reasons: why it is saved.

        Returns:
            "file", "epoch", "loss", "reasons", "digest" and "metadata".
        """
        epoch = int(line["epoch"])
        metadata = {
            **self._origin,
            **{name: str(value) for name, value in self._settings.identity().items()},
            "name": f"{self._origin['name']} (+{epoch})",
            "kind": "clip",
            "epoch": str(epoch),
            "image_loss": repr(line["image"]),
            "text_loss": repr(line["text"]),
            "total_loss": repr(line["total"]),
        }
        path = self._folder / f"epoch-{epoch:03d}.safetensors"
        save_model(model, path, metadata)
        return {
            "file": path.name,
            "epoch": epoch,
            "loss": line["total"],
            "reasons": reasons,
            "digest": file_digest(path),
            "metadata": metadata,
        }


class Validation:
    """The metrics of a model while it is fine-tuned, over the data set's vocabulary, as `odits evaluate` computes them.

    Attributes:
        vocabulary: the n words.
        lexicons: of the m images.

    Raises:
        OditsError: the split has no images that can be read.
    """

    def __init__(self, clip: ClipModel, part: Part, dataset: Dataset, split: str, progress: Progress) -> None:
        self._clip, self._part, self._split = clip, part, split
        records = dataset.split(split)
        self._features = compute_features(clip, part, records, progress)
        if not len(self._features):
            raise OditsError(f"{dataset.name} has no {split} images to evaluate on.")
        self.vocabulary = dataset.vocabulary()
        self.lexicons = Lexicons([records[place] for place in self._features.usable], self.vocabulary)

    @torch.no_grad()
    def table(self, text: Tensor | None = None) -> np.ndarray:
        """Return the probabilities float32 (m, n) of the model as it is now.

        Args:
            text: normalised embeddings (n, d) of the words; None: those of the model as it is now.
        """
        model = self._clip.model
        if text is None:
            text = encode_vocabulary(model, self._clip.tokenize, self.vocabulary.words)
        rows: list[Tensor] = []
        for places in np.array_split(np.arange(len(self._features)), -(-len(self._features) // _TOGETHER)):
            features = self._features.rows(places).to(self._clip.device)
            image = F.normalize(self._part.encode(features), dim=-1).float().cpu()
            rows.append((float(model.logit_scale.exp()) * image @ text.T).softmax(dim=1))
        found: np.ndarray = torch.cat(rows).numpy()
        return found

    def scores(self) -> dict[str, float]:
        """Return the metrics of the model as it is now, by names such as "eval/confidence/precision"."""
        groups = score_table(self.table(), self.lexicons)
        flat = {"uniformity": groups["uniformity"]}
        for group in ("confidence", "threshold", "rank"):
            flat |= {f"{group}/{name}": value for name, value in groups[group].items()}
        return {f"{self._split}/{name}": float(value) for name, value in flat.items() if value is not None}


def average_weights(start: Mapping[str, Tensor], tuned: Mapping[str, Tensor], share: float = 0.5) -> dict[str, Tensor]:
    """Average the weights of a model before and after fine-tuning, (1 - share) start + share tuned (WiSE-FT).

    What is no floating-point number, such as a count of batches, stays as it was at the start.

    Args:
        start: of the model before, by name.
        tuned: of the same model after.
        share: of the latter, in 0..1.

    References:
        Wortsman et al. (2022), "Robust fine-tuning of zero-shot models", CVPR.

    Example:
        >>> average_weights({"w": torch.tensor([0.0])}, {"w": torch.tensor([1.0])}, 0.25)["w"].item()
        0.25
    """
    return {
        name: torch.lerp(value, tuned[name], share) if value.is_floating_point() else value
        for name, value in start.items()
    }


def finetune_folder(clip: ClipModel, name: str, dataset: Dataset, settings: FinetuneSettings) -> Path:
    """Return the default folder of a run: the same for the same data, model and settings.

    Args:
        clip: the model to start from.
        name: of that model, for people; `ModelRef.stem`.
        dataset: what is trained on.
        settings: of the training.
    """
    part = choose_part(clip.model, settings.train).name
    key = settings.digest(part, clip.checkpoint, data_digest(usable_records(dataset, "train")))
    return cache_home() / "checkpoints" / f"{name.replace('/', '-')}-{part}-{settings.loss}-{key}"
