"""Training of ODITS (thesis 3.1): the fusion network learns from images, their objects and their lexicons."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from odits.core.errors import OditsError
from odits.core.files import write_atomically
from odits.data import Dataset, Vocabulary
from odits.models.fusion.initializers import initialise
from odits.models.fusion.inputs import InputEncoder, OditsInput, collate, lexicon_table
from odits.models.fusion.network import ObjectText, Odits
from odits.models.fusion.settings import OditsConfig
from odits.tracking.store import Tracker
from odits.training.finetune import Listener, tracked
from odits.training.lexicon_data import data_digest, usable_records
from odits.training.live_clip import LiveClip
from odits.training.odits_config import OditsTraining
from odits.training.odits_loss import draw_words, multi_positive_loss, word_weights
from odits.training.odits_saving import BEST, INITIAL, save_odits
from odits.training.processes import deterministic
from odits.training.run_state import RunState, forget, read_state
from odits.training.sharpening import best_sharpness, confidence_f1

_AHEAD = "averaged "


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a network is trained on.

    Attributes:
        inputs: the images.
        text: normalised embeddings (n, d) of the vocabulary.
        lexicons: (L, n), row i the lexicon of image i.
        learned, held_out: which images are learned from, and which choose the epoch.
    """

    inputs: Sequence[OditsInput]
    text: Tensor
    lexicons: Tensor
    learned: np.ndarray
    held_out: np.ndarray


def new_network(config: OditsTraining, width: int, logit_scale: float) -> Odits:
    """An untrained network, its layers filled by the configured initialiser and generator."""
    parts = {part: part not in config.without for part in _PARTS}
    network = Odits(OditsConfig(width, **parts), logit_scale)
    initialise(network, config.initializer, config.generator, config.seed)
    return network.eval()


_PARTS = ("object_attention", "weighted_text", "feature_enhancer", "evidence", "prior", "recall")


def choose_objects(inputs: Sequence[OditsInput], objects: str, seed: int) -> list[OditsInput]:
    """The images with the objects that a model is to be given: their own, themselves, or another image's."""
    if objects == "image":
        return [OditsInput(one.embeddings.image_as_object()) for one in inputs]
    if objects == "shuffled":
        order = np.random.default_rng(seed).permutation(len(inputs))
        other = np.empty(len(inputs), int)
        other[order] = np.roll(order, 1)  # one cycle: nobody keeps its own
        return [
            OditsInput(inputs[there].embeddings.with_image(one.embeddings.image), inputs[there].read)
            for one, there in zip(inputs, other, strict=True)
        ]
    return list(inputs)


