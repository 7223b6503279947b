"""What can be searched: the images of a data set's split, or of a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from odits.core.errors import OditsError
from odits.data import Dataset

SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".mpo"])


@dataclass(frozen=True)
class Item:
    """An image of a collection: its name, distinct within the collection, and its file."""

    name: str
    path: Path


@dataclass(frozen=True)
class Collection:
    """Images to be searched.

    Attributes:
        title: as shown to users.
        origin: tells collections apart: where the images come from.
        items: the images, in the collection's order.
    """

    title: str
    origin: str
    items: tuple[Item, ...]

    @property
    def key(self) -> str:
        """Names the index of this collection, whatever images it holds at the time."""
        return hashlib.sha256(self.origin.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def collection_of_dataset(dataset: Dataset, split: str = "all") -> Collection:
    """The images of a data set's split.

    Raises:
        OditsError: there are none, or no such split.
    """
    items = tuple(Item(record.name, record.path) for record in dataset.split(split))
    if not items:
        raise OditsError(f"{dataset.name} has no images of the split {split}.")
    return Collection(f"{dataset.name}, {split} images", f"dataset {dataset.root.resolve()} {split}", items)


def collection_of_folder(folder: Path) -> Collection:
    """The images in a folder and its subfolders, by name; hidden files and folders are left out.

    Raises:
        OditsError: no such folder, or no image in it.
    """
    root = folder.expanduser().absolute()
    if not root.is_dir():
        raise OditsError(f"There is no folder {folder}.")
    paths = sorted(_images(root))
    if not paths:
        raise OditsError(f"There are no images in {folder} (looked for {', '.join(sorted(SUFFIXES))}).")
    items = tuple(Item(path.relative_to(root).as_posix(), path) for path in paths)
    return Collection(root.name or str(root), f"folder {root.resolve()}", items)


def _images(root: Path) -> Iterator[Path]:
    """Files whose names end as those of images do; folders that can't be read hold none."""
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(place) / name
