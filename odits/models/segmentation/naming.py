"""Names of objects: by GroundingDINO, whose boxes are matched to masks, or by the word model that is at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import supervision as sv
from PIL import Image

from odits.core.errors import OditsError
from odits.data.vocabulary import Vocabulary
from odits.objects.detections import areas_of, masks_of, object_crop

if TYPE_CHECKING:
    from odits.data.predictions import WordModel


BATCH = 16  # crops between two reports of progress
LEAST_IOU = 0.5
LEAST_COVERAGE = 0.9  # of the mask, by the box
LEAST_FILLING = 0.2  # of the box, by the mask: a window is not the car that it belongs to

Advance = Callable[[int, int], None]


def no_advance(done: int, of: int) -> None:
    """Nothing: for callers that do not show progress."""


@dataclass(frozen=True, eq=False)
class ObjectNames:
    """What the objects of an image are called.

    Attributes:
        names: one an object, "" where the model has no name for it.
        scores: float32 (K,), how sure it is, in 0..1; 0 without a name.
        speaker: which model named them, as shown to users.
        vocabulary: the name of the vocabulary.
    """

    names: tuple[str, ...]
    scores: np.ndarray
    speaker: str
    vocabulary: str


class Namer(Protocol):
    """Names the objects of an image.

    Attributes:
        name: as shown to users.
        key: identifies weights and settings; caches key on it.
    """

    name: str
    key: str

    def names(
        self, image: Image.Image, detections: sv.Detections, vocabulary: Vocabulary, advance: Advance = no_advance
    ) -> ObjectNames:
        """A name from the vocabulary for each object of an RGB image.

        Args:
            image: of the masks' size.
            detections: its objects; may be none.
            vocabulary: names to choose from.
            advance: called with (done, of); what it raises ends the work.
        """
        ...


class WordNamer:
    """Names each object by the word that its crop makes most probable.

    Args:
        model: asked with view="crop".
    """

    def __init__(self, model: WordModel) -> None:
        self._model = model
        self.name, self.key = model.name, f"words {model.checkpoint}"

    def names(
        self, image: Image.Image, detections: sv.Detections, vocabulary: Vocabulary, advance: Advance = no_advance
    ) -> ObjectNames:
        """The most probable word of every object, however improbable it is."""
        names: list[str] = []
        scores: list[float] = []
        for start in range(0, len(detections), BATCH):
            advance(start, len(detections))
            some = range(start, min(start + BATCH, len(detections)))
            crops = [object_crop(image, detections, index) for index in some]
            found = self._model.probabilities(crops, vocabulary, "crop")
            best = found.argmax(axis=1)
            names += [vocabulary.words[word] for word in best]
            scores += found[np.arange(len(best)), best].tolist()
        advance(len(detections), len(detections))
        return ObjectNames(tuple(names), np.array(scores, np.float32), self.name, vocabulary.name)


class NamedBox(NamedTuple):
    """A box x0, y0, x1, y1 in pixels with the word it was found for."""

    box: tuple[float, float, float, float]
    word: str
    score: float


def match_boxes(detections: sv.Detections, boxes: Sequence[NamedBox]) -> list[NamedBox | None]:
    """For each mask the box that names it, or None.

    A box fits a mask where its IoU with the mask's own box is at least 0.5, or where it covers 90 % of the mask's
    pixels and the mask fills a fifth of it. Of those that fit, the largest product of IoU and score counts.
    """
    masks, areas = masks_of(detections), areas_of(detections)
    found: list[NamedBox | None] = []
    for mask, area, own in zip(masks, areas, detections.xyxy, strict=True):
        fitting = [
            (iou * one.score, place)
            for place, one in enumerate(boxes)
            if (iou := _iou(own, one.box)) >= LEAST_IOU or _covers(mask, int(area), one.box)
        ]
        found.append(boxes[max(fitting, key=lambda pair: (pair[0], -pair[1]))[1]] if fitting else None)
    return found


def _iou(one: np.ndarray, other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(float(width), 0.0) * max(float(height), 0.0)
    both = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - common
    return common / float(both) if both > 0 else 0.0


def _covers(mask: np.ndarray, area: int, box: Sequence[float]) -> bool:
    x0, y0, x1, y1 = (max(round(value), 0) for value in box)
    inside = int(mask[y0:y1, x0:x1].sum())
    room = (x1 - x0) * (y1 - y0)
    return area > 0 and room > 0 and inside >= LEAST_COVERAGE * area and inside >= LEAST_FILLING * room


# GroundingDINO (Liu et al., 2023) through transformers: boxes for the words of a vocabulary, and names from them.


DEFAULT = "IDEA-Research/grounding-dino-tiny"
LEAST_SCORE = 0.25


def is_at_hand(reference: str = DEFAULT) -> bool:
    """Whether its weights are on this machine: a folder of them, or the hub's cache has them."""
    if Path(reference).expanduser().is_dir():
        return (Path(reference).expanduser() / "config.json").is_file()
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        kept = [try_to_load_from_cache(reference, name) for name in ("config.json", "model.safetensors")]
    except HFValidationError:
        return False  # neither a folder nor a name
    return all(isinstance(file, str) for file in kept)


