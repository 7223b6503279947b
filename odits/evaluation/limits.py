"""From which probability on a checkpoint's words count as said: fitted to marks, kept, and found again.

They are kept in ODITS_HOME/limits, by checkpoint, or travel as `limits.json` beside the checkpoint's file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from odits.core.documents import parse_json
from odits.core.errors import OditsError
from odits.core.files import cache_home, write_atomically
from odits.data.vocabulary import clean_word, fold_word
from odits.models.registry import parse

if TYPE_CHECKING:
    from odits.evaluation.results import StoredEvaluation

LIMIT = 0.5
"""From which probability on a word counts as said, where nothing else is known."""
BESIDE = "limits.json"
"""The file beside a checkpoint's."""
_MOST_BYTES = 4_000_000


@dataclass(frozen=True)
class Limits:
    """From which probability on a word counts as said.

    Attributes:
        general: for words without one of their own.
        words: of single words, folded.
    """

    general: float = LIMIT
    words: Mapping[str, float] = field(default_factory=dict)

    def of(self, word: str) -> float:
        """Return the limit of a word, in whatever case.

        Example:
            >>> Limits(0.5, {"bar": 0.9}).of("BAR")
            0.9
        """
        return self.words.get(fold_word(clean_word(word)), self.general) if self.words else self.general

    def of_folded(self, words: Sequence[str]) -> np.ndarray:
        """Return the limit of each word, which is folded, float64 (n,)."""
        return np.array([self.words.get(word, self.general) for word in words], np.float64)


class InForce(NamedTuple):
    """Limits that are kept of a checkpoint, and the file that they come from."""

    limits: Limits
    file: Path


def limits_document(limits: Limits, evaluation: StoredEvaluation) -> bytes:
    """Write limits as JSON, with the checkpoint that they are for."""
    document = {
        "model": evaluation.model,
        "checkpoint": evaluation.checkpoint,
        "limit": limits.general,
        "words": dict(sorted(limits.words.items())),
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def keep_limits(limits: Limits, evaluation: StoredEvaluation) -> Path:
    """Keep limits for the checkpoint of an evaluation on this machine, in the place of former ones; return the file."""
    file = _kept(evaluation.checkpoint)
    write_atomically(file, limits_document(limits, evaluation))
    return file


def limits_in_force(checkpoint: str, reference: str = "") -> InForce | None:
    """Return the limits of a checkpoint: those kept on this machine, else those beside its file; None without any.

    Args:
        checkpoint: digest of the weights, as evaluations have it.
        reference: of the model.

    Raises:
        OditsError: there are some, which can't be read.
    """
    beside = _beside(reference)
    for file in (_kept(checkpoint), *([beside] if beside is not None else [])):
        found = read_limits(file, checkpoint)
        if found is not None:
            return InForce(found, file)
    return None


def read_limits(file: Path, checkpoint: str) -> Limits | None:
    """Read the limits of a checkpoint from a file; None where there is none, or where they are another checkpoint's.

    Raises:
        OditsError: it can't be read, or holds no limits.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError
        document = parse_json(file.read_bytes(), _MOST_BYTES)
        if document["checkpoint"] != checkpoint:
            return None
        words = {fold_word(clean_word(word)): _limit(value) for word, value in document["words"].items()}
        return Limits(_limit(document["limit"]), words)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OditsError(f"{file.name} of this checkpoint holds no limits that can be read.") from error


def _limit(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 < value < 1:
        raise ValueError(value)
    return float(value)


def _kept(checkpoint: str) -> Path:
    name = "".join(letter for letter in checkpoint if letter.isalnum())
    return cache_home() / "limits" / f"{name}.json"


def _beside(reference: str) -> Path | None:
    try:
        ref = parse(reference) if reference else None
    except OditsError:  # the model is gone
        return None
    return ref.path.with_name(BESIDE) if ref is not None and ref.path is not None else None
