"""Where ODITS's runs live, and what a training is made of from references."""

from __future__ import annotations

from pathlib import Path

from odits.data import Dataset
from odits.models.fusion.inputs import InputEncoder, ObjectEncoder
from odits.models.reading.spotter import WordSpotter
from odits.models.registry import load
from odits.training.lexicon_data import data_digest, usable_records
from odits.training.lineage import inherited_metadata
from odits.training.odits_config import OditsTraining


def make_input_encoder(
    checkpoint: str, segmenter: str, view: str = "crop", read: bool = False, device: str = "auto"
) -> InputEncoder:
    """What ODITS looks at images with, from the references of a CLIP model and a segmenter.

    Raises:
        OditsError: one of them can't be had.
    """
    encoder = ObjectEncoder(load(checkpoint, device, kind="clip"), load(segmenter, device=device, kind="segmenter"), view)
    return InputEncoder(encoder, WordSpotter() if read else None)


def origin_of(checkpoint: str, segmenter: str, input_encoder: InputEncoder) -> dict[str, str]:
    """What a checkpoint says of where it comes from."""
    name = input_encoder.object_encoder.clip.name
    return {
        "parent": checkpoint,
        **inherited_metadata(checkpoint),
        "name": name,
        "clip_name": name,
        "segmenter": segmenter,
    }


def run_folder(root: Path, input_encoder: InputEncoder, dataset: Dataset, config: OditsTraining) -> Path:
    """The folder of a run under `root`: the same for the same data, CLIP model, objects and settings."""
    key = config.digest(input_encoder.key, data_digest(usable_records(dataset, "train")))
    return root / f"odits-{key}"
