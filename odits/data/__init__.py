"""Images, their words, and the folders they come from."""

from __future__ import annotations

import os
from pathlib import Path

from odits.core.errors import OditsError
from odits.data.folder import FILE, read_folder
from odits.data.images import ImageError, image_digest, image_size, open_image
from odits.data.records import BoxedWord, Dataset, ImageRecord
from odits.data.svt import is_svt, read_svt
from odits.data.vocabulary import Vocabulary

__all__ = [
    "BoxedWord",
    "Dataset",
    "ImageError",
    "ImageRecord",
    "Vocabulary",
    "find_data_folder",
    "image_digest",
    "image_size",
    "open_image",
    "read_dataset",
    "read_folder",
    "read_svt",
]

_PLACES = (Path("data/svt1"), Path("../shared/svt1"))
_REPOSITORY = Path(__file__).resolve().parents[2]


def find_data_folder(explicit: Path | None) -> Path | None:
    """The folder of the data set: the one named, else ODITS_DATA's, else data/svt1 or ../shared/svt1; None if none.

    A name may mean the folder itself or one that holds it as `svt1`. The two places are looked for from where the
    program was started and from the repository.

    Raises:
        OditsError: a folder is named, here or by ODITS_DATA, and holds no data set.
    """
    variable = os.environ.get("ODITS_DATA", "").strip()
    named = explicit if explicit is not None else Path(variable).expanduser() if variable else None
    if named is not None:
        for folder in (named, named / "svt1"):
            if _holds_data(folder):
                return folder
        origin = "" if explicit is not None else " (named by ODITS_DATA)"
        raise OditsError(f"{named}{origin} holds no data set: neither train.xml, test.xml nor {FILE} is in it.")
    places = [base / place for base in (Path(), _REPOSITORY) for place in _PLACES]
    return next((folder.resolve() for folder in places if _holds_data(folder)), None)


def read_dataset(folder: Path) -> Dataset:
    """The data set in a folder: SVT where train.xml or test.xml is in it, else a plain folder with lexicons.csv.

    Raises:
        OditsError: the folder holds neither, or what it holds can't be read.
    """
    if is_svt(folder):
        return read_svt(folder)
    if (folder / FILE).is_file():
        return read_folder(folder)
    raise OditsError(f"{folder} holds no data set: neither train.xml, test.xml nor {FILE} is in it.")


def _holds_data(folder: Path) -> bool:
    return is_svt(folder) or (folder / FILE).is_file()
