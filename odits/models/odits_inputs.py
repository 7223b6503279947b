"""Images and their objects, as embeddings, gathered into the batches that ODITS takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from odits.data import Vocabulary, open_image
from odits.models.odits import EncodedImages
from odits.object_embeddings import ObjectEncoder, SeenObjects
from odits.spotting.ctc import Lexicon
from odits.spotting.spotter import WordSpotter, shares


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
