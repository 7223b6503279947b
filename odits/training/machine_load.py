"""How busy the machine is while it trains: sampled in a thread, handed over when asked for."""

from __future__ import annotations

import threading
from contextlib import suppress
from types import TracebackType

import psutil
import torch

_MEGABYTE = 1e6


class MachineLoad:
    """A context in which processor, memory and, where one is in use, GPU are sampled every few seconds.

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
        """The samples since the last call, oldest first."""
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
    """The load now: percentages 0..100 and megabytes; the processor's since the last call."""
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
