"""Where ODITS's runs live, and what a training is made of from references."""

from __future__ import annotations

from pathlib import Path

from odits.data import Dataset
from odits.models.clip.loading import load_word_model
from odits.models.fusion.inputs import ObjectEncoder, OditsEyes
from odits.models.reading.spotter import WordSpotter
from odits.models.segmentation.segmenters import load_segmenter
from odits.training.lexicon_data import data_digest, usable_records
from odits.training.lineage import inherited_metadata
from odits.training.odits_config import OditsTraining


def make_eyes(
    checkpoint: str, segmenter: str, view: str = "crop", read: bool = False, device: str = "auto"
) -> OditsEyes:
    """What ODITS looks at images with, from the references of a CLIP model and a segmenter.

    Raises:
        OditsError: one of them can't be had.
    """
    encoder = ObjectEncoder(load_word_model(checkpoint, device), load_segmenter(segmenter, device=device), view)
    return OditsEyes(encoder, WordSpotter() if read else None)


def origin_of(checkpoint: str, segmenter: str, eyes: OditsEyes) -> dict[str, str]:
    """What a checkpoint says of where it comes from."""
    name = eyes.encoder.clip.name
    return {
        "parent": checkpoint,
        **inherited_metadata(checkpoint),
        "name": name,
        "clip_name": name,
        "segmenter": segmenter,
    }


def run_folder(root: Path, eyes: OditsEyes, dataset: Dataset, config: OditsTraining) -> Path:
    """The folder of a run under `root`: the same for the same data, CLIP model, objects and settings."""
    key = config.digest(eyes.key, data_digest(usable_records(dataset, "train")))
    return root / f"odits-{key}"
