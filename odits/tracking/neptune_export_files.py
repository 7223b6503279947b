"""The files that a run of an export names: where each lies, what it is by its content, and how one is brought out.

Neptune 2 kept no endings, a set of files is a folder with one ZIP, and an artifact only the list of its files. A path
that leaves the project's folder, through dots, a root of its own or a symbolic link, is refused and named.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import Any

from odits.core.errors import StoreError
from odits.core.files import CHUNK, copy_with_progress, sha256_of
from odits.core.formats import HEAD, WEIGHTS, Format, file_format, head_format, open_zip, suffix_of
from odits.core.progress import Progress
from odits.tracking.neptune_export_reader import ExportedRun
from odits.tracking.neptune_export_summary import ExportedFile
from odits.tracking.store import is_weights, require_inside

LIST_OF_FILES = "files_list.json"
"""What the exporter keeps of an artifact: the names, sizes and hashes of files that lie elsewhere."""

_DAMAGED = "damaged-zip"  # of the entries of `Known`: begins as a ZIP does, and has no end that can be read
NAME_FILES = "name the export's folder of files (--files)."

_MOST_MEMBERS = 100_000
_BOMB_BYTES = 100 << 20
_BOMB_RATIO = 200  # of weights and pictures; zeros pack 1000 to 1


@dataclass
class Known:
    """What files were found to be when last looked at.

    Attributes:
        entries: by path: [size, time of change, format, members if it is a set's ZIP].
        changed: whether anything was looked at anew.
    """

    entries: dict[str, list[Any]] = field(default_factory=dict)
    changed: bool = False

    def look(self, place: Path, status: os.stat_result) -> list[Any]:
        """Return the entry of a file; its content is looked at where its size or time of change are new.

        Raises:
            OSError: it can't be read.
        """
        entry = self.entries.get(str(place))
        if entry is None or entry[:2] != [status.st_size, status.st_mtime_ns]:
            entry = self.entries[str(place)] = [status.st_size, status.st_mtime_ns, _format_of(place), None]
            self.changed = True
        return entry

    def members(self, place: Path) -> tuple[list[list[Any]], list[str]]:
        """Return the members of a ZIP that was looked at, and a sentence for each that is refused.

        Raises:
            ValueError: its table of contents can't be used; a clause.
        """
        entry = self.entries[str(place)]
        if entry[3] is None:
            entry[3] = _read_members(place)
            self.changed = True
        found: tuple[list[list[Any]], list[str]] = entry[3]
        return found


@dataclass(frozen=True)
class FoundFile:
    """A file of a run that is there.

    Attributes:
        name: its path inside the run, a different one for each.
        attribute: where the run names it.
        kind: the attribute's type.
        place: the file on the disk.
        size: in bytes.
        format: what it is by its content.
        member: its path inside the ZIP at `place`; empty where it is the file itself.
        damaged: whether it is a ZIP that was cut off or overwritten.
    """

    name: str
    attribute: str
    kind: str
    place: Path
    size: int
    format: Format = ""
    member: str = ""
    damaged: bool = False

    @property
    def is_checkpoint(self) -> bool:
        """Whether it holds weights; a pickle that shows none in its first bytes has to be called so."""
        return self.format in WEIGHTS or (self.format == "other-pickle" and self.claims_weights)

    @property
    def metadata(self) -> dict[str, str]:
        """What is told of it as a checkpoint."""
        return {"attribute": self.attribute, "format": self.format}

    @property
    def claims_weights(self) -> bool:
        """Whether its name is that of weights, whatever it holds."""
        return any(is_weights(name) for name in (self.name, self.attribute, self.place.name, self.member))


def find_files(
    run: ExportedRun, files: Sequence[ExportedFile], warnings: list[str], known: Known | None = None
) -> list[FoundFile]:
    """Find the files of a run on the disk, and name in `warnings` those that are missing or refused.

    Args:
        run: whose.
        files: as its summary names them.
        warnings: gains a sentence each.
        known: what was found before; gains the rest.
    """
    seen = known or Known()
    if files and not run.files.is_dir():
        some = "1 file" if len(files) == 1 else f"{len(files):,} files"
        warnings.append(f"Run {run.id} names {some}, and their folder {run.files} is missing: {NAME_FILES}")
        return []
    names = _names(files)
    found: list[FoundFile] = []
    for file, name in zip(files, names, strict=True):
        said = f"Run {run.id}, {file.attribute}: "
        problems: list[str] = []
        try:
            located = list(_located(run, file, name, seen, problems))
            cut = (one.name for one in located if one.damaged)
            problems += [
                f"'{one}' is a ZIP, as checkpoints and sets of files are, and is damaged or cut off." for one in cut
            ]
            found += located
        except StoreError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"the file '{file.path}' can't be read ({error.strerror or error}).")
        warnings.extend(said + problem for problem in problems)
    return found


def _names(files: Sequence[ExportedFile]) -> list[str]:
    """Return a different name for each: its attribute, with its file's ending unless another has that name."""
    attributes = {file.attribute for file in files}
    taken: set[str] = set()
    names: list[str] = []
    for file in files:
        suffix = PureWindowsPath(file.path).suffix  # of POSIX's paths too
        if file.kind == "artifact":
            name = f"{file.attribute}/{LIST_OF_FILES}"
        elif file.step is not None:
            name = f"{file.attribute}/step-{file.step.normalize():f}{suffix}"
        elif file.kind == "file_set" or file.attribute.endswith(suffix) or file.attribute + suffix in attributes:
            name = file.attribute
        else:
            name = file.attribute + suffix
        if name in taken:
            stem = name.removesuffix(suffix)
            name = f"{stem}-{sha256_of(file.path)[:8]}{suffix if name != stem else ''}"
        taken.add(name)
        names.append(name)
    return names


def _located(run: ExportedRun, file: ExportedFile, name: str, known: Known, problems: list[str]) -> Iterator[FoundFile]:
    place = require_inside(run.files, file.path)
    status = _status(place)
    if status is None and "\\" in file.path:  # as the exporter writes them on Windows
        place = require_inside(run.files, file.path.replace("\\", "/"))
        status = _status(place)
    if status is None:
        problems.append(f"the file '{file.path}' is missing.")
    elif stat.S_ISDIR(status.st_mode):
        yield from _in_folder(file, name, place, known, problems)
    elif stat.S_ISREG(status.st_mode):
        yield _looked_at(FoundFile(name, file.attribute, file.kind, place, status.st_size), status, known)
    else:
        problems.append(f"'{file.path}' is no plain file and is refused.")


def _status(place: Path) -> os.stat_result | None:
    try:
        return place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _format_of(place: Path) -> str:
    found = file_format(place)
    if found:
        return found
    with place.open("rb") as stream:
        return _DAMAGED if stream.read(4) == b"PK\x03\x04" else ""


def _looked_at(file: FoundFile, status: os.stat_result, known: Known) -> FoundFile:
    """Return the file with its format, from its content or from the last look at it."""
    if file.kind == "artifact":
        return file
    found = known.look(file.place, status)[2]
    return replace(file, damaged=True) if found == _DAMAGED else replace(file, format=found)


def _in_folder(file: ExportedFile, name: str, folder: Path, known: Known, problems: list[str]) -> Iterator[FoundFile]:
    """Yield the files of a set: those in the folder, and the members of ZIPs."""
    for item in sorted(folder.rglob("*")):
        below = item.relative_to(folder).as_posix()
        try:
            real = require_inside(folder, below)
        except StoreError as error:
            problems.append(str(error))
            continue
        status = _status(real)
        if status is None or not stat.S_ISREG(status.st_mode):
            continue
        found = FoundFile(f"{name}/{below}", file.attribute, file.kind, real, status.st_size)
        found = _looked_at(found, status, known)
        if found.format == "zip":
            yield from _members(found, name, known, problems)
        else:
            yield found


# ZIPs, whose members are listed as files.


def _members(archive: FoundFile, name: str, known: Known, problems: list[str]) -> Iterator[FoundFile]:
    """Yield the members of a set's ZIP that may be brought out; where its contents can't be read, the ZIP itself."""
    try:
        members, refused = known.members(archive.place)
    except ValueError as error:
        problems.append(f"{archive.place.name}: {error}.")
        yield archive
        return
    problems.extend(refused)
    for member, size, kind in members:
        yield FoundFile(f"{name}/{member}", archive.attribute, archive.kind, archive.place, size, kind, member)


def _read_members(path: Path) -> tuple[list[list[Any]], list[str]]:
    """List [name, size, format] of the members of a ZIP, and a sentence for each that is refused.

    Raises:
        ValueError: its table of contents can't be used; a clause.
    """
    members: dict[str, list[Any]] = {}
    refused: list[str] = []
    with open_zip(path) as archive:
        infos = archive.infolist()
        if len(infos) > _MOST_MEMBERS:
            raise ValueError(f"it holds more than {_MOST_MEMBERS:,} files")
        for info in infos:
            if info.is_dir():
                continue
            why = _refusal(info)
            if why:
                refused.append(f"'{info.filename}' in {path.name} {why} and is refused.")
                continue
            try:
                with archive.open(info) as stream:
                    head = stream.read(HEAD)
            except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError):
                refused.append(f"'{info.filename}' in {path.name} is damaged and is left out.")
                continue
            members[info.filename] = [info.filename, info.file_size, head_format(head, info.file_size)]
    return list(members.values()), refused


