"""The settings of a comparison, stated once, with bounds and help that the command line reads; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from odits.core.errors import OditsError
from odits.core.settings import check_settings, setting
from odits.models.fusion.settings import OBJECT_VIEWS
from odits.models.reference import CLIP_FORMS, DEFAULT_SEGMENTER, EMBEDDED, SEGMENTER_FORMS

ALONE = ("object_attention", "weighted_text", "feature_enhancer", "evidence", "recall")
"""Parts of ODITS that a network on the image alone does not have."""

VARIANTS: dict[str, dict[str, Any]] = {
    "CLIP + learned prior": {"without": ALONE, "objects": "image"},
    "ODITS": {},
    "ODITS without object attention": {"without": ("object_attention",)},
    "ODITS without feature enhancer": {"without": ("feature_enhancer",)},
    "ODITS without similarity-weighted text": {"without": ("weighted_text",)},
    "ODITS without the objects' own words": {"without": ("evidence",)},
    "ODITS without recalled lexicons": {"without": ("recall",)},
    "ODITS, whole image as only object": {"objects": "image"},
    "ODITS, another image's objects": {"objects": "shuffled"},
    "ODITS, lines of text only": {"objects": "lines"},
    "ODITS, regions only": {"objects": "regions"},
    "ODITS, random boxes of equal area": {"layout": "random"},
    "ODITS, grid boxes of equal area": {"layout": "grid"},
    "ODITS, signs read by the spotter too": {"read": True},
}
"""Trained rows, and how their training differs from the defaults."""

SPOTTING_LIMITS = {"own": 0.8, "full": 0.9}
"""The least probability of a found word, of an image's own lexicon and of all: where F is highest on SVT's training
images (benchmarks/calibrate_spotting.py)."""


@dataclass(frozen=True)
class ComparisonRequest:
    """What is compared.

    Attributes:
        checkpoint: reference of the CLIP model.
        finetuned: reference of a fine-tuned one; None: it is trained now.
        segmenter: reference of the segmenter.
        view: how CLIP is shown an object, one of `OBJECT_VIEWS`.
        split: which images.
        seeds: trainings of each row.
        rows: names of `VARIANTS`; none: all of them.
        workers: processes that train side by side.
        device: "auto", "cpu", "cuda" or "mps".

    Example:
        >>> ComparisonRequest(rows=("ODITS", "ODITS")).variants
        ('ODITS',)
    """

    checkpoint: str = setting(EMBEDDED, f"A CLIP model: {CLIP_FORMS}.")
    finetuned: str | None = setting(None, "A fine-tuned CLIP to compare with. Default: trained now, 5 epochs.")
    segmenter: str = setting(DEFAULT_SEGMENTER, f"{SEGMENTER_FORMS}.")
    view: str = setting("crop", "How CLIP is shown an object.", choices=OBJECT_VIEWS)
    split: str = setting("eval", "Which images: eval or train.")
    seeds: int = setting(5, "Trainings of each row.", low=1)
    rows: tuple[str, ...] = setting((), "Only these trained rows (repeat for several).", flag="only")
    workers: int = setting(1, "Processes that train side by side.", low=1)
    device: str = setting("auto", "auto, cpu, cuda or mps.")

    def __post_init__(self) -> None:
        check_settings(self)
        for name in self.rows:
            if name not in VARIANTS:
                raise OditsError(f"There is no row '{name}': choose of {'; '.join(VARIANTS)}.")

    @property
    def variants(self) -> tuple[str, ...]:
        """The rows to train, each once."""
        return tuple(dict.fromkeys(self.rows or VARIANTS))
