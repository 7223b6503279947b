"""Training of ODITS (thesis 3.1): the fusion network learns from images, their objects and their lexicons."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from odits.core.errors import OditsError
from odits.core.files import cache_home, file_digest
from odits.core.progress import Progress, no_progress
from odits.core.tasks import Function, Item, per_item
from odits.core.tasks import Task as ImageTask
from odits.core.weights import read_tensors
from odits.data import Dataset, ImageRecord, Vocabulary
from odits.models.fusion.initializers import initialise
from odits.models.fusion.inputs import InputEncoder, ObjectEncoder, collate, lexicon_table
from odits.models.fusion.layers import Recall
from odits.models.fusion.network import ObjectText, Odits, OditsOutput
from odits.models.fusion.settings import OditsConfig
from odits.models.reference import read_metadata
from odits.models.registry import load
from odits.training.clip_parts import LiveClip
from odits.training.data import data_digest, require_two, usable_records
from odits.training.losses import best_sharpness, confidence_f1, draw_words, multi_positive_loss, word_weights
from odits.training.machine import Processes, deterministic
from odits.training.odits_data import OditsData, choose_objects, encode_images, split_data
from odits.training.recall import choose_recall
from odits.training.run import Listener, RunOptions, RunState, Task, open_run, require_numbers, run_lock, train
from odits.training.saving import BEST, INITIAL, inherited_metadata, save_odits
from odits.training.settings import ABLATIONS, OditsSettings

_AVERAGED = "averaged "  # before the name of a weight, the name of its moving average in a run's state
_FEW = 8  # numbers; matrices have more
_IN_MEMORY = 1 << 30  # bytes
_RULE = "recall chosen"  # changes with how a run of the same settings ends
_RECALL, _AS_TRAINED, _CHOSEN = "recall", "as trained", "chosen"  # what a checkpoint says of its recall
_TOGETHER = 8  # images in a batch of held-out ones


# A run, from references


def make_input_encoder(
    checkpoint: str, segmenter: str, view: str = "crop", read: bool = False, device: str = "auto"
) -> InputEncoder:
    """Load what makes ODITS's inputs.

    Args:
        checkpoint: reference of a CLIP model.
        segmenter: reference of a segmenter.
        view: how CLIP is shown an object, one of `odits.models.fusion.settings.OBJECT_VIEWS`.
        read: whether lines that a spotter reads are objects too.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        OditsError: one of them can't be had.
    """
    clip = load(checkpoint, device, kind="clip")
    finder = load(segmenter, device, kind="segmenter")
    spotter = load("spotting", kind="spotting") if read else None
    return InputEncoder(ObjectEncoder(clip, finder, view), spotter)


def input_task(
    checkpoint: str, segmenter: str, view: str, read: bool, device: str, vocabulary: Vocabulary
) -> ImageTask:
    """Return what workers of `odits.core.pool` do that encode images into the store, as `make_input_encoder` says."""
    settings = {"checkpoint": checkpoint, "segmenter": segmenter, "view": view, "read": read, "device": device}
    return ImageTask("odits.training.odits:input_function", {**settings, "words": list(vocabulary.words)})


def input_function(
    words: Sequence[str],
    threads: int | None = None,  # torch has its share from OMP_NUM_THREADS
    **settings: Any,
) -> Function:
    """Return a function for `odits.core.pool` that encodes an image into the store, and returns nothing.

    Args:
        words: those that are read.
        threads: how many may be used.
        **settings: for `make_input_encoder`.
    """
    input_encoder, vocabulary = make_input_encoder(**settings), Vocabulary.from_words(words, "read")

    def store(item: Item) -> None:
        input_encoder.encode(item.source, vocabulary)

    return per_item(store)


def origin_of(checkpoint: str, segmenter: str, input_encoder: InputEncoder) -> dict[str, str]:
    """Return what a checkpoint says of where it comes from."""
    name = input_encoder.object_encoder.clip.name
    return {
        "parent": checkpoint,
        **inherited_metadata(checkpoint),
        "name": name,
        "clip_name": name,
        "segmenter": segmenter,
    }


def run_folder(
    input_encoder: InputEncoder, dataset: Dataset, settings: OditsSettings, root: str = "checkpoints"
) -> Path:
    """Return the default folder of a run: the same for the same data, CLIP, objects and settings.

    Args:
        input_encoder: what makes the network's inputs.
        dataset: what is trained on.
        settings: of the training.
        root: the folder of such runs under ODITS_HOME.
    """
    key = settings.digest(input_encoder.key, data_digest(usable_records(dataset, "train")), _RULE)
    return cache_home() / root / f"odits-{key}"


# Training


def train_odits(
    input_encoder: InputEncoder,
    dataset: Dataset,
    folder: Path,
    settings: OditsSettings,
    origin: Mapping[str, str],
    options: RunOptions | None = None,
) -> RunState:
    """Train a fusion network; the run is taken up where it stopped if `folder` holds its beginning.

    The network after the epoch with the lowest loss on held-out training images is saved as best.safetensors, its
    sharpness chosen on those images too (`best_sharpness`), and, after the last epoch, how it recalls lexicons on all
    training images (`choose_recall`); initial.safetensors is the network before. An image's own lexicon is hidden from
    it everywhere.

    Args:
        input_encoder: makes the inputs; CLIP's weights stay as they are, or are changed in place.
        dataset: its "train" images are trained on, those that can't be read are left out and named; the evaluation
            images are not touched.
        folder: of the run: state.pt, history.json and the two checkpoints.
        settings: of the training.
        origin: what checkpoints say of where they come from: "architecture", "name" and "parent" at least.
        options: tracker, restart and listener.

    Returns:
        The run's state after its last epoch.

    Raises:
        OditsError: the data can't be trained on, the folder holds another run or one that is running, or the loss is
            no longer a number.
    """
    options = options or RunOptions()
    with run_lock(folder, options.wait_s), deterministic():
        clip = input_encoder.object_encoder.clip
        records = usable_records(dataset, "train")
        origin = {**origin, "parent_digest": clip.checkpoint, "data": dataset.name, "data_digest": data_digest(records)}
        identity = {**settings.identity(), "inputs": input_encoder.key, "data": origin["data_digest"]}
        state = open_run(folder, identity, options, Processes())
        if is_finished(state, settings) and not _recalls_as_trained(state):
            return state
        task = _make_task(input_encoder, dataset, records, folder, settings, origin, state, options.listener)
        return train(task, state, folder, {**asdict(settings), **origin}, options)


def _make_task(
    input_encoder: InputEncoder,
    dataset: Dataset,
    records: Sequence[ImageRecord],
    folder: Path,
    settings: OditsSettings,
    origin: Mapping[str, str],
    state: RunState,
    listener: Listener,
) -> OditsTask:
    """Prepare the images and an untrained network; the state learns which images can't be used."""
    clip, vocabulary = input_encoder.object_encoder.clip, dataset.vocabulary()
    encoded = encode_images(input_encoder, records, vocabulary, listener.phase("finding and embedding objects"))
    state.note_problems(records, encoded.problems, listener)
    records = [records[place] for place in encoded.values]
    require_two(records, dataset, "train")
    live = None
    if settings.clip != "frozen":
        if settings.objects != "all":
            raise OditsError("CLIP can only learn along with the images' own objects.")
        paths = [record.path for record in records]
        encoder = input_encoder.object_encoder
        live = LiveClip(encoder, paths, vocabulary, settings.clip, listener.phase("preparing images for CLIP"))
    lexicons = [sorted(set(record.lexicon)) for record in records]
    inputs = choose_objects(list(encoded.values.values()), settings.objects, settings.seed)
    data = split_data(inputs, clip.encode_vocabulary(vocabulary), lexicon_table(lexicons, vocabulary), settings)
    network = new_network(settings, data.text.shape[1], float(clip.model.logit_scale.detach().exp()))
    checkpoints = Checkpoints(folder, input_encoder, lexicons, {**origin, **settings.described()})
    return OditsTask(network, data, settings, checkpoints, live)


