"""Damaged files of all kinds that are parsed, given to the functions that read them for pages and commands."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import safetensors.torch  # noqa: F401
from safetensors.numpy import save_file

from benchmarks._reliability.batches import Costs, try_all
from benchmarks._reliability.mutants import mutant
from benchmarks._reliability.part import Part, PartProgress
from odits.core.errors import OditsError
from odits.core.weights import read_tensors, tensor_shapes
from odits.data.annotation_tables import COLUMNS
from odits.data.datasets import read_dataset
from odits.data.label_studio import import_tasks
from odits.data.mark_files import export_marks, read_marks_file
from odits.data.marks import ImageWord, Mark
from odits.data.vocabulary import Vocabulary
from odits.evaluation.results import RESULT, TABLE, read_evaluation
from odits.models.model_ref import read_metadata
from odits.models.reading.result_files import read_results
from tests.data import layouts

FULL_EACH, QUICK_S, FULL_S = 5_000, 45.0, 24 * 3600.0
SLICES = 20
_ALLOWED = Costs(8.0, 1_200_000_000)
_JSON = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"null", b"NaN", b"-1e999", b"[" * 3000, b'{"a":' * 2000, b"\\ud800"]
_WORDS = {
    "xml": [b"<image>", b"</image>", b"<lex>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"<![CDATA[", b"<?xml"],
    "csv": [b",", b";", b'"', b"\n", b"\r", b"sep=;", b"file", b"words", b"split", b"\0", b"../", b"=1+1", b'""' * 999],
    "json": _JSON,
    "parquet": [b"PAR1", b"\0" * 8, b"\xff" * 8, b"huggingface", b"ARROW1", b"\x15\x04", b"\x28\xb5\x2f\xfd"],
    "safetensors": [*_JSON, b'"data_offsets":[0,9999999999]', b'"shape":[9999999999,0]', b"\xff" * 8, b"__metadata__"],
    "matlab": [b"\x0e\0\0\0", b"\x0f\0\0\0", b"\x01\0\x04\0", b"IM", b"MI", b"\xff" * 4, b"\x7f" * 4],
    "text": [b"###", b",", b"\t", b"nan", b"inf", b"x: [[", b"]], y: [[", b"transcriptions: [u'", b"[{", b"9" * 5000],
}
_WORDS["xml"] += [b"<a>" * 100, b"<a b='" + b"c" * 2000 + b"'/>", b"x='nan'", b"x='1e400'", b"&#x110000;", b"\0"]


class Target(NamedTuple):
    """What is damaged, and who reads it.

    Attributes:
        kind: of the file, a key of the words that are put into it.
        folder: with everything undamaged.
        file: within the folder, which is damaged.
        read: reads the folder.
    """

    kind: str
    folder: Path
    file: str
    read: Callable[[Path], object]


def targets(root: Path) -> list[Target]:
    """Write the undamaged files, and say who reads each."""
    found: list[Target] = []

    def add(kind: str, folder: Path, file: str, read: Callable[[Path], object] = read_dataset) -> None:
        found.append(Target(kind, folder, file, read))

    svt = root / "svt"
    layouts.picture(svt / "img/a.jpg")
    box = "<taggedRectangle height='9' width='20' x='3' y='4'><tag>BAR</tag></taggedRectangle>"
    one = f"<image><imageName>img/a.jpg</imageName><lex>BAR,CAFE</lex><Resolution x='100' y='60'/>{box}</image>"
    layouts.text(svt / "train.xml", f"<?xml version='1.0'?><tagset>{one}</tagset>")
    add("xml", svt, "train.xml")
    table = root / "table"
    layouts.picture(table / "a.jpg")
    layouts.text(table / "lexicons.csv", "file,words,split\na.jpg,\"BAR, CAFE\",train\na.jpg,\"['A', 'B']\",train\n")
    add("csv", table, "lexicons.csv")
    makers: list[tuple[str, Callable[[Path], Path], tuple[str, ...]]] = [
        ("json", layouts.coco_text, ("cocotext.v2.json",)),
        ("json", layouts.text_ocr, ("TextOCR_0.1_train.json",)),
        ("json", layouts.label_files, ("train_icdar2015_label.txt",)),
        ("parquet", layouts.parquet, ("data/train-00000-of-00001.parquet",)),
        ("matlab", layouts.iiit5k, ("traindata.mat",)),
        (
            "matlab",
            lambda folder: layouts.total_text(folder, matlab=True),
            ("Groundtruth/Polygon/Test/poly_gt_img11.mat",),
        ),
        ("text", layouts.icdar_2013, ("Challenge2_Training_Task1_GT/gt_100.txt",)),
        ("text", layouts.total_text, ("Groundtruth/Polygon/Train/poly_gt_img11.txt",)),
    ]
    for number, (kind, make, files) in enumerate(makers):
        folder = make(root / f"layout{number}")
        for file in files:
            add(kind, folder, file)
    arrow = root / "arrow"
    arrow.mkdir()
    rows = pa.table(layouts.parquet_rows(arrow))
    with pa.ipc.new_stream(str(arrow / "train.arrow"), rows.schema) as writer:
        writer.write_table(rows)
    add("parquet", arrow, "train.arrow")
    _add_others(root / "others", add)
    return found


def _read_marks(name: str, place: Path) -> None:
    read_marks_file((place / name).read_bytes(), name)


def _add_others(folder: Path, add: Callable[..., None]) -> None:
    """Write what is read by itself: vocabularies, marks, tasks, weights, results of spotters and of evaluations."""
    folder.mkdir()
    layouts.text(folder / "words.csv", 'word,count\nBAR,3\n"CAFE, DE",4\n')
    add("csv", folder, "words.csv", lambda place: Vocabulary.from_file(place / "words.csv"))
    shown = {"model": "model", "checkpoint": "a" * 64, "vocabulary": "b" * 64}
    about = {"annotator": "ann", "data": "data", "image": "a.jpg", "word": "BAR", **shown}
    mark = {"verdict": "right", "note": "a note", "time": "2026-01-01T10:00:00+00:00", "box": "1.0 2.0 30.0 40.0"}
    row = ",".join((about | mark | {"probability": "0.5"}).get(column, "") for column in COLUMNS)
    layouts.text(folder / "marks.csv", f"{','.join(COLUMNS)}\n{row}\n")
    add("csv", folder, "marks.csv", partial(_read_marks, "marks.csv"))
    one = (ImageWord("data", "a.jpg", "BAR"), Mark("right", "a note", "2026-01-01T10:00:00+00:00", box=(1, 2, 30, 40)))
    for format, name in (("parquet", "marks.parquet"), ("coco", "marks.json")):
        (content,) = export_marks("ann", [one], format).values()
        (folder / name).write_bytes(content)
        add(name.split(".")[1], folder, name, partial(_read_marks, name))
    named = {"data": "data", "image": "a.jpg", **shown}
    result = {"from_name": "right", "to_name": "image", "type": "choices", "value": {"choices": ["BAR"]}}
    done = {"result": [result], "completed_by": 1, "updated_at": "2026-01-01T10:00:00Z"}
    layouts.text(folder / "tasks.json", json.dumps([{"data": {"odits": named}, "annotations": [done]}]))
    add("json", folder, "tasks.json", lambda place: import_tasks((place / "tasks.json").read_bytes(), "ann"))
    found = {"image_name": "a.jpg", "polys": [[1, 1], [20, 1], [20, 9], [1, 9]], "rec": "BAR", "score": 0.9}
    layouts.text(folder / "spotted.json", json.dumps([found, found | {"image_name": "b.jpg"}]))
    add("json", folder, "spotted.json", lambda place: read_results(place / "spotted.json"))
    save_file({"a": np.ones((2, 3), np.float32), "b": np.zeros(4, np.float16)}, folder / "a.safetensors", {"kind": "x"})
    for read in (read_metadata, tensor_shapes, read_tensors):
        add("safetensors", folder, "a.safetensors", lambda place, read=read: read(place / "a.safetensors"))
    groups = {"confidence": {}, "threshold": {}, "rank": {}, "uniformity": 0.1}
    document: dict[str, object] = {
        "model": "m",
        "checkpoint": "c",
        "reference": "r",
        "data": "d",
        "split": "all",
        "created": "2026",
    }
    document |= {"vocabulary": {"name": "v", "words": ["BAR", "CAFE"]}, "images": ["a.jpg"], "groups": groups}
    layouts.text(folder / RESULT, json.dumps(document | {"per_image": {"rank": [1.0]}}))
    np.save(folder / TABLE, np.ones((1, 2), np.float32))
    add("json", folder, RESULT, read_evaluation)
    add("json", folder, TABLE, read_evaluation)


def run(quick: bool, seed: int, progress: PartProgress) -> Part:
    """Try a slice of 100,000 damaged files of each kind, or those of the first three quarters of a minute."""
    with tempfile.TemporaryDirectory(prefix="odits-parsers-") as name:
        root = Path(name)
        os.environ["ODITS_HOME"] = str(root / "home")
        whole = targets(root / "whole")
        copies: dict[tuple[int, int], Path] = {}

        def attempt(number: int) -> None:
            place = number % len(whole)
            target, rng = whole[place], random.Random(f"{seed} {number}")
            key = (os.getpid(), place)
            if key not in copies:
                copies[key] = root / f"{os.getpid()}-{place}"
                shutil.copytree(target.folder, copies[key])
            data = original = (target.folder / target.file).read_bytes()
            if number >= len(whole):  # the first of each is as it should be
                data = mutant([original], 0, _WORDS[target.kind], rng)
            (copies[key] / target.file).write_bytes(data)
            try:
                target.read(copies[key])
            except OditsError as error:
                if number < len(whole) or "\n" in str(error).strip():
                    raise ValueError(f"{target.file}: {error}") from error

        again = f"parsers, seed {seed}, file"
        count = FULL_EACH * len(whole)
        tally = try_all(attempt, count, QUICK_S if quick else FULL_S, _ALLOWED, again, progress)
    return tally.to_part("damaged files")
