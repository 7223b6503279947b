"""Names of objects: by a network that knows ImageNet's classes, by GroundingDINO, or by a word model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import supervision as sv
from PIL import Image
from safetensors import SafetensorError

from odits.core.device import resolve_device
from odits.core.errors import OditsError
from odits.core.files import expand_home, sha256_of
from odits.core.model_folders import CONFIGS, is_repository, weight_names
from odits.core.progress import Progress, no_progress
from odits.core.store import FunctionCodec, Store, make_key
from odits.data.vocabulary import Vocabulary
from odits.models.classification.eye import PhotoNetwork, class_names, scene_views
from odits.models.classification.names import CLASS_LIMIT, PhotoName, name_objects
from odits.models.reading.spotter import overlap_of
from odits.objects.detections import areas_of, kinds_of, masks_of, object_crop

if TYPE_CHECKING:
    from odits.data.predictions import WordModel

GROUNDING_DINO = "IDEA-Research/grounding-dino-tiny"
"""The weights of GroundingDINO that are used where nobody names others."""

BOX_THRESHOLD = 0.25
"""Score of a word below which GroundingDINO's box does not count, as in its own demo."""

PHOTO_LIMIT = CLASS_LIMIT
"""Score below which neither an object nor a picture has the name of an ImageNet class."""

PHOTO_NAMES: Store[list[PhotoName]] = Store(
    "photo-names",
    FunctionCodec(
        ".json",
        lambda names: json.dumps(names).encode(),
        lambda data: [PhotoName(str(name), float(score), str(level)) for name, score, level in json.loads(data)],
    ),
)
"""Names of the objects of an image; raise its version when `odits.models.classification` names otherwise."""

TEXT_KINDS = ("text", "line")
"""Kinds of objects that are lines of text."""

BATCH = 16  # crops between two reports of progress
MIN_IOU = 0.5
MIN_COVERAGE = 0.9  # of the mask, by the box
MIN_FILL = 0.2  # of the box, by the mask: a window is not the car that it belongs to


@dataclass(frozen=True, eq=False)
class ObjectNames:
    """The names of the objects of an image.

    Attributes:
        names: one for each of the K objects, "" where the model has no name for it.
        scores: float32 (K,) in 0..1, the model's confidence; 0 without a name, and of a surface.
        model: which model named them, as shown to users.
        vocabulary: the name of the vocabulary.
        levels: of a namer that gives coarser names too, what each name is of: "class", "group", "surface",
            "plain surface", or "" without a name.
    """

    names: tuple[str, ...]
    scores: np.ndarray
    model: str
    vocabulary: str
    levels: tuple[str, ...] = ()


class Namer(Protocol):
    """Names the objects of an image.

    Attributes:
        name: as shown to users.
        key: identifies weights and settings; caches key on it.
    """

    name: str
    key: str

    def names(
        self, image: Image.Image, detections: sv.Detections, vocabulary: Vocabulary, progress: Progress = no_progress
    ) -> ObjectNames:
        """Choose a name from the vocabulary for each object of an RGB image.

        Args:
            image: of the masks' size.
            detections: its objects; may be none.
            vocabulary: names to choose from; a namer that has names of its own does not look at it.
            progress: called with (done, of); what it raises ends the work.
        """
        ...


class WordNamer:
    """Names each object by the word that its crop makes most probable.

    Args:
        model: given the crops with view="crop".
    """

    def __init__(self, model: WordModel) -> None:
        self._model = model
        self.name, self.key = model.name, f"words {model.checkpoint}"

    def names(
        self, image: Image.Image, detections: sv.Detections, vocabulary: Vocabulary, progress: Progress = no_progress
    ) -> ObjectNames:
        """Choose the most probable word for every object, however improbable it is."""
        names: list[str] = []
        scores: list[float] = []
        for start in range(0, len(detections), BATCH):
            progress(start, len(detections))
            stop = min(start + BATCH, len(detections))
            crops = [object_crop(image, detections, index) for index in range(start, stop)]
            probabilities = self._model.probabilities(crops, vocabulary, "crop")
            names += [vocabulary.words[word] for word in probabilities.argmax(axis=1)]
            scores += probabilities.max(axis=1).tolist()
        progress(len(detections), len(detections))
        return ObjectNames(tuple(names), np.array(scores, np.float32), self.name, vocabulary.name)


