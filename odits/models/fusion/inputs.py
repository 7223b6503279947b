"""What ODITS sees of an image: embeddings of it and of its objects, computed once and kept."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from odits.core.files import cache_home, write_atomically
from odits.data import Vocabulary, open_image
from odits.data.images import image_digest
from odits.data.predictions import Segmenter
from odits.models.clip.model import ClipModel
from odits.models.fusion.network import EncodedImages
from odits.models.fusion.object_view_names import how_clip_looks
from odits.models.fusion.object_views import ObjectView, object_views
from odits.models.reading.ctc import Lexicon
from odits.models.reading.reader import TextLine, cut_line
from odits.models.reading.spotter import WordSpotter, shares
from odits.objects.codec import stored_objects

if TYPE_CHECKING:
    import supervision as sv


_VERSION = "2"


@dataclass(frozen=True, eq=False)
class SeenObjects:
    """An image and its K objects as CLIP embeds them.

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

    def with_lines(self, other: SeenObjects) -> SeenObjects:
        """These objects and then those of another, of the same image."""
        names = [field.name for field in fields(self) if field.name != "image"]
        return SeenObjects(self.image, *(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))

    def seen_with(self, image: np.ndarray) -> SeenObjects:
        """The same objects beside another image's embedding float32 (d,): a control."""
        return replace(self, image=image)

    def as_object(self) -> SeenObjects:
        """The image as its own only object: a control."""
        one = np.ones(1, np.float32)
        return SeenObjects(
            self.image, self.image[None], one, np.zeros((1, 4, 2), np.float32), np.full(1, -1), np.array(["image"]), one
        )

    def pack(self) -> bytes:
        """A compressed .npz without pickles."""
        stream = io.BytesIO()
        np.savez_compressed(stream, **{field.name: getattr(self, field.name) for field in fields(self)})
        return stream.getvalue()


@dataclass(frozen=True, eq=False)
class ObjectEncoder:
    """Finds an image's objects and embeds them.

    Attributes:
        clip: embeds.
        segmenter: finds.
        view: one of `odits.models.fusion.object_view_names.OBJECT_VIEWS`.
        words: whether lines of text are cut into words too.
    """

    clip: ClipModel
    segmenter: Segmenter
    view: str = "crop"
    words: bool = True

    @property
    def key(self) -> str:
        """Identifies weights, segmenter and view; caches key on it."""
        return f"{self.clip.checkpoint} {self.segmenter.key} {self.view} words={self.words} v{_VERSION}"

    def encode(self, source: Image.Image | Path | bytes) -> SeenObjects:
        """The objects of an RGB image, or of an image file (a path or its bytes), from the store or computed now.

        Raises:
            OditsError: the image can't be opened, or there is no such view.
        """
        how_clip_looks(self.view)
        image = source if isinstance(source, Image.Image) else open_image(source)
        file = _entry(self.key, image)
        kept = _read(file)
        if kept is not None:
            return kept
        objects = (
            self.segmenter.segment(image) if isinstance(source, Image.Image) else stored_objects(source, self.segmenter)
        )
        found = self.embed(image, objects)
        _keep(file, found)
        return found

    def embed(self, image: Image.Image, objects: sv.Detections) -> SeenObjects:
        """These objects of an RGB image, embedded now."""
        return self._embed(image, object_views(image, objects, self.view, self.words))

    def encode_lines(self, image: Image.Image, lines: list[TextLine], key: str) -> SeenObjects:
        """Lines of an RGB image that a spotter with this key found, embedded as crops, from the store or now."""
        file = _entry(f"{self.clip.checkpoint} {key} v{_VERSION}", image)
        kept = _read(file)
        if kept is not None and len(kept) == len(lines):
            return kept
        pixels = np.asarray(image)
        found = self._embed(image, [_line_view(pixels, line) for line in lines], "crop")
        _keep(file, found)
        return found

    def _embed(self, image: Image.Image, views: list[ObjectView], view: str | None = None) -> SeenObjects:
        whole = self.clip.encode_images([image]).numpy()[0]
        looks = how_clip_looks(view or self.view)
        embedded = self.clip.encode_images([one.picture for one in views], looks).numpy() if views else None
        return SeenObjects(
            whole,
            np.empty((0, len(whole)), np.float32) if embedded is None else embedded,
            np.array([one.confidence for one in views], np.float32),
            np.array([one.corners for one in views], np.float32).reshape(-1, 4, 2),
            np.array([one.owner for one in views], np.int64),
            np.array([one.kind for one in views], np.str_),
            np.array([one.area for one in views], np.float32),
        )


def _line_view(pixels: np.ndarray, line: TextLine) -> ObjectView:
    across = float(np.linalg.norm(line.corners[1] - line.corners[0]))
    picture = Image.fromarray(np.ascontiguousarray(cut_line(pixels, line.corners)))
    return ObjectView(picture, -1, line.corners, "line", across * line.height, float(line.confidence))


def _entry(key: str, image: Image.Image) -> Path:
    model = hashlib.sha256(key.encode()).hexdigest()[:24]
    return cache_home() / "object-embeddings" / model / f"{image_digest(image)[:24]}.npz"


def _keep(file: Path, found: SeenObjects) -> None:
    with suppress(OSError):  # a full or read-only disk costs time later, not the answer now
        write_atomically(file, found.pack())