def is_finished(state: RunState, settings: OditsSettings) -> bool:
    """Whether a run has done all its epochs, or `patience` of them without a lower held-out loss."""
    best = state.checkpoints[-1]["epoch"] if state.checkpoints else 0
    return state.epoch >= settings.epochs or (state.epoch > 0 and state.epoch - best >= settings.patience)


def _recalls_as_trained(state: RunState) -> bool:
    """Whether the best network's recall is still to be chosen."""
    return bool(state.checkpoints) and state.checkpoints[-1]["metadata"].get(_RECALL) == _AS_TRAINED


def new_network(settings: OditsSettings, width: int, logit_scale: float) -> Odits:
    """Return an untrained network, its layers filled by the chosen initialiser and generator.

    Args:
        settings: of the training.
        width: d, of CLIP's embeddings.
        logit_scale: CLIP's 1 / temperature.
    """
    config = OditsConfig(width, **{part: part not in settings.without for part in ABLATIONS})
    network = Odits(config, logit_scale)
    initialise(network, settings.initializer, settings.generator, settings.seed)
    return network.eval()


@dataclass(frozen=True, eq=False)
class Checkpoints:
    """Writes a run's checkpoints.

    Attributes:
        folder: of the run.
        input_encoder: what makes the network's inputs.
        lexicons: the training images' words.
        origin: what every checkpoint says of where it comes from.
    """

    folder: Path
    input_encoder: InputEncoder
    lexicons: Sequence[Sequence[str]]
    origin: Mapping[str, str]

    def save(self, network: Odits, file: str, metadata: Mapping[str, str]) -> dict[str, Any]:
        """Write a checkpoint and return its "file", "digest" and "metadata"."""
        return save_odits(self.folder / file, network, self.input_encoder, self.lexicons, {**self.origin, **metadata})