class PhotoNamer:
    """Names objects as `odits.models.classification.names` does (a `Namer`); lines of text get no names.

    Args:
        device: "auto", "cpu", "cuda" or "mps".
        limit: score below which no class of ImageNet is a name, in 0..1.
        coarse: also give names of groups of classes, and of surfaces, where no class is sure.
        network: sees the crops; a new one by default.

    Raises:
        OditsError: the package with the weights is missing.
    """

    def __init__(
        self,
        device: str = "auto",
        limit: float = PHOTO_LIMIT,
        coarse: bool = True,
        network: PhotoNetwork | None = None,
    ) -> None:
        self._network = network or PhotoNetwork(device)
        self._limit, self._coarse = limit, coarse
        self.name = self._network.name
        self.key = f"classes {self._network.key} {limit:g} {'coarse ' if coarse else ''}v2"

    def names(
        self, image: Image.Image, detections: sv.Detections, vocabulary: Vocabulary, progress: Progress = no_progress
    ) -> ObjectNames:
        """Name each object that is no text; "" where nothing is sure."""
        del vocabulary  # the classes are the names
        named = [PhotoName()] * len(detections)
        things = [index for index, kind in enumerate(kinds_of(detections)) if kind not in TEXT_KINDS]
        if things:
            found = self._named(image, masks_of(detections)[things], progress)
            for index, one in zip(things, found, strict=True):
                named[index] = one
        progress(len(things), len(things))
        return ObjectNames(
            tuple(one.name for one in named),
            np.array([one.score for one in named], np.float32),
            self.name,
            "ImageNet's classes, their groups, and surfaces" if self._coarse else "ImageNet's classes",
            tuple(one.level for one in named),
        )

    def _named(self, image: Image.Image, masks: np.ndarray, progress: Progress) -> list[PhotoName]:
        """Return the names of these objects, from the store or found now and stored."""
        seen = sha256_of(image.convert("RGB").tobytes(), np.packbits(masks).tobytes())
        key = make_key(pixels=seen, size=image.size, namer=self.key)
        return PHOTO_NAMES.get_or_compute(
            key, lambda: name_objects(self._network, image, masks, self._limit, self._coarse, progress)
        )

    def scene(self, image: Image.Image) -> tuple[str, float]:
        """Name what a picture shows: the best class, by the mean over `scene_views`, and its probability in 0..1.

        The name is "" where the probability is below the limit.
        """
        shares = self._network.probabilities(scene_views(image)).mean(0)
        best = int(shares.argmax())
        return (class_names()[best], float(shares[best])) if shares[best] >= self._limit else ("", float(shares[best]))


class NamedBox(NamedTuple):
    """A box x0, y0, x1, y1 in pixels with the word it was found for, and the word's score in 0..1."""

    box: tuple[float, float, float, float]
    word: str
    score: float


def match_boxes(detections: sv.Detections, boxes: Sequence[NamedBox]) -> list[NamedBox | None]:
    """Match boxes to masks.

    A box fits a mask where its IoU with the mask's own box is at least 0.5, or where it covers 90 % of the mask's
    pixels and the mask fills a fifth of it. Of those that fit, the one with the largest product of IoU and score is
    chosen, the first of equally good ones.

    Args:
        detections: K objects with masks.
        boxes: in the same pixels.

    Returns:
        For each of the K masks the box that names it, or None.

    Example:
        >>> from odits.objects.detections import make_detections
        >>> objects = make_detections([np.ones((10, 10), bool)], [1.0], ["mask"], (10, 10))
        >>> match_boxes(objects, [NamedBox((0, 0, 5, 4), "door", 0.9), NamedBox((0, 0, 10, 8), "house", 0.4)])
        [NamedBox(box=(0, 0, 10, 8), word='house', score=0.4)]
    """
    masks, areas = masks_of(detections), areas_of(detections)
    matched: list[NamedBox | None] = []
    for mask, area, own in zip(masks, areas, detections.xyxy, strict=True):
        fitting = [
            (iou * one.score, -index)
            for index, one in enumerate(boxes)
            if (iou := overlap_of(own.tolist(), one.box)) >= MIN_IOU or _covers(mask, int(area), one.box)
        ]
        matched.append(boxes[-max(fitting)[1]] if fitting else None)
    return matched