def _refusal(info: zipfile.ZipInfo) -> str:
    """Return why a member is not brought out; empty where nothing speaks against it."""
    name = info.filename
    if "\\" in name or re.match(r"[A-Za-z]:", name) or ".." in name.split("/") or name.startswith("/") or "\0" in name:
        return "leaves its folder"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link"
    if info.flag_bits & 1:
        return "is encrypted"
    if info.file_size > _BOMB_BYTES and info.file_size > _BOMB_RATIO * info.compress_size:
        return f"unpacks to {info.file_size:,} bytes from {info.compress_size:,}"
    return ""


def bring_out(file: FoundFile, target: Path, progress: Progress) -> None:
    """Copy a file of an export to `target`, which must be free; a member of a ZIP is unpacked alone.

    Raises:
        StoreError: it is refused, or damaged.
        OSError: it can't be read, or `target` not written.
    """
    if not file.member:
        copy_with_progress(file.place, target, progress)
        return
    try:
        with open_zip(file.place) as archive:
            info = archive.getinfo(file.member)
            why = _refusal(info)
            if why:
                raise StoreError(f"'{file.member}' in {file.place.name} {why} and is refused.")
            if info.file_size > shutil.disk_usage(target.parent).free:
                raise StoreError(f"The disk has no room for the {info.file_size:,} bytes of '{file.member}'.")
            with archive.open(info) as stream, target.open("xb") as out:
                done = 0
                while chunk := stream.read(CHUNK):
                    out.write(chunk)
                    done += len(chunk)
                    progress(done, info.file_size)
    except KeyError:
        raise StoreError(f"'{file.member}' is no longer in {file.place.name}.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise StoreError(f"'{file.member}' in {file.place.name} is damaged: {error}.") from None


def usual_suffix(file: FoundFile) -> str:
    """Return the ending that a file's content calls for, where its name has none; else an empty text.

    MLflow and every viewer tell a picture by its ending, which Neptune 2 did not keep.
    """
    if file.format in WEIGHTS:
        return "" if is_weights(file.name) else suffix_of(b"", file.format)
    if file.member or re.search(r"\.[A-Za-z][A-Za-z0-9]{0,11}$", file.name):
        return ""
    with file.place.open("rb") as stream:
        return suffix_of(stream.read(HEAD))


def checkpoints_of(files: Iterable[FoundFile], run: str, warnings: list[str]) -> list[FoundFile]:
    """Return the files of weights, and name those that are called so and hold something else."""
    found = []
    for file in files:
        if file.is_checkpoint:
            found.append(file)
        elif file.claims_weights and file.kind != "artifact" and not file.damaged:
            warnings.append(f"Run {run}, {file.name}: it is called weights, and holds none that can be read.")
    return found
