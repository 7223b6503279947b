"""What this process may compute on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from odits.core.device import DEVICES, _cgroup_quota, check_device, cores, memory_bytes, resolve_device
from odits.core.errors import OditsError


def test_auto_is_the_first_that_is_there() -> None:
    found = resolve_device()
    assert found.type == (
        "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    )
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("present", "device", "supported", "chosen"),
    [
        ({"cuda"}, "auto", ("cuda", "mps"), "cuda"),
        ({"mps"}, "auto", ("cuda", "mps"), "mps"),
        ({"cuda", "mps"}, "auto", ("mps",), "mps"),
        ({"mps"}, "auto", ("cuda",), "cpu"),
        ({"mps"}, "mps", ("cuda",), "cpu"),
        ({"cuda"}, "cuda", ("cuda",), "cuda"),
        ({"cuda"}, "cpu", ("cuda",), "cpu"),
        (set(), "auto", ("cuda", "mps"), "cpu"),
    ],
)
def test_a_model_works_on_what_it_supports(
    monkeypatch: pytest.MonkeyPatch, present: set[str], device: str, supported: tuple[str, ...], chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in present)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in present)
    assert resolve_device(device, supported).type == chosen


def test_a_device_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in ("tpu", "cuda"):
        with pytest.raises(OditsError, match=f"There is no device '{device}' here; use --device auto or cpu."):
            resolve_device(device)
    with pytest.raises(OditsError, match="There is no device 'tpu' here"):
        check_device("tpu")
    assert [check_device(device) for device in DEVICES] == list(DEVICES)


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("odits.core.device._CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 4, 5}, raising=False)
    assert cores() == 4
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert cores() == 2  # one and a half: the second is used by half
    (tmp_path / "cpu.max").write_text("10000 100000\n")
    assert cores() == 1
    (tmp_path / "cpu.max").write_text("900000 100000\n")
    assert cores() == 4


@pytest.mark.parametrize(
    ("text", "share"), [("max 100000", None), ("300000 100000", 3.0), ("nonsense", None), ("1 0", None)]
)
def test_quotas_of_control_groups(tmp_path: Path, text: str, share: float | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert _cgroup_quota(tmp_path) == share


@pytest.mark.parametrize(("quota", "share"), [("-1", None), ("250000", 2.5)])
def test_quotas_of_older_control_groups(tmp_path: Path, quota: str, share: float | None) -> None:
    assert _cgroup_quota(tmp_path) is None
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert _cgroup_quota(tmp_path) == share


def test_memory_is_what_the_container_may_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("odits.core.device._CGROUP", tmp_path)
    whole = memory_bytes()
    assert whole > 1 << 28
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_bytes() == whole
    (tmp_path / "memory.max").write_text("1048576\n")
    assert memory_bytes() == 1048576
    (tmp_path / "memory.max").unlink()
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("2097152\n")
    assert memory_bytes() == 2097152
