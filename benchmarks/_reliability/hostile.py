"""Hostile checkpoints, archives and data sets: code in pickles, names that climb, links, headers that claim too much.

Each would touch a canary or write outside where it is let; both are looked for after every one.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch  # noqa: F401  what readers import later, each forked process would import

from benchmarks._reliability.batches import Costs, LetInError, try_all
from benchmarks._reliability.mutants import mutant
from benchmarks._reliability.part import Part, PartProgress
from odits.core.errors import OditsError
from odits.core.weights import read_tensors, tensor_shapes
from odits.data.datasets import read_dataset
from odits.tracking.neptune_export_files import FoundFile, bring_out
from tests.data import layouts

FULL, QUICK_S, FULL_S = 3_000, 45.0, 24 * 3600.0
_ALLOWED = Costs(60.0, 4 << 30)  # a process with torch in it, beside a gibibyte and three times the file
_CLIMBING = ("../out", "../../out", "/out", "a/../../out", "..\\out", "C:\\out", "a\0b", "./../out", "~/out", "x" * 300)


class _Call:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.called = function, arguments

    def __reduce__(self) -> Any:
        return self.called


def _by_hand(module: str, function: str, argument: str, rng: random.Random) -> bytes:
    """Write a pickle that calls a function with a text, in one of the ways in which pickles can."""
    text = b"X" + struct.pack("<I", len(argument)) + argument.encode()
    name = f"c{module}\n{function}\n".encode()
    stacked = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, function)) + b"\x93"
    return rng.choice(
        (
            b"\x80\x02" + name + text + b"\x85R.",
            b"\x80\x04" + stacked + text + b"\x85R.",
            b"(" + text + f"i{module}\n{function}\n".encode() + b".",
            b"(" + name + text + b"o.",
            b"\x80\x02" + name + text + b"\x85\x81.",
            b"\x80\x02}" + text + name + text + b"\x85Rs.",
            b"\x80\x02]" + name + text + b"\x85Ra0" + b"}.",
            b"\x80\x02" + name + b"q\x000h\x00" + text + b"\x85R.",
        )
    )


def _code(canary: Path, rng: random.Random) -> bytes:
    """Write a pickle that touches the canary where it is let."""
    shell, python = f"touch {canary}", f"open({str(canary)!r}, 'w')"
    named = rng.choice(
        (
            *(("os", "system", shell), ("posix", "system", shell), ("subprocess", "getoutput", shell)),
            *(("builtins", "exec", python), ("builtins", "eval", python), ("__builtin__", "eval", python)),
            *(("os", "mkdir", str(canary)), ("torch.hub", "load", str(canary)), ("runpy", "run_path", str(canary))),
            *(("torch", "load", str(canary)), ("numpy", "load", str(canary)), ("pty", "spawn", shell)),
            *(("__torch__.os", "system", shell), ("torch.jit._pickle", "build_intlist", shell)),
        )
    )
    if rng.random() < 0.6:
        return _by_hand(*named, rng)
    call = rng.choice(
        (
            _Call(os.system, shell),
            _Call(exec, python),
            _Call(open, str(canary), "w"),
            _Call(Path.touch, canary),
            _Call(np.dtype(object).type, pickle.dumps(_Call(os.system, shell))),
            _Call(np.float64(0).__reduce__()[0], np.dtype("O"), pickle.dumps(_Call(os.system, shell))),
            _Call(getattr, _Call(__import__, "os"), "system"),
        )
    )
    return pickle.dumps({"state_dict": {"a": call}} if rng.random() < 0.5 else call, rng.randrange(6))


def _torch_archive(data: bytes, rng: random.Random) -> bytes:
    """Put a pickle where torch.save, or torch.jit.save, has its own."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/data/0", bytes(64))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
        if rng.random() < 0.3:
            archive.writestr("archive/constants.pkl", data)
            archive.writestr("archive/code/__torch__.py", "import os\n")
        if rng.random() < 0.3:
            archive.writestr(rng.choice(_CLIMBING), "x")
    return stream.getvalue()


def _checkpoint(place: Path, canary: Path, rng: random.Random) -> None:
    data = _code(canary, rng)
    if rng.random() < 0.5:
        data = _torch_archive(data, rng)
    if rng.random() < 0.3:
        data = mutant([data], 0, [b"R", b"\x93", b"c", b".", b"PK\1\2", b"PK\3\4"], rng)
    file = place / rng.choice(("model.pt", "model.pth", "model.bin", "model.safetensors", "model.ckpt"))
    file.write_bytes(data)
    _read_weights(file, rng)


def _header(place: Path, canary: Path, rng: random.Random) -> None:
    """Read a safetensors header that claims gigabytes, overlaps, or is no header."""
    big = rng.choice((1 << 33, 1 << 40, 1 << 62, (1 << 64) - 1, -1, 10**30))
    entry = {"dtype": rng.choice(("F32", "F64", "I8", "BF16", "X9", "")), "shape": [2, 2], "data_offsets": [0, 16]}
    change = rng.randrange(7)
    header: dict[str, Any] = {"a": dict(entry)}
    if change == 0:
        header["a"]["shape"] = rng.choice(([big], [big, 0], [0, big], [1] * 5000, [big, big]))
    elif change == 1:
        header["a"]["data_offsets"] = rng.choice(([0, big], [big, big], [16, 0], [-16, 0]))
    elif change == 2:
        header |= {"b": dict(entry), "c": entry | {"data_offsets": [8, 24]}}
    elif change == 3:
        header["__metadata__"] = rng.choice(({"a": "x" * 1_000_000}, {"a": 1}, [], "x", {"kind": "odits"}))
    elif change == 4:
        header |= {f"t{number}": entry | {"data_offsets": [0, 0], "shape": [0]} for number in range(20_000)}
    written = json.dumps(header).encode() if change != 5 else b'{"a":' * 50_000
    length = len(written) if change != 6 else rng.choice((1 << 31, 1 << 40, (1 << 63) - 1, (1 << 64) - 1, 0, 1))
    file = place / "model.safetensors"
    file.write_bytes(struct.pack("<Q", length) + written + bytes(rng.choice((0, 16, 4096))))
    _read_weights(file, rng)


