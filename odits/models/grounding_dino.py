"""GroundingDINO (Liu et al., 2023) through transformers: boxes for the words of a vocabulary, and names from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from PIL import Image

from odits.data.vocabulary import Vocabulary
from odits.errors import OditsError
from odits.models.naming import Advance, NamedBox, ObjectNames, match_boxes, no_advance

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

    from odits.models.hub import hub_answers

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
