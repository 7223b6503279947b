"""Exports as neptune-exporter writes them: its names on disk, its columns, both versions of Neptune."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from tests.tracking.conftest import PROJECT, Row, row, write_part

WEIGHTS = {"weight": torch.ones(64, 4)}


def sanitised(name: str) -> str:
    """The exporter's name on disk: letters and digits of every script, and a digest of the real name."""
    plain = "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in name)
    return f"{plain}-{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"


def torch_bytes(**options: Any) -> bytes:
    """What torch.save writes."""
    stream = io.BytesIO()
    torch.save(WEIGHTS, stream, **options)
    return stream.getvalue()


def safetensors_bytes() -> bytes:
    """A safetensors file that names its architecture."""
    return save(WEIGHTS, {"architecture": "odits-signs"})


def zip_bytes(members: Mapping[str, bytes]) -> bytes:
    """A ZIP, as the server makes it of a set of files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


class Export:
    """An export that a test fills run by run.

    Args:
        root: the folder that gets exports/data, exports/files and so on.
        project: the project's real name.
    """

    def __init__(self, root: Path, project: str = PROJECT) -> None:
        self.root, self.project = root, project
        self.folder = root / "exports"

    def data(self, scope: str = "") -> Path:
        """The project's folder of parts: of runs, or of "models" or "model_versions"."""
        kind = "model_data" if scope else "data"
        return self.folder / kind / sanitised(self.project) / scope

    def files(self, scope: str = "") -> Path:
        """The project's folder of files."""
        return self.folder / ("model_files" if scope else "files") / sanitised(self.project)

    def neptune2(self, run: str, attribute: str, content: bytes, scope: str = "") -> Row:
        """A File of Neptune 2: at its attribute's path, without an ending."""
        below = f"{scope}/{run}/{attribute}" if scope else f"{self.project}/{run}/{attribute}"
        return self.file(run, attribute, below, content, scope)

    def file(self, run: str, attribute: str, below: str, content: bytes, scope: str = "", kind: str = "file") -> Row:
        """A file at a path of the project's folder."""
        path = self.files(scope) / below
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        found = row(attribute, kind, below, run=run)
        return found | {"project_id": self.project, "file_value": {"path": below}}

    def file_set(self, run: str, attribute: str, members: Mapping[str, bytes]) -> Row:
        """A FileSet: a folder with one ZIP."""
        folder = f"{self.project}/{run}/{attribute}"
        found = self.file(run, attribute, f"{folder}/{attribute.replace('/', '_')}.zip", zip_bytes(members))
        return found | {"attribute_type": "file_set", "file_value": {"path": folder}}

    def artifact(self, run: str, attribute: str, names: list[str]) -> Row:
        """An Artifact: the list of its files, which lie elsewhere."""
        listed = [{"filePath": name, "fileHash": "ab" * 20, "type": "S3", "metadata": {}} for name in names]
        below = f"{self.project}/{run}/{attribute}/files_list.json"
        return self.file(run, attribute, below, json.dumps(listed).encode(), kind="artifact")

    def write(self, run: str, rows: list[Row], part: int = 0, scope: str = "") -> Path:
        """Write a part."""
        path = self.data(scope) / f"{sanitised(run)}_part_{part}.parquet"
        write_part(path, [one | {"project_id": self.project, "run_id": run} for one in rows])
        return path
