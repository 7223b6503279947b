"""What checkpoints are called on the page, and in which order they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from odits.evaluation.results import KeptEvaluation
from odits.models.registry import SHIPPED_NAME, CheckpointInfo


def short_name(name: str) -> str:
    """The name without "(embedded)", which says where the file lies and not what it is."""
    return name.replace(SHIPPED_NAME, SHIPPED_NAME.removesuffix(" (embedded)"))


def local_names(found: Sequence[CheckpointInfo]) -> dict[str, str]:
    """The name of each local checkpoint by its reference; equal ones are told apart by their digest."""
    names = {info.reference: short_name(info.name) for info in found}
    often = Counter(names.values())
    return {
        info.reference: names[info.reference]
        if often[names[info.reference]] == 1
        else f"{names[info.reference]} · {info.digest[:8]}"
        for info in found
    }


def evaluation_names(found: Sequence[KeptEvaluation]) -> dict[str, str]:
    """The name of each evaluated checkpoint by the evaluation's key; equal ones are told apart by their digest."""
    names = {kept.key: short_name(kept.model) for kept in found}
    often = Counter(names.values())
    return {
        kept.key: names[kept.key] if often[names[kept.key]] == 1 else f"{names[kept.key]} · {kept.checkpoint[:8]}"
        for kept in found
    }


def epoch(metadata: dict[str, str]) -> int:
    """The epoch of a fine-tuned checkpoint; 0 for another one."""
    value = metadata.get("epoch", "")
    return int(value) if value.isdecimal() else 0


def in_order(found: Sequence[KeptEvaluation]) -> list[KeptEvaluation]:
    """Unmodified models first, then each line of fine-tuning by epoch."""
    return sorted(
        found,
        key=lambda kept: (
            bool(kept.metadata.get("parent_digest")),
            short_name(kept.model).rpartition(" (+")[0],
            kept.metadata.get("train", ""),
            kept.metadata.get("loss", ""),
            epoch(kept.metadata),
            kept.checkpoint,
        ),
    )
