"""What this process may compute on: one answer for every model, command and worker."""

from __future__ import annotations

import os
from collections.abc import Collection
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from odits.core.errors import OditsError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")
"""What `--device` takes; "auto" is the first of CUDA, Apple's MPS and the processor that is there."""

_CGROUP = Path("/sys/fs/cgroup")


def check_device(device: str) -> str:
    """Return the name of a device, checked without loading torch.

    Raises:
        OditsError: it is none of `DEVICES`.
    """
    if device not in DEVICES:
        raise OditsError(f"There is no device '{device}' here; use --device auto or cpu.")
    return device


def resolve_device(device: str = "auto", supported: Collection[str] = ("cuda", "mps")) -> torch.device:
    """Choose the device that a model computes on.

    Args:
        device: one of `DEVICES`.
        supported: accelerators that the model works on; asked for another one that is there, it works on the processor.

    Returns:
        The device asked for; for "auto" the first supported one that is there.

    Raises:
        OditsError: there is no such device here.
    """
    import torch

    check_device(device)
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        device = next(name for name in present if present[name] and (name in supported or name == "cpu"))
    if not present[device]:
        raise OditsError(f"There is no device '{device}' here; use --device auto or cpu.")
    return torch.device(device if device in supported else "cpu")


def cores() -> int:
    """Return how many processor cores this process may use: its affinity, cut by the quota of its control group."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota(_CGROUP)
    return max(1, allowed if quota is None else min(allowed, ceil(quota)))


def memory_bytes() -> int:
    """Return how many bytes of memory this process may use: the machine's, cut by the limit of its control group."""
    import psutil  # deferred: commands that ask for help do without

    most = int(psutil.virtual_memory().total)
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # version 2 and 1
        try:
            return min(most, int((_CGROUP / name).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return most


def _cgroup_quota(root: Path) -> float | None:
    """Cores that a container may use by version 2 or 1 of control groups; None where nothing limits it."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return None
    return share if share > 0 else None
