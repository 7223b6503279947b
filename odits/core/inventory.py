"""What the stores of results hold on the disk, and what of it can go.

Everything is read from the folders themselves (`odits.core.store` says how they are laid out), so that kinds of results
and versions that this program no longer knows are counted too. Checkpoints, marks, weights and MLflow's data lie
elsewhere and are never touched; of a folder of checkpoints only the temporary files of killed processes are removed.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from odits.core.errors import OditsError, StoreError
from odits.core.files import cache_home, leftovers, remove_tree
from odits.core.locks import is_held, locked, remove_unheld

WORK = "work"
"""The kind of what belongs to no kind of results: temporary folders, locks, and what training leaves."""
FORMER_READ = {
    "objects": "objects",
    "candidates": "candidates",
    "readings": "readings",
    "object-embeddings": "object-embeddings",
    "embeddings": "text-embeddings",
}
"""Folders of versions before 0.2 whose entries are moved to their new place when they are asked for; their kinds."""
FORMER_ASIDE = {
    "evaluations": "evaluations",
    "inputs": "features",
    "statistics": "statistics",
    "indexes": "indexes",
    "comparisons": "trials",
    "pulling": WORK,
    "uploads": WORK,
}
"""Folders of versions before 0.2 that are set aside: what they hold is computed again; their kinds."""
IRREPLACEABLE = frozenset({"trials"})
"""Kinds that hold trained weights: they go only where they are named."""
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


@dataclass(frozen=True)
class Item:
    """Something that lies in a store.

    Attributes:
        kind: of results.
        path: a file or a folder.
        size: bytes.
        used: when it was last used or written, in seconds since 1970.
        state: "current"; "older": of a version that the code no longer asks for; "former": where older versions of the
            program kept it, still read; "left": by a process that was killed.
        held: whether a running process holds it.
    """

    kind: str
    path: Path
    size: int
    used: float
    state: str
    held: bool = False


@dataclass
class Tally:
    """Numbers of items and their bytes."""

    count: int = 0
    bytes: int = 0

    def add(self, item: Item) -> None:
        """Count an item."""
        self.count += 1
        self.bytes += item.size


@dataclass
class KindSummary:
    """What there is of one kind of results.

    Attributes:
        current, older, former, left: the items of each state.
        held: how many are held by running processes.
    """

    current: Tally = field(default_factory=Tally)
    older: Tally = field(default_factory=Tally)
    former: Tally = field(default_factory=Tally)
    left: Tally = field(default_factory=Tally)
    held: int = 0

    @property
    def bytes(self) -> int:
        """Bytes in all."""
        return sum(tally.bytes for tally in (self.current, self.older, self.former, self.left))


def take_inventory(kinds: Sequence[str] = ()) -> list[Item]:
    """List everything that lies in the stores of these kinds; of all kinds where none is named."""
    home = cache_home()
    found = [item for root in _folders(home / "cache") if root.name != WORK for item in _items_of_kind(root)]
    for folder, kind in FORMER_READ.items():
        files = [path for path in (home / folder).rglob("*") if path.is_file()]
        found += [_item(kind, path, "left" if path.name.startswith(".") else "former") for path in files]
    for folder, kind in FORMER_ASIDE.items():
        found += [_item(kind, path, "older") for path in (home / folder).glob("*")]
    found += _left_work(home)
    # a download that broke off goes on with what it has
    parts = (home / "weights").glob("*.part")
    found += [_item("downloads", path, "current", is_held(_lock_beside(path))) for path in parts]
    return [item for item in found if not kinds or item.kind in kinds]


def summarise(items: Sequence[Item]) -> dict[str, KindSummary]:
    """Count items by their kind, in alphabetical order."""
    summaries = {kind: KindSummary() for kind in sorted({item.kind for item in items})}
    for item in items:
        summary = summaries[item.kind]
        getattr(summary, item.state).add(item)
        summary.held += item.held
    return summaries


def prune(
    items: Sequence[Item],
    stale: bool = False,
    older_than_s: float | None = None,
    max_bytes: int | None = None,
    named: Sequence[str] = (),
) -> list[Item]:
    """Remove items; those that a running process holds stay.

    Args:
        items: by `take_inventory`.
        stale: remove what killed processes left, and entries of older versions that nothing reads any more.
        older_than_s: remove what was not used for so many seconds.
        max_bytes: then remove the least recently used until no more than so many bytes are left.
        named: kinds that the user named; of others, trained weights stay.

    Returns:
        What was removed.
    """
    now = time.time()

    def is_chosen(item: Item) -> bool:
        old = older_than_s is not None and now - item.used >= older_than_s
        return old or (stale and item.state in ("left", "older"))

    removed = [item for item in items if is_chosen(item) and _may_go(item, named) and _remove(item)]
    if max_bytes is not None:
        gone = {item.path for item in removed}
        left = sorted((item for item in items if item.path not in gone), key=lambda item: item.used)
        total = sum(item.size for item in left)
        for item in left:
            if total <= max_bytes:
                break
            if _may_go(item, named) and _remove(item):
                removed.append(item)
                total -= item.size
    return removed


def read_size(text: str) -> int:
    """Return the bytes that a text such as "2GB", "500 MB", "1.5GiB" or "0" means.

    Raises:
        OditsError: it is no size.

    Example:
        >>> read_size("2GB"), read_size("1.5 KiB")
        (2000000000, 1536)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].upper() not in _UNITS:
        raise OditsError(f"{text!r} is no size: write it as 500MB, 2GB or 1.5GiB.")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def _may_go(item: Item, named: Sequence[str]) -> bool:
    return item.state == "left" or item.kind not in IRREPLACEABLE or item.kind in named


