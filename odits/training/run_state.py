"""The state of a training between two epochs: all that a killed run needs to go on as if it had not been."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from odits.core.errors import OditsError
from odits.core.files import WriteError

FILE = "state.pt"


@dataclass
class RunState:
    """What is known after `epoch` epochs.

    The generator that draws an epoch's pairs is made from the seed and the epoch's number, so that these two are its
    state; nothing else in a training is random.

    Attributes:
        settings: what must be the same for a run to go on: configuration, data and parent.
        start: metrics before the first epoch, where they were asked for.
        tracker, run: where this run is tracked, and its id there.
        epoch: how many epochs are done.
        resumed_from: the epoch after which this process took the run up; 0 where it began it.
        lowest: the lowest loss so far.
        history: "epoch", "image", "text", "total" loss and what else was measured, a line an epoch.
        checkpoints: what `milestones.keep_checkpoint` returned, oldest first.
        samples: how many samples of the machine's load have been tracked.
        trained: the trained weights; the others are the parent's.
        optimizer: its state.
    """

    settings: dict[str, Any]
    start: dict[str, float] = field(default_factory=dict)
    tracker: str | None = None
    run: str | None = None
    epoch: int = 0
    resumed_from: int = 0
    lowest: float = float("inf")
    history: list[dict[str, float]] = field(default_factory=list)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    samples: int = 0
    trained: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)

    def keep(self, folder: Path, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Writes the state with the weights and the optimizer as they are now; the old one stays until it is whole.

        Raises:
            WriteError: the disk is full, or writing is not allowed.
        """
        self.trained = {name: parameter.detach() for name, parameter in parameters.items()}
        self.optimizer = optimizer.state_dict()
        part = folder / f"{FILE}.part"
        try:
            with part.open("wb") as file:
                torch.save(vars(self), file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(folder / FILE)
        except (OSError, RuntimeError) as error:  # torch's writer raises the latter on a full disk
            raise WriteError(f"{folder / FILE} can't be written: {error}.") from error

    @torch.no_grad()
    def restore(self, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Gives weights and optimizer the values that they had."""
        if not self.trained:
            return
        for name, parameter in parameters.items():
            parameter.copy_(self.trained[name])
        optimizer.load_state_dict(self.optimizer)


def read_state(folder: Path, settings: dict[str, Any]) -> RunState:
    """The state in the folder, or that of a new run.

    Raises:
        OditsError: the folder holds a run with other settings, or a damaged state.
    """
    if not (folder / FILE).exists():
        return RunState(settings)
    try:
        state = RunState(**torch.load(folder / FILE, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise OditsError(f"{folder / FILE} is damaged: start over with --restart.") from error
    other = [name.replace("_", " ") for name, value in settings.items() if state.settings.get(name) != value]
    if other:
        raise OditsError(
            f"The run in {folder} was made with another {' and '.join(other)}: name another folder with --out, or "
            "start over with --restart."
        )
    return state


def forget(folder: Path) -> None:
    """Removes what a run wrote into its folder, and nothing else."""
    for pattern in (f"{FILE}*", "history.json", "epoch-*.safetensors", "initial.safetensors", "best.safetensors"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
