"""What a file is, by its content: names lie, and an export of Neptune's keeps none. Nothing is loaded or unpickled.

A look costs the first bytes of a file, and the table of contents of a ZIP.
"""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal

from odits.core.limits import LIMITS

Format = Literal["", "safetensors", "torch", "torchscript", "pickle", "other-pickle", "zip"]
"""Weights: "safetensors", "torch" (the ZIP of torch.save), "torchscript", "pickle" (torch.save's older form, or plain).
"other-pickle" names no tensors where one would expect them, "zip" is another ZIP, "" everything else."""

WEIGHTS: tuple[Format, ...] = ("safetensors", "torch", "torchscript", "pickle")
HEAD = 4096
_PICKLE_HEAD = 1 << 16
_TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the number 0x1950a86a20f9469cfc6c, pickled
_OLD_PICKLES = (b"c", b"(", b"}", b"]")  # protocols 0 and 1 have no mark of their own
_TORCH_MEMBER = re.compile(rb"[^/]+/(data\.pkl|data/\d+|constants\.pkl|code/.+|extra/.+|version|byteorder|\.\w+)")
_SAFETENSORS_HEADER = LIMITS.weights_header_bytes  # the library's own limit is 100 MB
_CONTENTS = LIMITS.zip_contents_bytes
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"

_SUFFIXES = (
    (rb"\x89PNG\r\n\x1a\n", ".png"),
    (rb"\xff\xd8\xff", ".jpg"),
    (rb"GIF8[79]a", ".gif"),
    (rb"RIFF....WEBP", ".webp"),
    (rb"II\*\x00|MM\x00\*", ".tif"),
    (rb"%PDF-", ".pdf"),
    (rb"\s*<(!doctype html|html)", ".html"),
    (rb"\s*(<\?xml[^>]*>\s*)?<svg", ".svg"),
)
_FOREIGN = (
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file itself, which `git lfs pull` brings"),
    (rb"GGUF|ggml|lmgg", "in llama.cpp's format, which holds no tensors as torch has them"),
    (rb"\x08[\x01-\x7f]\x12[\x01-\x40][\w.\- ]+", "an ONNX model, which holds a network and not its weights by name"),
    (rb"\x89HDF\r\n", "an HDF5 file, as Keras writes"),
    (rb"\x93NUMPY", "an array of NumPy"),
    (rb"....TFL3", "a TensorFlow Lite model"),
    (rb"\s*<(!doctype html|html)", "a web page: the download failed, or asked for a login"),
    (rb"\s*<\?xml", "an XML document"),
    (rb"\s*[{\[]", "a JSON document"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!", "a compressed archive: unpack it first"),
)
"""First bytes of what people take for weights, and what it is."""
_FORMAT_SUFFIXES = {"safetensors": ".safetensors", "other-pickle": ".pkl", "zip": ".zip"}


def file_format(path: Path) -> Format:
    """Tell what a file is.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
        if head.startswith((b"\x80", *_OLD_PICKLES)):
            head += file.read(_PICKLE_HEAD - len(head))
    if head.startswith(b"PK\x03\x04"):
        try:
            with open_zip(path) as archive:
                return _zip_format(archive.namelist())
        except ValueError:
            return ""
    return head_format(head, path.stat().st_size)


def head_format(head: bytes, size: int) -> Format:
    """Tell what a file of `size` bytes is by its first `HEAD` bytes or more: a ZIP by the name of its first member."""
    if head.startswith(b"PK\x03\x04"):
        length = int.from_bytes(head[26:28], "little")
        return "torch" if _TORCH_MEMBER.fullmatch(head[30 : 30 + length]) else "zip"
    if len(head) > 8 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= _header_room(size):
        return "safetensors"
    if head.startswith(_TORCH_MAGIC):
        return "pickle"
    if len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5:
        return "pickle" if b"torch" in head or b"_reconstruct" in head else "other-pickle"  # the latter: NumPy's arrays
    old = head.startswith(_OLD_PICKLES) and re.search(rb"c(torch|numpy)[\w.]*\n\w+\n", head)
    return "pickle" if old else ""


def _header_room(size: int) -> int:
    return min(size - 8, _SAFETENSORS_HEADER)


def _zip_format(names: Sequence[str]) -> Format:
    parts = [name.partition("/")[2] for name in names]
    if "data.pkl" not in parts:
        return "zip"
    return "torchscript" if any(part == "constants.pkl" or part.startswith("code/") for part in parts) else "torch"


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a ZIP whose table of contents is of a sane size.

    Raises:
        ValueError: it is damaged, or its table of contents is too large; the message is a clause.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        if _contents_size(file) > _CONTENTS:
            raise ValueError("its table of contents is too large")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, struct.error, UnicodeDecodeError) as error:
        raise ValueError("it is a damaged ZIP") from error


def _contents_size(file: BinaryIO) -> int:
    """Read the size of a ZIP's table of contents from its end."""
    size = file.seek(0, 2)
    start = max(0, size - (1 << 16) - 42)
    file.seek(start)
    tail = file.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + 22:
        raise ValueError("it is a damaged ZIP")
    found = int.from_bytes(tail[end + 12 : end + 16], "little")
    locator = tail[max(0, end - 20) : end]
    if locator.startswith(_LOCATOR_64):
        file.seek(min(int.from_bytes(locator[8:16], "little"), size))
        record = file.read(56)
        if record.startswith(_END_64) and len(record) == 56:
            return max(int.from_bytes(record[40:48], "little"), 0 if found == 0xFFFFFFFF else found)
    return found


def suffix_of(head: bytes, kind: Format = "") -> str:
    """Return the usual ending of a file with these first bytes; empty where they tell none.

    Example:
        >>> suffix_of(b"GIF89a")
        '.gif'
    """
    if kind:
        return _FORMAT_SUFFIXES.get(kind, ".pt")
    return next((suffix for magic, suffix in _SUFFIXES if re.match(magic, head, re.DOTALL | re.IGNORECASE)), "")


def foreign_format(head: bytes) -> str:
    """Return what a file with these first bytes is where people take it for weights; "" where they tell nothing.

    Examples:
        >>> foreign_format(b"GIF89a"), foreign_format(b"")
        ('a picture or document', 'empty')
        >>> foreign_format(b"version https://git-lfs.github.com/spec/v1")
        'a pointer of Git LFS, not the file itself, which `git lfs pull` brings'
    """
    if not head:
        return "empty"
    found = next((what for magic, what in _FOREIGN if re.match(magic, head, re.DOTALL | re.IGNORECASE)), "")
    return found or ("a picture or document" if suffix_of(head) else "")
