"""The machine that a training runs on: its processes, determinism, and load."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType

import psutil
import torch
from torch import Tensor, distributed, nn

_MEGABYTE = 1e6


@dataclass(frozen=True)
class Processes:
    """This process's place among those that train together."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and reports."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.world > 1:
            distributed.barrier()

    def share(self, count: int) -> slice:
        """Return this process's part of a batch of `count`; what does not divide evenly is left out."""
        size = count // self.world
        return slice(self.rank * size, (self.rank + 1) * size)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes.

        Each process computes the whole batch's loss from gathered features, whose backward pass sums over the
        processes; the mean of the parameters' gradients is then exactly the whole batch's gradient.
        """
        gradients: list[Tensor] = [p.grad for p in parameters if p.grad is not None]
        if self.world == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        parts = (flat / self.world).split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


@contextmanager
def joined_processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun started by gloo (CPU) or NCCL (CUDA); without torchrun there is one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or distributed.is_initialized():
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), world)
    finally:
        distributed.destroy_process_group()


def local_device(device: torch.device) -> torch.device:
    """Return the device of this process: with several GPUs and processes, each has its own."""
    if device.type != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())


@contextmanager
def deterministic() -> Iterator[None]:
    """Make the same seed give the same bytes on the same machine for a block (thesis, 3.2)."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    cudnn = torch.backends.cudnn.deterministic
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = before[1], cudnn


class MachineLoad:
    """Sample processor, memory and, where one is in use, GPU every few seconds, in a thread, for a block.

    Names and units are those of MLflow's own system metrics, so that its pages show them where people look for them.
    """

    def __init__(self, interval: float = 5.0) -> None:
        self._interval = interval
        self._samples: list[dict[str, float]] = []
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="machine load", daemon=True)

    def __enter__(self) -> MachineLoad:
        psutil.cpu_percent()  # the first call only sets the start of the interval that the next one measures
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def drain(self) -> list[dict[str, float]]:
        """Return the samples since the last call, oldest first."""
        with self._lock:
            taken, self._samples = self._samples, []
        return taken

    def _work(self) -> None:
        wait = min(self._interval, 0.5)  # a short run has a sample too
        while not self._ended.wait(wait):
            found = sample()
            with self._lock:
                self._samples.append(found)
            wait = self._interval


def sample() -> dict[str, float]:
    """Return the load now: percentages 0..100 and megabytes; the processor's since the last call."""
    memory = psutil.virtual_memory()
    found = {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_megabytes": memory.used / _MEGABYTE,
        "system/system_memory_usage_percentage": memory.percent,
        "system/process_memory_megabytes": psutil.Process().memory_info().rss / _MEGABYTE,
    }
    # asking an idle GPU would start it up, at the cost of some hundred megabytes
    for index in range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0):
        free, total = torch.cuda.mem_get_info(index)
        found[f"system/gpu_{index}_memory_usage_megabytes"] = (total - free) / _MEGABYTE
        found[f"system/gpu_{index}_memory_usage_percentage"] = 100 * (total - free) / total
        with suppress(ModuleNotFoundError, RuntimeError):  # NVIDIA's management library is optional
            found[f"system/gpu_{index}_utilization_percentage"] = float(torch.cuda.utilization(index))
    return found
