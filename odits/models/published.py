"""Weights that others publish and nobody may ship: which ones are offered, how large they are, and how they get here.

A reference is one of `odits.models.reference`, or `grounding-dino`, which names objects and is no model of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from odits.core.errors import OditsError
from odits.core.model_folders import WEIGHTS
from odits.core.progress import Progress
from odits.models.layouts import WEIGHT_FILES
from odits.models.registry import WORD_MODELS, ModelRef, parse
from odits.models.registry import fetch as fetch_model
from odits.models.registry import is_here as model_is_here
from odits.models.segmentation.naming import GROUNDING_DINO, fetch_grounding_dino, weights_available
from odits.models.segmentation.segmenters import SAM_DIGESTS, sam_size, sam_url

Use = Literal["words", "objects", "names"]

DINO = "grounding-dino"
"""Reference of GroundingDINO's weights, as `odits objects --names` takes it."""


@dataclass(frozen=True)
class PublishedModel:
    """Weights that are offered for download.

    Attributes:
        reference: as commands and pages take it.
        name: as shown to users.
        megabytes: of the download, about; the server says exactly (`size_of`).
        when: one sentence on when to choose it.
    """

    reference: str
    name: str
    megabytes: int
    when: str


OFFERED = (
    PublishedModel(
        "ViT-B-32/openai",
        "CLIP ViT-B/32 (OpenAI)",
        605,
        "Choose it for pictures as a whole: it has seen 400 million photographs with captions, and reads large signs.",
    ),
    PublishedModel(
        "sam:vit_b",
        "SAM ViT-B",
        375,
        "Choose it to find objects of any shape: exact masks, and minutes for a picture without a graphics card.",
    ),
    PublishedModel(
        DINO,
        "GroundingDINO",
        690,
        "Choose it to name objects after words of your own: it finds what a word describes.",
    ),
)


def use_of(reference: str) -> Use:
    """Return what weights are for: predicting words, finding objects, or naming them.

    Raises:
        OditsError: there is no such model.

    Example:
        >>> use_of("sam:vit_b"), use_of("grounding-dino")
        ('objects', 'names')
    """
    if reference == DINO:
        return "names"
    return "words" if parse(reference).kind in WORD_MODELS else "objects"


def is_here(reference: str) -> bool:
    """Return whether the weights are on this machine.

    Raises:
        OditsError: there is no such model.
    """
    return weights_available() if reference == DINO else model_is_here(reference)


def size_of(reference: str) -> int:
    """Ask the server how large the weights are, in bytes; 0 where it does not say.

    Raises:
        OditsError: there is no such model, it has no published weights, or the server can't be asked.
    """
    from odits.models.clip.hub import pretrained_size, weights_size  # deferred: open_clip, seconds

    if reference == DINO:
        return weights_size(GROUNDING_DINO, (WEIGHTS,), "GroundingDINO")
    ref = _published(reference)
    if ref.kind == "segmenter":
        return sam_size(ref)
    return pretrained_size(ref.architecture, ref.tag) if ref.tag else weights_size(ref.hub, WEIGHT_FILES, ref.hub)


def fetch(reference: str, progress: Progress | None = None) -> Path | None:
    """Bring weights to this machine, unless they are here; what was stopped or broke off goes on.

    Args:
        reference: of the weights.
        progress: called with (bytes here, bytes in all).

    Returns:
        Their file, or the folder of several.

    Raises:
        OditsError: there is no such model, or its weights can't be had, in a sentence that says why.
    """
    return (
        fetch_grounding_dino(progress=progress) if reference == DINO else fetch_model(_published(reference), progress)
    )


def place_of(reference: str) -> Path:
    """Return the folder that the download is stored in; it need not be there yet.

    Raises:
        OditsError: there is no such model.
    """
    ref = None if reference == DINO else parse(reference)
    if ref is not None and ref.path is not None and ref.path.name in SAM_DIGESTS:
        return ref.path.parent
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def is_offline(reference: str) -> bool:
    """Return whether HF_HUB_OFFLINE forbids the download: only Meta's files do not lie on the hub."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE) and not (reference != DINO and parse(reference).tag.startswith("vit_"))


def by_hand(reference: str) -> str:
    """Say how to bring weights here without a network: which file, from where, and what to do with it.

    Raises:
        OditsError: there is no such model, or it has no published weights.
    """
    from odits.models.clip.hub import file_url, pretrained_files

    if reference == DINO:
        return _folder_by_hand(GROUNDING_DINO, f"it on the page Objects, or {DINO}:FOLDER after --names")
    ref = _published(reference)
    if ref.path is not None and ref.path.name in SAM_DIGESTS:
        address = sam_url(ref.path.name)
        return f"Get {address} on another machine and put it into {ref.path.parent}: then {reference} works."
    if ref.kind == "segmenter":
        return _folder_by_hand(ref.tag, f"{ref.family}:FOLDER")
    if not ref.tag:
        return _folder_by_hand(ref.hub, "FOLDER")
    repository, names = pretrained_files(ref.architecture, ref.tag)
    return (
        f"Get {file_url(repository, names[0])} on another machine, copy it to this one, and type "
        f"{file_architecture(ref)}@FILE as the model, FILE being its path."
    )


def file_architecture(ref: ModelRef) -> str:
    """Return the architecture that stands before the file of open_clip's weights: some compute QuickGELU.

    Example:
        >>> file_architecture(parse("ViT-B-32/openai"))
        'ViT-B-32-quickgelu'
    """
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    quick = f"{ref.architecture}-quickgelu"
    computes = get_pretrained_cfg(ref.architecture, ref.tag).get("quick_gelu")
    return quick if computes and quick in open_clip.list_models() else ref.architecture


def _folder_by_hand(hub: str, typed: str) -> str:
    """Say it of a repository of the hub."""
    from huggingface_hub import constants

    repository = hub.partition("@")[0]
    return (
        f"Get {constants.ENDPOINT}/{repository} on another machine (hf download {repository} --local-dir FOLDER), copy "
        f"the folder to this one, and type {typed}, FOLDER being its path there."
    )


def _published(reference: str) -> ModelRef:
    """Parse a reference of published weights."""
    ref = parse(reference)
    if not ref.published:
        raise OditsError(f"{ref.name} has no weights to download: it is here, or is a file of your own.")
    return ref
