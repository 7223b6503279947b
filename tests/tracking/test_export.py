"""The Neptune export: what is listed, what is refused, and memory that stays flat."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from odits.core.errors import StoreError
from odits.core.files import file_digest
from odits.models.registry import read_metadata
from odits.tracking.neptune_export import CURVE_POINTS
from odits.tracking.pulling import is_here, local_path, pull
from odits.tracking.sources import open_store
from tests.tracking.conftest import PROJECT, PROJECT_FOLDER, SCHEMA, row, write_part


def test_lists_runs_over_their_parts_and_names_what_is_left_out(export: Path) -> None:
    listing = open_store(f"neptune-export:{export}").list()
    run = {run.id: run for run in listing.runs}[f"{PROJECT}/SIGN-1"]
    assert [run.id for run in listing.runs] == [f"{PROJECT}/SIGN-1", f"{PROJECT}/SIGN-2"]
    assert (run.name, run.status) == ("clip +3", "finished")
    assert run.parameters["parameters/learning_rate"] == "5e-05"
    assert run.parameters["parameters/words"] == "BAR,HOTEL"
    assert run.metrics == {"evaluation/precision": 0.276, "train/loss": 0.0, "train/half": 1.5}
    assert [item.name for item in run.checkpoints] == ["checkpoints/best.safetensors"]
    said = "\n".join(listing.warnings)
    assert "SIGN-3-aa_part_0.parquet.tmp is left out: the export of this part was not finished." in said
    assert "SIGN-4-bb_part_0.parquet is left out" in said
    for attribute in ("climbs", "absolute", "linked"):
        assert f"checkpoints/{attribute}: '" in said
    assert said.count("leaves its folder and is refused") == 3
    assert "the file 'SIGN-1/lost.pt' is missing" in said


def test_curves_span_the_parts(export: Path) -> None:
    curves = open_store(f"neptune-export:{export}").curves("SIGN-1")
    assert [(point.step, point.value) for point in curves["train/loss"]] == [(step, 4.0 - step) for step in range(5)]
    assert [point.step for point in curves["train/half"]] == [0.5, 1.0, 1.5]


def test_pulls_into_the_catalogue_and_knows_it_again(export: Path) -> None:
    store = open_store(f"neptune-export:{export}")
    checkpoint = store.find("SIGN-1")
    seen: list[tuple[int, int]] = []
    path = pull(store, checkpoint, lambda done, total: seen.append((done, total)))
    original = export / "files" / PROJECT_FOLDER / "SIGN-1" / "best.safetensors"
    assert path == local_path(checkpoint) and is_here(checkpoint)
    assert path.read_bytes() == original.read_bytes()
    assert seen[-1] == (original.stat().st_size, original.stat().st_size)


@pytest.mark.parametrize("name", ["checkpoints/climbs.safetensors", "checkpoints/linked.safetensors", "climbs"])
def test_what_climbs_out_cannot_be_pulled(export: Path, name: str) -> None:
    with pytest.raises(StoreError, match="has no checkpoint"):
        open_store(f"neptune-export:{export}").find(f"SIGN-1/{name}")


def test_a_project_folder_that_is_a_link_out_is_refused(export: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (export / "data" / PROJECT_FOLDER).rename(elsewhere)
    (export / "data" / PROJECT_FOLDER).symlink_to(elsewhere, target_is_directory=True)
    listing = open_store(f"neptune-export:{export}").list()
    assert listing.runs == () and "leaves its folder" in listing.warnings[0]


def test_a_missing_part_and_a_missing_column_are_named(export: Path) -> None:
    data = export / "data" / PROJECT_FOLDER
    (data / "SIGN-1-9f_part_1.parquet").rename(data / "SIGN-1-9f_part_2.parquet")
    pq.write_table(pa.table({"run_id": ["SIGN-5"], "project_id": [PROJECT]}), data / "SIGN-5-cc_part_0.parquet")
    said = "\n".join(open_store(f"neptune-export:{export}").list().warnings)
    assert "SIGN-1-9f is not whole: part 1 is missing" in said
    assert "SIGN-5-cc_part_0.parquet is left out: it lacks the column attribute_path" in said


def test_a_part_of_another_run_is_left_out(export: Path) -> None:
    data = export / "data" / PROJECT_FOLDER
    write_part(data / "SIGN-2-77_part_1.parquet", [row("train/loss", "float_series", 9.0, 1, run="SIGN-9")])
    listing = open_store(f"neptune-export:{export}").list()
    assert {run.id: run.metrics for run in listing.runs}[f"{PROJECT}/SIGN-2"] == {"train/loss": 1.0}
    assert any("belongs to run SIGN-9" in warning for warning in listing.warnings)


def test_a_folder_that_is_no_export_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no Neptune export"):
        open_store(f"neptune-export:{tmp_path}").list()
    with pytest.raises(StoreError, match="Name the export's folder"):
        open_store("neptune-export")
    with pytest.raises(StoreError, match="There is no kind of store 'wandb'"):
        open_store("wandb:x")


def test_an_export_cannot_be_written(export: Path) -> None:
    with pytest.raises(StoreError, match="can only be read"):
        open_store(f"neptune-export:{export}").push(export, "name")


def test_a_checkpoint_that_is_none_is_refused_and_leaves_nothing(export: Path, home: Path) -> None:
    (export / "files" / PROJECT_FOLDER / "SIGN-1" / "best.safetensors").write_bytes(b"\xff" * 500)
    store = open_store(f"neptune-export:{export}")
    with pytest.raises(Exception, match=r"best\.safetensors is not a safetensors checkpoint"):
        pull(store, store.find("SIGN-1/best"))
    assert not list(home.rglob("*.safetensors"))


@pytest.mark.slow
def test_long_curves_are_thinned_and_the_reader_s_memory_is_flat(tmp_path: Path) -> None:
    """Peak memory of a fresh process over 1 part and over 9; the rows of 8 more would weigh 80 MB and more."""
    rows, peaks = 50_000, []
    for parts in (1, 9):
        data = tmp_path / str(parts) / "data" / "p-1"
        data.mkdir(parents=True)
        for part in range(parts):
            table = {name: pa.nulls(rows, SCHEMA.field(name).type) for name in SCHEMA.names}
            table |= {name: pa.repeat(pa.scalar(name), rows) for name in ("project_id", "run_id", "attribute_path")}
            table["attribute_type"] = pa.repeat(pa.scalar("float_series"), rows)
            steps = pa.array(range(part * rows, part * rows + rows), pa.int64())
            table["step"] = steps.cast(pa.decimal128(19, 0)).cast(pa.decimal128(25, 6)).cast(pa.decimal128(18, 6))
            table["float_value"] = steps.cast(pa.float64())
            pq.write_table(pa.table(table, SCHEMA), data / f"r-1_part_{part}.parquet", row_group_size=10_000)
        script = (
            "import resource, sys\n"
            "from odits.tracking.neptune_export import ExportStore\n"
            "store = ExportStore(sys.argv[1])\n"
            "run = store.list().runs[0]\n"
            "curve = store.curves(run.id)['attribute_path']\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, len(curve), run.metrics)\n"
        )
        command = [sys.executable, "-c", script, str(data.parents[1])]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(maxsplit=2)
        peaks.append(int(said[0]))
        assert CURVE_POINTS / 2 - 1 <= int(said[1]) <= CURVE_POINTS
        assert str(float(parts * rows - 1)) in said[2]
    assert peaks[1] - peaks[0] < 25, f"peak memory grew from {peaks[0]} to {peaks[1]} MB"


def test_the_pulled_file_is_what_find_checkpoints_finds(export: Path) -> None:
    store = open_store(f"neptune-export:{export}")
    path = pull(store, store.find("SIGN-1/best"))
    assert read_metadata(path)["architecture"] == "odits-signs"
    assert len(file_digest(path)) == 64
    assert path.parent.name == "checkpoints" and path.suffix == ".safetensors"
