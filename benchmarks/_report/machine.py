"""The machine that figures come from: its processor, what it may use of it, versions, and its measured peaks."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

import psutil
import torch

from odits.core.device import cores

PACKAGES = (
    "torch",
    "open_clip_torch",
    "segment-anything",
    "onnxruntime",
    "openvino",
    "rapidocr",
    "streamlit",
    "numpy",
)
SIDE, COPIED = 2048, 64 * 2**20


def machine() -> dict[str, Any]:
    """Describe the machine, without its peaks."""
    return {
        "processor": processor_name(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": {"python": platform.python_version(), **versions()},
    }


def processor_name() -> str:
    """Return the processor's name; with AVX-512 and AMX where Linux says that it has them."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(part.split(":", 1) for part in text.split("\n\n", 1)[0].splitlines() if ":" in part)
    known = {name.strip(): value.strip() for name, value in fields.items()}
    flags = known.get("flags", "").split()
    can = [name for name, flag in (("AVX-512", "avx512f"), ("AMX", "amx_tile")) if flag in flags]
    name = known.get("model name") or platform.machine()
    family = f"family {known['cpu family']}, model {known['model']}" if "cpu family" in known else ""
    return ", ".join(filter(None, (name, family, *can)))


def versions() -> dict[str, str]:
    """Return the versions of the packages that compute, of those that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def peaks(seconds: float = 2.0) -> dict[str, float]:
    """Measure what the machine can do at best: products of float32 matrices, and copies in memory.

    Args:
        seconds: for each of the two.

    Returns:
        GFLOP/s (a multiply-add is two), and GB/s (what is read and what is written).
    """
    one, other = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    out = torch.empty(SIDE, SIDE)
    source, target = torch.zeros(COPIED), torch.empty(COPIED)
    flops, moved = 2 * SIDE**3, 2 * source.numel() * source.element_size()
    return {
        "gemm_gflops": flops / _fastest(lambda: torch.mm(one, other, out=out), seconds) / 1e9,
        "copy_gb_per_s": moved / _fastest(lambda: target.copy_(source), seconds) / 1e9,
    }


def _fastest(work: Any, seconds: float) -> float:
    """Return the seconds of the fastest of many repetitions."""
    ends, best = time.perf_counter() + seconds, float("inf")
    while time.perf_counter() < ends:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def higher(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """Return the higher of each of two measured peaks: whatever else runs only lowers them."""
    return {name: max(value, other.get(name, 0.0)) for name, value in one.items()}
