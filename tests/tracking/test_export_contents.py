"""Exports of both versions of Neptune: checkpoints by their content, where folders lie, and what one bad file costs."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from odits.core.errors import OditsError, StoreError
from odits.models.registry import read_metadata
from odits.tracking.neptune_export import ExportStore
from odits.tracking.pulling import pull
from odits.tracking.store import StoredRun
from tests.tracking.conftest import PROJECT, SCHEMA, START, row, write_part
from tests.tracking.exports import Export, safetensors_bytes, torch_bytes

OLD = {"_use_new_zipfile_serialization": False}


class Exploding:
    """A pickle of it leaves a file behind wherever it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> object:
        return Path.touch, (self.trace,)


def listed(store: ExportStore, run: str = "SIGN-1") -> tuple[StoredRun, list[str]]:
    """The run, and all that was left out."""
    listing = store.list()
    return next(found for found in listing.runs if found.id.endswith(run)), list(listing.warnings)


def names(run: StoredRun) -> dict[str, str]:
    return {item.name: item.metadata["format"] for item in run.checkpoints}


@pytest.fixture
def made(tmp_path: Path, home: Path) -> Export:
    return Export(tmp_path)


def test_neptune_2_checkpoints_have_no_endings(made: Export, tmp_path: Path) -> None:
    trace = tmp_path / "loaded"
    files = {
        "checkpoints/epoch_3": safetensors_bytes(),
        "checkpoints/epoch_3.5": torch_bytes(),
        "checkpoints/legacy": torch_bytes(**OLD),
        "checkpoints/harmful.pt": pickle.dumps(Exploding(trace)),
        "notes": b"torch, zip and {braces}",
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(50),
        "odd.pt": b"no weights at all",
    }
    made.write("SIGN-1", [made.neptune2("SIGN-1", name, content) for name, content in files.items()])
    store = ExportStore(str(made.root))
    run, warnings = listed(store)
    assert names(run) == {
        "checkpoints/epoch_3": "safetensors",
        "checkpoints/epoch_3.5": "torch",
        "checkpoints/legacy": "pickle",
        "checkpoints/harmful.pt": "other-pickle",
    }
    assert warnings == [f"Run {PROJECT}/SIGN-1, odd.pt: it is called weights, and holds none that can be read."]
    for name in ("epoch_3", "checkpoints/epoch_3.5", "legacy"):
        path = pull(store, store.find(f"SIGN-1/{name}"), architecture="odits-signs")
        assert read_metadata(path)["architecture"] == "odits-signs"
    with pytest.raises(StoreError, match="is refused"):
        pull(store, store.find("SIGN-1/harmful"))
    assert not trace.exists(), "a pickle was loaded"


def test_neptune_3_keeps_endings(made: Export) -> None:
    made.write(
        "run 3/ü", [made.file("run 3/ü", "model/best", "run_3/model_best-00/best.safetensors", safetensors_bytes())]
    )
    store = ExportStore(str(made.folder))
    run, warnings = listed(store, "run 3/ü")
    assert names(run) == {"model/best.safetensors": "safetensors"} and not warnings
    assert pull(store, store.find(run.checkpoints[0].reference)).is_file()


def test_members_of_a_set_are_files_and_bad_ones_are_named(made: Export) -> None:
    members = {
        "a/best.bin": torch_bytes(),
        "last": safetensors_bytes(),
        "a/notes.txt": b"notes",
        "../up.pt": torch_bytes(),
    }
    item = made.file_set("SIGN-1", "models", members)
    archive = next(made.files().rglob("*.zip"))
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as out:
        link = zipfile.ZipInfo("link.pt")
        link.external_attr = 0o120777 << 16
        out.writestr(link, "/etc/passwd")
        out.writestr("zeros.pt", bytes(101 << 20))
        out.writestr("C:\\windows.pt", b"x")
    made.write("SIGN-1", [item])
    store = ExportStore(str(made.root))
    run, warnings = listed(store)
    assert names(run) == {"models/a/best.bin": "torch", "models/last": "safetensors"}
    said = "\n".join(warnings)
    for name, why in (
        ("../up.pt", "leaves its folder"),
        ("link.pt", "is a link"),
        ("zeros.pt", "unpacks to 105,906,176"),
    ):
        assert f"'{name}' in models.zip {why}" in said
    assert len(warnings) == 4
    assert pull(store, store.find("SIGN-1/models/last")).read_bytes() == safetensors_bytes()
    assert pull(store, store.find("SIGN-1/best")).is_file()


