"""The plain values of the seams: references, names of checkpoints, paths that must stay inside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from odits.core.errors import OditsError, StoreError
from odits.tracking.connections import client_errors, reason
from odits.tracking.sources import open_store
from odits.tracking.store import (
    NoTracker,
    StoredCheckpoint,
    StoredRun,
    aware,
    is_weights,
    require_inside,
    select_checkpoint,
    split_reference,
)


def run_with(*names: str) -> StoredRun:
    return StoredRun(
        "mlflow", "r1", "run", "finished", checkpoints=tuple(StoredCheckpoint("mlflow", "r1", n) for n in names)
    )


def test_a_checkpoint_by_path_name_stem_or_as_the_only_one() -> None:
    run = run_with("checkpoints/best.safetensors", "checkpoints/last.pt")
    for name in ("checkpoints/best.safetensors", "best.safetensors", "best"):
        assert select_checkpoint(run, name).reference == "r1/checkpoints/best.safetensors"
    assert select_checkpoint(run_with("a.pt"), "").name == "a.pt"
    assert select_checkpoint(run_with("a", "x/a"), "a").name == "a", "the whole path goes before its last part"


@pytest.mark.parametrize(
    ("names", "name", "said"),
    [
        (("a.pt", "b.pt"), "", "Run r1 has several such checkpoints: name one of a.pt, b.pt."),
        (("x/a.pt", "y/a.pt"), "a", "Run r1 has several such checkpoints: name one of x/a.pt, y/a.pt."),
        (("a.pt",), "c", "Run r1 has no checkpoint 'c'; it has a.pt."),
        ((), "", "Run r1 has no checkpoint."),
    ],
)
def test_no_or_several_checkpoints_are_one_sentence(names: tuple[str, ...], name: str, said: str) -> None:
    with pytest.raises(StoreError) as caught:
        select_checkpoint(run_with(*names), name)
    assert str(caught.value) == said


def test_ids_of_runs_may_hold_slashes() -> None:
    runs = ["team/signs/R-1", "team/signs/R-1/deep", "other/R-2"]
    assert split_reference("team/signs/R-1/best", runs) == ("team/signs/R-1", "best")
    assert split_reference("team/signs/R-1/deep/best", runs) == ("team/signs/R-1/deep", "best"), "the longest fits"
    assert split_reference("team/signs/R-1", runs) == ("team/signs/R-1", "")
    assert split_reference("R-2/checkpoints/best", runs) == ("other/R-2", "checkpoints/best")
    with pytest.raises(StoreError, match=r"^There is no run 'R-3' here\.$"):
        split_reference("R-3/best", runs)
    with pytest.raises(StoreError, match="Several runs are called 'R-2': write one of other/R-2, third/R-2"):
        split_reference("R-2", [*runs, "third/R-2"])


def test_what_counts_as_weights() -> None:
    assert all(map(is_weights, ("a.safetensors", "x/B.PT", "a.b.ckpt")))
    assert not any(map(is_weights, ("safetensors", "a.txt", "a.pt/readme", "")))


def test_paths_that_leave_their_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "out").symlink_to(tmp_path)
    assert require_inside(tmp_path / "in", "a/../b") == (tmp_path / "in" / "b").resolve()
    for bad in ("..", "", ".", "../x", str(tmp_path), "out/x", "a\0b"):
        with pytest.raises(StoreError, match="is refused"):
            require_inside(tmp_path / "in", bad)


def test_a_clients_failure_is_one_sentence_and_ours_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEPTUNE_API_TOKEN", "hush")
    with (
        pytest.raises(StoreError, match="The store did not do what was asked") as caught,
        client_errors("The store"),
    ):
        raise ValueError("no https://me:secret@host")
    assert str(caught.value) == "The store did not do what was asked: no https://***@host"
    assert caught.value.__cause__ is None
    with pytest.raises(OditsError, match=r"^ours$"), client_errors("The store"):
        raise OditsError("ours")
    assert reason(ValueError("hush, one\ntwo")) == "***, one"
    assert reason(ValueError()) == "ValueError"
    assert len(reason(ValueError("x" * 999))) == 200


def test_a_store_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(
        StoreError, match=r"no kind of store 'wandb': use mlflow\[:URI\], neptune\[:PROJECT\] or neptune-"
    ):
        open_store("wandb")
    with pytest.raises(StoreError, match="Name the export's folder"):
        open_store("neptune-export")
    assert open_store(" mlflow ").source == "mlflow"
    assert open_store("neptune:team/signs").source == "neptune:team/signs"
    assert open_store("mlflow:https://me:hush@host").source == "mlflow:https://***@host"


def test_runs_that_are_not_tracked_have_ids_of_their_own() -> None:
    first, second = (NoTracker().start("a", {}, {}) for _ in range(2))
    assert first.id != second.id and len(first.id) == 32


def test_a_moment_without_a_zone_is_meant_in_utc() -> None:
    moment = datetime(2025, 3, 1, 12)
    assert aware(moment) == datetime(2025, 3, 1, 12, tzinfo=UTC)
    there = datetime(2025, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert aware(there) is there
