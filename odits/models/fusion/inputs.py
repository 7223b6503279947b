"""The inputs of ODITS: embeddings of an image and of its objects, computed once and cached, collated into batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from odits.core.store import FunctionCodec, Store, former_path, make_key, pack_arrays, unpack_arrays
from odits.data import Vocabulary, open_image
from odits.data.images import image_digest
from odits.data.predictions import Segmenter
from odits.models.clip.model import ClipModel
from odits.models.fusion.network import EncodedImages
from odits.models.fusion.object_views import ObjectView, object_views
from odits.models.fusion.settings import clip_view
from odits.models.reading.ctc import Lexicon
from odits.models.reading.reader import TextLine, cut_line, is_read
from odits.models.reading.spotter import WordSpotter, odds_shares
from odits.objects.codec import stored_objects

if TYPE_CHECKING:
    import supervision as sv


_VERSION = "2"


@dataclass(frozen=True, eq=False)
class ObjectEmbeddings:
    """CLIP's embeddings of an image and of its K objects.

    Attributes:
        image: normalised embedding float32 (d,) of the whole image.
        objects: normalised embeddings float32 (K, d).
        confidence: float32 (K,) in 0..1.
        corners: float32 (K, 4, 2), x and y in pixels, clockwise.
        owner: int64 (K,), the segmenter's object that each is, or is a part of; -1 for lines that a spotter found.
        kind: str (K,): "mask", "region", "text", "word" (a part of a line) or "line" (found by a spotter).
        area: float32 (K,) in pixels.
    """

    image: np.ndarray
    objects: np.ndarray
    confidence: np.ndarray
    corners: np.ndarray
    owner: np.ndarray
    kind: np.ndarray
    area: np.ndarray

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def is_text(self) -> np.ndarray:
        """Which objects are lines of text or parts of one, bool (K,)."""
        return np.isin(self.kind, ("text", "word", "line"))

    def only(self, chosen: np.ndarray) -> ObjectEmbeddings:
        """Return the same image with the chosen objects, bool (K,), alone."""
        kept = {field.name: getattr(self, field.name)[chosen] for field in fields(self) if field.name != "image"}
        return replace(self, **kept)

    def with_lines(self, other: ObjectEmbeddings) -> ObjectEmbeddings:
        """Append the objects of another instance of the same image."""
        names = [field.name for field in fields(self) if field.name != "image"]
        return ObjectEmbeddings(self.image, *(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))

    def with_image(self, image: np.ndarray) -> ObjectEmbeddings:
        """Return the same objects beside another image's embedding float32 (d,): a control."""
        return replace(self, image=image)

    def image_as_object(self) -> ObjectEmbeddings:
        """Return the image with itself as the only object: a control."""
        one = np.ones(1, np.float32)
        return ObjectEmbeddings(
            self.image, self.image[None], one, np.zeros((1, 4, 2), np.float32), np.full(1, -1), np.array(["image"]), one
        )


def _pack(embeddings: ObjectEmbeddings) -> bytes:
    return pack_arrays({field.name: getattr(embeddings, field.name) for field in fields(embeddings)})


def _unpack(data: bytes) -> ObjectEmbeddings:
    embeddings = ObjectEmbeddings(**unpack_arrays(data))
    sizes = {len(getattr(embeddings, field.name)) for field in fields(embeddings) if field.name != "image"}
    if len(sizes) > 1:
        raise ValueError("its arrays do not hold equally many objects")
    return embeddings


_FOLDER = "object-embeddings"
EMBEDDINGS: Store[ObjectEmbeddings] = Store(_FOLDER, FunctionCodec(".npz", _pack, _unpack))


