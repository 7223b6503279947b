"""One run of training: a loop that is tracked, can be stopped at any moment, and goes on where it was.

`train` drives a `Task` (fine-tuning, ODITS, the embedded model's reader and locator) epoch by epoch and batch by batch.
A run lives in a folder: state.pt (weights, optimizer, generators, epoch and batch), history.json and checkpoints. All
that is random depends on the seed and on what the state holds, so that a run which was interrupted ends with the bytes
of one that was not.
"""

from __future__ import annotations

import json
import math
import pickle
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from odits.core.errors import OditsError, StoppedError, WriteError
from odits.core.files import clear_leftovers, replacing, write_atomically
from odits.core.locks import locked
from odits.core.progress import Phase
from odits.data import ImageRecord
from odits.tracking.store import NoTracker, Run, Status, Tracker
from odits.training.machine import MachineLoad, Processes

Batch = TypeVar("Batch")
STATE, HISTORY, LOCK = "state.pt", "history.json", "run.lock"
SAVE_EVERY_S = 300.0
"""An epoch that takes longer is saved within."""


@dataclass(frozen=True)
class Listener:
    """Callbacks of a run.

    Attributes:
        say: takes sentences for people.
        phase: takes the name of what begins and returns what is called with how far it is; may raise to cancel.
        epoch: takes each epoch's numbers by name.
    """

    say: Callable[[str], None] = lambda _: None
    phase: Callable[[str], Phase] = Phase
    epoch: Callable[[dict[str, float]], None] = lambda _: None


@dataclass(frozen=True)
class RunOptions:
    """Options of a run; none of them changes its results.

    Attributes:
        tracker: where parameters, losses, machine load, metrics and checkpoints go.
        tags: for the tracker alone: what may differ between runs that give the same bytes.
        restart: forget what a run left in the folder.
        wait_s: how long to wait for another process that trains in the folder, in seconds.
        listener: gets sentences, progress and each epoch's numbers.
    """

    tracker: Tracker | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    restart: bool = False
    wait_s: float = 0.0
    listener: Listener = field(default_factory=Listener)


# The state of a run


@dataclass
class RunState:
    """All that a killed run needs to go on as if it had not been.

    Attributes:
        settings: what must be the same for a run to go on: settings, data and parent.
        start: metrics before the first epoch, where they were asked for.
        tracker: where this run is tracked.
        run: its id there.
        epoch: how many epochs are done.
        resumed_from: the epoch after which this process took the run up; 0 where it began it.
        lowest: the lowest value so far of what the task watches.
        history: a line an epoch: "epoch", the losses, and what else was measured.
        checkpoints: "file", "epoch", "loss", "reasons", "digest" and "metadata" of each, oldest first.
        samples: how many samples of the machine's load have been tracked.
        trained: the tensors that are trained; all others are the parent's.
        optimizer: its state.
        step: how many batches of the next epoch are done.
        sums: the losses summed over their samples.
        count: how many samples those are.
        torch_generator: the state of torch's generator.
        epoch_generator: that of the epoch's generator, as JSON; empty between two epochs.
        problems: "image" (its name) and "problem" (a sentence) of each that could not be trained on.
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
    step: int = 0
    sums: list[float] = field(default_factory=list)
    count: float = 0
    torch_generator: Tensor | None = None
    epoch_generator: str = ""
    problems: list[dict[str, str]] = field(default_factory=list)

    def save(self, folder: Path, tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
        """Write the state with tensors and optimizer as they are now; the former one stays until this one is whole.

        Raises:
            WriteError: the disk is full, or writing is not allowed.
        """
        self.trained = {name: tensor.detach() for name, tensor in tensors.items()}
        self.optimizer = optimizer.state_dict()
        self.torch_generator = torch.get_rng_state()
        try:
            with replacing(folder / STATE) as temporary, temporary.open("wb") as file:
                torch.save(vars(self), file)
        except RuntimeError as error:  # what torch's writer raises on a full disk
            raise WriteError(f"{folder / STATE} can't be written: {error}.") from error

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
        """Give tensors, optimizer and torch's generator the values that they had; a new run has none."""
        if not self.trained:
            return
        for name, tensor in tensors.items():
            tensor.copy_(self.trained[name])
        optimizer.load_state_dict(self.optimizer)
        if self.torch_generator is not None:
            torch.set_rng_state(self.torch_generator)

    def note_problems(self, records: Sequence[ImageRecord], problems: Mapping[int, str], listener: Listener) -> None:
        """Remember which images can't be used, and say so.

        Args:
            records: the images.
            problems: a sentence for each of them that can't be used, by its place.
            listener: gets a sentence for each.
        """
        self.problems = [{"image": records[place].name, "problem": why} for place, why in problems.items()]
        for problem in self.problems:
            listener.say(f"Left out: {problem['problem']}")


