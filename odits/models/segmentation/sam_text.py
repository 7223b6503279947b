"""What a text names, found by SAM 3's detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from odits.core.errors import OditsError
from odits.core.progress import Progress
from odits.models.segmentation.hub_sam import HubNetwork
from odits.models.segmentation.sam_points import upscaled

MASK_THRESHOLD = 0.5  # of a pixel's probability


class FoundPhrase(NamedTuple):
    """An object that a text names: its mask, bool (H, W), how well it matches, in 0..1, and the text."""

    mask: np.ndarray
    score: float
    phrase: str


def find_phrases(
    network: HubNetwork, image: np.ndarray, phrases: Sequence[str], threshold: float, progress: Progress
) -> list[FoundPhrase]:
    """Find the objects that phrases name; the image is encoded once for all of them.

    The score of an object is the probability that it is one, times the probability that there is any in the image.

    Args:
        network: asked with a text.
        image: RGB, uint8 (H, W, 3).
        phrases: such as "sign".
        threshold: objects with a lower score are dropped.
        progress: called with (done, of); what it raises ends the work.

    Raises:
        OditsError: a phrase has more words than SAM 3 reads.
    """
    tokens = [_tokens(phrase, int(network.model.config.text_config.max_position_embeddings)) for phrase in phrases]
    # A phrase takes about a quarter of what the image's encoding takes.
    layers = len(network.layers)
    worth = max(1, layers // 4)
    of, done = layers + worth * len(phrases), 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(min(done, layers), of)

    found = []
    with torch.inference_mode():
        with network.steps(step):
            seen = network.model.get_vision_features(pixel_values=network.pixels(image))
        for number, (phrase, ids) in enumerate(zip(phrases, tokens, strict=True), start=1):
            ids = ids.to(network.device)
            output = network.model(vision_embeds=seen, input_ids=ids, attention_mask=torch.ones_like(ids))
            scores = (output.pred_logits[0].sigmoid() * output.presence_logits[0].sigmoid()).float().cpu().numpy()
            for index in np.flatnonzero(scores > threshold):
                mask = upscaled(output.pred_masks[0, index].sigmoid(), (image.shape[0], image.shape[1]))
                found.append(FoundPhrase(mask > MASK_THRESHOLD, float(scores[index]), phrase))
            progress(layers + worth * number, of)
    return found


def _tokens(phrase: str, longest: int) -> torch.Tensor:
    """Return the ids of a phrase, int64 (1, T): CLIP's byte pairs, which SAM 3 was trained with."""
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer()
    ids = [tokenizer.sot_token_id, *tokenizer.encode(phrase), tokenizer.eot_token_id]
    if len(ids) > longest:
        raise OditsError(f"'{phrase[:60]}' is too long for SAM 3: name one thing in a few words.")
    return torch.tensor([ids])
