"""The one loop of all trainings, on a line that is fitted in a moment."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from odits.core.errors import BusyError, OditsError, StoppedError
from odits.core.progress import Phase
from odits.training import run as loop
from odits.training.machine import Processes
from odits.training.run import Listener, RunOptions, RunState, Task, open_run, run_lock, train

EPOCHS, BATCHES = 3, 4
SETTINGS = {"seed": 0, "data": "points"}


class Line(Task[np.ndarray]):
    """A line through noisy points; noise comes from the epoch's generator and from torch's."""

    losses = ("total",)

    def __init__(self, epochs: int = EPOCHS, during: Callable[[int], None] = lambda _: None, only_best: bool = False):
        self.epochs, self.seed, self.only_best = epochs, 0, only_best
        self.weights = nn.Parameter(torch.zeros(2))
        self.tensors = {"weights": self.weights}
        self.optimizer = torch.optim.Adam([self.weights], lr=0.1)
        self.steps, self._during = 0, during

    def batches(self, state: RunState, rng: np.random.Generator) -> Iterator[np.ndarray]:
        return iter(np.array_split(rng.permutation(20), BATCHES)[state.step :])

    def position(self, state: RunState) -> tuple[int, int]:
        return state.epoch * BATCHES + state.step, self.epochs * BATCHES

    def step(self, batch: np.ndarray, rng: np.random.Generator) -> tuple[Sequence[float], float]:
        self.steps += 1
        self._during(self.steps)
        x = torch.from_numpy(batch.astype(np.float32)) / 20
        noise = float(rng.normal()) + float(torch.rand(()))
        loss = (self.weights[0] * x + self.weights[1] - 3 * x - noise).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return [float(loss.detach())], len(batch)

    def close_epoch(self, line: dict[str, float], state: RunState) -> list[dict[str, Any]]:
        return [{"file": f"epoch-{int(line['epoch'])}.txt", "epoch": int(line["epoch"]), "metadata": {}}]


def fit(folder: Path, task: Line | None = None, options: RunOptions | None = None) -> tuple[Line, RunState]:
    task, options = task or Line(), options or RunOptions()
    with run_lock(folder):
        state = open_run(folder, SETTINGS, options, Processes())
        return task, train(task, state, folder, SETTINGS, options)


def stop_at(step: int) -> RunOptions:
    """Options that stop as a page does: what is called with the progress raises."""

    def changed(phase: Phase) -> None:
        if phase.done == step:
            raise OditsError("stopped")

    return RunOptions(listener=Listener(phase=lambda name: Phase(name, changed=changed)))


@pytest.mark.parametrize("step", [1, 3, 4, 6, 11])
def test_stopped_at_any_batch_it_ends_as_if_it_had_not_been(tmp_path: Path, step: int) -> None:
    whole, first = fit(tmp_path / "whole")
    cut = Line()
    with pytest.raises(OditsError, match="stopped"):
        fit(tmp_path / "cut", cut, stop_at(step))
    assert cut.steps == step
    again, resumed = fit(tmp_path / "cut")
    assert cut.steps + again.steps == EPOCHS * BATCHES  # no batch is learned twice
    assert torch.equal(whole.weights, again.weights)
    assert resumed.history == first.history
    assert (tmp_path / "whole" / "history.json").read_bytes() == (tmp_path / "cut" / "history.json").read_bytes()


def test_ctrl_c_stops_after_the_batch_and_says_where_it_is(tmp_path: Path) -> None:
    said: list[str] = []
    handler = signal.getsignal(signal.SIGINT)
    task = Line(during=lambda step: os.kill(os.getpid(), signal.SIGINT) if step == 6 else None)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, task, RunOptions(listener=Listener(said.append)))
    assert task.steps == 6
    assert signal.getsignal(signal.SIGINT) is handler
    assert said == [f"Stopped and saved after epoch 1 of 3 and 2 batches of the next: {tmp_path}"]
    fit(tmp_path, options=RunOptions(listener=Listener(said.append)))
    assert said[1] == f"resumed after epoch 1 of 3 and 2 batches of the next: {tmp_path}"


def test_a_second_ctrl_c_does_not_wait_for_the_batch(tmp_path: Path) -> None:
    def twice(step: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("it went on")

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, Line(during=twice))
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 0  # saved before the first epoch only


def test_long_epochs_are_saved_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY_S", -1.0)
    seen: list[tuple[int, int]] = []

    def look(step: int) -> None:
        state = torch.load(tmp_path / "state.pt", weights_only=True)
        seen.append((state["epoch"], state["step"]))

    fit(tmp_path, Line(epochs=2, during=look))
    assert seen == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]


def test_the_same_run_started_twice_is_told_so(tmp_path: Path) -> None:
    def second(step: int) -> None:
        if step == 1:
            with pytest.raises(BusyError, match="running already in another process"):
                fit(tmp_path)

    task, state = fit(tmp_path, Line(during=second))
    assert (task.steps, state.epoch) == (EPOCHS * BATCHES, EPOCHS)
    assert not (tmp_path / "run.lock").exists()


def test_what_a_killed_run_left_is_removed_when_it_goes_on(tmp_path: Path) -> None:
    left = tmp_path / ".state.pt.0123456789ab.tmp"
    left.write_bytes(b"half")
    fit(tmp_path)
    assert not left.exists()


def test_a_state_of_an_older_version_goes_on(tmp_path: Path) -> None:
    """Version 0.1 knew neither batches nor generators, and called the inputs otherwise."""
    fit(tmp_path / "whole", Line(epochs=1))
    state = torch.load(tmp_path / "whole" / "state.pt", weights_only=True)
    for name in ("step", "sums", "count", "torch_generator", "epoch_generator", "problems"):
        del state[name]
    state["settings"] = {**SETTINGS, "looks": "as it was"}
    (tmp_path / "old").mkdir()
    torch.save(state, tmp_path / "old" / "state.pt")
    found = loop.read_state(tmp_path / "old", {**SETTINGS, "inputs": "as it was"})
    assert (found.epoch, found.step) == (1, 0)
    task, _ = fit(tmp_path / "old")
    assert task.steps == 2 * BATCHES
    with pytest.raises(OditsError, match="another inputs: name another folder"):
        loop.read_state(tmp_path / "old", {**SETTINGS, "inputs": "otherwise"})


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    class Bad(Line):
        def step(self, batch: np.ndarray, rng: np.random.Generator) -> tuple[Sequence[float], float]:
            return [math.inf], len(batch)

    with pytest.raises(OditsError, match="no longer a number in epoch 1"):
        fit(tmp_path, Bad())
    assert json.loads(json.dumps(torch.load(tmp_path / "state.pt", weights_only=True)["history"])) == []


class Book:
    """A tracker that writes down what it is told."""

    name = "book"

    def __init__(self) -> None:
        self.id, self.status, self.files = "7", "", [""]
        self.values: dict[str, list[int]] = {}

    def start(
        self, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str], resume: str | None = None
    ) -> Book:
        self.files = []
        return self

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        for name in values:
            self.values.setdefault(name, []).append(step)

    def checkpoint(self, path: Path, name: str, metadata: Mapping[str, str]) -> None:
        self.files.append(name)

    def finish(self, status: str) -> None:
        self.status = status


@pytest.mark.parametrize("only_best", [False, True])
def test_numbers_load_and_checkpoints_are_tracked(tmp_path: Path, only_best: bool) -> None:
    book = Book()
    _, state = fit(tmp_path, Line(only_best=only_best), RunOptions(tracker=book))
    assert book.status == "finished" and (state.tracker, state.run) == ("book", "7")
    assert book.values["loss/total"] == book.values["epoch_seconds"] == [1, 2, 3]
    assert book.files == (["epoch-003"] if only_best else ["epoch-1", "epoch-2", "epoch-3"])
    assert [one["epoch"] for one in state.checkpoints] == ([3] if only_best else [1, 2, 3])


def test_a_stopped_run_is_tracked_as_killed(tmp_path: Path) -> None:
    book = Book()
    task = Line(during=lambda step: os.kill(os.getpid(), signal.SIGINT) if step == 2 else None)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, task, RunOptions(tracker=book))
    assert book.status == "killed"


def test_a_run_that_a_page_stops_is_tracked_as_killed(tmp_path: Path) -> None:
    def stop(phase: Phase) -> None:
        if phase.done == 2:
            raise StoppedError("Stopped.")

    book = Book()
    with pytest.raises(StoppedError):
        fit(tmp_path, options=RunOptions(tracker=book, listener=Listener(phase=lambda name: Phase(name, changed=stop))))
    assert book.status == "killed"
    assert loop.read_state(tmp_path, SETTINGS).step == 2


def test_the_position_goes_up_to_the_end_and_details_tell_the_loss(tmp_path: Path) -> None:
    phases: list[Phase] = []

    def phase(name: str) -> Phase:
        phases.append(Phase(name))
        return phases[-1]

    _, state = fit(tmp_path, options=RunOptions(listener=Listener(phase=phase)))
    (training,) = phases
    assert training.finished and training.of == EPOCHS * BATCHES
    assert training.detail == f"epoch 3, total {state.history[-1]['total']:.4f}"


def test_the_callers_generator_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    fit(tmp_path)
    assert torch.equal(before, torch.get_rng_state())