_FORMER_NAMES = {"looks": "inputs"}  # settings that state files of older versions call otherwise


def open_run(folder: Path, settings: Mapping[str, Any], options: RunOptions, processes: Processes) -> RunState:
    """Return the state of the run in the folder, or that of a new one.

    Raises:
        OditsError: the folder holds a run with other settings, or a damaged state.
    """
    if options.restart and processes.first:
        forget(folder)
    processes.wait()
    state = read_state(folder, settings)
    processes.wait()  # nobody writes a state before all have read it
    state.resumed_from = state.epoch
    return state


def read_state(folder: Path, settings: Mapping[str, Any]) -> RunState:
    """Return the state in the folder, or that of a new run.

    Raises:
        OditsError: the folder holds a run with other settings, or a damaged state.
    """
    file = folder / STATE
    if not file.exists():
        return RunState(dict(settings))
    try:
        state = RunState(**torch.load(file, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise OditsError(f"{file} is damaged: start over with --restart.") from error
    state.settings = {_FORMER_NAMES.get(name, name): value for name, value in state.settings.items()}
    other = [name.replace("_", " ") for name, value in settings.items() if state.settings.get(name) != value]
    if other:
        raise OditsError(
            f"The run in {folder} was made with another {' and '.join(other)}: name another folder with --out, or "
            "start over with --restart."
        )
    return state


def forget(folder: Path) -> None:
    """Remove what a run wrote into its folder, and nothing else."""
    for pattern in (STATE, f"{STATE}.part", HISTORY, "epoch-*.safetensors", "initial.safetensors", "best.safetensors"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


@contextmanager
def run_lock(folder: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Hold a run's folder for a block, so that nothing is trained twice.

    Raises:
        BusyError: another process trains there, still after `wait_s` seconds.
        StoreError: the folder can't be written.
    """
    sentence = f"This training is running already in another process: {folder}. Wait for it, or name another --out."
    with locked(folder / LOCK, sentence, wait_s):
        clear_leftovers(folder, 0.0)  # whoever left them can't live any more
        yield


@contextmanager
def tracked(
    options: RunOptions, name: str, parameters: Mapping[str, object], state: RunState, first: bool = True
) -> Iterator[Run]:
    """Open the tracked run and close it with how it ended; the state stores its id, so that a resumed run reuses it.

    Ctrl-C, and Stop on a page (`StoppedError`), end it as "killed".
    """
    tracker = (options.tracker if first else None) or NoTracker()
    run = tracker.start(name, parameters, options.tags, state.run if state.tracker == tracker.name else None)
    if tracker.name != NoTracker.name:
        state.tracker, state.run = tracker.name, run.id
    status: Status = "failed"
    try:
        yield run
        status = "finished"
    except (KeyboardInterrupt, StoppedError):
        status = "killed"
        raise
    finally:
        try:
            run.finish(status)
        except OditsError as error:  # the weights are there all the same
            options.listener.say(str(error))


# The loop


class Task(ABC, Generic[Batch]):
    """What a run trains, and how.

    Attributes:
        name: of the work, for people.
        losses: names of what `step` returns.
        watched: the name of the value whose new lows are remembered as `RunState.lowest`.
        tensors: what is trained, by name: parameters, their averages, statistics of batch normalisation.
        optimizer: moves them.
        epochs: how many there are, at most.
        seed: of everything random.
        only_best: whether a new checkpoint takes the place of the former; it is tracked at the end then.
    """

    name: str = "training"
    losses: tuple[str, ...]
    watched: str = "total"
    tensors: Mapping[str, Tensor]
    optimizer: torch.optim.Optimizer
    epochs: int
    seed: int
    only_best: bool = False

    def begin(self, state: RunState) -> None:
        """Measure and write what is wanted before the first epoch."""

    def finished(self, state: RunState) -> bool:
        """Whether nothing is left to be done."""
        return state.epoch >= self.epochs

    def end(self, state: RunState, listener: Listener) -> bool:
        """Do what is left when all epochs are done, and return whether there was anything; it may be cut off."""
        return False

    def generator(self, state: RunState) -> np.random.Generator:
        """Return the generator of the epoch that follows."""
        return np.random.default_rng((self.seed, state.epoch + 1))

    @abstractmethod
    def batches(self, state: RunState, rng: np.random.Generator) -> Iterator[Batch]:
        """Return the batches of the epoch that follows, without the first `state.step`."""

    @abstractmethod
    def step(self, batch: Batch, rng: np.random.Generator) -> tuple[Sequence[float], float]:
        """Learn from a batch.

        Returns:
            The losses, each the mean over the batch's samples, and how many samples those are.
        """

    @abstractmethod
    def position(self, state: RunState) -> tuple[int, int]:
        """Return how many batches are done, and how many the run has."""

    def describe(self, state: RunState) -> str:
        """Say how far the run is."""
        batches = f" and {state.step} batches of the next" if state.step else ""
        return f"epoch {state.epoch} of {self.epochs}{batches}"

    def close_epoch(self, line: dict[str, float], state: RunState) -> list[dict[str, Any]]:
        """Add what else is measured to the epoch's line, and write checkpoints.

        Returns:
            Each checkpoint's "file", "epoch", "loss", "reasons", "digest" and "metadata".
        """
        return []


def train(
    task: Task[Any],
    state: RunState,
    folder: Path,
    parameters: Mapping[str, object],
    options: RunOptions,
    processes: Processes | None = None,
) -> RunState:
    """Train until the task is finished.

    After each epoch checkpoints, tracked numbers and then the state are written, the state in one piece. Ctrl-C stops
    after the batch that is being worked on, and what the listener raises stops as well; both save that batch too.

    Args:
        task: what is trained.
        state: of `open_run`; changed in place.
        folder: of the run, locked by the caller (`run_lock`).
        parameters: for the tracker.
        options: tracker and listener.
        processes: those that train together.

    Returns:
        The state after the last epoch.

    Raises:
        OditsError: a loss is no longer a number.
        KeyboardInterrupt: it was stopped.
    """
    processes = processes or Processes()
    with (
        torch.random.fork_rng(devices=[]),
        tracked(options, folder.name, parameters, state, processes.first) as run,
        MachineLoad() as load,
        _stopping() as stopped,
    ):
        torch.manual_seed(task.seed)
        state.restore(task.tensors, task.optimizer)
        processes.wait()
        if processes.first and (state.epoch or state.step):
            options.listener.say(f"resumed after {task.describe(state)}: {folder}")
        loop = _Loop(task, state, folder, run, load, options.listener, processes, stopped)
        if processes.first and not state.trained:
            task.begin(state)
            if state.start:
                run.metrics(_tracked_names(state.start), 0)
            folder.mkdir(parents=True, exist_ok=True)
            loop.save()
        while not task.finished(state):
            loop.epoch()
        if processes.first and task.end(state, options.listener):
            loop.save()
        if task.only_best and processes.first:
            for checkpoint in state.checkpoints:
                run.checkpoint(folder / checkpoint["file"], f"epoch-{checkpoint['epoch']:03d}", checkpoint["metadata"])
    return state


@dataclass
class _Loop:
    """The parts of a run that an epoch needs."""

    task: Task[Any]
    state: RunState
    folder: Path
    run: Run
    load: MachineLoad
    listener: Listener
    processes: Processes
    stopped: threading.Event

    def __post_init__(self) -> None:
        self._phase = self.listener.phase(self.task.name)
        self._saved = time.monotonic()
        self._report()

    def save(self) -> None:
        """Write the state; the first process does so for all."""
        if self.processes.first:
            self.state.save(self.folder, self.task.tensors, self.task.optimizer)
        self._saved = time.monotonic()

    def epoch(self) -> None:
        """Train for one epoch, or what is left of it."""
        task, state = self.task, self.state
        began = time.perf_counter()
        rng = task.generator(state)
        batches = iter(task.batches(state, rng))
        if state.step:
            rng.bit_generator.state = json.loads(state.epoch_generator)
        sums = np.array(state.sums or [0.0] * len(task.losses))
        for batch in batches:
            losses, count = task.step(batch, rng)
            sums += count * np.array(losses)
            state.step, state.sums, state.count = state.step + 1, sums.tolist(), state.count + count
            self._between(rng)
        line = {"epoch": state.epoch + 1, **dict(zip(task.losses, (sums / state.count).tolist(), strict=True))}
        require_numbers(line, task.losses)
        if self.processes.first:
            self._close(line, time.perf_counter() - began)
        state.epoch += 1
        state.step, state.sums, state.count, state.epoch_generator = 0, [], 0, ""
        if self.processes.first:
            self.save()
            self._phase.describe(f"epoch {state.epoch}, {task.watched.replace('_', ' ')} {line[task.watched]:.4f}")
            self.listener.epoch(line)

    def _between(self, rng: np.random.Generator) -> None:
        """Say how far it is, and save where the run is stopped or the epoch is long."""
        self.state.epoch_generator = json.dumps(rng.bit_generator.state)
        try:
            self._report()
            if self.stopped.is_set():
                raise KeyboardInterrupt
        except BaseException:
            self.save()
            if self.processes.first:
                self.listener.say(f"Stopped and saved after {self.task.describe(self.state)}: {self.folder}")
            raise
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save()

    def _close(self, line: dict[str, float], seconds: float) -> None:
        """Measure an epoch, save and track its checkpoints, and write the history."""
        task, state, epoch = self.task, self.state, int(line["epoch"])
        samples = self.load.drain()
        written = task.close_epoch(line, state)
        if task.only_best:
            state.checkpoints = written or state.checkpoints
        else:
            state.checkpoints += written
            for checkpoint in written:
                file = self.folder / checkpoint["file"]
                self.run.checkpoint(file, file.stem, checkpoint["metadata"])
        self.run.metrics(_tracked_names(line), epoch)
        self.run.metrics({"epoch_seconds": seconds}, epoch)
        for number, sample in enumerate(samples, state.samples):
            self.run.metrics(sample, number)
        state.lowest = min(state.lowest, line[task.watched])
        state.samples += len(samples)
        state.history.append(line)
        write_atomically(self.folder / HISTORY, json.dumps(state.history, indent=1).encode())

    def _report(self) -> None:
        self._phase(*self.task.position(self.state))


def require_numbers(line: Mapping[str, float], names: Sequence[str]) -> None:
    """Raise where a loss is infinite or not a number.

    Raises:
        OditsError: it is.
    """
    if not all(math.isfinite(line[name]) for name in names):
        epoch = int(line["epoch"])
        raise OditsError(f"The loss is no longer a number in epoch {epoch}: lower the learning rate.")


def _tracked_names(line: Mapping[str, float]) -> dict[str, float]:
    """Return an epoch's numbers as trackers call them: losses are paths too."""
    return {name if "/" in name else f"loss/{name}": value for name, value in line.items() if name != "epoch"}


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Give the block an event that the first Ctrl-C sets; the second interrupts at once, as ever."""
    event = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield event  # signals are the main thread's, and those that are ignored stay so
        return

    def stop(_: int, __: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
