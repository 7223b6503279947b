"""The kept evaluation of a model on some images and words, and those it can be compared with."""

from __future__ import annotations

from collections.abc import Sequence

from odits.data import ImageRecord, Vocabulary
from odits.evaluation.results import KeptEvaluation
from pages._shared.kept import kept_now
from pages._shared.word_models import checkpoints


def find_kept(
    reference: str, data: str, records: Sequence[ImageRecord], vocabulary: Vocabulary
) -> KeptEvaluation | None:
    """The newest kept evaluation of a checkpoint on these images and words; None where there is none."""
    digest = next((info.digest for info in checkpoints() if info.reference == reference), None)
    names = tuple(record.name for record in records)
    for kept in kept_now():
        same = kept.checkpoint == digest if digest else kept.reference == reference
        if same and kept.data == data and kept.images == names and kept.vocabulary.digest == vocabulary.digest:
            return kept
    return None


def others(kept: KeptEvaluation) -> dict[str, KeptEvaluation]:
    """Kept evaluations of other checkpoints on the same images and words, by key, newest first."""
    return {
        other.key: other
        for other in kept_now()
        if other.question == kept.question and other.checkpoint != kept.checkpoint and other.images == kept.images
    }


def title_of(kept: KeptEvaluation) -> str:
    """An evaluation as users tell it from others."""
    return f"{kept.model} ({kept.checkpoint[:8]})"