class OditsTask(Task[np.ndarray]):
    """A fusion network that learns, with the moving average of its weights.

    Args:
        network: untrained.
        data: the images.
        settings: of the training.
        checkpoints: writes them.
        live: embeds images anew in every step, where CLIP learns too.
    """

    losses = ("total",)
    watched = "held_out"
    only_best = True

    def __init__(
        self,
        network: Odits,
        data: OditsData,
        settings: OditsSettings,
        checkpoints: Checkpoints,
        live: LiveClip | None = None,
    ) -> None:
        self.epochs, self.seed = settings.epochs, settings.seed
        self._network, self._data, self._settings = network, data, settings
        self._checkpoints, self._live = checkpoints, live
        named = dict(network.named_parameters())
        self._average = {_AVERAGED + name: nn.Parameter(value.detach().clone(), False) for name, value in named.items()}
        clip = {} if live is None else live.parameters
        self.tensors = {**named, **self._average, **clip}
        self.optimizer = make_optimizer(named, clip, settings)
        self._matrices: dict[int, ObjectText] = {}
        self._weights = word_weights(data.lexicons.sum(0), settings.imbalance)
        self._untrained = self.held_out_logits(network)
        self._batches = -(-len(data.train) // settings.batch)

    def begin(self, state: RunState) -> None:
        """Measure and save the untrained network."""
        state.start = {"held_out": self.held_out_loss(self._untrained)}
        self._checkpoints.save(self._network, INITIAL, {"epoch": "0"})

    def finished(self, state: RunState) -> bool:
        """Whether all epochs are done, or several went by without a lower held-out loss."""
        return is_finished(state, self._settings)

    def generator(self, state: RunState) -> np.random.Generator:
        """Return the generator of the epoch that follows."""
        return np.random.default_rng((self.seed, 2, state.epoch + 1))

    def batches(self, state: RunState, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Return the images of each batch of the epoch that follows, without the first `state.step` batches."""
        order = rng.permutation(self._data.train)
        return iter(np.array_split(order, self._batches)[state.step :])

    def position(self, state: RunState) -> tuple[int, int]:
        """Return how many batches are done, and how many the run has; all are done where it stopped early."""
        of = self.epochs * self._batches
        return of if self.finished(state) else state.epoch * self._batches + state.step, of

    def step(self, batch: np.ndarray, rng: np.random.Generator) -> tuple[Sequence[float], float]:
        """Learn from the images of a batch, some of their objects left out."""
        data, settings = self._data, self._settings
        chosen = [data.inputs[i] for i in batch]
        present = [rng.random(len(one.embeddings)) >= settings.object_dropout for one in chosen]
        true = data.lexicons[batch] > 0
        subset, offset = draw_words(true, settings.negatives, rng)
        images, text = collate(chosen, present), data.text
        if self._live is not None:
            images, text = self._live.embed(batch.tolist(), images), self._live.text(text, subset)
        output = self._network(
            images,
            text,
            data.lexicons,
            torch.from_numpy(batch),
            subset,
            sampled=True,
            matrix=None if self._live else self._matrix(batch),
        )
        loss = multi_positive_loss(output.logits, true[:, subset], self._weights[subset], offset)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            for name, value in self._network.named_parameters():
                self._average[_AVERAGED + name].lerp_(value, 1 - settings.averaging)
        return [float(loss.detach())], len(batch)

    def close_epoch(self, line: dict[str, float], state: RunState) -> list[dict[str, Any]]:
        """Measure the averaged weights on the held-out images, and save them where their loss is a new low."""
        network = self.averaged()
        logits = self.held_out_logits(network)
        line["held_out"] = self.held_out_loss(logits)
        require_numbers(line, ("held_out",))
        if line["held_out"] >= state.lowest:
            return []
        said = {"epoch": str(int(line["epoch"])), "held_out_loss": repr(line["held_out"])}
        if network.recall is not None and network.recall.attends:
            said[_RECALL] = _AS_TRAINED
            if self._live is not None:  # its weights of today are gone when the last epoch is done
                self._choose_recall(network, network.recall, no_progress)
                logits, said[_RECALL] = self.held_out_logits(network), _CHOSEN
        return [self._save_best(network, logits, said)]

    def end(self, state: RunState, listener: Listener) -> bool:
        """Choose how the best network recalls lexicons: once, as that takes longer than an epoch."""
        if not _recalls_as_trained(state):
            return False
        path = self._checkpoints.folder / state.checkpoints[-1]["file"]
        said = read_metadata(path)  # of the file: a run may have been cut off between it and the state
        epoch = {name: said[name] for name in ("epoch", "held_out_loss")}
        if said[_RECALL] == _CHOSEN:
            said = {name: value for name, value in said.items() if name not in ("words", "format")}
            state.checkpoints = [_entry({"file": path.name, "digest": file_digest(path), "metadata": said})]
            return True
        tensors = read_tensors(path)
        network = self.averaged()
        network.load_state_dict({name: tensors[f"odits.{name}"] for name in network.state_dict()})
        assert network.recall is not None
        with torch.no_grad():
            network.sharpness -= math.log(float(said["sharpened"]))
        self._choose_recall(network, network.recall, listener.phase("choosing how lexicons are recalled"))
        state.checkpoints = [self._save_best(network, self.held_out_logits(network), epoch | {_RECALL: _CHOSEN})]
        return True

    def _save_best(self, network: Odits, logits: Tensor, metadata: Mapping[str, str]) -> dict[str, Any]:
        """Write a network, its sharpness chosen by its logits of the held-out images."""
        true = self._data.lexicons[self._data.held_out]
        sharpness = best_sharpness(logits, true, confidence_f1(self._untrained, true))
        with torch.no_grad():
            network.sharpness += math.log(sharpness)
        return _entry(self._checkpoints.save(network, BEST, {**metadata, "sharpened": f"{sharpness:g}"}))

    def _matrix(self, images: np.ndarray) -> ObjectText | None:
        """Return the object-text matrix of a batch, from memory where there is room for those of all images."""
        inputs, words = self._data.inputs, len(self._data.text)
        if 4 * words * sum(len(one.embeddings) for one in inputs) > _IN_MEMORY:
            return None
        for i in images:
            if i not in self._matrices:
                self._matrices[int(i)] = self._network.object_text(collate([inputs[i]]), self._data.text)
        found = [self._matrices[int(i)] for i in images]
        columns = [[getattr(one, name)[0] for one in found] for name in ("similarity", "weighted", "cues")]
        return ObjectText(*(nn.utils.rnn.pad_sequence(column, batch_first=True) for column in columns))

    @torch.no_grad()
    def held_out_logits(self, network: Odits) -> Tensor:
        """Return logits (B, n) of the held-out images, their own lexicons hidden from them."""
        return torch.cat([one.logits for _, one in self._outputs(network, self._data.held_out)]).clone()

    @torch.no_grad()
    def _outputs(
        self, network: Odits, chosen: np.ndarray, recalls: bool = True
    ) -> Iterator[tuple[np.ndarray, OditsOutput]]:
        """Yield some of the images and the network's output for them, their own lexicons hidden from them.

        Args:
            network: in evaluation mode.
            chosen: places of images.
            recalls: whether the prior is part of it.
        """
        data, live = self._data, self._live
        text = data.text if live is None else live.text(data.text)
        enhanced = None if network.enhancer is None else network.enhancer.enhance_text(text)
        for images in np.array_split(chosen, -(-len(chosen) // _TOGETHER)):
            batch = collate([data.inputs[i] for i in images])
            yield (
                images,
                network(
                    batch if live is None else live.embed(images.tolist(), batch),
                    text,
                    data.lexicons if recalls else None,
                    torch.from_numpy(images),
                    matrix=None if live else self._matrix(images),
                    enhanced_text=enhanced,
                ),
            )

    @torch.no_grad()
    def _choose_recall(self, network: Odits, recall: Recall, progress: Progress) -> None:
        """Choose how sharply lexicons are recalled (`odits.training.recall`), on all images."""
        assert network.evidence is not None
        everything = np.sort(np.concatenate([self._data.train, self._data.held_out]))
        others, support = [], []
        for _, output in self._outputs(network, everything, recalls=False):
            assert output.object_weights is not None
            others.append(output.logits / network.sharpness.exp())
            support.append(network.evidence(output.similarity, output.object_weights)[1])
            progress(sum(map(len, others)), len(everything))
        own = torch.from_numpy(everything)
        choose_recall(recall, torch.cat(others), torch.cat(support), self._data.lexicons, own)

    def held_out_loss(self, logits: Tensor) -> float:
        """Return the loss of the held-out images' logits (B, n), over all words."""
        return float(multi_positive_loss(logits, self._data.lexicons[self._data.held_out] > 0, self._weights))

    def averaged(self) -> Odits:
        """Return a network with the averaged weights."""
        network = Odits(self._network.config, float(self._network.clip_scale)).eval()
        network.load_state_dict(
            {name: self._average[_AVERAGED + name] for name, _ in network.named_parameters()}, strict=False
        )
        return network


def _entry(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run's state says of a checkpoint, from its "file", "digest" and "metadata"."""
    said = written["metadata"]
    return {**written, "epoch": int(said["epoch"]), "loss": float(said["held_out_loss"]), "reasons": ["new low"]}


def make_optimizer(
    network: Mapping[str, nn.Parameter], clip: Mapping[str, nn.Parameter], settings: OditsSettings
) -> torch.optim.Optimizer:
    """Return AdamW with rates of their own for matrices, for gates and other single numbers, and for CLIP's weights."""
    gates = [value for value in network.values() if value.ndim == 0 or value.numel() <= _FEW]
    matrices = [value for value in network.values() if value.ndim and value.numel() > _FEW]
    return torch.optim.AdamW(
        [
            {"params": matrices, "lr": settings.learning_rate, "weight_decay": settings.weight_decay},
            {"params": gates, "lr": settings.gate_rate, "weight_decay": 0.0},
            *([{"params": list(clip.values()), "lr": settings.clip_rate, "weight_decay": 0.0}] if clip else []),
        ]
    )
