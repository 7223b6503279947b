"""When a checkpoint of a training is kept, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from odits.core.files import file_digest
from odits.training.finetune_config import FinetuneConfig
from odits.training.saving import save_model


def reasons_to_keep(epoch: int, loss: float, lowest: float, config: FinetuneConfig) -> list[str]:
    """Why the weights after this epoch are kept: "new low" of the loss, "named" epoch, "last" epoch; empty if not."""
    found = {"new low": loss < lowest, "named": epoch in config.named_epochs, "last": epoch == config.epochs}
    return [reason for reason, holds in found.items() if holds]


def keep_checkpoint(
    model: Any,
    folder: Path,
    line: dict[str, float],
    reasons: list[str],
    config: FinetuneConfig,
    origin: Mapping[str, str],
) -> dict[str, Any]:
    """What was written: "file", "epoch", "loss", "reasons", "digest" and "metadata" of the checkpoint.

    Its metadata hold no time and no run's id: the same training gives the same bytes.

    Args:
        line: the epoch's "epoch", "image", "text" and "total".
        origin: "architecture", "name" (of the parent) and what else a checkpoint says beside how it was trained.
    """
    epoch = int(line["epoch"])
    trained = {name: str(value) for name, value in asdict(config).items() if name in config.settings()}
    metadata = {
        **origin,
        **trained,
        "name": f"{origin['name']} (+{epoch})",
        "kind": "clip",
        "epoch": str(epoch),
        "image_loss": repr(line["image"]),
        "text_loss": repr(line["text"]),
        "total_loss": repr(line["total"]),
    }
    path = folder / f"epoch-{epoch:03d}.safetensors"
    save_model(model, path, metadata)
    return {
        "file": path.name,
        "epoch": epoch,
        "loss": line["total"],
        "reasons": reasons,
        "digest": file_digest(path),
        "metadata": metadata,
    }