def _covers(mask: np.ndarray, area: int, box: Sequence[float]) -> bool:
    x0, y0, x1, y1 = (max(round(value), 0) for value in box)
    inside = int(mask[y0:y1, x0:x1].sum())
    box_area = (x1 - x0) * (y1 - y0)
    return area > 0 and box_area > 0 and inside >= MIN_COVERAGE * area and inside >= MIN_FILL * box_area


def weights_available(reference: str = GROUNDING_DINO) -> bool:
    """Whether GroundingDINO's weights are on this machine: in a folder, or in the hub's cache.

    Args:
        reference: as `GroundingDinoNamer` takes it.
    """
    if expand_home(reference).is_dir():
        return (expand_home(reference) / "config.json").is_file()
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = [try_to_load_from_cache(reference, name) for name in ("config.json", "model.safetensors")]
    except HFValidationError:
        return False  # neither a folder nor a name
    return all(isinstance(file, str) for file in cached)


def fetch_grounding_dino(reference: str = GROUNDING_DINO, progress: Progress | None = None) -> Path:
    """Return the folder of GroundingDINO in the hub's cache, downloaded where it is not here.

    Args:
        reference: its name on the hub.
        progress: called with (bytes here, bytes in all) during the download.

    Raises:
        OditsError: it is neither here nor to be had, in a sentence that says why.
    """
    from odits.models.clip.hub import TOKENIZER_FILES, fetch_folder

    if not is_repository(reference):
        raise OditsError(_missing(reference))
    small = (*CONFIGS, *TOKENIZER_FILES)
    return fetch_folder(reference, weight_names(), f"GroundingDINO ({reference})", progress, beside=small)