@dataclass(frozen=True, eq=False)
class ObjectEncoder:
    """Finds an image's objects and embeds them.

    Attributes:
        clip: embeds.
        segmenter: finds.
        view: one of `odits.models.fusion.settings.OBJECT_VIEWS`.
        words: whether lines of text are split into words too.
    """

    clip: ClipModel
    segmenter: Segmenter
    view: str = "crop"
    words: bool = True

    @property
    def key(self) -> str:
        """Identifies weights, segmenter and view; caches key on it."""
        return f"{self.clip.checkpoint} {self.segmenter.key} {self.view} words={self.words} v{_VERSION}"

    def encode(self, source: Image.Image | Path | bytes) -> ObjectEmbeddings:
        """Embed an image and its objects, or read the cached embeddings.

        Args:
            source: an RGB image, or an image file (a path or its bytes).

        Raises:
            OditsError: the image can't be opened, or there is no such view.
        """
        clip_view(self.view)
        image = source if isinstance(source, Image.Image) else open_image(source)

        def compute() -> ObjectEmbeddings:
            if isinstance(source, Image.Image):
                return self.embed(image, self.segmenter.segment(image))
            return self.embed(image, stored_objects(source, self.segmenter))

        key, former = _entry(self.key, image)
        return EMBEDDINGS.get_or_compute(key, compute, former)

    def is_stored(self, digest: str) -> bool:
        """Return whether the objects of an image with this digest (`image_digest`) are embedded already."""
        return EMBEDDINGS.path(make_key(image=digest, encoder=self.key)).is_file()

    def embed(self, image: Image.Image, objects: sv.Detections) -> ObjectEmbeddings:
        """Embed an RGB image and these objects of it, past the cache."""
        return self._embed(image, object_views(image, objects, self.view, self.words), self.view)

    def encode_lines(self, image: Image.Image, lines: list[TextLine], key: str) -> ObjectEmbeddings:
        """Embed an RGB image and lines of text as crops, or read the cached embeddings.

        Args:
            image: the image.
            lines: found in it by a spotter.
            key: identifies the spotter.
        """

        def compute() -> ObjectEmbeddings:
            pixels = np.asarray(image)
            return self._embed(image, [_line_view(pixels, line) for line in lines], "crop")

        entry, former = _entry(f"{self.clip.checkpoint} {key} v{_VERSION}", image)
        embeddings = EMBEDDINGS.get_or_compute(entry, compute, former)
        return embeddings if len(embeddings) == len(lines) else compute()

    def _embed(self, image: Image.Image, objects: list[ObjectView], view: str) -> ObjectEmbeddings:
        whole = self.clip.encode_images([image]).numpy()[0]
        pictures = [one.picture for one in objects]
        embedded = self.clip.encode_images(pictures, clip_view(view)).numpy() if pictures else None
        return ObjectEmbeddings(
            whole,
            np.empty((0, len(whole)), np.float32) if embedded is None else embedded,
            np.array([one.confidence for one in objects], np.float32),
            np.array([one.corners for one in objects], np.float32).reshape(-1, 4, 2),
            np.array([one.owner for one in objects], np.int64),
            np.array([one.kind for one in objects], np.str_),
            np.array([one.area for one in objects], np.float32),
        )


def _line_view(pixels: np.ndarray, line: TextLine) -> ObjectView:
    width = float(np.linalg.norm(line.corners[1] - line.corners[0]))
    picture = Image.fromarray(np.ascontiguousarray(cut_line(pixels, line.corners)))
    return ObjectView(picture, -1, line.corners, "line", width * line.height, float(line.confidence))


def _entry(encoder: str, image: Image.Image) -> tuple[str, Path]:
    """Return the key of an image's embeddings in the store, and the file in which older versions kept them."""
    digest = image_digest(image)
    return make_key(image=digest, encoder=encoder), former_path(_FOLDER, encoder, digest, ".npz")


@dataclass(frozen=True, eq=False)
class OditsInput:
    """One image as the network takes it.

    Attributes:
        embeddings: of it and of its K objects.
        read: float16 (R, n), the object-text rows of its last R objects, which a spotter read; None: none was read.
    """

    embeddings: ObjectEmbeddings
    read: np.ndarray | None = None

    @property
    def is_read(self) -> np.ndarray:
        """Which objects were read, bool (K,)."""
        count = 0 if self.read is None else len(self.read)
        return np.arange(len(self.embeddings)) >= len(self.embeddings) - count


