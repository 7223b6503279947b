"""Every model behind one reference: what it stands for, which ones there are, and the model itself, loaded.

Pages, commands, jobs and workers ask this module. How references are read is in `odits.models.reference`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from odits.models.reference import (
    CLIP_FORMS,
    DEFAULT_MODEL,
    DEFAULT_SEGMENTER,
    EMBEDDED,
    MODEL_FORMS,
    ODITS_FORMS,
    SEGMENTER_FORMS,
    SPOTTING,
    VITSTR,
    WORD_MODELS,
    Kind,
    ModelRef,
    NotPulledError,
    available,
    from_settings,
    parse,
    read_metadata,
    to_settings,
)

if TYPE_CHECKING:
    from odits.core.progress import Progress
    from odits.data.predictions import Segmenter, WordModel
    from odits.models.clip.model import ClipModel
    from odits.models.fusion.model import OditsModel
    from odits.models.reading.spotter import WordSpotter

__all__ = [
    "CLIP_FORMS",
    "DEFAULT_MODEL",
    "DEFAULT_SEGMENTER",
    "EMBEDDED",
    "MODEL_FORMS",
    "ODITS_FORMS",
    "SEGMENTER_FORMS",
    "SPOTTING",
    "VITSTR",
    "WORD_MODELS",
    "Kind",
    "ModelRef",
    "NotPulledError",
    "available",
    "fetch",
    "from_settings",
    "is_here",
    "load",
    "parse",
    "read_metadata",
    "to_settings",
]


@overload
def load(
    ref: ModelRef | str | Path,
    device: str = ...,
    progress: Progress | None = ...,
    *,
    kind: Literal["clip"],
) -> ClipModel: ...
@overload
def load(
    ref: ModelRef | str | Path,
    device: str = ...,
    progress: Progress | None = ...,
    *,
    kind: Literal["odits"],
    **options: Any,
) -> OditsModel: ...
@overload
def load(
    ref: ModelRef | str | Path,
    device: str = ...,
    progress: Progress | None = ...,
    *,
    kind: Literal["spotting"],
    **options: Any,
) -> WordSpotter: ...
@overload
def load(
    ref: ModelRef | str | Path,
    device: str = ...,
    progress: Progress | None = ...,
    *,
    kind: Literal["segmenter"],
    **options: Any,
) -> Segmenter: ...
@overload
def load(
    ref: ModelRef | str | Path = ...,
    device: str = ...,
    progress: Progress | None = ...,
    *,
    kind: None = ...,
    **options: Any,
) -> WordModel: ...


def load(
    ref: ModelRef | str | Path = DEFAULT_MODEL,
    device: str = "auto",
    progress: Progress | None = None,
    *,
    kind: Kind | None = None,
    **options: Any,
) -> WordModel | Segmenter:
    """Load the model that a reference stands for, ready to predict; missing weights are downloaded.

    Args:
        ref: a reference, parsed or not.
        device: "auto", "cpu", "cuda" or "mps"; word spotting and the embedded segmenter work on the processor.
        progress: called with (bytes here, bytes in all) during a download.
        kind: which kind of model is needed; any word model by default.
        options: of a segmenter: `parameters` (SAM's) and `threads`; of ODITS: `segmenter`, to find objects with another
            one than it was trained with; of word spotting: `settings`, those of its reader.

    Raises:
        OditsError: there is no such model, it is of another kind, or its weights can't be had.

    Examples:
        >>> model = load("embedded", "cpu")
        >>> model.name
        'ODITS Signs (embedded)'
    """
    wanted = WORD_MODELS if kind is None else (kind,)
    ref = parse(ref, *wanted)
    if ref.kind == "segmenter":
        from odits.models.segmentation.segmenters import load_segmenter

        return load_segmenter(ref, device=device, progress=progress, **options)
    if ref.kind == "spotting":
        from odits.models.reading.loading import load_spotter

        return load_spotter(ref, **options)
    if ref.kind == "odits":
        from odits.models.fusion.model import load_odits

        return load_odits(ref, device, **options)
    from odits.models.clip.loading import load_clip

    return load_clip(ref, device, progress)


def is_here(ref: ModelRef | str) -> bool:
    """Return whether a model can be loaded without a download."""
    ref = parse(ref)
    if ref.kind == "clip" and ref.tag:
        from odits.models.clip.hub import cached_pretrained

        return cached_pretrained(ref.architecture, ref.tag) is not None
    return ref.ready


def fetch(ref: ModelRef | str, progress: Progress | None = None, kind: Kind | None = None) -> Path | None:
    """Bring a model's published weights to this machine, unless they are here.

    Args:
        ref: a reference, parsed or not.
        progress: called with (bytes here, bytes in all).
        kind: which kind of model is needed; any by default.

    Returns:
        Its file; None for a model without one.

    Raises:
        OditsError: the weights can't be had.
    """
    ref = parse(ref, *((kind,) if kind else ()))
    if ref.kind == "segmenter":
        from odits.models.segmentation.segmenters import fetched_sam

        return fetched_sam(ref, progress).path
    if ref.kind == "clip" and ref.tag:
        from odits.models.clip.hub import fetch_pretrained

        return fetch_pretrained(ref.architecture, ref.tag, progress)
    if ref.kind == "clip" and ref.hub and ref.path is None:
        from odits.models.clip.hub import fetch_repository

        fetch_repository(ref.hub, progress)
        return parse(ref.reference).path
    return ref.path
