"""What ODITS has and CLIP has not (Table 3.4 of the thesis), read from a model as it is."""

from __future__ import annotations

from dataclasses import dataclass, fields

from odits.models.odits import OditsConfig
from odits.models.odits_model import OditsModel


@dataclass(frozen=True)
class Capability:
    """One row of the table.

    Attributes:
        name: what it is.
        clip, odits: who has it, in the model at hand.
        here: a few words on how it is there, or why it is not.
    """

    name: str
    clip: bool
    odits: bool
    here: str


def capabilities(model: OditsModel) -> list[Capability]:
    """The rows of Table 3.4, true of this model."""
    network, eyes = model.network, model.eyes
    segmenter = eyes.encoder.segmenter
    sam = segmenter.key.startswith("sam")
    imbalance = float(model.metadata.get("imbalance", 0) or 0)
    switches = [field.name.replace("_", " ") for field in fields(OditsConfig) if field.type in ("bool", bool)]
    return [
        Capability("Object segmentation", False, True, segmenter.name),
        Capability("SAM", False, sam, "its masks are the objects" if sam else "another segmenter found the objects"),
        Capability(
            "Feature enhancer",
            False,
            network.enhancer is not None,
            _part(network.enhancer, "image and words look at each other"),
        ),
        Capability("Cross-feature learning", False, True, "the image's token attends to the objects"),
        Capability(
            "Self-attention over objects",
            False,
            network.object_attention is not None,
            _part(network.object_attention, "objects look at each other"),
        ),
        Capability("Object-text matrix", False, True, f"an object as CLIP sees it: {eyes.encoder.view}"),
        Capability(
            "Weighted losses against imbalance",
            False,
            imbalance > 0,
            f"a word weighs its frequency to the power of {-imbalance:g}"
            if imbalance > 0
            else "trained with equal weights",
        ),
        Capability(
            "Names by GroundingDINO", False, False, "names come from the page Objects; the model does not use them"
        ),
        Capability("Modularity", False, True, "can be left out: " + ", ".join(switches)),
        Capability("Explanation", False, True, "what a word loses without an object; attention"),
        Capability(
            "Signs read, not only seen",
            False,
            eyes.spotter is not None,
            eyes.spotter.name if eyes.spotter else "trained without",
        ),
        Capability(
            "Lexicons remembered",
            False,
            network.recall is not None and bool(model.lexicons),
            f"{len(model.lexicons)} of the training images",
        ),
    ]


def _part(module: object | None, what: str) -> str:
    return what if module is not None else "left out of this checkpoint"