def _index(place: Path, canary: Path, rng: random.Random) -> None:
    """Read an index whose parts lie elsewhere, or are itself."""
    named = rng.choice((*_CLIMBING, "model.safetensors.index.json", "", ".", "a/b", 7, None, ["a"]))
    document = {"weight_map": {"a": named}}
    (place / "model.safetensors.index.json").write_text(json.dumps(document))
    _read_weights(place / "model.safetensors.index.json", rng)


def _tar(place: Path, canary: Path, rng: random.Random) -> None:
    """Read a tar of members that climb or are links: nothing of it is brought out."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=rng.choice(("w", "w:gz"))) as archive:
        for name in rng.sample([name for name in _CLIMBING if "\0" not in name], 3):
            entry = tarfile.TarInfo(name)
            entry.type = rng.choice((tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE))
            archive.addfile(entry.replace(linkname=str(canary), deep=False))
    (place / "model.pt").write_bytes(stream.getvalue())
    _read_weights(place / "model.pt", rng)


def _read_weights(file: Path, rng: random.Random) -> None:
    try:
        rng.choice((tensor_shapes, read_tensors))(file)
    except OditsError as error:
        _is_sentence(error)


def _is_sentence(error: Exception) -> None:
    if "\n" in str(error).strip() or "Traceback" in str(error):
        raise ValueError(f"not one sentence: {error}") from error


def _archive(place: Path, canary: Path, rng: random.Random) -> None:
    """Bring out of a ZIP what climbs, is a link, or unpacks to very much."""
    (place / "export").mkdir()
    path, names = place / "export/files.zip", rng.sample([*_CLIMBING, "good.bin"], 4)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            if rng.random() < 0.3:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, str(canary) if rng.random() < 0.8 else bytes(20_000_000), zipfile.ZIP_DEFLATED)
    if rng.random() < 0.3:
        path.write_bytes(mutant([path.read_bytes()], 0, [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"../", b"\xff" * 4], rng))
    for number, name in enumerate(names):
        file = FoundFile(name, "files", "file_set", path, 1, "", name)
        try:
            bring_out(file, place / f"brought-{number}", lambda *_: None)
        except (OditsError, OSError) as error:  # the latter is what callers of it expect
            _is_sentence(error)


def _links(place: Path, canary: Path, rng: random.Random) -> None:
    """Read a data set whose pictures lie elsewhere: links, paths that climb, and paths in a table."""
    outside = layouts.picture(place / "outside.png")
    data = place / "data"
    layouts.picture(data / "img/good.png")
    names = [*_CLIMBING, "img/link.png", "img/linked/outside.png", "../outside.png", str(outside)]
    (data / "img/link.png").symlink_to(rng.choice((outside, Path("/etc/passwd"), Path("link.png"))))
    (data / "img/linked").symlink_to(place)
    named = [*rng.sample(names, 5), "img/good.png"]
    kind = rng.randrange(4)
    if kind == 0:
        layouts.text(data / "lexicons.csv", "file,words\n" + "".join(f'"{name}",BAR\n' for name in named if name))
    elif kind == 1:
        entries = "".join(f"<image><imageName>{name}</imageName><lex>BAR</lex></image>" for name in named)
        layouts.text(data / "train.xml", f"<tagset>{entries}</tagset>".replace("\0", ""))
    elif kind == 2:
        layouts.text(data / "train_label.txt", "".join(f"{name}\tBAR\n" for name in named))
    else:
        rows = [{"bytes": None, "path": name} for name in named]
        pq.write_table(pa.table({"image": rows, "text": ["BAR"] * len(rows)}), data / "train.parquet")
    try:
        found = read_dataset(data)
    except OditsError as error:
        _is_sentence(error)
        return
    for record in found.records:
        if not record.path.resolve().is_relative_to(data.resolve()):
            raise LetInError(f"{record.name} lies outside of the data set")


KINDS: tuple[Callable[[Path, Path, random.Random], None], ...] = (
    *(_checkpoint, _header, _index, _archive, _links, _tar),
)


def run(quick: bool, seed: int, progress: PartProgress) -> Part:
    """Try hostile files: five hundred of each kind, or those of the first three quarters of a minute."""
    with tempfile.TemporaryDirectory(prefix="odits-hostile-") as name:
        root = Path(name)
        os.environ["ODITS_HOME"] = str(root / "home")

        def attempt(number: int) -> None:
            rng = random.Random(f"{seed} {number}")
            outer = root / str(number)
            place, canary = outer / "a/b", outer / "canary"
            place.mkdir(parents=True)
            try:
                KINDS[number % len(KINDS)](place, canary, rng)
            finally:
                if canary.exists():
                    raise LetInError("its code ran")
                strangers = {path.name for path in outer.iterdir()} | {path.name for path in (outer / "a").iterdir()}
                if strangers != {"a", "b"} or Path("/out").exists():
                    raise LetInError(f"it wrote outside: {strangers}")
                shutil.rmtree(outer)

        again = f"hostile, seed {seed}, file"
        tally = try_all(attempt, FULL, QUICK_S if quick else FULL_S, _ALLOWED, again, progress)
    return tally.to_part("hostile files")