def train_odits(
    input_encoder: InputEncoder,
    dataset: Dataset,
    folder: Path,
    config: OditsTraining,
    origin: Mapping[str, str],
    tracker: Tracker | None = None,
    tags: Mapping[str, str] | None = None,
    restart: bool = False,
    listener: Listener | None = None,
) -> RunState:
    """The run's state after its last epoch; taken up where it stopped if `folder` holds its beginning.

    The network after the epoch with the lowest loss on held-out training images is kept as best.safetensors, its
    sharpness chosen on those images too (`odits.training.sharpening`); initial.safetensors is the network
    before. An image's own lexicon is hidden from it, in training and in validation.

    Args:
        input_encoder: what the images are looked at with; CLIP's weights stay as they are, or are changed in place.
        dataset: its "train" images are trained on; the evaluation images are not touched.
        folder: of the run: state.pt, history.json and the two checkpoints.
        origin: what checkpoints say of where they come from: "architecture", "name" and "parent" at least.
        tracker, tags, restart, listener: as in `odits.training.finetune.finetune`.

    Raises:
        OditsError: the data can't be trained on, the folder holds another run, or the loss is no longer a number.
    """
    listener = listener or Listener()
    clip, vocabulary = input_encoder.object_encoder.clip, dataset.vocabulary()
    records = usable_records(dataset, "train")
    origin = {**origin, "parent_digest": clip.checkpoint, "data": dataset.name, "data_digest": data_digest(records)}
    if restart:
        forget(folder)
    state = read_state(folder, {**config.settings(), "looks": input_encoder.key, "data": origin["data_digest"]})
    state.resumed_from = state.epoch
    if _finished(state, config):
        return state
    inputs = choose_objects(
        input_encoder.encode_all([r.path for r in records], vocabulary, listener.prepared), config.objects, config.seed
    )
    lexicons = [sorted(set(record.lexicon)) for record in records]
    lesson = make_lesson(inputs, clip.encode_vocabulary(vocabulary), lexicon_table(lexicons, vocabulary), config)
    network = new_network(config, lesson.text.shape[1], float(clip.model.logit_scale.detach().exp()))
    keep = Keeper(folder, input_encoder, lexicons, {**origin, **_described(config)})
    noted = {**asdict(config), **origin}
    with deterministic(), tracked(tracker, folder.name, noted, tags or {}, state, listener.say) as run:
        learner = Learner(
            network, lesson, config, _live(input_encoder, [r.path for r in records], vocabulary, config, listener)
        )
        before = learner.held_out(network)
        if not state.epoch:
            folder.mkdir(parents=True, exist_ok=True)
            keep(network, INITIAL, {"epoch": "0"})
            state.start = {"held_out": held_out_loss(before, lesson, config)}
            state.checkpoints = []
            state.keep(folder, learner.parameters, learner.optimizer)
        state.restore(learner.parameters, learner.optimizer)
        floor = confidence_f1(before, lesson.lexicons[lesson.held_out])
        while not _finished(state, config):
            epoch = state.epoch + 1
            line = {"epoch": epoch, "total": learner.epoch(epoch)}
            averaged = learner.averaged()
            logits = learner.held_out(averaged)
            line["held_out"] = held_out_loss(logits, lesson, config)
            if not (math.isfinite(line["total"]) and math.isfinite(line["held_out"])):
                raise OditsError(f"The loss is no longer a number in epoch {epoch}: lower the learning rates.")
            if line["held_out"] < state.lowest:
                state.lowest = line["held_out"]
                sharp = best_sharpness(logits, lesson.lexicons[lesson.held_out], floor)
                with torch.no_grad():
                    averaged.sharpness += math.log(sharp)
                kept = keep(
                    averaged,
                    BEST,
                    {"epoch": str(epoch), "sharpened": f"{sharp:g}", "held_out_loss": repr(line["held_out"])},
                )
                state.checkpoints = [{**kept, "epoch": epoch, "loss": line["held_out"], "reasons": ["new low"]}]
            run.metrics({f"loss/{name}": value for name, value in line.items() if name != "epoch"}, epoch)
            state.epoch = epoch
            state.history.append(line)
            write_atomically(folder / "history.json", json.dumps(state.history, indent=1).encode())
            state.keep(folder, learner.parameters, learner.optimizer)
            listener.epoch(line)
        for kept in state.checkpoints:
            run.checkpoint(folder / kept["file"], f"epoch-{kept['epoch']:03d}", kept["metadata"])
    return state


def _live(
    input_encoder: InputEncoder,
    paths: Sequence[Path],
    vocabulary: Vocabulary,
    config: OditsTraining,
    listener: Listener,
) -> LiveClip | None:
    """What embeds images anew in every step, where CLIP learns too.

    Raises:
        OditsError: CLIP is to learn from objects that are not the image's own.
    """
    if config.clip == "frozen":
        return None
    if config.objects != "all":
        raise OditsError("CLIP can only learn along with the images' own objects.")
    return LiveClip(input_encoder.object_encoder, paths, vocabulary, config.clip, listener.prepared)


def _described(config: OditsTraining) -> dict[str, str]:
    return {name: ",".join(value) if isinstance(value, tuple) else str(value) for name, value in asdict(config).items()}


def _finished(state: RunState, config: OditsTraining) -> bool:
    best = state.checkpoints[-1]["epoch"] if state.checkpoints else 0
    return state.epoch >= config.epochs or (state.epoch > 0 and state.epoch - best >= config.patience)


def make_lesson(inputs: Sequence[OditsInput], text: Tensor, lexicons: Tensor, config: OditsTraining) -> Lesson:
    """The images, cut into those to learn from and those to hold out, by the seed."""
    order = np.random.default_rng((config.seed, 1)).permutation(len(inputs))
    count = min(len(inputs) - 1, max(1, round(config.held_out * len(inputs))))
    return Lesson(inputs, text, lexicons, np.sort(order[count:]), np.sort(order[:count]))


