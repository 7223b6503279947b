"""Pickles from outside: converted in a child process, or refused by name with this process unharmed."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from odits.core.errors import StoreError
from odits.core.pickles import ConversionLimits, convert_pickle
from odits.models.registry import read_metadata

pytestmark = pytest.mark.slow


class _Harm:
    """What a malicious pickle does when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def test_weights_come_through_with_their_wrapping_taken_off(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    state = {
        "module.a": shared,
        "module.tied": shared,
        "module.view": shared[:, 1],
        "module.half": torch.ones(2).half(),
    }
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "theirs.pt")
    convert_pickle(tmp_path / "theirs.pt", tmp_path / "ours.safetensors", "theirs.pt", {"architecture": "ViT-B-32"})
    found = load_file(tmp_path / "ours.safetensors")
    assert set(found) == {"a", "tied", "view", "half"}
    assert torch.equal(found["a"], shared) and torch.equal(found["tied"], shared)
    assert found["view"].tolist() == [1.0, 4.0] and found["half"].dtype == torch.float16
    assert read_metadata(tmp_path / "ours.safetensors")["architecture"] == "ViT-B-32"


def test_code_is_refused_by_name_and_never_runs(tmp_path: Path) -> None:
    mark = tmp_path / "harmed"
    torch.save({"state_dict": {"a": torch.ones(2)}, "extra": _Harm(mark)}, tmp_path / "evil.pt")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(_Harm(mark)))
    for name in ("evil.pt", "plain.pkl"):
        with pytest.raises(StoreError, match=f"{name} is refused: it holds code"):
            convert_pickle(tmp_path / name, tmp_path / "out.safetensors", name)
    assert not mark.exists() and not (tmp_path / "out.safetensors").exists()


def test_a_small_file_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(1 << 34)}, tmp_path / "bomb.pt")
    assert (tmp_path / "bomb.pt").stat().st_size < 10_000
    with pytest.raises(StoreError, match=r"bomb\.pt is refused: it needs too much memory"):
        convert_pickle(tmp_path / "bomb.pt", tmp_path / "out.safetensors", "bomb.pt")


def test_a_compressed_bomb_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1 << 24)}, tmp_path / "plain.pt")
    source = zipfile.ZipFile(tmp_path / "plain.pt")
    target = zipfile.ZipFile(tmp_path / "zip.pt", "w", zipfile.ZIP_DEFLATED)
    with source, target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert (tmp_path / "zip.pt").stat().st_size < 200_000
    limits = ConversionLimits(memory_bytes=48 << 20)
    with pytest.raises(StoreError, match=r"zip\.pt is refused"):
        convert_pickle(tmp_path / "zip.pt", tmp_path / "out.safetensors", "zip.pt", limits=limits)
    assert not (tmp_path / "out.safetensors").exists()


def test_a_file_above_the_limit_is_not_even_opened(tmp_path: Path) -> None:
    (tmp_path / "big.pt").write_bytes(b"x" * 2000)
    with pytest.raises(StoreError, match=r"big\.pt is refused: with 2,000 bytes it is larger than the 1,000 allowed"):
        convert_pickle(tmp_path / "big.pt", tmp_path / "o.safetensors", "big.pt", limits=ConversionLimits(1000))


def test_what_takes_too_long_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "slow.pt")
    # importing torch alone takes longer than no time at all
    with pytest.raises(StoreError, match=r"slow\.pt is refused: it was not read within 0 s"):
        convert_pickle(tmp_path / "slow.pt", tmp_path / "o.safetensors", "slow.pt", limits=ConversionLimits(seconds=0))


@pytest.mark.parametrize("content", [b"", b"no pickle at all", b"PK\x03\x04 no zip either"])
def test_damage_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "hurt.pt").write_bytes(content)
    with pytest.raises(StoreError, match=r"hurt\.pt is refused: it "):
        convert_pickle(tmp_path / "hurt.pt", tmp_path / "out.safetensors", "hurt.pt")


def test_a_pickle_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2, 3], tmp_path / "list.pt")
    with pytest.raises(StoreError, match="it does not hold the weights of one model"):
        convert_pickle(tmp_path / "list.pt", tmp_path / "out.safetensors", "list.pt")


def test_the_child_sees_no_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is built from a list of harmless names, so no secret can be in it whatever it is called."""
    from odits.core import bounded as conversion

    seen: dict[str, str] = {}
    real = conversion.subprocess.run

    def watch(*arguments: object, **options: object) -> object:
        seen.update(options["env"])  # type: ignore[call-overload]
        return real(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setenv("NEPTUNE_API_TOKEN", "hush")
    monkeypatch.setattr(conversion.subprocess, "run", watch)
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pt")
    convert_pickle(tmp_path / "a.pt", tmp_path / "a.safetensors", "a.pt")
    assert "PATH" in seen and "hush" not in seen.values()