@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_a_damaged_set_costs_its_own_files_only(made: Export, damage: str) -> None:
    items = [
        made.file_set("SIGN-1", "models", {"best": safetensors_bytes()}),
        made.neptune2("SIGN-1", "good", torch_bytes()),
    ]
    archive = next(made.files().rglob("*.zip"))
    content = bytearray(archive.read_bytes())
    if damage == "cut":
        archive.write_bytes(content[:-30])
    else:
        content[60:90] = b"\xff" * 30
        archive.write_bytes(bytes(content))
    made.write("SIGN-1", items)
    run, warnings = listed(ExportStore(str(made.root)))
    assert names(run)["good"] == "torch"
    assert ["models.zip" in line and "damaged" in line for line in warnings] == [True]


def test_an_artifact_is_a_list_and_pictures_are_no_checkpoints(made: Export) -> None:
    frames = [
        made.file("SIGN-1", "samples", f"{PROJECT}/SIGN-1/samples/{step}.png", b"\x89PNG\r\n\x1a\n", kind="file_series")
        | {"step": Decimal(step)}
        for step in range(3)
    ]
    made.write("SIGN-1", [made.artifact("SIGN-1", "dataset/train", ["a.pt", "../b.pt"]), *frames])
    run, warnings = listed(ExportStore(str(made.root)))
    assert run.checkpoints == () and warnings == []
    assert run.parameters == {"dataset/train": "artifact: a list of 2 files that lie elsewhere"}


def test_the_registry_is_listed_and_pulled(made: Export) -> None:
    made.write("SIGN-1", [row("loss", "float_series", 1.0, 0)])
    made.write("SIGN-MOD", [row("sys/name", "string", "reader")], scope="models")
    for version in (1, 2):
        item = made.neptune2(f"SIGN-MOD-{version}", "model/binary", safetensors_bytes(), "model_versions")
        made.write(f"SIGN-MOD-{version}", [item, row("sys/model_id", "string", "SIGN-MOD")], scope="model_versions")
    store = ExportStore(str(made.root))
    found = {run.id: run for run in store.list().runs}
    assert set(found) == {
        f"{PROJECT}/SIGN-1",
        f"{PROJECT}/models/SIGN-MOD",
        f"{PROJECT}/model_versions/SIGN-MOD-1",
        f"{PROJECT}/model_versions/SIGN-MOD-2",
    }
    assert found[f"{PROJECT}/models/SIGN-MOD"].name == "Model SIGN-MOD: reader"
    for reference in ("SIGN-MOD-2", f"{PROJECT}/model_versions/SIGN-MOD-2/model/binary"):
        assert pull(store, store.find(reference)).read_bytes() == safetensors_bytes()


def test_data_and_files_may_lie_apart(made: Export, tmp_path: Path) -> None:
    made.write("SIGN-1", [made.neptune2("SIGN-1", "best", safetensors_bytes())])
    beside = ExportStore(str(made.folder / "data"))
    assert names(listed(beside)[0]) == {"best": "safetensors"}
    shutil.move(made.folder / "files", tmp_path / "elsewhere")
    run, warnings = listed(beside)
    assert run.checkpoints == () and "name the export's folder of files (--files)" in warnings[0] and run.problem
    apart = ExportStore(str(made.folder / "data"), str(tmp_path / "elsewhere"))
    assert names(listed(apart)[0]) == {"best": "safetensors"}
    with pytest.raises(StoreError, match="--files names"):
        ExportStore(str(made.folder), str(tmp_path / "nowhere")).list()


def test_the_last_value_is_that_of_the_highest_step(made: Export) -> None:
    points = [(5.0, 3.0), (0.0, 1.0), (0.0, 2.0), (9.5, 7.0), (3.0, 4.0)]
    made.write("SIGN-1", [row("loss", "float_series", value, step) for step, value in points[:2]])
    made.write("SIGN-1", [row("loss", "float_series", value, step) for step, value in points[2:]], part=1)
    store = ExportStore(str(made.root))
    assert listed(store)[0].metrics == {"loss": 7.0} == store.run("SIGN-1").metrics
    assert [point.step for point in store.curves("SIGN-1")["loss"]] == [0.0, 0.0, 3.0, 5.0, 9.5]


def test_rows_without_a_path_and_texts_of_every_kind(made: Export) -> None:
    odd = "quote ' \" and\nnew line"
    rows = [
        row("", "string", "lost"),
        row(None, "string_series", "lost", 0),  # type: ignore[arg-type]
        row(odd, "string", odd),
        row("параметр/学習率", "float", 0.1),
        row("x" * 1024, "int", 3),
    ]
    made.write("SIGN-1", rows)
    run, warnings = listed(ExportStore(str(made.root)))
    assert warnings == [f"Run {PROJECT}/SIGN-1: 2 rows without an attribute path are left out."]
    assert run.parameters == {odd: odd, "параметр/学習率": "0.1", "x" * 1024: "3"}