class Learner:
    """A network being trained, with the moving average of its weights.

    Attributes:
        parameters: trained weights and their averages, by name.
        optimizer: AdamW, gates apart from matrices.
    """

    def __init__(self, network: Odits, lesson: Lesson, config: OditsTraining, live: LiveClip | None = None) -> None:
        self.network, self.lesson, self.config, self.live = network, lesson, config, live
        named = dict(network.named_parameters())
        self._average = {_AHEAD + name: nn.Parameter(value.detach().clone(), False) for name, value in named.items()}
        clip = {} if live is None else live.parameters
        self.parameters = {**named, **self._average, **clip}
        gates = [value for value in named.values() if value.ndim == 0 or value.numel() <= _FEW]
        matrices = [value for value in named.values() if value.ndim and value.numel() > _FEW]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "lr": config.learning_rate, "weight_decay": config.weight_decay},
                {"params": gates, "lr": config.gate_rate, "weight_decay": 0.0},
                *([{"params": list(clip.values()), "lr": config.clip_rate, "weight_decay": 0.0}] if clip else []),
            ]
        )
        self._known: dict[int, ObjectText] = {}
        self._weights = word_weights(lesson.lexicons.sum(0), config.imbalance)

    def epoch(self, number: int) -> float:
        """The mean loss of one pass over the images; what is random in it depends on the seed and its number alone."""
        rng = np.random.default_rng((self.config.seed, 2, number))
        order = rng.permutation(self.lesson.learned)
        losses = [
            self._step(images, rng) * len(images)
            for images in np.array_split(order, -(-len(order) // self.config.batch))
        ]
        return float(sum(losses) / len(order))

    def _step(self, images: np.ndarray, rng: np.random.Generator) -> float:
        chosen = [self.lesson.inputs[i] for i in images]
        kept = [rng.random(len(one.embeddings)) >= self.config.object_dropout for one in chosen]
        true = self.lesson.lexicons[images] > 0
        asked, offset = draw_words(true, self.config.negatives, rng)
        batch, text = collate(chosen, kept), self.lesson.text
        if self.live is not None:
            batch, text = self.live.embed(images.tolist(), batch), self.live.text(text, asked)
        found = self.network(
            batch,
            text,
            self.lesson.lexicons,
            torch.from_numpy(images),
            asked,
            sampled=True,
            matrix=None if self.live else self._matrix(images),
        )
        loss = multi_positive_loss(found.logits, true[:, asked], self._weights[asked], offset)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            for name, value in self.network.named_parameters():
                self._average[_AHEAD + name].lerp_(value, 1 - self.config.averaging)
        return float(loss.detach())

    def _matrix(self, images: np.ndarray) -> ObjectText | None:
        """The object-text matrix of a batch, from memory where there is room for those of all images."""
        inputs, words = self.lesson.inputs, len(self.lesson.text)
        if 4 * words * sum(len(one.embeddings) for one in inputs) > _ROOM:
            return None
        for i in images:
            if i not in self._known:
                self._known[int(i)] = self.network.object_text(collate([inputs[i]]), self.lesson.text)
        found = [self._known[int(i)] for i in images]
        parts = [[getattr(one, name)[0] for one in found] for name in ("similarity", "weighted", "cues")]
        return ObjectText(*(nn.utils.rnn.pad_sequence(part, batch_first=True) for part in parts))

    @torch.no_grad()
    def held_out(self, network: Odits) -> Tensor:
        """Logits (B, n) of the held-out images, their own lexicons hidden from them."""
        lesson = self.lesson
        text = lesson.text if self.live is None else self.live.text(lesson.text)
        words = None if network.enhancer is None else network.enhancer.enhance_text(text)
        rows = []
        for images in np.array_split(lesson.held_out, -(-len(lesson.held_out) // _TOGETHER)):
            batch = collate([lesson.inputs[i] for i in images])
            found = network(
                batch if self.live is None else self.live.embed(images.tolist(), batch),
                text,
                lesson.lexicons,
                torch.from_numpy(images),
                matrix=None if self.live else self._matrix(images),
                enhanced_text=words,
            )
            rows.append(found.logits)
        return torch.cat(rows).clone()

    def averaged(self) -> Odits:
        """A network with the averaged weights."""
        config = self.network.config
        network = Odits(config, float(self.network.clip_scale)).eval()
        network.load_state_dict(
            {name: self._average[_AHEAD + name] for name, _ in network.named_parameters()}, strict=False
        )
        return network


_FEW = 8  # numbers; matrices have more
_ROOM = 1 << 30  # bytes
_TOGETHER = 8


def held_out_loss(logits: Tensor, lesson: Lesson, config: OditsTraining) -> float:
    """The loss of the held-out images' logits (B, n), over all words."""
    true = lesson.lexicons[lesson.held_out] > 0
    weights = word_weights(lesson.lexicons.sum(0), config.imbalance)
    return float(multi_positive_loss(logits, true, weights))


class Keeper:
    """Writes checkpoints of a run."""

    def __init__(
        self, folder: Path, input_encoder: InputEncoder, lexicons: list[list[str]], origin: Mapping[str, str]
    ) -> None:
        self.folder, self.input_encoder, self.lexicons, self.origin = folder, input_encoder, lexicons, origin

    def __call__(self, network: Odits, file: str, metadata: Mapping[str, str]) -> dict[str, Any]:
        """What was written: "file", "digest" and "metadata"."""
        return save_odits(self.folder / file, network, self.input_encoder, self.lexicons, {**self.origin, **metadata})