class GroundingDinoNamer:
    """Names objects after the boxes that GroundingDINO (Liu et al. 2023) finds for the words (a `Namer`).

    Args:
        reference: a name on the hub, or the path of a folder that `save_pretrained` wrote.
        device: "auto", "cpu", "cuda" or "mps".
        threshold: score below which a box does not count, in 0..1.

    Raises:
        OditsError: the weights are neither here nor can be downloaded.
    """

    def __init__(self, reference: str = GROUNDING_DINO, device: str = "auto", threshold: float = BOX_THRESHOLD) -> None:
        reference = str(expand_home(reference)) if expand_home(reference).is_dir() else reference
        self._model, self._images, self._tokens = _load(reference)
        self._model.to(resolve_device(device, supported=("cuda",))).eval()
        self._threshold = threshold
        self.name = f"GroundingDINO ({Path(reference).name})"
        digest = sha256_of(
            *(
                f"{name} {tuple(tensor.shape)} {float(tensor.double().sum()):.9g}"
                for name, tensor in sorted(self._model.state_dict().items())
            )
        )
        self.key = f"grounding-dino {digest[:24]} {threshold:g}"

    def names(
        self, image: Image.Image, detections: sv.Detections, vocabulary: Vocabulary, progress: Progress = no_progress
    ) -> ObjectNames:
        """Choose the name of the best box that fits each object; "" where none does."""
        boxes = self.boxes(image, vocabulary, progress) if len(detections) else []
        matched = match_boxes(detections, boxes)
        return ObjectNames(
            tuple(one.word if one else "" for one in matched),
            np.array([one.score if one else 0.0 for one in matched], np.float32),
            self.name,
            vocabulary.name,
        )

    def boxes(self, image: Image.Image, vocabulary: Vocabulary, progress: Progress = no_progress) -> list[NamedBox]:
        """Find boxes for the words, in as many passes as they need.

        The score of a word for a box is the mean over its tokens of the sigmoid of their logits.

        Args:
            image: any mode.
            vocabulary: words to look for.
            progress: called with (passes done, of).

        Returns:
            Boxes in the image's pixels, each with its best word.
        """
        import torch

        device = self._model.device
        pixels = self._images(images=image.convert("RGB"), return_tensors="pt").to(device)
        prompts = list(self._prompts(vocabulary.words))
        size = np.array([image.width, image.height] * 2, float)
        boxes: list[NamedBox] = []
        for number, (ids, spans) in enumerate(prompts):
            progress(number, len(prompts))
            tokens = torch.tensor([ids], device=device)
            with torch.inference_mode():
                output = self._model(
                    pixel_values=pixels["pixel_values"],
                    pixel_mask=pixels.get("pixel_mask"),
                    input_ids=tokens,
                    token_type_ids=torch.zeros_like(tokens),
                    attention_mask=torch.ones_like(tokens),
                )
            tokenwise = output.logits[0].sigmoid().float().cpu().numpy()
            scores = np.stack([tokenwise[:, first:last].mean(axis=1) for _, first, last in spans], axis=1)
            x, y, width, height = output.pred_boxes[0].float().cpu().numpy().T
            corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
            for row in np.flatnonzero(scores.max(axis=1) >= self._threshold):
                best = int(scores[row].argmax())
                box = np.clip(corners[row], 0, 1) * size
                boxes.append(NamedBox((box[0], box[1], box[2], box[3]), spans[best][0], float(scores[row, best])))
        progress(len(prompts), len(prompts))
        return boxes

    def _prompts(self, words: tuple[str, ...]) -> Iterator[tuple[list[int], list[tuple[str, int, int]]]]:
        """Yield token ids of "[CLS] word . word . [SEP]" as long as the model takes, and each word's span of tokens."""
        longest = int(self._model.config.max_text_len)
        dot = self._tokens.convert_tokens_to_ids(".")
        start, end = self._tokens.cls_token_id, self._tokens.sep_token_id
        ids, spans = [start], list[tuple[str, int, int]]()
        for word in words:
            # as the model was trained: lower case, and dots only between words
            own = self._tokens(word.lower().replace(".", " "), add_special_tokens=False)["input_ids"][: longest - 3]
            if not own:
                continue
            if len(ids) + len(own) + 2 > longest:
                yield [*ids, end], spans
                ids, spans = [start], []
            spans.append((word, len(ids), len(ids) + len(own)))
            ids += [*own, dot]
        if spans:
            yield [*ids, end], spans


_BY_HAND = "give the path of a folder with its config.json, model.safetensors and tokenizer files."


def _load(reference: str) -> tuple[Any, Any, Any]:
    """Load model, image processor and tokenizer."""
    from transformers import AutoImageProcessor, AutoTokenizer, GroundingDinoForObjectDetection

    if not expand_home(reference).is_dir():
        try:
            fetch_grounding_dino(reference)
        except OditsError as error:
            raise OditsError(f"{str(error).rstrip('.')}. Or {_BY_HAND}") from error
    try:
        return (
            GroundingDinoForObjectDetection.from_pretrained(reference, local_files_only=True),
            AutoImageProcessor.from_pretrained(reference, local_files_only=True),
            AutoTokenizer.from_pretrained(reference, local_files_only=True),
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise OditsError(_missing(reference)) from error


def _missing(reference: str) -> str:
    """Say how to get weights that are not here."""
    return (
        f"GroundingDINO's weights {reference} are not on this machine and could not be loaded: connect to the network "
        f"once, or {_BY_HAND}"
    )
