"""Images ranked by CLIP's similarity of the whole image to words, and that ranking fused with the one by reading."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from odits.core.documents import parse_json
from odits.core.errors import OditsError
from odits.core.files import move_into_place, write_atomically
from odits.core.pool import Item, Task, map_images, per_batch
from odits.core.tables import BATCH, fill_table, load_array
from odits.data import Vocabulary
from odits.evaluation.evaluate import open_item
from odits.evaluation.retrieval import IMAGE_WEIGHT
from odits.search.index import INDEXES, Index, Progress, no_phases
from odits.search.query import Query
from odits.search.ranking import LEAST

if TYPE_CHECKING:
    from odits.models.clip.model import ClipModel


@dataclass(frozen=True, eq=False)
class ImageEmbeddings:
    """The embeddings of an index's images by a CLIP checkpoint.

    Attributes:
        checkpoint: digest of the weights.
        table: float32 (I, d), an embedding of length 1 for each image of the index.
    """

    checkpoint: str
    table: np.ndarray

    def similarities(self, model: ClipModel, query: Query) -> np.ndarray:
        """Add up, for each image, the scaled cosine similarities of a query's words to it, float32 (I,)."""
        words = Vocabulary.from_words([word.upper() for word in query.words], "query")
        texts = model.encode_vocabulary(words).numpy().sum(0)
        found: np.ndarray = float(model.model.logit_scale.detach().exp()) * (self.table @ texts)
        return found


def stored_embeddings(index: Index, checkpoint: str) -> ImageEmbeddings | None:
    """Return the embeddings of all images of an index by a checkpoint; None where they have not been computed."""
    file = _file(index, checkpoint)
    try:
        digests = parse_json(file.with_suffix(".json").read_bytes())
        table = load_array(file)
    except (OSError, ValueError, TypeError):
        return None
    if digests != [image.digest for image in index.images] or len(table) != len(digests):
        return None
    return ImageEmbeddings(checkpoint, table)


def embed_images(index: Index, model: ClipModel, progress: Progress = no_phases) -> ImageEmbeddings:
    """Return the embeddings of all images of an index by a model, stored or computed now.

    An interrupted computation goes on where it was; images that are in the former index of the collection too are not
    computed again.

    Raises:
        OditsError: an image has changed or vanished, the disk is full, or somebody else is at the same work.
    """
    file = _file(index, model.checkpoint)
    with INDEXES.lock(
        f"{index.folder.parent.name}-{model.checkpoint[:16]}",
        "These images are being compared already; please wait for it to end.",
    ):
        stored = stored_embeddings(index, model.checkpoint)
        if stored is not None:
            return stored
        rows = _Rows(index, model, file)
        # the name tells the set of images: another set must not reuse this one's rows
        table = fill_table(
            rows.part,
            (len(index.images), rows.dimensions),
            rows,
            lambda done, of: progress("Embedding images", done, of),
        )
        try:
            file.with_suffix(".json").unlink(missing_ok=True)
            del table
            rows.release_former()
            move_into_place(rows.part, file)
        except OSError as error:
            raise OditsError(f"{file} can't be written: {error.strerror or error}.") from error
        write_atomically(file.with_suffix(".json"), json.dumps([image.digest for image in index.images]).encode())
    found = stored_embeddings(index, model.checkpoint)
    if found is None:
        raise OditsError(f"{file} can't be read back.")
    return found


def _file(index: Index, checkpoint: str) -> Path:
    return index.folder.parent / f"embeddings-{checkpoint[:16]}.npy"


class _Rows:
    """Computes embeddings of a slice of an index's images; those in the former table are taken from there."""

    def __init__(self, index: Index, model: ClipModel, file: Path) -> None:
        self.index = index
        self.part = index.folder / file.name
        self.dimensions = int(model.encode_vocabulary(Vocabulary(("A",), "one letter")).shape[1])
        self._task = Task(
            "", batch=BATCH, here=per_batch(open_item, lambda images: model.encode_images(images).numpy())
        )
        self._known: dict[str, int] = {}
        self._former: np.ndarray | None = None
        try:
            digests = parse_json(file.with_suffix(".json").read_bytes())
            self._former = load_array(file)
            self._known = {digest: row for row, digest in enumerate(digests[: len(self._former)])}
        except (OSError, ValueError, TypeError):
            self._known = {}

    def __call__(self, images: slice) -> np.ndarray:
        rows = np.empty((images.stop - images.start, self.dimensions), np.float32)
        new = []
        for place, image in enumerate(self.index.images[images]):
            row = self._known.get(image.digest)
            if row is None or self._former is None:
                new.append(place)
            else:
                rows[place] = self._former[row]
        indexed = [self.index.images[images.start + place] for place in new]
        items = [Item(image.name, Path(image.path)) for image in indexed]
        for index, row, problem in map_images(self._task, items):
            if problem is not None:  # it could be read when it was indexed
                raise OditsError(f"{problem} Build the index again.")
            rows[new[index]] = row
        return rows

    def release_former(self) -> None:
        """Let go of the former table: some systems don't replace a file that is mapped."""
        self._former = None


@dataclass(frozen=True, eq=False)
class Standing:
    """Where an image stands in both rankings; ranks count from 1.

    Attributes:
        place: of the image in the index.
        reading_rank, image_rank: its ranks by reading and by CLIP; 0 where not every word was read in it.
        score: what both say together.
    """

    place: int
    reading_rank: int
    image_rank: int
    score: float


class Fusion:
    """Both rankings in one, as `odits retrieval` fuses them.

    An image's score is the log-odds that all words were read in it, plus `IMAGE_WEIGHT` times the logarithm of the
    probability that CLIP picks it, of all images of the collection, for each word. That weight was chosen on SVT's
    training images: reading decides, and CLIP orders what was not read. A word that was not read counts as `LEAST`
    probable.

    Args:
        read: places of the images that reading found, best first.
        log_odds: of these, (K,).
        similarities: CLIP's, float32 (I,) (`ImageEmbeddings.similarities`).
        words: how many words were asked for.
    """

    def __init__(self, read: Sequence[int], log_odds: np.ndarray, similarities: np.ndarray, words: int) -> None:
        self._read = {place: rank for rank, place in enumerate(read, start=1)}
        self._similarities = similarities
        self._scores = np.full(len(similarities), words * np.log(LEAST / (1 - LEAST)), np.float64)
        self._scores[list(read)] = log_odds
        if len(similarities):
            highest = float(similarities.max())
            self._scores += IMAGE_WEIGHT * (similarities - highest - np.log(np.exp(similarities - highest).sum()))

    @cached_property
    def image_order(self) -> np.ndarray:
        """Places of all images as CLIP ranks them, best first."""
        return np.argsort(-self._similarities, kind="stable")

    @cached_property
    def _image_ranks(self) -> np.ndarray:
        ranks = np.empty(len(self.image_order), np.int64)
        ranks[self.image_order] = np.arange(1, len(ranks) + 1)
        return ranks

    def standing(self, place: int) -> Standing:
        """Return where an image stands."""
        return Standing(place, self._read.get(place, 0), int(self._image_ranks[place]), float(self._scores[place]))

    def best(self, count: int) -> list[Standing]:
        """Return the best images by both, best first."""
        return [self.standing(int(place)) for place in np.argsort(-self._scores, kind="stable")[:count]]

    def best_by_image(self, count: int) -> list[Standing]:
        """Return the best images by CLIP alone, best first."""
        return [self.standing(int(place)) for place in self.image_order[:count]]
