"""Evaluations that are kept, read anew only where one came, went or changed, and compared once."""

from __future__ import annotations

import numpy as np
import streamlit as st

from odits.core.files import cache_home
from odits.evaluation.results import KeptEvaluation, kept_evaluations


def kept_now() -> list[KeptEvaluation]:
    """All kept evaluations, newest first."""
    files = (cache_home() / "evaluations").glob("*/evaluation.json")
    return _kept(str(cache_home()), tuple(sorted((file.parent.name, file.stat().st_mtime_ns) for file in files)))


@st.cache_resource(max_entries=1, show_spinner=False)
def _kept(home: str, stamps: tuple[tuple[str, int], ...]) -> list[KeptEvaluation]:
    return kept_evaluations()


def disagreement_of(one: KeptEvaluation, other: KeptEvaluation) -> np.ndarray:
    """How differently two models describe each image, 0..1 (m,)."""
    return _disagreement(one.key, other.key, one, other)


@st.cache_data(max_entries=32, show_spinner="Comparing the two models …")
def _disagreement(key: str, other_key: str, _one: KeptEvaluation, _other: KeptEvaluation) -> np.ndarray:
    from odits.metrics.probabilities import disagreement

    return disagreement(_one.probabilities(), _other.probabilities())
