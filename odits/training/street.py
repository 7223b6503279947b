"""Training of ODITS Street: what readings say about the word at a place, then which words are in a picture.

It learns from pictures whose words are boxed, such as rendered scenes (`odits.training.streets`). First a conditional
logit (McFadden, 1974) over the candidates of each place and "none of them" is fitted; then the fusion network learns
how far to trust a place, and how probable it is of each word by itself that it is in the picture. That a sign says
RESTAURANT is likelier than that it says QUARTZ: the prior of what shops call themselves is given. A part of the
pictures is held out and chooses the epoch. How well the probabilities are calibrated is measured on pictures that were
not trained on (`odits.evaluation.calibration`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from odits.core.progress import Progress, no_progress
from odits.data import Dataset, ImageRecord, Vocabulary
from odits.data.general_words import general_vocabulary
from odits.data.vocabulary import bare_word
from odits.models.fusion.inputs import ObjectEmbeddings, OditsInput, collate, lexicon_table
from odits.models.fusion.network import Odits
from odits.models.fusion.places import PlaceEncoder
from odits.models.fusion.settings import OditsConfig
from odits.models.reading.ctc import Lexicon
from odits.models.reading.places import FEATURES, Candidates, Place, PlaceCalibration, find_candidates, find_places
from odits.models.reading.read_words import picture_vocabulary
from odits.models.reading.spotter import WordSpotter, overlap_of
from odits.models.segmentation.segmenters import load_segmenter
from odits.training.data import data_digest, require_two
from odits.training.machine import Processes, deterministic
from odits.training.run import RunOptions, RunState, Task, open_run, require_numbers, run_lock, train
from odits.training.saving import BEST, save_odits
from odits.training.settings import StreetSettings
from odits.training.sign_texts import KINDS

NAME = "ODITS Street"
_CONFIG = OditsConfig(
    0, object_attention=False, weighted_text=False, feature_enhancer=False, recall=False, presence=True
)
_HELD_OUT = 0.2  # of the training pictures
_SAME = 0.2  # intersection over union from which a place shows a boxed word


class ReadPicture(NamedTuple):
    """A picture as it was read.

    Attributes:
        vocabulary: the general list and what was read.
        places: P places.
        candidates: what they may show.
        targets: int64 (P,), the word that each shows; -1 where it shows none of the vocabulary.
        present: float32 (n,), 1 for the words that are boxed in the picture.
    """

    vocabulary: Vocabulary
    places: list[Place]
    candidates: Candidates
    targets: np.ndarray
    present: Tensor


def train_street(
    dataset: Dataset, folder: Path, settings: StreetSettings, options: RunOptions | None = None
) -> RunState:
    """Train ODITS Street; the run is taken up where it stopped if `folder` holds its beginning.

    The network after the epoch with the lowest loss on held-out pictures is saved as best.safetensors.

    Args:
        dataset: its "train" pictures are trained on, and their boxed words are what is learned.
        folder: of the run.
        settings: of the training.
        options: tracker, restart and listener.

    Returns:
        The run's state after its last epoch.

    Raises:
        OditsError: the data can't be trained on, or the folder holds another run or one that is running.
    """
    options = options or RunOptions()
    with run_lock(folder, options.wait_s), deterministic():
        records = dataset.split("train")  # without words, too: what is no text has to be learned as well
        require_two(records, dataset, "train")
        spotter, digest = WordSpotter(), data_digest(records)
        state = open_run(
            folder, {**settings.identity(), "reader": spotter.reader.key, "data": digest}, options, Processes()
        )
        if state.epoch >= settings.epochs:
            return state
        pictures = read_pictures(records, spotter, options.listener.phase("reading pictures"))
        calibration = fit_calibration(pictures, settings.penalty)
        encoder = PlaceEncoder(load_segmenter("embedded"), spotter, calibration)
        origin = {"name": NAME, "data": dataset.name, "data_digest": digest, "segmenter": "embedded"}
        task = StreetTask(pictures, encoder, folder, settings, origin)
        return train(task, state, folder, {**asdict(settings), **origin}, options)


def read_pictures(
    records: Sequence[ImageRecord], spotter: WordSpotter, progress: Progress = no_progress
) -> list[ReadPicture]:
    """Read pictures, or take their stored readings, and find which word each place shows.

    Args:
        records: pictures with boxed words.
        spotter: reads them.
        progress: called with (pictures done, pictures in all).
    """
    base = general_vocabulary()
    spelled = Lexicon(base.words)
    read = []
    for number, record in enumerate(records, 1):
        lines = spotter.lines_of(record)
        vocabulary, places = picture_vocabulary(lines, base), find_places(lines)
        lexicon = spelled.extended(vocabulary.extra) if vocabulary.extra else spelled
        candidates = find_candidates(places, lexicon, len(base))
        place_of = {bare_word(word): place for place, word in enumerate(vocabulary.extra, len(base))}

        def index(word: str, found: Vocabulary = vocabulary, extra: Mapping[str, int] = place_of) -> int:
            place = found.find(word)
            return extra.get(bare_word(word), -1) if place is None else place

        boxed = [(index(one.word), one.box) for one in record.boxed]
        present = torch.zeros(len(vocabulary))
        present[[word for word, _ in boxed if word >= 0]] = 1
        targets = np.array([_shown(place, boxed) for place in places], np.int64)
        offered = set(zip(candidates.places.tolist(), candidates.words.tolist(), strict=True))
        targets = np.array([word if (at, word) in offered else -1 for at, word in enumerate(targets)], np.int64)
        read.append(ReadPicture(vocabulary, places, candidates, targets, present))
        progress(number, len(records))
    return read


def _shown(place: Place, boxed: Sequence[tuple[int, tuple[int, int, int, int]]]) -> int:
    """Return the boxed word that a place shows, the one with the largest overlap; -1 where there is none."""
    (x0, y0), (x1, y1) = place.best.corners.min(0), place.best.corners.max(0)
    overlaps = [(overlap_of((x0, y0, x1, y1), box), word) for word, box in boxed]
    overlap, word = max(overlaps, default=(0.0, -1))
    return word if overlap >= _SAME else -1


def fit_calibration(pictures: Sequence[ReadPicture], penalty: float) -> PlaceCalibration:
    """Fit what the readings of a place say about words: the most likely conditional logit, by L-BFGS.

    Args:
        pictures: with the words that their places show.
        penalty: of the squared weights.
    """
    starts = np.cumsum([0, *(len(one.places) for one in pictures)])
    count = int(starts[-1])
    places = torch.from_numpy(
        np.concatenate([one.candidates.places + at for one, at in zip(pictures, starts, strict=False)])
    )
    features = torch.from_numpy(np.concatenate([one.candidates.features for one in pictures])).double()
    shown = torch.from_numpy(
        np.concatenate([one.candidates.words == one.targets[one.candidates.places] for one in pictures])
    )
    weights = torch.zeros(1 + len(FEATURES), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        odds = weights[0] + features @ weights[1:]
        totals = torch.ones(count, dtype=torch.float64).index_add(0, places, odds.exp())
        loss = (totals.log().sum() - odds[shown].sum()) / count + penalty * weights.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)
    intercept, *found = weights.detach().tolist()
    return PlaceCalibration(intercept, tuple(found))


class StreetTask(Task[np.ndarray]):
    """A fusion network without embeddings that learns which words are in a picture.

    The loss of a picture is the sum over all words of the binary cross-entropy of `Odits.presence`.

    Args:
        pictures: as they were read.
        encoder: with the calibration that was fitted on them.
        folder: of the run.
        settings: of the training.
        origin: what the checkpoint says of where it comes from.
    """

    losses = ("total",)
    watched = "held_out"
    only_best = True

    def __init__(
        self,
        pictures: Sequence[ReadPicture],
        encoder: PlaceEncoder,
        folder: Path,
        settings: StreetSettings,
        origin: Mapping[str, str],
    ) -> None:
        self.epochs, self.seed = settings.epochs, settings.seed
        self._pictures, self._encoder, self._folder, self._origin = pictures, encoder, folder, origin
        self._network = new_network(pictures)
        # How often the drawn scenes say RESTAURANT says nothing about streets: the prior is given, not learned.
        self.tensors = {
            name: tensor
            for name, tensor in self._network.named_parameters()
            if name.startswith(("evidence.", "presence_bias"))
        }
        self._lexicons = zipf_lexicons(KINDS)
        self._prior = lexicon_table(self._lexicons, general_vocabulary()).sum(0)
        self.optimizer = torch.optim.Adam(list(self.tensors.values()), settings.learning_rate)
        order = np.random.default_rng((settings.seed, 1)).permutation(len(pictures))
        count = max(1, round(_HELD_OUT * len(pictures)))
        self._held_out, self._train = np.sort(order[:count]), np.sort(order[count:])
        self._batches = max(1, math.ceil(len(self._train) / settings.batch))

    def batches(self, state: RunState, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Return the pictures of each batch of the epoch that follows, without the first `state.step` batches."""
        return iter(np.array_split(rng.permutation(self._train), self._batches)[state.step :])

    def position(self, state: RunState) -> tuple[int, int]:
        """Return how many batches are done, and how many the run has."""
        return state.epoch * self._batches + state.step, self.epochs * self._batches

    def step(self, batch: np.ndarray, rng: np.random.Generator) -> tuple[Sequence[float], float]:
        """Learn from the pictures of a batch."""
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for index in batch.tolist():  # each has a vocabulary of its own
            loss = self._loss(index) / len(batch)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        self.optimizer.step()
        return [total], len(batch)

    @torch.no_grad()
    def close_epoch(self, line: dict[str, float], state: RunState) -> list[dict[str, Any]]:
        """Measure the held-out pictures, and save the network where their loss is a new low."""
        line["held_out"] = float(np.mean([float(self._loss(index)) for index in self._held_out.tolist()]))
        require_numbers(line, ("held_out",))
        if line["held_out"] >= state.lowest:
            return []
        epoch = int(line["epoch"])
        metadata = {**self._origin, "epoch": str(epoch), "held_out_loss": repr(line["held_out"])}
        written = save_odits(self._folder / BEST, self._network, self._encoder, self._lexicons, metadata)
        return [{**written, "epoch": epoch, "loss": line["held_out"], "reasons": ["new low"]}]

    def _loss(self, index: int) -> Tensor:
        picture = self._pictures[index]
        count = len(picture.vocabulary)
        rows = self._encoder.calibration.rows(picture.candidates, len(picture.places), count)
        prior = F.pad(self._prior, (0, count - len(self._prior)))
        output = self._network(collate([_as_input(picture.places, rows)]), torch.zeros(count, 0), prior[None])
        logits = output.logits[0] + self._network.presence_bias
        return F.binary_cross_entropy_with_logits(logits, picture.present, reduction="sum")