def test_one_bad_part_hides_nothing_and_the_index_notices_its_repair(made: Export) -> None:
    for number in range(3):
        made.write(f"SIGN-{number}", [row("loss", "float_series", float(number), 0)])
    part = made.write("SIGN-1", [row("loss", "float_series", 5.0, 7)], part=1)
    good = part.read_bytes()
    part.write_bytes(good[:-10])
    store = ExportStore(str(made.root))
    run, warnings = listed(store)
    assert run.metrics == {"loss": 1.0} and len(warnings) == 1 and part.name in warnings[0]
    assert len(store.list().runs) == 3 and list(store.list().warnings) == warnings
    part.write_bytes(good)
    run, warnings = listed(store)
    assert run.metrics == {"loss": 5.0} and not warnings


def test_a_file_that_changed_is_looked_at_again(made: Export) -> None:
    made.write("SIGN-1", [made.neptune2("SIGN-1", "model", b"not yet")])
    store = ExportStore(str(made.root))
    assert listed(store)[0].checkpoints == ()
    made.neptune2("SIGN-1", "model", safetensors_bytes())
    assert names(listed(store)[0]) == {"model": "safetensors"}
    next(made.files().rglob("model")).unlink()
    run, warnings = listed(store)
    assert run.checkpoints == () and "is missing" in warnings[0]


def test_a_name_too_long_for_the_disk_is_named(made: Export) -> None:
    long = row("weights", "file", f"{PROJECT}/SIGN-1/{'w' * 1024}")
    made.write("SIGN-1", [long, made.neptune2("SIGN-1", "good", safetensors_bytes())])
    run, warnings = listed(ExportStore(str(made.root)))
    assert names(run) == {"good": "safetensors"} and len(warnings) == 1 and "weights" in warnings[0]


def test_long_texts_and_many_values_are_cut_in_the_list_alone(made: Export) -> None:
    rows = [row(f"parameters/{number}", "int", number) for number in range(2500)]
    made.write("SIGN-1", [row("source", "string", "s" * 5000), *rows, row("sys/creation_time", "datetime", START)])
    store = ExportStore(str(made.root))
    run, warnings = listed(store)
    assert len(run.parameters) + len(run.tags) == 2000 and "2,502 values" in warnings[0]
    assert run.started == START and len(run.parameters["source"]) < 2100
    whole = store.run("SIGN-1")
    assert len(whole.parameters) == 2501 and whole.parameters["source"] == "s" * 5000


def test_files_that_collide_keep_their_own_names(made: Export) -> None:
    made.write(
        "R-1",
        [
            made.file("R-1", "model/weights", "r/w.pt", torch_bytes()),
            made.file("R-1", "model/weights.pt", "r/w2.pt", torch_bytes(**OLD)),
        ],
    )
    store = ExportStore(str(made.root))
    assert names(listed(store, "R-1")[0]) == {"model/weights": "torch", "model/weights.pt": "pickle"}
    pulled = {pull(store, store.find(f"R-1/model/{name}")) for name in ("weights", "weights.pt")}
    assert len(pulled) == 2


def test_a_checkpoint_that_was_cut_off_is_named(made: Export) -> None:
    made.write("SIGN-1", [made.neptune2("SIGN-1", "checkpoints/best", torch_bytes()[:-40])])
    store = ExportStore(str(made.root))
    run, warnings = listed(store)
    said = "'checkpoints/best' is a ZIP, as checkpoints and sets of files are, and is damaged or cut off."
    assert run.checkpoints == () and warnings == [f"Run {PROJECT}/SIGN-1, checkpoints/best: {said}"]
    assert store.run("SIGN-1").problem == warnings[0]


def test_paths_that_an_exporter_wrote_on_windows(made: Export) -> None:
    item = made.neptune2("SIGN-1", "checkpoints/best", safetensors_bytes())
    item["file_value"] = {"path": item["file_value"]["path"].replace("/", "\\")}
    out = row("out", "file", "..\\..\\..\\secret")
    made.write("SIGN-1", [item, out])
    store = ExportStore(str(made.root))
    run, warnings = listed(store)
    assert names(run) == {"checkpoints/best": "safetensors"} and pull(store, run.checkpoints[0]).is_file()
    assert len(warnings) == 1 and "leaves its folder and is refused" in warnings[0]