class GroundingDinoNamer:
    """Names objects after the boxes that GroundingDINO finds for the words (a `Namer`).

    Args:
        reference: a name on the hub, or the path of a folder that `save_pretrained` wrote.
        device: "auto", "cpu", "cuda" or "mps".
        least: score below which a box does not count, in 0..1.

    Raises:
        OditsError: the weights are not to be had.
    """

    def __init__(self, reference: str = DEFAULT, device: str = "auto", least: float = LEAST_SCORE) -> None:
        import torch

        reference = str(Path(reference).expanduser()) if Path(reference).expanduser().is_dir() else reference
        self._model, self._images, self._tokens = _load(reference)
        use = "cuda" if device in ("auto", "cuda") and torch.cuda.is_available() else "cpu"
        self._model.to(use).eval()
        self._least = least
        self.name = f"GroundingDINO ({Path(reference).name})"
        digest = hashlib.sha256()
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {float(tensor.double().sum()):.9g}".encode())
        self.key = f"grounding-dino {digest.hexdigest()[:24]} {least:g}"

    def names(
        self, image: Image.Image, detections: sv.Detections, vocabulary: Vocabulary, advance: Advance = no_advance
    ) -> ObjectNames:
        """The name of the best box that fits each object; "" where none does."""
        boxes = self.boxes(image, vocabulary, advance) if len(detections) else []
        matched = match_boxes(detections, boxes)
        return ObjectNames(
            tuple(one.word if one else "" for one in matched),
            np.array([one.score if one else 0.0 for one in matched], np.float32),
            self.name,
            vocabulary.name,
        )

    def boxes(self, image: Image.Image, vocabulary: Vocabulary, advance: Advance = no_advance) -> list[NamedBox]:
        """Boxes in the image's pixels, each with its best word, in as many passes as the words need.

        A word's score for a box is the mean over its tokens of the sigmoid of their logits.
        """
        import torch

        device = self._model.device
        pixels = self._images(images=image.convert("RGB"), return_tensors="pt").to(device)
        prompts = list(self._prompts(vocabulary.words))
        size = np.array([image.width, image.height] * 2, float)
        found: list[NamedBox] = []
        for number, (ids, spans) in enumerate(prompts):
            advance(number, len(prompts))
            tokens = torch.tensor([ids], device=device)
            with torch.inference_mode():
                answer = self._model(
                    pixel_values=pixels["pixel_values"],
                    pixel_mask=pixels.get("pixel_mask"),
                    input_ids=tokens,
                    token_type_ids=torch.zeros_like(tokens),
                    attention_mask=torch.ones_like(tokens),
                )
            sure = answer.logits[0].sigmoid().float().cpu().numpy()
            scores = np.stack([sure[:, first:last].mean(axis=1) for _, first, last in spans], axis=1)
            x, y, width, height = answer.pred_boxes[0].float().cpu().numpy().T
            corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
            for row in np.flatnonzero(scores.max(axis=1) >= self._least):
                best = int(scores[row].argmax())
                box = np.clip(corners[row], 0, 1) * size
                found.append(NamedBox((box[0], box[1], box[2], box[3]), spans[best][0], float(scores[row, best])))
        advance(len(prompts), len(prompts))
        return found

    def _prompts(self, words: tuple[str, ...]) -> Iterator[tuple[list[int], list[tuple[str, int, int]]]]:
        """Token ids of "[CLS] word . word . [SEP]", as long as the model takes, and where each word's tokens are."""
        room = int(self._model.config.max_text_len)
        dot = self._tokens.convert_tokens_to_ids(".")
        start, end = self._tokens.cls_token_id, self._tokens.sep_token_id
        ids, spans = [start], list[tuple[str, int, int]]()
        for word in words:
            # as the model was trained: lower case, and dots only between words
            own = self._tokens(word.lower().replace(".", " "), add_special_tokens=False)["input_ids"][: room - 3]
            if not own:
                continue
            if len(ids) + len(own) + 2 > room:
                yield [*ids, end], spans
                ids, spans = [start], []
            spans.append((word, len(ids), len(ids) + len(own)))
            ids += [*own, dot]
        if spans:
            yield [*ids, end], spans


def _load(reference: str) -> tuple[Any, Any, Any]:
    """Model, image processor and tokenizer."""
    from transformers import AutoImageProcessor, AutoTokenizer, GroundingDinoForObjectDetection

    from odits.models.clip.loading import hub_answers

    offline = is_at_hand(reference)
    if not offline and not hub_answers():
        raise OditsError(missing(reference))
    try:
        return (
            GroundingDinoForObjectDetection.from_pretrained(reference, local_files_only=offline),
            AutoImageProcessor.from_pretrained(reference, local_files_only=offline),
            AutoTokenizer.from_pretrained(reference, local_files_only=offline),
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise OditsError(missing(reference)) from error


def missing(reference: str) -> str:
    """The sentence that says how to get weights that are not here."""
    return (
        f"GroundingDINO's weights {reference} are not on this machine and could not be loaded: connect to the network "
        "once, or give the path of a folder with its config.json, model.safetensors and tokenizer files."
    )
