"""Where the folders of a Neptune export lie, and which parts belong together; nothing is read but names.

    DATA/<project>-<digest>/<run>-<digest>_part_<n>.parquet     a run may have several parts; .parquet.tmp is unfinished
    FILES/<project>-<digest>/...                                 file_value.path is relative to the project's folder
    MODEL_DATA/<project>-<digest>/models|model_versions/<id>-<digest>_part_<n>.parquet      the model registry
    MODEL_FILES/<project>-<digest>/...

The exporter's defaults are exports/data, exports/files, exports/model_data, exports/model_files; each may lie anywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from odits.core.errors import StoreError
from odits.tracking.store import require_inside

Kind = Literal["run", "models", "model_versions"]
REGISTRY: tuple[Kind, ...] = ("models", "model_versions")
"""Folders of the model registry in a project's. A model's id may be that of a run, so they are part of its id here."""

_PART = re.compile(r"(?P<run>.+)_part_(?P<number>\d{1,9})\.parquet(?P<unfinished>\.tmp)?", re.DOTALL)


@dataclass(frozen=True)
class Parts:
    """The finished parts of one run or registered model, in order, and the folder of its project's files.

    Attributes:
        kind: a run, or what it is in the model registry.
        label: its project's folder and the beginning of its parts' names, for sentences.
        paths: its parts.
        files: the folder that the paths of its files are relative to; it may be missing.
        stamps: name, size and time of change of each part: equal ones mean equal content.
    """

    kind: Kind
    label: str
    paths: tuple[Path, ...]
    files: Path
    stamps: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Layout:
    """The pairs of a folder of data and a folder of files that an export consists of."""

    roots: tuple[tuple[Path, Path], ...]

    @property
    def identity(self) -> list[str]:
        """Which folders these are."""
        return [str(path) for pair in self.roots for path in pair]


def find_layout(folder: Path, files: Path | None = None) -> Layout:
    """Find the folders of an export.

    Args:
        folder: the folder that holds data/ and files/ (or exports/ with them), or the exporter's --data-path itself,
            with a folder per project in it.
        files: the exporter's --files-path; by default it lies beside the data.

    Raises:
        StoreError: the folder holds no export, or `files` is no folder.
    """
    if files is not None and not files.is_dir():
        raise StoreError(f"{files} is no folder: --files names the exporter's folder of files.")
    for place in (folder, folder / "exports"):
        found = [
            (data, files or _named(place, files_name) or place / files_name)
            for data_name, files_name in (("data", "files"), ("model_data", "model_files"))
            if (data := _named(place, data_name)) is not None
        ]
        if found:
            return Layout(tuple(found))
    if _holds_projects(folder):
        beside = folder.parent / ("model_files" if folder.name.lower() == "model_data" else "files")
        return Layout(((folder, files or beside),))
    raise StoreError(
        f"{folder} is no Neptune export: it has no folder data/ with a folder per project in it, and is none itself."
    )


def _named(folder: Path, name: str) -> Path | None:
    """Return the folder of that name, in small or capital letters."""
    return next((path for path in (folder / name, folder / name.upper()) if path.is_dir()), None)


def _holds_projects(folder: Path) -> bool:
    """Return whether one of the folders in this one holds a part."""
    if not folder.is_dir():
        return False
    places = (path for project in _folders(folder) for path in (project, *(project / name for name in REGISTRY)))
    return any(_PART.fullmatch(name) for place in places if place.is_dir() for name in _names(place))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir())


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)


def list_parts(layout: Layout, warnings: list[str]) -> list[Parts]:
    """List all parts by run, and name in `warnings` what is left out: unfinished parts, and paths that lead out."""
    found: list[Parts] = []
    for data, files in layout.roots:
        for project in _folders(data):
            try:
                require_inside(data, project.name)
                if (files / project.name).exists():
                    require_inside(files, project.name)
                for kind, place in _places(project):
                    found += _grouped(kind, place, project.name, files / project.name, warnings)
            except StoreError as error:
                warnings.append(str(error))
            except OSError as error:
                warnings.append(f"{project.name} is left out: {error.strerror or error}.")
    return found


def _places(project: Path) -> Iterator[tuple[Kind, Path]]:
    yield "run", project
    for kind in REGISTRY:
        if (project / kind).is_dir():
            require_inside(project, kind)
            yield kind, project / kind


def _grouped(kind: Kind, place: Path, project: str, files: Path, warnings: list[str]) -> Iterator[Parts]:
    """Yield the parts of each run in a folder."""
    groups: dict[str, list[tuple[int, Path, tuple[str, int, int]]]] = {}
    with os.scandir(place) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        match, label = _PART.fullmatch(entry.name), f"{project}/{entry.name}"
        if match is None:
            if entry.name.endswith((".parquet", ".tmp")):
                warnings.append(f"{label} is left out: its name is not that of a part.")
            continue
        if match["unfinished"]:
            warnings.append(f"{label} is left out: the export of this part was not finished.")
            continue
        try:
            path = require_inside(place, entry.name) if entry.is_symlink() else place / entry.name
            status = path.stat()
        except StoreError as error:
            warnings.append(str(error))
            continue
        except OSError as error:
            warnings.append(f"{label} is left out: {error.strerror or error}.")
            continue
        stamp = (entry.name, status.st_size, status.st_mtime_ns)
        groups.setdefault(match["run"], []).append((int(match["number"]), path, stamp))
    for run, parts in groups.items():
        parts.sort()
        present = {number for number, _, _ in parts}
        missing = [number for number in range(min(parts[-1][0], len(parts) + 5)) if number not in present]
        if missing:
            named = ", ".join(map(str, missing[:5]))
            warnings.append(f"{project}/{run} is not whole: part {named} is missing.")
        yield Parts(kind, f"{project}/{run}", tuple(p for _, p, _ in parts), files, tuple(s for _, _, s in parts))