def new_network(pictures: Sequence[ReadPicture]) -> Odits:
    """Return an untrained network that gives words the probability of a word of these pictures, by their commonness.

    The odds of a word are multiplied by 1 plus how many of the prior's lexicons hold it.
    """
    network = Odits(_CONFIG, 1.0)
    share = float(np.mean([float(one.present.mean()) for one in pictures]))
    share = min(max(share, 1e-6), 0.5)
    assert network.presence_bias is not None and network.recall is not None
    with torch.no_grad():
        network.presence_bias.fill_(math.log(share / (1 - share)))
        network.recall.gate.fill_(1.0)
        network.recall.log_floor.fill_(0.0)
    return network


def zipf_lexicons(words: Sequence[str]) -> list[list[str]]:
    """Return n lexicons of n words in which the word of rank r is n / r times (Zipf, 1949).

    Args:
        words: n words, the commonest first.

    Example:
        >>> zipf_lexicons(["RESTAURANT", "CAFE", "HOTEL"])
        [['RESTAURANT', 'CAFE', 'HOTEL'], ['RESTAURANT'], ['RESTAURANT']]
    """
    return [list(words[: len(words) // count]) for count in range(1, len(words) + 1)]


def _as_input(places: Sequence[Place], rows: np.ndarray) -> OditsInput:
    count = len(places)
    return OditsInput(
        ObjectEmbeddings(
            np.empty(0, np.float32),
            np.empty((count, 0), np.float32),
            np.array([place.best.confidence for place in places], np.float32),
            np.array([place.best.corners for place in places], np.float32).reshape(-1, 4, 2),
            np.full(count, -1),
            np.full(count, "word"),
            np.zeros(count, np.float32),
        ),
        rows,
    )
