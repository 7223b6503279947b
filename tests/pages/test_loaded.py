"""Models in memory: loaded once, let go of in the order of their last use within stated limits."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from odits.models import registry
from odits.models.registry import ModelRef, parse
from pages._shared import loaded
from pages._shared.loaded import Models


class Model:
    """Stands for a model: only what is held matters here."""


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The references of the models that were loaded."""
    found: list[str] = []

    def load(ref: ModelRef, **options: Any) -> Model:
        found.append(ref.reference)
        return Model()

    monkeypatch.setattr(registry, "load", load)
    return found


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The time, which a test may change."""
    time = [1000.0]
    monkeypatch.setattr(loaded.time, "monotonic", lambda: time[0])
    yield time


def file_of(folder: Path, number: int, size: int = 10) -> ModelRef:
    """A model's file of so many bytes."""
    path = folder / f"{number}.safetensors"
    path.write_bytes(b"0" * size)
    return ModelRef(str(path), "clip", str(number), path=path)


def test_the_one_not_used_for_longest_goes_first(tmp_path: Path, loads: list[str]) -> None:
    gone: list[int] = []
    models = Models(10**9, lambda: gone.append(1))
    refs = [file_of(tmp_path, number) for number in range(loaded.MOST + 1)]
    first = weakref.ref(models.get(refs[0]))
    second = weakref.ref(models.get(refs[1]))
    assert models.get(refs[0]) is first()
    for ref in refs[2:]:
        models.get(ref)
    gc.collect()
    assert first() is not None and second() is None and gone == [1]
    models.get(refs[0])
    assert loads == [ref.reference for ref in refs]


def test_together_they_fit_the_memory_and_the_one_in_use_always_does(tmp_path: Path, loads: list[str]) -> None:
    models = Models(100, lambda: None)
    small, large, huge = file_of(tmp_path, 0, 40), file_of(tmp_path, 1, 60), file_of(tmp_path, 2, 500)
    kept = models.get(small), models.get(large)
    assert (models.get(small), models.get(large)) == kept
    one = models.get(huge)
    assert models.get(huge) is one
    models.get(small)
    assert loads == [ref.reference for ref in (small, large, huge, small)]


def test_one_that_nobody_uses_goes_after_a_while(tmp_path: Path, loads: list[str], now: list[float]) -> None:
    models = Models(10**9, lambda: None)
    used, unused = file_of(tmp_path, 0), file_of(tmp_path, 1)
    for ref in (used, unused):
        models.get(ref)
    now[0] += loaded.IDLE_S - 1
    models.get(used)
    now[0] += 2
    models.sweep()
    models.get(used)
    assert loads == [used.reference, unused.reference]
    models.get(unused)
    assert loads[2:] == [unused.reference]
    now[0] += loaded.IDLE_S + 1
    models.sweep()
    models.get(used)
    assert loads[3:] == [used.reference], "the last one goes too"


def test_those_who_ask_at_the_same_time_load_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together, count = threading.Barrier(4), []
    ref = file_of(tmp_path, 0)
    models = Models(10**9, lambda: None)

    def load(ref: ModelRef, **options: Any) -> Model:
        count.append(1)
        return Model()

    monkeypatch.setattr(registry, "load", load)

    def ask(_: int) -> Model:
        together.wait(20)
        found: Model = models.get(ref)
        return found

    with ThreadPoolExecutor(4) as pool:
        assert len({id(model) for model in pool.map(ask, range(4))}) == 1
    assert count == [1]


def test_a_model_and_a_segmenter_of_the_same_name_are_two() -> None:
    models = Models(10**9, lambda: None)
    assert models.get(parse("embedded", "clip")).name != models.get(parse("embedded", "segmenter")).name
