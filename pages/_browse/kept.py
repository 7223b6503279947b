"""Evaluations that are kept, as the pages use them: found quickly, and compared once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from odits.data import ImageRecord, Vocabulary
from odits.evaluation_store import KeptEvaluation, kept_evaluations
from odits.files import cache_home
from pages._shared.word_models import checkpoints


def kept_now() -> list[KeptEvaluation]:
    """All kept evaluations, newest first; read anew only where one came, went or changed."""
    files = (cache_home() / "evaluations").glob("*/evaluation.json")
    return _kept(str(cache_home()), tuple(sorted((file.parent.name, file.stat().st_mtime_ns) for file in files)))


@st.cache_resource(max_entries=1, show_spinner=False)
def _kept(home: str, stamps: tuple[tuple[str, int], ...]) -> list[KeptEvaluation]:
    return kept_evaluations()


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


def disagreement_of(one: KeptEvaluation, other: KeptEvaluation) -> np.ndarray:
    """How differently two models describe each image, 0..1, (m,)."""
    return _disagreement(one.key, other.key, one, other)


@st.cache_data(max_entries=16, show_spinner="Comparing the two models …")
def _disagreement(key: str, other_key: str, _one: KeptEvaluation, _other: KeptEvaluation) -> np.ndarray:
    from odits.metrics import disagreement

    return disagreement(_one.probabilities(), _other.probabilities())
