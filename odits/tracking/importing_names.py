"""Names of a Neptune run as MLflow takes them: never two under one, and readable back from a file in the run.

MLflow's keys hold fewer characters, and its artifacts are files, some of them on disks that know no capital letters.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from odits.core.files import sha256_of, temporary_folder
from odits.tracking.mlflow_client import KEY_ROOM, Mlflow, key, log_file

NAMES_FILE = "neptune_names.json"
"""The artifact that holds the mapping: for each kind, Neptune's names and what they are called in MLflow."""

_PATH_ROOM = 200  # of an artifact: a tag's key holds it with a prefix
_PART_BYTES = 180

Names = dict[str, dict[str, Any]]
ORIGIN_TAG = "odits.imported_from"
"""What something in MLflow was copied from (`origin_of`)."""


def origin_of(owner: str) -> str:
    """Return what stands in MLflow for a run, model or version of an export, "PROJECT/RUN"."""
    return f"neptune-export:{owner}"


@dataclass(frozen=True)
class _Wish:
    """What a name would be called: whether that says all of it, and whether it had to be cut."""

    text: str
    faithful: bool
    cut: bool = False


def assign_keys(names: Iterable[str], earlier: Mapping[str, str]) -> dict[str, str]:
    """Give each name of parameters, metrics or tags a key of its own.

    Args:
        names: Neptune's.
        earlier: keys that an import gave before; they stay.

    Example:
        >>> assign_keys(["loss", "val/acc@1"], {})
        {'loss': 'loss', 'val/acc@1': 'val/acc_1'}
        >>> assign_keys(["val/acc@1", "val/acc#1"], {})
        {'val/acc#1': 'val/acc_1-5b480a88', 'val/acc@1': 'val/acc_1-4739979c'}
    """
    wishes = {name: _Wish(key(name), key(name) == name, len(name) > KEY_ROOM) for name in names}
    return _assign(wishes, earlier, _marked_key, str, frozenset())


def assign_paths(wanted: Mapping[str, str], earlier: Mapping[str, str]) -> dict[str, str]:
    """Give each file a path of its own among a run's artifacts; no file is called as another's folder.

    Args:
        wanted: the path that each would like to have.
        earlier: paths that an import gave before; they stay.
    """
    files = {path.casefold() for path in earlier.values()}
    wishes = {name: _path(path) for name, path in wanted.items()}
    for name, wish in wishes.items():
        if name not in earlier and any(str(folder).casefold() in files for folder in PurePosixPath(wish.text).parents):
            wishes[name] = _Wish(_shortened(wish.text.replace("/", "_")), faithful=False, cut=True)
    folders = {
        folder.as_posix().casefold()
        for path in (*earlier.values(), *(wish.text for wish in wishes.values()))
        for folder in PurePosixPath(path).parents
    }
    return _assign(wishes, earlier, _marked_path, str.casefold, folders)


def _assign(
    wishes: Mapping[str, _Wish],
    earlier: Mapping[str, str],
    mark: Callable[[str, str], str],
    fold: Callable[[str], str],
    reserved: Collection[str],
) -> dict[str, str]:
    """Give each name its wish where nobody else wants it, else one that is marked with the name's digest.

    Args:
        wishes: what each would like.
        earlier: given before.
        mark: marks a wish for a name.
        fold: equal for those that can't stand side by side.
        reserved: what nobody is given, folded.
    """
    given = {name: earlier[name] for name in wishes if name in earlier}
    fresh = {name: wish for name, wish in wishes.items() if name not in given}
    taken = {fold(found) for found in earlier.values()}
    wanted = Counter(fold(wish.text) for wish in fresh.values())
    for name in sorted(fresh, key=lambda name: (not fresh[name].faithful, name)):
        wish = fresh[name]
        folded = fold(wish.text)
        alone = wish.faithful or wanted[folded] == 1
        free = alone and folded not in taken and folded not in reserved
        given[name] = wish.text if free and not wish.cut else mark(wish.text, name)
        taken.add(fold(given[name]))
    return given


def _digest(name: str) -> str:
    return sha256_of(name)[:8]


def _marked_key(wish: str, name: str) -> str:
    return f"{wish[: KEY_ROOM - 9].rstrip('/')}-{_digest(name)}"


def _path(wish: str) -> _Wish:
    """Return a path as disks and MLflow take it: letters of every script, digits, dots, dashes, spaces."""
    parts = [re.sub(r"[^\w.\- ]", "_", part).strip(" ") for part in wish.split("/")]
    parts = [part if part.strip(".") else "_" * len(part) for part in parts if part]
    short = [_shortened(part) for part in parts]
    path = "/".join(short) or "_"
    cut = short != parts or len(path) > _PATH_ROOM
    if len(path) > _PATH_ROOM:
        path = _shortened(path.replace("/", "_"))
    return _Wish(path, path == wish, cut)


def _shortened(part: str) -> str:
    """Return the beginning of a name that is too long for a disk, with its ending."""
    if len(part.encode()) <= _PART_BYTES:
        return part
    stem, dot, suffix = part.rpartition(".")
    ending = dot + suffix if stem and len(suffix) <= 12 else ""
    return part.encode()[: _PART_BYTES - len(ending.encode())].decode(errors="ignore") + ending


def _marked_path(wish: str, name: str) -> str:
    folder, slash, last = wish.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    if not stem:
        stem, dot, suffix = last, "", ""
    return f"{folder}{slash}{stem}-{_digest(name)}{dot}{suffix}"


def read_names(mlflow: Mlflow, run: str) -> Names:
    """Read the mapping that an import left in a run; empty where there is none."""
    if not any(item.path == NAMES_FILE for item in mlflow.client.list_artifacts(run)):
        return {}
    with temporary_folder("names") as work:
        found = json.loads(Path(mlflow.client.download_artifacts(run, NAMES_FILE, str(work))).read_text("utf-8"))
    names = found if isinstance(found, dict) else {}
    return {kind: mapping for kind, mapping in names.items() if isinstance(mapping, dict)}


def write_names(mlflow: Mlflow, run: str, names: Names) -> None:
    """Store the mapping with the run: written before anything else of it, so that an import that is killed keeps it."""
    with temporary_folder("names") as work:
        (work / "names.json").write_text(json.dumps(names, indent=1, ensure_ascii=False), "utf-8")
        log_file(mlflow, run, work / "names.json", NAMES_FILE)
