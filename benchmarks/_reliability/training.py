"""Trainings that are killed and started again: the final weights are the bytes of a run that nobody disturbed."""

from __future__ import annotations

import random
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import kills
from benchmarks._reliability.kills import add_command
from benchmarks._reliability.part import Part, PartProgress, Tally
from benchmarks._reliability.spread import spread

COMMANDS, QUICK_COMMANDS = ("train", "finetune"), ("finetune",)
ROUNDS, QUICK_ROUNDS = 5, 2
"""Kills after one run that nobody disturbs."""
REPEATS = 5


def run(quick: bool, seed: int, progress: PartProgress) -> Part:
    """Kill `odits train` and `odits finetune`; each start goes on and has to end with the same bytes."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="odits-training-") as folder:
        rounds = QUICK_ROUNDS if quick else ROUNDS
        units = [
            partial(kill_training, name, rounds, seed + repeat, Path(folder) / f"{name}-{repeat}")
            for repeat in range(1 if quick else REPEATS)
            for name in (QUICK_COMMANDS if quick else COMMANDS)
        ]
        spread(units, tally, progress)
    return tally.to_part("training", "kills of trainings that have to end with the bytes of one that nobody disturbed")


def kill_training(name: str, rounds: int, seed: int, folder: Path, tally: Tally) -> None:
    """Train undisturbed once; then kill a training and start it again, some rounds."""
    found = kills.kill_all(folder, (name,), rounds, random.Random(seed))[name]
    tally.worst_seconds = max(tally.worst_seconds, found.seconds)
    tally.notes.append(f"{name}: {found.killed} of {found.rounds} killed before they ended")
    add_command(tally, name, found, seed)
