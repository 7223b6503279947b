"""Trainings that are killed and started again: the final weights are the bytes of a run that nobody disturbed."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from benchmarks import kills
from benchmarks._reliability.part import Part, PartProgress

ROUNDS, QUICK_ROUNDS = 50, 2


def run(quick: bool, seed: int, progress: PartProgress) -> Part:
    """Kill `odits train` and `odits finetune` in turn; each start goes on and has to end with the same bytes."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    commands = ("finetune",) if quick else ("train", "finetune")
    progress(0, rounds)
    with tempfile.TemporaryDirectory(prefix="odits-training-") as folder:
        tallies = kills.kill_all(Path(folder), commands, rounds, random.Random(seed))
    progress(rounds, rounds)
    notes = [
        f"{name}: {tally.killed} of {tally.rounds} killed before they ended, {tally.seconds:.1f} s undisturbed"
        + (f"; wrong after kills at {tally.moments} s (--commands {name} --seed {seed})" if tally.wrong else "")
        for name, tally in tallies.items()
    ]
    return Part(
        "training",
        sum(tally.rounds for tally in tallies.values()),
        lost=sum(tally.different + tally.repeated + tally.left for tally in tallies.values()),
        crashed=sum(tally.failed for tally in tallies.values()),
        worst_seconds=max(tally.seconds for tally in tallies.values()),
        notes=tuple(notes),
    )