def _remove(item: Item) -> bool:
    """Remove an item unless it is held; whether it is gone."""
    if item.state == "left":
        return remove_unheld(item.path)
    if item.path.is_relative_to(cache_home() / "cache"):
        folder, name = _locks_of(item.path)
        if any(is_held(lock) for lock in folder.glob(f"{name}*.lock")):
            return False
        with suppress(StoreError), locked(folder / f"{name}.lock", "in use"):
            remove_tree(item.path)
    elif not is_held(_lock_beside(item.path)):  # former versions locked otherwise, or not at all
        remove_tree(item.path)
    with suppress(OSError):  # the folder may hold others
        item.path.parent.rmdir()
    return not item.path.exists()


def _locks_of(entry: Path) -> tuple[Path, str]:
    """Return the folder of an entry's lock files and what their names begin with (`odits.core.store.Entries`)."""
    version = entry.parents[1]
    return version.parent / ".locks", f"{version.name}-{entry.name}"


def _lock_beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _items_of_kind(root: Path) -> Iterator[Item]:
    """Yield the entries of one kind, of all versions, and what killed processes left of it."""
    versions = {int(path.name[1:]): path for path in _folders(root) if re.fullmatch(r"v\d+", path.name)}
    held = {lock.name for lock in (root / ".locks").glob("*.lock") if is_held(lock)}
    for number, folder in versions.items():
        state = "current" if number == max(versions) else "older"
        for path in folder.glob("??/*"):
            if not path.name.startswith("."):
                prefix = f"v{number}-{path.name}"
                yield _item(root.name, path, state, any(name.startswith(prefix) for name in held))
    yield from _left(root.name, root, deep=True)


def _left_work(home: Path) -> Iterator[Item]:
    """Yield what killed processes left outside the stores: work folders, temporary files of runs and weights."""
    yield from _left(WORK, home / "cache" / WORK)
    for folder in ("checkpoints", "weights"):
        yield from _left(WORK, home / folder, deep=True)
    for pattern in ("checkpoints/**/*.pt.part", "checkpoints/**/*.lock", "cache/work/*.lock", "weights/*.lock"):
        for path in home.glob(pattern):
            if not is_held(path):
                yield _item(WORK, path, "left")


def _left(kind: str, folder: Path, deep: bool = False) -> Iterator[Item]:
    paths = leftovers(folder, deep=deep)
    inside = {path for path in paths if any(parent in paths for parent in path.parents)}
    for path in [*(path for path in paths if path not in inside), *(folder / ".locks").glob("*.lock")]:
        if not is_held(path):
            yield _item(kind, path, "left")


def _item(kind: str, path: Path, state: str, held: bool = False) -> Item:
    size, used = 0, 0.0
    for file in [path] if not path.is_dir() else [*path.rglob("*"), path]:
        with suppress(OSError):  # gone meanwhile
            status = file.lstat()
            size += status.st_size if not file.is_dir() else 0
            used = max(used, status.st_mtime, status.st_atime if not file.is_dir() else 0.0)
    return Item(kind, path, size, used, state, held)


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return []