class InputEncoder:
    """Makes the network's inputs: objects embedded by CLIP, and lines read by a spotter where one is given.

    Attributes:
        object_encoder: finds and embeds objects.
        spotter: reads lines, which count as objects too, or None.
    """

    def __init__(self, object_encoder: ObjectEncoder, spotter: WordSpotter | None = None) -> None:
        self.object_encoder, self.spotter = object_encoder, spotter
        self._lexicon: tuple[str, Lexicon] = ("", Lexicon(()))

    @property
    def clip(self) -> ClipModel:
        """The CLIP model that embeds."""
        return self.object_encoder.clip

    @property
    def segmenter(self) -> Segmenter:
        """Finds the objects."""
        return self.object_encoder.segmenter

    @property
    def key(self) -> str:
        """Identifies weights, segmenter, view and spotter."""
        key = self.object_encoder.key
        return key if self.spotter is None else f"{key} {self.spotter.checkpoint}"

    def describe(self) -> dict[str, str]:
        """Return what a checkpoint's header says of how the inputs are made."""
        encoder = self.object_encoder
        return {"view": encoder.view, "split_lines": str(encoder.words), "reads": str(self.spotter is not None)}

    def encode(self, source: Image.Image | Path | bytes, vocabulary: Vocabulary) -> OditsInput:
        """Embed the objects of an image, and read its lines of text where there is a spotter.

        Args:
            source: an RGB image, or an image file (a path or its bytes).
            vocabulary: the words to read.

        Raises:
            OditsError: the image can't be opened.
        """
        embeddings = self.object_encoder.encode(source)
        if self.spotter is None:
            return OditsInput(embeddings)
        image = source if isinstance(source, Image.Image) else open_image(source)
        lines = self.spotter.read(image)
        judged = self.spotter.score_lines(lines, self._lexicon_of(vocabulary))
        rows = [odds_shares(odds) for odds in judged.log_odds]
        read = np.stack(rows).astype(np.float16) if rows else np.empty((0, len(vocabulary)), np.float16)
        read_lines = self.object_encoder.encode_lines(image, lines, self.spotter.checkpoint)
        return OditsInput(embeddings.with_lines(read_lines), read)

    def is_stored(self, digest: str) -> bool:
        """Return whether nothing has to be found, embedded or read to encode an image with this digest."""
        read = self.spotter is None or is_read(digest, self.spotter.reader.key)
        return read and self.object_encoder.is_stored(digest)

    def _lexicon_of(self, vocabulary: Vocabulary) -> Lexicon:
        if self._lexicon[0] != vocabulary.digest:
            self._lexicon = (vocabulary.digest, Lexicon(vocabulary.words))
        return self._lexicon[1]


def collate(
    inputs: Sequence[OditsInput], present: Sequence[np.ndarray] | None = None, device: torch.device | None = None
) -> EncodedImages:
    """Collate B images into a batch, padded to the largest number of objects.

    Args:
        inputs: at least one image.
        present: for each image bool (K,), which objects stay (object dropout, or what an explanation leaves out); their
            places remain, so that a batch of one image keeps its objects' order. None: all.
        device: where the tensors go.
    """
    most = max((len(one.embeddings) for one in inputs), default=0)
    width = len(inputs[0].embeddings.image)
    objects = torch.zeros(len(inputs), most, width)
    confidence = torch.zeros(len(inputs), most)
    mask = torch.zeros(len(inputs), most, dtype=torch.bool)
    is_read = torch.zeros(len(inputs), most, dtype=torch.bool)
    rows = next((one.read for one in inputs if one.read is not None), None)
    read = None if rows is None else torch.zeros(len(inputs), most, rows.shape[1])
    for row, one in enumerate(inputs):
        count = len(one.embeddings)
        mask[row, :count] = torch.from_numpy(np.ones(count, bool) if present is None else present[row])
        objects[row, :count] = torch.from_numpy(one.embeddings.objects) * mask[row, :count, None]
        confidence[row, :count] = torch.from_numpy(one.embeddings.confidence) * mask[row, :count]
        is_read[row, :count] = torch.from_numpy(one.is_read)
        if read is not None and one.read is not None and len(one.read):
            read[row, count - len(one.read) : count] = torch.from_numpy(one.read.astype(np.float32))
    image = torch.from_numpy(np.stack([one.embeddings.image for one in inputs]))
    batch = (image, objects, confidence, mask, read, is_read if read is not None else None)
    return EncodedImages(*(tensor if tensor is None else tensor.to(device) for tensor in batch))


def lexicon_table(lexicons: Sequence[Sequence[str]], vocabulary: Vocabulary) -> Tensor:
    """Return float32 (L, n), 1 where a lexicon holds a word of the vocabulary.

    Example:
        >>> lexicon_table([["BAR", "ZOO"], []], Vocabulary.from_words(["BANK", "BAR"], "test")).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    table = torch.zeros(len(lexicons), len(vocabulary))
    for row, words in enumerate(lexicons):
        table[row, [place for place in map(vocabulary.find, words) if place is not None]] = 1
    return table
