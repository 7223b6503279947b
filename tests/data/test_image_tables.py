"""Parquet and Arrow files with images, as the hub has them, and damaged ones."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.data import Dataset, parquet, read_dataset

Box = tuple[int, int, int, int]


def png(grey: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (50, 40), (grey, grey, grey)).save(stream, "PNG")
    return stream.getvalue()


def images(count: int = 2) -> list[dict[str, Any]]:
    return [{"bytes": png(number), "path": f"{number}.png"} for number in range(count)]


def read(folder: Path, table: Any, name: str = "train-00000-of-00001.parquet") -> Dataset:
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), folder / name)
    return read_dataset(folder)


def content(dataset: Dataset) -> list[tuple[tuple[str, ...], list[Box]]]:
    return [(record.lexicon, [word.box for word in record.boxed]) for record in dataset.records]


@pytest.mark.parametrize(
    ("column", "values", "feature"),
    [
        ("label", [0, 1], {"names": ["stop sign", "yield"], "_type": "ClassLabel"}),
        ("labels", [[0], [1, -1]], {"feature": {"names": ["stop sign", "yield"]}, "_type": "Sequence"}),
        ("labels", [[0], [1]], [{"names": ["stop sign", "yield"], "_type": "ClassLabel"}]),
    ],
)
def test_numbered_classes_are_words_by_their_names(tmp_path: Path, column: str, values: Any, feature: Any) -> None:
    told = json.dumps({"info": {"features": {"image": {"_type": "Image"}, column: feature}}}).encode()
    table = pa.table({"image": images(), column: values}).replace_schema_metadata({b"huggingface": told})
    assert content(read(tmp_path, table)) == [(("stop sign",), []), (("yield",), [])]


@pytest.mark.parametrize("told", [b"", b"[]", b'{"info": {"features": [1]}}', b'{"info": {"features": {"label": 1}}}'])
def test_classes_without_names_are_no_words(tmp_path: Path, told: bytes) -> None:
    table = pa.table({"image": images(), "label": [0, 1]}).replace_schema_metadata({b"huggingface": told})
    assert content(read(tmp_path, table)) == [((), []), ((), [])]


@pytest.mark.parametrize(
    "objects",
    [
        [{"bbox": [[1.0, 2.0, 10.0, 10.0]], "text": ["BAR"]}, {"bbox": [], "text": []}],
        [[{"text": "BAR", "bbox": [1, 2, 10, 10]}], []],
        [[{"transcription": "BAR", "points": [[1, 2], [11, 2], [11, 12], [1, 12]]}], None],
    ],
)
def test_words_and_boxes_in_one_column(tmp_path: Path, objects: Any) -> None:
    dataset = read(tmp_path, {"image": images(), "objects": objects})
    assert content(dataset) == [(("BAR",), [(1, 2, 11, 12)]), ((), [])]


@pytest.mark.parametrize(
    "words",
    [
        pa.array(["BAR", "INN"], pa.large_string()),
        pa.array(["BAR", "INN"]).dictionary_encode(),
        pa.array([["BAR"], ["INN"]], pa.large_list(pa.large_string())),
        pa.array([["BAR"], ["INN"]], pa.list_(pa.string(), 1)),
    ],
)
def test_texts_of_every_type_are_words(tmp_path: Path, words: Any) -> None:
    assert content(read(tmp_path, pa.table({"image": images(), "Text": words}))) == [(("BAR",), []), (("INN",), [])]


def test_boxes_of_fixed_size_and_corners_with_names(tmp_path: Path) -> None:
    boxes = pa.array([[[1.0, 2.0, 10.0, 10.0]]], pa.list_(pa.list_(pa.float32(), 4)))
    dataset = read(tmp_path, pa.table({"image": images(1), "words": [["BAR"]], "bboxes": boxes}))
    assert content(dataset) == [(("BAR",), [(1, 2, 11, 12)])]
    corners = [[[{"x": 1.0, "y": 2.0}, {"x": 11.0, "y": 2.0}, {"x": 11.0, "y": 12.0}]]]
    dataset = read(tmp_path, {"image": images(1), "words": [["BAR"]], "polygons": corners})
    assert content(dataset) == [(("BAR",), [(1, 2, 11, 12)])]


def test_columns_that_share_a_name_are_left_out(tmp_path: Path) -> None:
    table = pa.table([pa.array(images()), pa.array(["A", "B"]), pa.array(["C", "D"])], names=["image", "text", "text"])
    assert content(read(tmp_path, table)) == [((), []), ((), [])]


def test_a_parquet_file_under_another_ending(tmp_path: Path) -> None:
    assert len(read(tmp_path, {"image": images(), "text": ["A", "B"]}, "train.arrow").records) == 2


def test_far_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MAX_ROWS", 1)
    with pytest.raises(OditsError, match=r"has more than the 1 rows such a file may have"):
        read(tmp_path, {"image": images(), "text": ["A", "B"]})


def test_a_footer_that_lies_costs_only_its_file(tmp_path: Path) -> None:
    read(tmp_path, {"image": images(), "text": ["A", "B"]}, "a.parquet")
    broken = bytearray((tmp_path / "a.parquet").read_bytes())
    broken[-8:-4] = b"\xff\xff\xff\x7f"
    (tmp_path / "b.parquet").write_bytes(broken)
    dataset = read_dataset(tmp_path)
    assert len(dataset.records) == 2
    assert dataset.warnings == ("b.parquet is damaged, cut off, or no Parquet file.",)


def arrow(stream: bool) -> bytes:
    table = pa.table({"image": images(3), "words": [["A", "B"]] * 3, "bboxes": [[[1.0, 2, 3, 4]] * 2] * 3})
    sink = io.BytesIO()
    write = pa.ipc.new_stream if stream else pa.ipc.new_file
    with write(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


READ_ALL = """
import sys
from pathlib import Path
from odits.core.errors import OditsError
from odits.data import read_dataset
for folder in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_dataset(folder)
    except OditsError:
        pass
print("all")
"""


@pytest.mark.slow
def test_damaged_arrow_files_neither_end_the_process_nor_escape(tmp_path: Path) -> None:
    """Arrow checks little while it reads (https://github.com/apache/arrow/issues/42940 is one of a long row)."""
    generator = random.Random(0)
    for number in range(200):
        broken = bytearray(arrow(stream=number % 2 == 0))
        for _ in range(generator.choice((1, 3, 20))):
            broken[generator.randrange(len(broken))] = generator.choice((0, 127, 128, 255, generator.randrange(256)))
        (tmp_path / f"{number:03}").mkdir()
        (tmp_path / f"{number:03}/train.arrow").write_bytes(broken)
    run = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(tmp_path)], capture_output=True, text=True, env=os.environ, check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, "all"), run.stderr[-2000:]


def test_a_table_that_unpacks_to_far_more_than_pictures_have_is_refused(tmp_path: Path) -> None:
    """Some kilobytes of it are 150 megabytes a row."""
    rows = pa.table({"image": pa.array([bytes(150 << 20)], pa.binary()), "text": ["BAR"]})
    pq.write_table(rows, tmp_path / "train.parquet", compression="zstd")
    assert (tmp_path / "train.parquet").stat().st_size < 100_000
    with pytest.raises(OditsError, match=r"train\.parquet unpacks to more than pictures have"):
        read_dataset(tmp_path)
