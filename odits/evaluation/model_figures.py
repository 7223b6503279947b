"""The figures of the models that come with the project, measured by `benchmarks/models.py` and shown beside answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odits.core.files import asset, write_atomically
from odits.metrics.calibration import Reliability

FILE = "model_figures.json"


@dataclass(frozen=True)
class ModelFigures:
    """What was measured of a model.

    Attributes:
        name: as shown to users.
        checkpoint: digest of the weights that were measured: those of another training have other figures.
        when: one sentence on when to choose it.
        svt: figures on SVT's evaluation images: "images", "words" (of the vocabulary), and in 0..1 "precision@10",
            "average precision", "confidence precision".
        scenes: figures on drawn scenes that nothing was trained on: "images", "written words", and in 0..1
            "in the top ten" (of the written words), "calibration error" (of the words that are shown).
        reliability: of the words that are shown, by what it was measured on: "scenes", "svt" (all words), "svt lexicon"
            (those of each image's own lexicon, where alone SVT boxes words); only of models that tell the probability
            of each word by itself.

    Example:
        >>> ModelFigures("a model", "its digest", "Never.", {"precision@10": 0.5}).document["svt"]
        {'precision@10': 0.5}
    """

    name: str
    checkpoint: str
    when: str
    svt: Mapping[str, float] = field(default_factory=dict)
    scenes: Mapping[str, float] = field(default_factory=dict)
    reliability: Mapping[str, Reliability] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """The figures as JSON has them."""
        return {
            "name": self.name,
            "checkpoint": self.checkpoint,
            "when": self.when,
            "svt": dict(self.svt),
            "scenes": dict(self.scenes),
            "reliability": {name: found.to_document() for name, found in self.reliability.items()},
        }

    @classmethod
    def from_document(cls, found: Mapping[str, Any]) -> ModelFigures:
        """Read what `document` has.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it is something else.
        """
        bins = {name: Reliability.from_document(one) for name, one in found["reliability"].items()}
        svt, scenes = ({str(name): value + 0 for name, value in found[key].items()} for key in ("svt", "scenes"))
        return cls(str(found["name"]), str(found["checkpoint"]), str(found["when"]), svt, scenes, bins)


def model_figures() -> dict[str, ModelFigures]:
    """Return the figures of the models that come with the project, by reference; empty where they are not at hand.

    Example:
        >>> 0 < model_figures()["street"].svt["precision@10"] < 1
        True
    """
    try:
        found = json.loads(asset(FILE).read_text(encoding="utf-8"))
        return {str(reference): ModelFigures.from_document(one) for reference, one in found.items()}
    except (OSError, KeyError, TypeError, ValueError, AttributeError):
        return {}


def write_model_figures(figures: Mapping[str, ModelFigures], path: Path) -> None:
    """Write figures by reference.

    Raises:
        OditsError: the disk is full, or writing is not allowed.
    """
    document = {reference: one.document for reference, one in figures.items()}
    write_atomically(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
