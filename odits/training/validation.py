"""The metrics of a model while it is being fine-tuned, on images that were prepared once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from odits.core.errors import OditsError
from odits.data import Dataset
from odits.evaluation.evaluate import Lexicons, score_table
from odits.models.clip.model import ClipModel, encode_vocabulary
from odits.training.inputs import BATCH, kept_inputs
from odits.training.parts import Part

Advance = Callable[[int, int], None]


class Validation:
    """SPEC's metrics on a split over the data set's vocabulary, as `odits evaluate` computes them.

    Raises:
        OditsError: the split has no images.
    """

    def __init__(self, clip: ClipModel, part: Part, dataset: Dataset, split: str, advance: Advance) -> None:
        self._clip, self._part, self.split = clip, part, split
        records = dataset.split(split)
        if not records:
            raise OditsError(f"{dataset.name} has no {split} images to evaluate on.")
        self._words = dataset.vocabulary()
        self._lexicons = Lexicons(records, self._words)
        self._inputs = kept_inputs(clip, part, records, advance=advance)

    @torch.no_grad()
    def scores(self) -> dict[str, float]:
        """The metrics of the model as it is now, by names such as "eval/confidence/precision"."""
        model = self._clip.model
        text = encode_vocabulary(model, self._clip.tokenize, self._words.words).T
        rows: list[Tensor] = []
        for start in range(0, len(self._inputs), BATCH):
            kept = torch.from_numpy(np.array(self._inputs[start : start + BATCH])).to(self._clip.device)
            image = torch.nn.functional.normalize(self._part.encode(kept), dim=-1).float().cpu()
            rows.append((float(model.logit_scale.exp()) * image @ text).softmax(dim=1))
        groups = score_table(torch.cat(rows).numpy(), self._lexicons)
        flat = {"uniformity": groups["uniformity"]}
        for group in ("confidence", "threshold", "rank"):
            flat |= {f"{group}/{name}": value for name, value in groups[group].items()}
        return {f"{self.split}/{name}": float(value) for name, value in flat.items() if value is not None}