def test_files_that_the_exporter_did_not_bring_are_named(made: Export) -> None:
    lost = [row(f"checkpoints/{number}", "file", "") | {"file_value": None} for number in range(5)]
    made.write("SIGN-1", [*lost, row("loss", "float_series", 1.0, 0)])
    first = ", ".join(f"checkpoints/{number}" for number in range(3))
    said = f"Run {PROJECT}/SIGN-1: the exporter brought no file for {first} and 2 more."
    run, warnings = listed(ExportStore(str(made.root)))
    assert warnings == [said] and run.metrics == {"loss": 1.0}
    assert ExportStore(str(made.root)).run("SIGN-1").problem == said


OTHER_TYPES: dict[str, dict[str, pa.DataType]] = {
    "as pandas writes it": {"histogram_value": pa.null(), "string_set_value": pa.null(), "file_value": pa.null()},
    "large texts": dict.fromkeys(("project_id", "run_id", "attribute_path", "string_value"), pa.large_string()),
    "dictionaries": dict.fromkeys(
        ("project_id", "run_id", "attribute_path", "attribute_type"), pa.dictionary(pa.int32(), pa.string())
    ),
    "small numbers": {"int_value": pa.int32(), "float_value": pa.float32()},
    "decimals of another scale": {"step": pa.decimal128(20, 2)},
    "wide decimals": {"step": pa.decimal256(50, 10)},
    "whole steps": {"step": pa.int64()},
    "moments without a zone": {"timestamp": pa.timestamp("ns"), "datetime_value": pa.timestamp("us")},
}


@pytest.mark.parametrize("types", list(OTHER_TYPES))
def test_columns_of_other_types(made: Export, types: str) -> None:
    rows = [row("loss", "float_series", 0.5, 3), row("n", "int", 3), row("s", "string", "x")]
    path = made.write("SIGN-1", [*rows, row("sys/creation_time", "datetime", START)])
    table = pq.read_table(path)
    for name, kind in OTHER_TYPES[types].items():
        at = table.schema.get_field_index(name)
        new = pa.nulls(table.num_rows) if pa.types.is_null(kind) else table[name].cast(kind)
        table = table.set_column(at, name, new)
    pq.write_table(table, path)
    store = ExportStore(str(made.root))
    run, warnings = listed(store)
    assert warnings == [] and run.metrics == {"loss": 0.5} and run.parameters == {"n": "3", "s": "x"}
    assert run.started == START and [(p.step, p.value) for p in store.curves("SIGN-1")["loss"]] == [(3.0, 0.5)]


def test_columns_that_are_missing(made: Export) -> None:
    """Those of values are taken for empty; without one that says what its rows are a part is left out."""
    for number, lacking in enumerate(("histogram_value", "file_value", "attribute_type")):
        path = made.write(f"SIGN-{number}", [row("loss", "float_series", 0.5, 3)])
        pq.write_table(pq.read_table(path).drop_columns([lacking]), path)
    pq.write_table(pq.read_table(path).slice(0, 0), made.data() / "SIGN-9-00_part_0.parquet")
    listing = ExportStore(str(made.root)).list()
    assert [(run.id, run.metrics) for run in listing.runs] == [
        (f"{PROJECT}/SIGN-{number}", {"loss": 0.5}) for number in (0, 1)
    ]
    assert [line.partition("left out: ")[2] for line in listing.warnings] == [
        "it lacks the column attribute_type.",
        "it lacks the column attribute_type.",
    ]
    pq.write_table(SCHEMA.empty_table(), made.data() / "SIGN-9-00_part_0.parquet")
    assert ExportStore(str(made.root)).list().warnings[-1].endswith("is left out: it holds no rows.")


def test_rows_of_another_run_are_left_out(made: Export) -> None:
    path = made.write("SIGN-1", [row("loss", "float_series", 1.0, 0)])
    write_part(path, [row("loss", "float_series", 1.0, 0), row("loss", "float_series", 9.0, 1, run="SIGN-2")])
    run, warnings = listed(ExportStore(str(made.root)))
    assert run.metrics == {"loss": 1.0} and "1 rows of another run" in warnings[0]


def test_a_damaged_index_is_read_again(made: Export, home: Path) -> None:
    made.write("SIGN-1", [made.neptune2("SIGN-1", "best", safetensors_bytes())])
    store = ExportStore(str(made.root))
    before = store.list()
    (index,) = (home / "cache" / "neptune-exports").rglob("*.json")
    for nonsense in (b"[]", b"{}", index.read_bytes().replace(b'"values"', b'"nonsense"'), b"{"):
        index.write_bytes(nonsense)
        assert store.list() == before


def test_what_is_no_export_is_one_sentence(tmp_path: Path, made: Export) -> None:
    for place in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(OditsError, match="is no Neptune export"):
            ExportStore(str(place)).list()
