"""What a file is by its content, with files that torch, safetensors and pickle wrote."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from odits.core.formats import Format, file_format, head_format, open_zip, suffix_of
from tests.tracking.exports import WEIGHTS, safetensors_bytes, torch_bytes, zip_bytes


def _script() -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), stream)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (safetensors_bytes(), "safetensors"),
        (torch_bytes(), "torch"),
        (torch_bytes(_use_new_zipfile_serialization=False), "pickle"),
        (pickle.dumps({"state_dict": WEIGHTS}), "pickle"),
        (pickle.dumps(WEIGHTS, protocol=0), "pickle"),
        (pickle.dumps({"epoch": 3}), "other-pickle"),
        (zip_bytes({"a.txt": b"a", "data/0": b"x"}), "zip"),
        (b"", ""),
        (b"PK\x03\x04 and then nothing", ""),
        (b"(see the notes) torch", ""),
        (b'{"json": true}', ""),
        (b"\xff" * 100, ""),
        ((1 << 40).to_bytes(8, "little") + b"{" + b" " * 100, ""),
    ],
)
def test_formats(content: bytes, kind: Format, tmp_path: Path) -> None:
    path = tmp_path / "no ending"
    path.write_bytes(content)
    assert file_format(path) == kind
    if content[:2] != b"PK":
        assert head_format(content, len(content)) == kind


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_torchscript_is_told_from_weights(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_bytes(_script())
    assert file_format(path) == "torchscript"
    assert head_format(path.read_bytes(), path.stat().st_size) == "torch", "its first member tells no more"


def test_a_table_of_contents_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    content = bytearray(zip_bytes({"a": b"a"}))
    end = content.rfind(b"PK\x05\x06")
    content[end + 12 : end + 16] = (1 << 30).to_bytes(4, "little")
    path = tmp_path / "bomb.zip"
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="table of contents is too large"):
        open_zip(path)
    path.write_bytes(b"no zip")
    with pytest.raises(ValueError, match="damaged ZIP"):
        open_zip(path)


def test_a_zip_of_more_files_than_the_old_format_holds_is_read(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(66_000):
            archive.writestr(str(number), b"")
    with open_zip(path) as archive:
        assert len(archive.namelist()) == 66_000


@pytest.mark.parametrize(
    ("head", "suffix"),
    [(b"\x89PNG\r\n\x1a\n", ".png"), (b"\xff\xd8\xff\xe0", ".jpg"), (b"RIFF1234WEBPVP8 ", ".webp"), (b"words", "")],
)
def test_endings(head: bytes, suffix: str) -> None:
    assert suffix_of(head) == suffix
    assert suffix_of(b"", "torch") == ".pt"
