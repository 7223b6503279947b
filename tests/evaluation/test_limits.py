"""Limits fitted to marks: kept for a checkpoint, found beside its file, and refused where they are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from odits.core.errors import OditsError
from odits.data import Vocabulary
from odits.evaluation.limits import BESIDE, Limits, keep_limits, limits_document, limits_in_force, read_limits
from odits.evaluation.results import StoredEvaluation
from tests.training import tiny

CHECKPOINT = "ab" * 32


@pytest.fixture
def stored(tmp_path: Path) -> StoredEvaluation:
    words = Vocabulary(("BAR", "INN"), "two")
    return StoredEvaluation("key", tmp_path, "M", CHECKPOINT, "m", "d", "eval", words, ("a.jpg",), "", {}, {})


def test_limits_are_kept_by_checkpoint_and_found_again(home: Path, stored: StoredEvaluation) -> None:
    assert limits_in_force(CHECKPOINT) is None
    given = Limits(0.3, {"bar": 0.7, "cafe": 0.125})
    file = keep_limits(given, stored)
    found = limits_in_force(CHECKPOINT)
    assert found is not None and (found.limits, found.file) == (given, file)
    assert file.is_relative_to(home)
    assert (found.limits.of("BAR"), found.limits.of("Café"), found.limits.of("INN")) == (0.7, 0.125, 0.3)
    np.testing.assert_array_equal(found.limits.of_folded(["bar", "inn"]), [0.7, 0.3])
    assert limits_in_force("cd" * 32) is None


def test_limits_travel_beside_the_checkpoint_and_those_kept_here_come_first(
    home: Path, stored: StoredEvaluation, tmp_path: Path
) -> None:
    reference = tiny.write_weights(tmp_path / "weights.safetensors")
    beside = tmp_path / BESIDE
    beside.write_bytes(limits_document(Limits(0.4), stored))
    found = limits_in_force(CHECKPOINT, reference)
    assert found is not None and (found.limits, found.file) == (Limits(0.4), beside)
    assert limits_in_force("cd" * 32, reference) is None, "another checkpoint's"
    assert limits_in_force(CHECKPOINT, "/nowhere/weights.safetensors") is None
    keep_limits(Limits(0.6), stored)
    found = limits_in_force(CHECKPOINT, reference)
    assert found is not None and found.limits == Limits(0.6)


@pytest.mark.parametrize(
    "change",
    [{"limit": value} for value in (None, "0.5", True, 0, 1, -0.1, 7, [0.5])]
    + [{"words": value} for value in ([], "BAR", None, {"BAR": "x"}, {"BAR": 2.0}, {3: None})],
)
def test_what_is_no_limit_is_one_sentence(tmp_path: Path, stored: StoredEvaluation, change: dict[str, Any]) -> None:
    file = tmp_path / BESIDE
    document = json.loads(limits_document(Limits(0.4), stored))
    file.write_text(json.dumps(document | change))
    with pytest.raises(OditsError, match="holds no limits that can be read"):
        read_limits(file, CHECKPOINT)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"{}", b'{"limit": NaN}', b"\xff", b" " * 4_000_001])
def test_what_is_no_document_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / BESIDE
    file.write_bytes(content)
    with pytest.raises(OditsError, match="holds no limits that can be read"):
        read_limits(file, CHECKPOINT)
