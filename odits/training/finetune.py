"""Fine-tuning of a CLIP model on images and their lexicons (thesis, 2.4.2, Algorithm 1 and Table 2.5)."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from odits.core.errors import OditsError
from odits.core.files import write_atomically
from odits.data import Dataset
from odits.models.clip.model import ClipModel
from odits.tracking.trackers import NoTracker, Run, Status, Tracker
from odits.training.epochs import Trainee, make_optimizer, train_epoch
from odits.training.finetune_config import FinetuneConfig
from odits.training.inputs import kept_inputs
from odits.training.lexicon_data import LexiconPairs, data_digest, usable_records
from odits.training.losses import LexiconLoss
from odits.training.machine_load import MachineLoad
from odits.training.milestones import keep_checkpoint, reasons_to_keep
from odits.training.parts import choose_part, trained_parameters
from odits.training.processes import deterministic, joined_processes
from odits.training.run_state import RunState, forget, read_state
from odits.training.validation import Validation


@dataclass(frozen=True)
class Listener:
    """Who is told: sentences, each epoch's numbers, and how far the preparation of images is (done, in all)."""

    say: Callable[[str], None] = lambda _: None
    epoch: Callable[[dict[str, float]], None] = lambda _: None
    prepared: Callable[[int, int], None] = lambda _, __: None


def finetune(
    clip: ClipModel,
    dataset: Dataset,
    folder: Path,
    config: FinetuneConfig,
    origin: Mapping[str, str],
    tracker: Tracker | None = None,
    tags: Mapping[str, str] | None = None,
    evaluate: str | None = None,
    restart: bool = False,
    listener: Listener | None = None,
) -> RunState:
    """The run's state after its last epoch; taken up where it stopped if `folder` holds its beginning.

    After each epoch checkpoints, tracked numbers and then the state are written, the state in one piece: a run that is
    killed at any moment does the epoch again and ends with the same bytes. The model stays in evaluation mode, so that
    batch statistics are those it came with and nothing but the choice of pairs is random.

    Args:
        clip: the model to start from; its weights are changed in place.
        dataset: its "train" images are trained on.
        folder: of the run: state.pt, history.json and epoch-NNN.safetensors.
        origin: what every checkpoint says of where it comes from: "architecture", "name" and "parent" at least.
        tracker: where parameters, losses, machine load, metrics and checkpoints go.
        tags: for the tracker alone: what may differ between runs that give the same bytes.
        evaluate: a split whose metrics are computed at the start, at named epochs and at the end.
        restart: forget what a run left in the folder.

    Raises:
        OditsError: the data can't be trained on, the folder holds another run, or the loss is no longer a number.
    """
    listener = listener or Listener()
    with joined_processes(clip.device) as processes, deterministic():
        records = usable_records(dataset, "train")
        part = choose_part(clip.model.eval(), config.train)
        config = replace(config, train=part.name)
        origin = {**origin, "parent_digest": clip.checkpoint, "data": dataset.name, "data_digest": data_digest(records)}
        if restart and processes.first:
            forget(folder)
        processes.wait()
        state = read_state(folder, {**config.settings(), "parent": clip.checkpoint, "data": origin["data_digest"]})
        state.resumed_from = state.epoch
        if state.epoch:
            listener.say(f"resumed after epoch {state.epoch} of {max(config.epochs, state.epoch)}: {folder}")
        inputs = kept_inputs(clip, part, records, processes, listener.prepared)
        parameters = trained_parameters(clip.model, part, config.temperature)
        optimizer = make_optimizer(parameters, config)
        state.restore(parameters, optimizer)
        processes.wait()  # nobody writes a state before all have read it
        if state.epoch >= config.epochs:
            return state

        trainee = Trainee(clip.model, clip.tokenize, part, parameters, inputs)
        pairs = LexiconPairs(records, config.batch, config.draws, config.seed)
        loss = LexiconLoss(config.loss, processes.rank, processes.world)
        validation = None
        if evaluate and processes.first:
            validation = Validation(clip, part, dataset, evaluate, listener.prepared)
        noted = {**asdict(config), **origin, "processes": processes.world}
        running = tracked(tracker if processes.first else None, folder.name, noted, tags or {}, state, listener.say)
        with running as run, MachineLoad() as load:
            if processes.first and not state.epoch:
                if validation:
                    state.start = validation.scores()
                    run.metrics(state.start, 0)
                folder.mkdir(parents=True, exist_ok=True)
                state.keep(folder, parameters, optimizer)
            for epoch in range(state.epoch + 1, config.epochs + 1):
                began = time.perf_counter()
                losses = train_epoch(trainee, pairs.epoch(epoch), loss, optimizer, processes, config.chunk)
                seconds, samples = time.perf_counter() - began, load.drain()
                if not math.isfinite(losses["total"]):
                    raise OditsError(f"The loss is no longer a number in epoch {epoch}: lower the learning rate.")
                if not processes.first:
                    continue
                line = {"epoch": epoch, **losses}
                reasons = reasons_to_keep(epoch, losses["total"], state.lowest, config)
                if validation and set(reasons) - {"new low"}:
                    line |= validation.scores()
                if reasons:
                    kept = keep_checkpoint(clip.model, folder, line, reasons, config, origin)
                    state.checkpoints.append(kept)
                    run.checkpoint(folder / kept["file"], Path(kept["file"]).stem, kept["metadata"])
                run.metrics({LOSS_NAMES.get(name, name): v for name, v in line.items() if name != "epoch"}, epoch)
                run.metrics({"epoch_seconds": seconds}, epoch)
                for number, sample in enumerate(samples, state.samples):
                    run.metrics(sample, number)
                state.epoch, state.lowest = epoch, min(state.lowest, losses["total"])
                state.samples += len(samples)
                state.history.append(line)
                write_atomically(folder / "history.json", json.dumps(state.history, indent=1).encode())
                state.keep(folder, parameters, optimizer)
                listener.epoch(line)
        return state


LOSS_NAMES = {name: f"loss/{name}" for name in ("image", "text", "total")}
"""What an epoch's losses are called in a tracker."""


@contextmanager
def tracked(
    tracker: Tracker | None,
    name: str,
    parameters: Mapping[str, object],
    tags: Mapping[str, str],
    state: RunState,
    say: Callable[[str], None],
) -> Iterator[Run]:
    """The tracked run, closed with how it ended; the state remembers its id, to go on with the same one."""
    tracker = tracker or NoTracker()
    run = tracker.start(name, parameters, tags, state.run if state.tracker == tracker.name else None)
    if tracker.name != NoTracker.name:
        state.tracker, state.run = tracker.name, run.id
    status: Status = "failed"
    try:
        yield run
        status = "finished"
    except KeyboardInterrupt:
        status = "killed"
        raise
    finally:
        try:
            run.finish(status)
        except OditsError as error:  # the weights are there all the same
            say(str(error))