def _read(file: Path) -> SeenObjects | None:
    """What was kept; None where there is nothing, or it is damaged: it is computed again."""
    try:
        with np.load(file, allow_pickle=False) as kept:
            found = SeenObjects(**{field.name: kept[field.name] for field in fields(SeenObjects)})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    names = [field.name for field in fields(SeenObjects) if field.name != "image"]
    return found if len({len(getattr(found, name)) for name in names}) == 1 else None


# Images and their objects, as embeddings, gathered into the batches that ODITS takes.


@dataclass(frozen=True, eq=False)
class OditsInput:
    """One image.

    Attributes:
        seen: it and its K objects.
        read: float16 (R, n), the object-text rows of its last R objects, which a spotter read; None: none was read.
    """

    seen: SeenObjects
    read: np.ndarray | None = None

    @property
    def is_read(self) -> np.ndarray:
        """bool (K,), which objects were read."""
        count = 0 if self.read is None else len(self.read)
        return np.arange(len(self.seen)) >= len(self.seen) - count


class OditsEyes:
    """What looks at images for ODITS: objects embedded by CLIP, and lines read by a spotter where one is given.

    Attributes:
        encoder: finds and embeds objects.
        spotter: reads lines, which count as objects too, or None.
    """

    def __init__(self, encoder: ObjectEncoder, spotter: WordSpotter | None = None) -> None:
        self.encoder, self.spotter = encoder, spotter
        self._spelled: tuple[str, Lexicon] = ("", Lexicon(()))

    @property
    def key(self) -> str:
        """Identifies weights, segmenter, view and spotter."""
        return self.encoder.key if self.spotter is None else f"{self.encoder.key} {self.spotter.checkpoint}"

    def look(self, source: Image.Image | Path | bytes, vocabulary: Vocabulary) -> OditsInput:
        """What is seen and read of an RGB image, or of an image file (a path or its bytes).

        Raises:
            OditsError: the image can't be opened.
        """
        seen = self.encoder.encode(source)
        if self.spotter is None:
            return OditsInput(seen)
        image = source if isinstance(source, Image.Image) else open_image(source)
        lines = self.spotter.read(image)
        found = self.spotter.judge(lines, self._lexicon(vocabulary))
        rows = [shares(odds) for odds in found.log_odds]
        read = np.stack(rows).astype(np.float16) if rows else np.empty((0, len(vocabulary)), np.float16)
        return OditsInput(seen.with_lines(self.encoder.encode_lines(image, lines, self.spotter.checkpoint)), read)

    def look_all(
        self, paths: Sequence[Path], vocabulary: Vocabulary, advance: Callable[[int, int], None] = lambda _, __: None
    ) -> list[OditsInput]:
        """The same for several files; `advance(done, of)` may raise to cancel."""
        found = []
        for number, path in enumerate(paths):
            advance(number, len(paths))
            found.append(self.look(path, vocabulary))
        advance(len(paths), len(paths))
        return found

    def _lexicon(self, vocabulary: Vocabulary) -> Lexicon:
        if self._spelled[0] != vocabulary.digest:
            self._spelled = (vocabulary.digest, Lexicon(vocabulary.words))
        return self._spelled[1]


def gather(
    inputs: Sequence[OditsInput], kept: Sequence[np.ndarray] | None = None, device: torch.device | None = None
) -> EncodedImages:
    """A batch of B images, filled up to the most objects that one has.

    Args:
        kept: for each image bool (K,), which objects stay (object dropout, or what an explanation leaves out); their
            places remain, so that a batch of one image keeps its objects' order.
    """
    most = max((len(one.seen) for one in inputs), default=0)
    width = len(inputs[0].seen.image)
    objects = torch.zeros(len(inputs), most, width)
    confidence = torch.zeros(len(inputs), most)
    present = torch.zeros(len(inputs), most, dtype=torch.bool)
    is_read = torch.zeros(len(inputs), most, dtype=torch.bool)
    rows = next((one.read for one in inputs if one.read is not None), None)
    read = None if rows is None else torch.zeros(len(inputs), most, rows.shape[1])
    for row, one in enumerate(inputs):
        count = len(one.seen)
        there = np.ones(count, bool) if kept is None else kept[row]
        present[row, :count] = torch.from_numpy(there)
        objects[row, :count] = torch.from_numpy(one.seen.objects) * present[row, :count, None]
        confidence[row, :count] = torch.from_numpy(one.seen.confidence) * present[row, :count]
        is_read[row, :count] = torch.from_numpy(one.is_read)
        if read is not None and one.read is not None and len(one.read):
            read[row, count - len(one.read) : count] = torch.from_numpy(one.read.astype(np.float32))
    image = torch.from_numpy(np.stack([one.seen.image for one in inputs]))
    batch = (image, objects, confidence, present, read, is_read if read is not None else None)
    return EncodedImages(*(part if part is None else part.to(device) for part in batch))


def lexicon_table(lexicons: Sequence[Sequence[str]], vocabulary: Vocabulary) -> Tensor:
    """float32 (L, n), 1 where a lexicon holds a word of the vocabulary."""
    place = {word: index for index, word in enumerate(vocabulary.words)}
    table = torch.zeros(len(lexicons), len(vocabulary))
    for row, words in enumerate(lexicons):
        members = [place[word] for word in words if word in place]
        table[row, members] = 1
    return table
